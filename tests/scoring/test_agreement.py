"""Bias and limits of agreement, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.page.records import LEADS
from experiment.scoring.agreement import MeasuredPage, agreement_rows, agreement_table, failure_lines
from experiment.scoring.clinical_measures import HEIGHTS, UNITS, WHOLE_PAGE, Measured, nothing_measured
from experiment.scoring.compare import ScoredPage


def page_with(name: str, truth: dict, reading: dict, failures=()) -> tuple[ScoredPage, MeasuredPage]:
    nothing = nothing_measured().values
    both = MeasuredPage(Measured(nothing | truth, {}), Measured(nothing | reading, dict(failures)))
    return ScoredPage(name, name[:2], name[-4:], None), both


def lines_of(rows: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    lines = [line.split() for line in list(agreement_table(rows))[1:]]
    return {(words[0], " ".join(words[1:-7])): words[-7:] for words in lines}


def test_bias_and_limits_of_each_kind_of_page():
    pulse = (WHOLE_PAGE, "heart rate")
    pages = dict(
        [
            page_with("01-0001", {pulse: 60.0, ("V1", "R"): 1.0}, {pulse: 61.0, ("V1", "R"): 0.75}),
            page_with("02-0001", {pulse: 70.0}, {pulse: 73.0}),
            page_with("03-0001", {pulse: 80.0}, {}, [("II", "too quiet")]),
            page_with("04-0005", {}, {pulse: 90.0}, [("II", "too quiet"), ("V1", "no beats")]),
        ]
    )
    lines = lines_of(agreement_rows(pages))
    assert len(lines) == 2 * len(UNITS)
    # differences 1 and 3: mean 2, standard deviation the root of 2, limits 2 -+ 1.96 * 1.4142
    assert lines["0001", "heart rate, 1/min"] == ["2", "1", "0", "2.000", "-0.772", "to", "4.772"]
    assert lines["0001", "R, mV"] == ["1", "0", str(3 * 12 - 1), "-0.250", "-", "to", "-"]
    assert lines["0005", "heart rate, 1/min"] == ["0", "0", "1", "-", "-", "to", "-"]
    assert list(failure_lines(pages)) == [
        "no beats in 2 leads of readings: too quiet",
        "no beats in 1 leads of readings: no beats",
    ]


def test_the_table_has_a_row_for_each_page_lead_and_measure():
    key = ("aVL", "S")
    rows = agreement_rows(dict([page_with("07-0003", {key: -0.5}, {key: -0.4})]))
    assert rows["lead"].tolist() == [WHOLE_PAGE] * 4 + [lead for lead in LEADS for _ in HEIGHTS]
    assert set(zip(rows["page"], rows["record"], rows["type"], strict=True)) == {("07-0003", "07", "0003")}
    (row,) = rows.dropna().to_dict("records")
    assert (row["measure"], row["unit"]) == ("S", "mV")
    assert (row["truth"], row["reading"]) == pytest.approx((-0.5, -0.4))
    assert np.isnan(rows["truth"]).sum() == len(rows) - 1
