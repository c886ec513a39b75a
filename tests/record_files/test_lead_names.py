"""Headings as devices and databases write them."""

import pytest

from ecg_generator_with_train_src.record_files.lead_names import (
    LEADS,
    ColumnName,
    plain_unit,
    read_column_name,
)

PATTERNS = (
    "{}",
    " {} ",
    "Lead {}",
    "lead_{}",
    "ECG {}",
    "ecg_lead_{}",
    "MDC_ECG_LEAD_{}",
    "{} (mV)",
    "{}[uV]",
    "{}_mv",
)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
def test_every_lead_is_known_in_any_case_with_prefixes_and_units(pattern, case):
    assert [read_column_name(case(pattern.format(lead))).lead for lead in LEADS] == list(LEADS)


@pytest.mark.parametrize(
    ("heading", "lead", "unit", "upside_down"),
    [
        ("I (µV)", "I", "uv", False),
        ("V1 [μV]", "V1", "uv", False),
        ("Lead II / mV", "II", "mv", False),
        ("aVR (mmHg)", "aVR", "mmhg", False),
        ("-aVR", "aVR", "", True),
        ("+aVF", "aVF", "", False),
        ("DIII", "III", "", False),
        ("D2", "II", "", False),
        ("Lead 1", "I", "", False),
        ("C4", "V4", "", False),
        ("MLII", "II", "", False),
        ('"V 6"', "V6", "", False),
    ],
)
def test_other_spellings(heading, lead, unit, upside_down):
    name = read_column_name(heading)
    assert (name.lead, name.unit, name.upside_down) == (lead, unit, upside_down)


@pytest.mark.parametrize(
    "heading", ["", "1", "ECG", "ECG 1", "V7", "V3R", "index", "pleth", "sensor I", "IIII", "lead"]
)
def test_other_headings_are_no_leads(heading):
    assert read_column_name(heading).lead is None


@pytest.mark.parametrize(
    ("heading", "unit"),
    [("time", ""), ("Time (s)", "s"), ("time_ms", "ms"), ("t[us]", "us"), ("Seconds", "s")],
)
def test_times_are_told_by_their_heading(heading, unit):
    name = read_column_name(heading)
    assert (name.is_time, name.unit) == (True, unit)


def test_a_unit_is_plain_without_brackets_and_micro_signs():
    assert [plain_unit(word) for word in ("mV", "(µV)", "[μV] ", "V")] == ["mv", "uv", "uv", "v"]


def test_a_heading_of_a_million_characters_is_no_name():
    assert read_column_name("_" * 10**6) == read_column_name("I" + " " * 300) == ColumnName(None)
