"""The competition's metric: its published values, its definition worked out by hand, and what it forgives."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.page.records import LEADS
from experiment.scoring.signal_metric import (
    best_shift,
    power_ratio,
    score_db,
    score_shown_leads,
    score_signals,
)

from known_signals import FS_HZ, KNOWN_MV

HIGHEST_DB = 25.8433


def signals(leads_mv) -> np.ndarray:
    """(leads, samples), NaN behind the shorter ones."""
    length = max(map(len, leads_mv))
    return np.array([[*lead, *[np.nan] * (length - len(lead))] for lead in leads_mv], float)


def known() -> np.ndarray:
    return signals([KNOWN_MV[lead] for lead in LEADS])


def heart_mv(seed: int, leads: int = 12, samples: int = 1000) -> np.ndarray:
    """Wandering lines with a spike a second, different in each lead."""
    rng = np.random.default_rng(seed)
    lines_mv = np.cumsum(rng.normal(0, 0.02, (leads, samples)), axis=1)
    lines_mv[:, 40::FS_HZ] += rng.uniform(0.5, 2, (leads, 1))
    return lines_mv


def test_the_known_values():
    truth, read = known(), known()
    scores = [score_db([score_signals(truth, read, 1).ratio])]
    read[LEADS.index("I"), 0] = 0.9
    scores.append(score_db([score_signals(truth, read, 1).ratio]))
    read[LEADS.index("III"), 1] = 0.3
    scores.append(score_db([score_signals(truth, read, 1).ratio]))
    assert np.round(scores, 4).tolist() == [25.8433, 13.6291, 13.0576]


def test_power_is_of_the_truth_as_it_is_and_noise_of_what_the_offset_leaves():
    """By hand: truth (1, 2, 3) read as (0, 0, 3): off by (1, 2, 0), mean 1, left (0, 1, -1)."""
    page = score_signals(signals([[1, 2, 3]]), signals([[0, 0, 3]]), 1)
    assert page.signal_mv2 == pytest.approx([14])
    assert page.noise_mv2 == pytest.approx([2])
    assert page.offset_mv == pytest.approx([-1])
    assert page.ratio == pytest.approx(7)
    assert page.rmse_mv == pytest.approx(np.sqrt(2 / 3))
    assert page.correlation == pytest.approx([3 / np.sqrt(2 * 6)])


def test_powers_are_summed_over_the_leads_before_they_are_divided():
    """By hand: signals 14 and 3, noises 2 and 0; the mean of the leads' own ratios would be another."""
    page = score_signals(signals([[1, 2, 3], [1, 1, 1]]), signals([[0, 0, 3], [1, 1, 1]]), 1)
    assert page.ratio == pytest.approx(17 / 2)
    assert page.lead_ratios == pytest.approx([7, 384])
    assert score_db([8.5, 384]) == pytest.approx(10 * np.log10((8.5 + 384) / 2))


@pytest.mark.parametrize("shift", [-20, -7, 0, 1, 20])
def test_a_shift_within_a_fifth_of_a_second_is_found_and_what_it_leaves_open_is_zero(shift):
    truth_mv = heart_mv(1)
    read_mv = np.roll(truth_mv, -shift, axis=1) + 0.3
    page = score_signals(truth_mv, read_mv, FS_HZ)
    assert (page.shift == shift).all()
    assert page.offset_mv == pytest.approx(np.full(12, 0.3))
    open_mv = truth_mv[:, :shift] if shift >= 0 else truth_mv[:, shift:]
    assert page.noise_mv2 == pytest.approx((open_mv**2).sum(axis=1), abs=1e-12)
    assert page.correlation == pytest.approx(np.ones(12))


def test_a_longer_shift_is_not_taken_back():
    truth_mv = heart_mv(2)
    page = score_signals(truth_mv, np.roll(truth_mv, -21, axis=1), FS_HZ)
    assert (np.abs(page.shift) <= 20).all()
    assert score_db([page.ratio]) < 10


def test_the_shift_is_the_one_that_correlates_most():
    """Against every shift tried one by one, for leads that stand in the middle of the record."""
    truth_mv, read_mv = heart_mv(3, samples=300), heart_mv(4, samples=300)
    truth_mv[:, :90] = truth_mv[:, 220:] = np.nan
    read_mv[np.isnan(truth_mv)] = np.nan
    for lead, found in enumerate(best_shift(truth_mv, read_mv, 20)):
        one, other = (mv[lead, 90:220] - mv[lead, 90:220].mean() for mv in (truth_mv, read_mv))
        tried = {shift: one[shift:] @ other[: 130 - shift] for shift in range(21)}
        tried |= {-shift: one[: 130 - shift] @ other[shift:] for shift in range(1, 21)}
        assert found == max(tried, key=tried.get)


def test_where_a_lead_stands_in_the_record_does_not_matter():
    truth_mv, read_mv = heart_mv(5, samples=250), heart_mv(6, samples=250)
    here = score_signals(truth_mv, read_mv, FS_HZ)
    padding = ((0, 0), (500, 250))
    there = score_signals(
        *(np.pad(mv, padding, constant_values=np.nan) for mv in (truth_mv, read_mv)), fs_hz=FS_HZ
    )
    assert there.ratio == pytest.approx(here.ratio)
    assert there.shift.tolist() == here.shift.tolist()


@pytest.mark.parametrize("level_mv", [0.0, 0.1, -2.3])
def test_a_flat_line_is_not_moved_and_leaves_the_truth_about_its_mean(level_mv):
    truth_mv = heart_mv(7)
    page = score_signals(truth_mv, np.full_like(truth_mv, level_mv), FS_HZ)
    assert not page.shift.any()
    assert not page.correlation.any()
    assert page.noise_mv2 == pytest.approx(
        ((truth_mv - truth_mv.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    )


def test_the_ends_of_the_scale():
    assert power_ratio(3, 0) == 384
    assert power_ratio(0, 0) == 384
    assert power_ratio(0, 3) == 0
    assert power_ratio(1000, 1) == 384
    assert round(score_db([384]), 4) == HIGHEST_DB
    assert score_db([0, 0]) == -384
    assert score_db([0, 2]) == 0
    assert power_ratio([6, 1000], [3, 1]).tolist() == [2, 384]


def test_what_is_not_known_does_not_count():
    assert score_db([np.nan, 1, np.nan, 1]) == 0
    assert np.isnan(score_db([np.nan])) and np.isnan(score_db([]))


def test_leads_that_the_truth_lacks_have_no_samples_and_the_others_count_as_if_they_were_alone():
    """By hand, as above: the lead (1, 2, 3) read as (0, 0, 3) leaves (0, 1, -1)."""
    nothing = [np.nan] * 3
    page = score_shown_leads(signals([nothing, [1, 2, 3]]), signals([nothing, [0, 0, 3]]), 1)
    assert page.samples.tolist() == [0, 3] and page.shift.tolist() == [0, 0]
    assert page.signal_mv2 == pytest.approx([0, 14]) and page.noise_mv2 == pytest.approx([0, 2])
    assert page.offset_mv == pytest.approx([np.nan, -1], nan_ok=True)
    assert page.correlation == pytest.approx([np.nan, 3 / np.sqrt(2 * 6)], nan_ok=True)
    assert page.lead_ratios == pytest.approx([np.nan, 7], nan_ok=True)
    assert page.lead_rmse_mv == pytest.approx([np.nan, np.sqrt(2 / 3)], nan_ok=True)
    assert page.ratio == pytest.approx(7)


def test_a_page_that_was_not_read_has_no_ratio():
    page = replace(score_signals(signals([[1, 2, 3]]), signals([[0, 0, 3]]), 1), read=False)
    assert (page.ratio, page.db, page.lead_ratios.tolist()) == (0, 0, [0])


def test_what_cannot_be_compared_is_refused():
    truth_mv = heart_mv(8, leads=2)
    gap, infinite, empty = truth_mv.copy(), truth_mv.copy(), truth_mv.copy()
    gap[1, 5], infinite[1, 5], empty[1] = np.nan, np.inf, np.nan
    for one, other in (
        (truth_mv, gap),
        (gap, truth_mv),
        (truth_mv, infinite),
        (infinite, infinite),
        (empty, empty),
        (truth_mv, truth_mv[:1]),
    ):
        with pytest.raises(ValueError, match="truth and prediction must have"):
            score_signals(one, other, FS_HZ)
