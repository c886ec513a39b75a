"""The table that tells how pages are to be read."""

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.layouts import parse_layout
from experiment.reading.corrections import COLUMNS, check_pages, correction_line, read_corrections
from experiment.reading.find_layout import ReadingOptions


def table(tmp_path, text: str):
    path = tmp_path / "corrections.csv"
    path.write_text(text)
    return path


def test_what_is_told_stands_over_what_is_known_of_all_pages(tmp_path):
    path = table(tmp_path, 'page,layout,gain_mm_mv,rotation_deg\na,"3x4+II,V1",5,\nb,,,180\n')
    found = read_corrections(path)
    known = ReadingOptions(layout=parse_layout("6x2"), gain_mm_mv=10.0, paper_speed_mm_s=50.0)
    assert found["a"].over(known) == ReadingOptions(parse_layout("3x4+II,V1"), None, 50.0, 5.0, None)
    assert found["b"].over(known) == known
    assert (found["a"].rotation_deg, found["b"].rotation_deg) == (None, 180.0)


def test_the_line_of_a_reading_tells_the_same_reading(tmp_path):
    about = {
        "layout": "3x4+V1,II,V5",
        "lead_order": "cabrera",
        "rotation_deg": 181.25,
        "paper_speed_mm_s": 25.0,
        "gain_mm_mv": 5.0,
        "rectified": {"time_zero_x_px": 118.11},
    }
    path = table(tmp_path, f"{','.join(COLUMNS)}\n{correction_line('a-0005', about)}\n")
    (found,) = read_corrections(path).values()
    assert found.told == ReadingOptions(parse_layout("3x4+V1,II,V5"), "cabrera", 25.0, 5.0, 118.11)
    assert found.rotation_deg == 181.25


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("page,gains\na,5\n", "expected the columns page, layout"),
        ("layout\n3x4\n", "expected the columns page, layout"),
        ("page,layout\na,3x4\nb,3x5\n", "line 3: layout 3x5"),
        ("page,gain_mm_mv\na,-5\n", "line 2: gain_mm_mv -5: expected a positive number"),
        ("page,time_zero_px\na,left\n", "line 2: time_zero_px left: expected a number"),
        ("page,lead_order\na,usual\n", "line 2: lead_order usual: expected standard or cabrera"),
        ("page,layout\n,3x4\n", "line 2: names no page"),
        ("page,gain_mm_mv\na,5\na,10\n", "line 3: a stands above already"),
    ],
)
def test_bad_tables_are_refused_with_file_and_line(tmp_path, text, said):
    with pytest.raises(InputError, match=said) as refused:
        read_corrections(table(tmp_path, text))
    assert "corrections.csv" in str(refused.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_corrections(tmp_path / "none.csv")


def test_a_correction_of_no_page_is_named_with_file_and_line(tmp_path):
    found = read_corrections(table(tmp_path, "page,gain_mm_mv\na,5\nbook-p2,5\nb-0005.jpg,5\n"))
    check_pages(found, ("a", "book", "b-0005.jpg"))
    with pytest.raises(
        InputError, match=r"corrections\.csv, line 4: no image is called b-0005\.jpg; .* without"
    ):
        check_pages(found, ("a", "book", "b-0005"))


@pytest.mark.parametrize("name", ["=1+1", "-x", "@x", 'a,"b"', "a'b", "'q'"])
def test_a_line_of_a_page_of_any_name_is_read_back_and_is_no_formula(tmp_path, name):
    line = correction_line(name, {"gain_mm_mv": 5.0, "layout": "3x4+II,V1"})
    assert not line.startswith(("=", "-", "@"))
    found = read_corrections(table(tmp_path, f"{','.join(COLUMNS)}\n{line}\n"))
    assert found[name].told.gain_mm_mv == 5.0
    assert found[name].told.layout.name == "3x4+II,V1"


def test_a_table_of_windows_is_read(tmp_path):
    path = tmp_path / "corrections.csv"
    path.write_bytes("page,gain_mm_mv\r\nGröße,5\r\n".encode("utf-16"))
    assert read_corrections(path)["Größe"].told.gain_mm_mv == 5.0
    path.write_bytes("page,gain_mm_mv\nGröße,5\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"corrections\.csv, line 2: byte 0xF6 is not UTF-8"):
        read_corrections(path)
