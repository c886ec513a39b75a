"""Results of an earlier run: whole ones are believed, others are made again."""

import pytest

from experiment.labelling.earlier_results import is_whole_prediction, is_whole_reading
from experiment.scoring.page_scores import Tally

UNREAD = {"status": "unread", "reasons": ["no grid"], "fs_hz": 500.0}
READ = {
    "status": "sure",
    "reasons": [],
    "fs_hz": 500.0,
    "layout": "3x4+II",
    "lead_order": "standard",
    "paper_speed_mm_s": 25.0,
    "gain_mm_mv": 10.0,
    "rotation_deg": 0.5,
    "leads": [{"lead": "I", "confidence": 0.9}],
    "rectified": {"time_zero_x_px": 118.1},
}
LINE = {
    "name": "a",
    "width_px": 5,
    "height_px": 4,
    "pitch_px": 7.9,
    "rotation_deg": 0,
    "confidence": 0.5,
    "warnings": [],
}
SCORED = {**LINE, "kind": "", **Tally().scores(), "counts": Tally().counts()}


@pytest.mark.parametrize("about", [UNREAD, READ, {**READ, "status": "check", "more": 1}])
def test_whole_readings_are_believed(about):
    assert is_whole_reading(about)


@pytest.mark.parametrize(
    ("about", "key", "value"),
    [
        (UNREAD, "reasons", []),
        (UNREAD, "fs_hz", "500"),
        (UNREAD, "leads", 5),
        (READ, "status", "certain"),
        (READ, "layout", None),
        (READ, "gain_mm_mv", float("nan")),
        (READ, "leads", [{"lead": "I"}]),
        (READ, "rectified", []),
    ],
)
def test_other_readings_are_not(about, key, value):
    assert not is_whole_reading({**about, key: value})
    assert not is_whole_reading({name: each for name, each in about.items() if name != "status"})


@pytest.mark.parametrize("line", [LINE, SCORED])
def test_whole_predictions_are_believed(line):
    assert is_whole_prediction(line)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        (LINE, "confidence", None),
        (LINE, "warnings", "none"),
        (LINE, "dice", SCORED["dice"]),
        (SCORED, "counts", {}),
        (SCORED, "counts", {**SCORED["counts"], "hits": [1]}),
        (SCORED, "counts", {**SCORED["counts"], "more": 1}),
        (SCORED, "dice", {"grid": 0.5}),
        (SCORED, "hit_rate", {}),
    ],
)
def test_other_predictions_are_not(line, key, value):
    assert not is_whole_prediction({**line, key: value})
