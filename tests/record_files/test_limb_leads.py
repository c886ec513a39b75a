"""Einthoven's and Goldberger's relations on leads that are made of two known ones."""

import numpy as np
import pytest

from ecg_generator_with_train_src.record_files.lead_names import LEADS
from ecg_generator_with_train_src.record_files.limb_leads import complete_limb_leads, contradiction_of

TIME_S = np.arange(1000) / 100
ONE, TWO = np.sin(TIME_S * 7), np.sin(TIME_S * 3) + 0.3 * np.sin(TIME_S * 7)
LIMBS = {
    "I": ONE,
    "II": TWO,
    "III": TWO - ONE,
    "aVR": -(ONE + TWO) / 2,
    "aVL": ONE - TWO / 2,
    "aVF": TWO - ONE / 2,
}


def record(**changed) -> np.ndarray:
    """The limb leads with some changed, and no chest leads: (samples, 12)."""
    leads = LIMBS | changed
    return np.stack([leads.get(lead, np.full(1000, np.nan)) for lead in LEADS], axis=1)


@pytest.mark.parametrize("first", LIMBS)
@pytest.mark.parametrize("second", LIMBS)
def test_any_two_limb_leads_make_the_other_four(first, second):
    there = {lead: LIMBS[lead] for lead in LIMBS if lead in (first, second)}
    absent = [lead for lead in LEADS if lead not in there]
    computed, sources = complete_limb_leads(there, absent)
    if first == second:
        assert (computed, sources, list(there)) == ([], [], [first])
        return
    assert computed == [lead for lead in LIMBS if lead not in (first, second)]
    assert set(sources) == {first, second}
    for lead, expected in LIMBS.items():
        np.testing.assert_allclose(there[lead], expected, atol=1e-12)


def test_a_lead_that_is_off_is_not_computed():
    there = {lead: LIMBS[lead] for lead in ("I", "II", "aVR", "aVF")}
    assert complete_limb_leads(there, ["aVL"]) == (["aVL"], ["I", "II"])
    assert "III" not in there


def test_leads_of_one_heart_do_not_contradict_each_other_whatever_their_offsets_and_noise():
    noise = np.random.default_rng(0).normal(size=(1000, 12)) * 0.02
    assert contradiction_of(record() + np.arange(12) + noise) == ""


@pytest.mark.parametrize("lead", LIMBS)
def test_a_lead_upside_down_is_named(lead):
    assert contradiction_of(record(**{lead: -LIMBS[lead]})) == f"{lead} is upside down"


@pytest.mark.parametrize(("first", "second"), [("I", "II"), ("I", "III"), ("aVR", "aVF"), ("II", "aVL")])
def test_swapped_leads_are_named(first, second):
    swapped = record(**{first: LIMBS[second], second: LIMBS[first]})
    assert contradiction_of(swapped) == f"{first} and {second} are swapped"


def test_a_lead_of_another_recording_is_named():
    assert contradiction_of(record(aVL=np.sin(TIME_S * 5))) == "aVL contradicts the other limb leads"


def test_leads_that_have_nothing_in_common_are_named_together():
    rng = np.random.default_rng(0)
    strange = record(**{lead: rng.normal(size=1000) for lead in LIMBS})
    assert contradiction_of(strange) == "I, II, III, aVR, aVL, aVF do not belong together"


def test_leads_that_never_stand_together_or_are_flat_cannot_contradict():
    apart = record(**{lead: np.full(1000, np.nan) for lead in ("aVR", "aVL", "aVF")})
    apart[:500, 0] = np.nan
    apart[500:, 2] = np.nan
    assert contradiction_of(apart) == ""
    assert contradiction_of(record() * 0) == ""
