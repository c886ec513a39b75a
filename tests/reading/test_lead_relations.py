"""What is hidden of one lead, drawn from the others."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.records import LEADS
from experiment.reading.lead_relations import blend_limb_leads, fill_hidden

FS_HZ = 500.0
TIME_S = np.arange(0, 2.5, 1 / FS_HZ)
BEATS_S = (0.4, 1.2, 2.0)
HIDDEN = (TIME_S > 1.15) & (TIME_S < 1.25)  # the middle beat's QRS complex


def lead(r_mv: float, s_mv: float, t_mv: float) -> np.ndarray:
    waves = [(r_mv, 0.0, 0.008), (s_mv, 0.03, 0.008), (t_mv, 0.25, 0.05)]
    return sum(
        height * np.exp(-np.square((TIME_S - beat - late) / width) / 2)
        for beat in BEATS_S
        for height, late, width in waves
    )


def cut(*leads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The leads with a straight line for the first one's hidden stretch, and which of their values are visible."""
    signal_mv, visible = np.stack(leads), np.ones((len(leads), len(TIME_S)), bool)
    visible[0] = ~HIDDEN
    signal_mv[0, HIDDEN] = np.interp(TIME_S[HIDDEN], TIME_S[~HIDDEN], signal_mv[0, ~HIDDEN])
    return signal_mv, visible


def test_what_is_hidden_of_one_limb_lead_follows_from_two_others():
    first, third = lead(1.0, -0.2, 0.3), lead(-0.4, 0.5, 0.1)
    second = first + third  # Einthoven
    signal_mv, visible = cut(second, first, third)
    assert np.abs(signal_mv[0] - second).max() > 0.5
    filled = fill_hidden(signal_mv, visible, FS_HZ)
    assert np.abs(filled[0] - second).max() < 0.01
    assert np.array_equal(filled[1:], signal_mv[1:])
    assert np.array_equal(filled[0, ~HIDDEN], signal_mv[0, ~HIDDEN])


def test_a_rhythm_strip_alone_tells_the_complex_of_another_lead():
    wanted = lead(0.3, -1.2, 0.4)
    signal_mv, visible = cut(wanted, lead(1.0, -0.3, 0.2))
    filled = fill_hidden(signal_mv, visible, FS_HZ)
    assert np.abs(signal_mv[0] - wanted).max() > 1
    assert np.abs(filled[0] - wanted).max() < 0.25


def test_what_is_drawn_joins_a_baseline_that_wandered():
    wanted, strip = lead(0.3, -1.2, 0.4), lead(1.0, -0.3, 0.2)
    signal_mv, visible = cut(wanted + 0.3 * TIME_S, strip)
    filled = fill_hidden(signal_mv, visible, FS_HZ)
    edges = np.flatnonzero(np.diff(HIDDEN.astype(int)))
    assert np.abs(np.diff(filled[0] - wanted - 0.3 * TIME_S))[edges].max() < 0.1
    assert np.abs(filled[0] - wanted - 0.3 * TIME_S).max() < 0.3


def test_noise_tells_next_to_nothing():
    signal_mv, visible = cut(lead(0.3, -1.2, 0.4), np.random.default_rng(0).normal(size=len(TIME_S)))
    assert np.abs(fill_hidden(signal_mv, visible, FS_HZ) - signal_mv).max() < 0.2


@pytest.mark.parametrize("case", ["hidden too", "elsewhere"])
def test_without_a_lead_that_tells_it_stays_as_it_was(case):
    signal_mv, visible = cut(lead(0.3, -1.2, 0.4), lead(1.0, -0.3, 0.2))
    if case == "hidden too":
        visible[1] = visible[0]
    if case == "elsewhere":
        visible[1], signal_mv[1] = False, np.nan
    assert np.array_equal(fill_hidden(signal_mv, visible, FS_HZ), signal_mv, equal_nan=True)


def limb_leads_mv(error_mv: float) -> np.ndarray:
    """I, II and III (100 samples) that obey Einthoven but for an error of III by turns; other leads NaN."""
    signal_mv = np.full((100, 12), np.nan)
    phase = np.arange(100) / 5
    one, two = np.sin(phase), 2 * np.cos(phase)
    wrong = error_mv * (-1.0) ** np.arange(100)
    for lead, values in (("I", one), ("II", two + 0.7), ("III", two - one + wrong)):
        signal_mv[:, LEADS.index(lead)] = values
    return signal_mv


def test_an_error_of_one_limb_lead_is_shared_and_two_thirds_of_it_stay():
    """The nearest leads that obey I - II + III = 0: each takes a third of what is left over. II keeps its level."""
    true_mv, read_mv = limb_leads_mv(0.0), limb_leads_mv(0.09)
    wrong = 0.09 * (-1.0) ** np.arange(100)
    moved = blend_limb_leads(read_mv) - true_mv
    for lead, share in (("I", -1 / 3), ("II", 1 / 3), ("III", 2 / 3)):
        error_mv = moved[:, LEADS.index(lead)]
        np.testing.assert_allclose(error_mv - error_mv.mean(), share * wrong, atol=1e-9)
        assert abs(error_mv.mean()) < 0.05
    assert np.isnan(moved[:, 3:]).all()


def test_limb_leads_that_do_not_fit_together_stay_as_they_are():
    read_mv = limb_leads_mv(2.0)
    np.testing.assert_array_equal(blend_limb_leads(read_mv), read_mv)
    two = limb_leads_mv(0.1)
    two[:, 2] = np.nan
    np.testing.assert_array_equal(blend_limb_leads(two), two)
