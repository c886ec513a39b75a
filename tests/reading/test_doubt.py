"""A reading is sure only if nothing speaks against it."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.page.layouts import PageSetup
from experiment.labelling.page_probability import PageProbability
from experiment.reading.doubt import limb_misfit_of, verdict_of
from experiment.reading.find_layout import FoundLayout
from experiment.reading.read_leads import LeadSignal

SEEN = PageProbability(np.zeros((3, 8, 8), np.float32), None, np.eye(3), (8, 8), 7.9, 0, 0.0, 1.0, ())
SETUP = PageSetup()
PLACES = SETUP.placements(SETUP.page_on(SETUP.paper()))
FOUND = FoundLayout(SETUP, PLACES, np.zeros(4), 0.0, 0.0, 1.0, ())
TIME = np.arange(250) / 100.0
LIMB = {"I": np.sin(9 * TIME), "II": np.sin(9 * TIME) + np.cos(5 * TIME)}
LIMB["III"] = LIMB["II"] - LIMB["I"]


def lead(name: str, signal_mv: np.ndarray, confidence: float = 0.9, gaps_s: tuple = ()) -> LeadSignal:
    place = next(place for place in PLACES if place.lead == name)
    return LeadSignal(place, signal_mv, signal_mv, confidence, gaps_s)


def test_nothing_against_it_is_sure():
    verdict = verdict_of(SEEN, FOUND, [lead(name, signal) for name, signal in LIMB.items()], 0.02)
    assert (verdict.status, verdict.reasons) == ("sure", ())


@pytest.mark.parametrize(
    ("seen", "found", "leads", "said"),
    [
        (replace(SEEN, warnings=("no grid found",)), FOUND, [], "no grid found"),
        (SEEN, replace(FOUND, warnings=("rows are short",)), [], "rows are short"),
        (SEEN, replace(FOUND, doubts=("it may be 6x2",)), [], "it may be 6x2"),
        (SEEN, FOUND, [lead("V1", TIME, confidence=0.4), lead("V2", TIME)], "lead V1 is uncertain"),
        (SEEN, FOUND, [lead("V1", TIME, confidence=0.4)] * 2 + [lead("V2", TIME)], "lead V1 is uncertain"),
        (
            SEEN,
            FOUND,
            [lead("V1", TIME, confidence=0.4), lead("V2", TIME, confidence=0.4)],
            "all leads are uncertain",
        ),
        (SEEN, FOUND, [lead("V1", TIME, confidence=0.4)], "lead V1 is uncertain"),
        (
            SEEN,
            FOUND,
            [lead("V1", TIME, gaps_s=((0.1, 0.4), (0.5, 0.9)))],
            "much of lead V1 is hidden",
        ),
        (
            SEEN,
            FOUND,
            [replace(lead("V1", TIME), is_cut=True)],
            "spikes of lead V1 end at the picture's edge",
        ),
        (
            SEEN,
            FOUND,
            [lead(name, -LIMB[name] if name == "I" else LIMB[name]) for name in LIMB],
            "do not fit together",
        ),
    ],
)
def test_whatever_speaks_against_it_is_a_reason_to_check(seen, found, leads, said):
    verdict = verdict_of(seen, found, leads, 0.02)
    assert verdict.status == "check"
    assert len(verdict.reasons) == 1 and said in verdict.reasons[0]


def test_limb_leads_that_obey_einthoven_leave_nothing():
    leads = [lead(name, signal_mv) for name, signal_mv in LIMB.items()]
    assert limb_misfit_of(leads) < 0.05
    assert limb_misfit_of([lead("I", -LIMB["I"]), *leads[1:]]) > 0.3
    assert limb_misfit_of([lead("I", LIMB["I"]), lead("V1", TIME)]) is None


def test_less_ink_more_filled_in_and_bent_paper_make_a_lead_less_certain():
    def confidence(ink: float, gaps_s: tuple = (), residual_mm: float = 0.025) -> float:
        return verdict_of(SEEN, FOUND, [lead("V1", TIME, ink, gaps_s)], residual_mm).confidences[0]

    assert confidence(0.85) > 0.9
    assert confidence(0.85) > confidence(0.75) > confidence(0.55)
    assert confidence(0.75) > confidence(0.75, ((5.0, 5.4),))
    assert confidence(0.75) > confidence(0.75, residual_mm=0.05)
    assert confidence(0.45) < 0.5


def confidence_of(signals_mv: dict[str, np.ndarray]) -> dict[str, float]:
    leads = [lead(name, signal_mv, 0.8) for name, signal_mv in signals_mv.items()]
    return dict(zip(signals_mv, verdict_of(SEEN, FOUND, leads, 0.02).confidences, strict=True))


def test_the_lower_a_trace_the_less_certain_it_is():
    low, middle, high, higher = (confidence_of({"V1": size * TIME})["V1"] for size in (0.1, 0.4, 0.9, 1.2))
    assert low < middle < high
    assert middle < 0.95 < high
    assert high == pytest.approx(higher, abs=0.001)


def test_a_trace_that_hardly_moves_but_for_a_spike_is_less_certain_yet_no_reason_to_check():
    still, lively = np.zeros(250), 0.5 * np.sin(9 * TIME)
    still[100] = lively[100] = 1.0
    still[101] = lively[101] = -0.5
    verdict = verdict_of(SEEN, FOUND, [lead("V1", still, 0.8), lead("V2", lively, 0.8)], 0.02)
    assert verdict.confidences[0] < verdict.confidences[1] - 0.01
    assert verdict.status == "sure"


def test_traces_that_reach_into_other_rows_make_these_less_certain_too():
    """V1, V2 and V3 stand above one another, 36 mm apart; V4 stands beside V1."""
    quiet = dict.fromkeys(("V1", "V2", "V3", "V4"), TIME)
    usual, wild = confidence_of(quiet), confidence_of(quiet | {"V1": 3 * TIME})
    assert wild["V1"] < usual["V1"] - 0.15
    assert wild["V2"] < usual["V2"] - 0.15
    assert (wild["V3"], wild["V4"]) == (usual["V3"], usual["V4"])


def test_rows_that_reach_far_into_one_another_are_said():
    leads = [lead(name, 6 * TIME, 0.8) for name in ("V1", "V2", "V3")]
    verdict = verdict_of(SEEN, FOUND, leads, 0.02)
    assert verdict.status == "check"
    assert verdict.reasons[0].startswith("all leads are uncertain")
