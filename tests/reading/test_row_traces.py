"""What rows have in common, told at two values a millimetre."""

import numpy as np
import pytest

from experiment.reading.row_traces import change, limb_misfit, stretch, unlikeness

STEPS = 120  # 60 mm
BEAT = np.exp(-np.square((np.arange(STEPS) % 40 - 20) / 2.0))
WAVE = np.sin(np.arange(STEPS) / 9.0)
LIMB = {"I": 4 * BEAT + WAVE, "II": 9 * BEAT - WAVE}
LIMB["III"] = LIMB["II"] - LIMB["I"]
LIMB["aVR"] = -(LIMB["I"] + LIMB["II"]) / 2
LIMB["aVL"] = LIMB["I"] - LIMB["II"] / 2
LIMB["aVF"] = LIMB["II"] - LIMB["I"] / 2


@pytest.mark.parametrize(
    "labels", [("I", "II", "III"), ("aVR", "aVL", "aVF"), ("aVL", "I", "-aVR", "II", "aVF", "III")]
)
def test_limb_leads_fit_together_under_their_own_names_alone(labels):
    traces = np.stack([-LIMB["aVR"] if label == "-aVR" else LIMB[label] for label in labels])
    assert limb_misfit(traces + 7.0, labels) < 0.06  # a row's height does not matter
    traces[0] *= -1
    assert limb_misfit(traces, labels) > 0.25


def test_fewer_than_three_limb_leads_say_nothing():
    assert limb_misfit(np.zeros((3, STEPS)), ("I", "II", "V1")) is None


def test_a_copy_is_alike_even_a_millimetre_aside_and_another_lead_is_not():
    assert unlikeness(LIMB["II"], LIMB["II"] + 3.0) < 0.02
    assert unlikeness(LIMB["II"][2:], LIMB["II"][:-2]) < 0.02
    assert unlikeness(LIMB["II"], LIMB["aVR"]) > 0.6


def test_a_copy_whose_spikes_run_into_another_row_is_still_liker_than_another_lead():
    copy = LIMB["II"].copy()
    copy[19:22] -= 12
    others = [unlikeness(copy, LIMB[lead]) for lead in LIMB if lead != "II"]
    assert unlikeness(copy, LIMB["II"]) < 0.1 < 0.15 < min(others)


def test_stretches_that_are_mostly_hidden_are_not_compared():
    hidden = LIMB["II"].copy()
    hidden[: round(0.7 * STEPS)] = np.nan
    assert unlikeness(hidden, LIMB["II"]) is None
    assert change(np.full(STEPS, np.nan), LIMB["II"]) is None


def test_beats_change_where_another_lead_begins():
    later = np.roll(LIMB["II"], 13)
    assert change(LIMB["II"], later) < 0.1
    assert change(LIMB["II"], -later) > 0.5


def test_what_lies_beyond_the_page_is_missing():
    traces = np.arange(10.0)[None]
    np.testing.assert_array_equal(stretch(traces, -8, 8), [[np.nan, np.nan, 0.0, 1.0]])
    assert np.isnan(stretch(traces, 400, 440)).all()
