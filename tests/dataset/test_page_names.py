"""The record, layout and type that a page's name tells."""

import pytest

from ecg_generator_with_train_src.dataset.page_names import PageName, parse_page_name

KNOWN = {"17": 250.0, "17_hr": 500.0, "a-b": 500.0}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("17", ("17", "", "", None)),
        ("17-0001", ("17", "", "0001", None)),
        ("17_hr-0003", ("17_hr", "", "0003", None)),
        ("17_hr-0005-12", ("17_hr", "", "0005", 12)),
        ("17_hr__6x2-0", ("17_hr", "6x2", "", None)),
        ("17_hr__3x4+II-3-scan_bw-0", ("17_hr", "3x4+II", "scan_bw", 0)),
        ("17-clean-0", ("17", "", "clean", 0)),
        ("17-real-0005-1", ("17", "", "real-0005", 1)),
        ("a-b-0004", ("a-b", "", "0004", None)),
        ("17-p2", ("17", "", "p2", None)),
    ],
)
def test_a_name_that_begins_with_a_known_record(name, parts):
    record, layout, kind, number = parts
    assert parse_page_name(name, KNOWN) == PageName(record, True, layout, kind, number)


@pytest.mark.parametrize(
    ("name", "record", "kind"),
    [
        ("1053922973-0006", "1053922973", "0006"),
        ("x-y-0012-3", "x-y", "0012"),
        ("photo", "photo", ""),
        ("holiday-2024", "holiday-2024", ""),
        ("18-0001", "18", "0001"),
        ("170-clean-0", "170-clean-0", ""),
    ],
)
def test_a_name_that_begins_with_none(name, record, kind):
    found = parse_page_name(name, KNOWN)
    assert (found.record, found.is_known, found.kind) == (record, False, kind)
