"""Einthoven's and Goldberger's relations: the limb leads that a record lacks, and those that contradict the others."""

import itertools
from collections.abc import Iterator

import numpy as np

from ecg_generator_with_train_src.record_files.lead_names import LEADS

LIMB_LEADS = LEADS[:6]
# each limb lead as so much of I and of II
_OF_I_AND_II = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]])
# what is 0 for leads of one heart, as factors of I, II, III, aVR, aVL, aVF
_RELATIONS = np.array(
    [
        [1, -1, 1, 0, 0, 0],
        [0.5, 0.5, 0, 1, 0, 0],
        [-1, 0.5, 0, 0, 1, 0],
        [0.5, -1, 0, 0, 0, 1],
        [0, 0, 0, 1, 1, 1],
    ]
)
CONTRADICTION = 0.12  # of what chance would leave; of 1,000 recordings none leaves more than 0.012
EXPLAINED = 0.06  # what a swap or a lead upside down leaves at most if it is the reason
_LEAST_SAMPLES = 20


def complete_limb_leads(signals_mv: dict[str, np.ndarray], absent: list[str]) -> tuple[list[str], list[str]]:
    """Compute absent limb leads from the first two that are there, in place.

    Returns the leads that were computed and the two that they come from; both are empty if fewer than two are there.
    """
    there = [lead for lead in LIMB_LEADS if lead in signals_mv][:2]
    computed = [lead for lead in LIMB_LEADS if lead in absent]
    if len(there) < 2 or not computed:
        return [], []
    of_these = _OF_I_AND_II @ np.linalg.inv(_OF_I_AND_II[[LIMB_LEADS.index(lead) for lead in there]])
    for lead in computed:
        first, second = of_these[LIMB_LEADS.index(lead)]
        signals_mv[lead] = first * signals_mv[there[0]] + second * signals_mv[there[1]]
    return computed, there


def contradiction_of(signal_mv: np.ndarray) -> str:
    """What is wrong with limb leads (samples, 12) that break the relations, in words; empty if nothing is.

    NaN samples do not count; a lead's offset does not either. Where several reasons explain it, all are named.

    >>> one, two = np.sin(np.arange(500) / 8), np.sin(np.arange(500) / 5)
    >>> record = np.full((500, 12), np.nan)
    >>> record[:, :3] = np.stack([one, two, two - one], axis=1)
    >>> contradiction_of(record)
    ''
    >>> contradiction_of(record * ([1, -1] + [1] * 10))
    'II is upside down'
    >>> contradiction_of(record[:, [1, 0, *range(2, 12)]])
    'III is upside down or I and II are swapped'
    """
    limbs = signal_mv[:, :6]
    misfit = _misfit(limbs, _RELATIONS)
    if misfit is None or misfit < CONTRADICTION:
        return ""
    for explanations in (_turned_or_swapped(limbs), _at_odds(limbs)):
        if reasons := [words for left, words in explanations if left is not None and left < EXPLAINED]:
            return " or ".join(reasons)
    leads = [lead for lead, lead_mv in zip(LIMB_LEADS, limbs.T, strict=True) if np.isfinite(lead_mv).any()]
    return f"{', '.join(leads)} do not belong together"


def _turned_or_swapped(limbs: np.ndarray) -> Iterator[tuple[float | None, str]]:
    """The misfit that is left if one lead is upside down, or two are swapped, and what to call it."""
    for k, lead in enumerate(LIMB_LEADS):
        yield _misfit(limbs * np.where(np.arange(6) == k, -1, 1), _RELATIONS), f"{lead} is upside down"
    for first, second in itertools.combinations(range(6), 2):
        order = list(range(6))
        order[first], order[second] = second, first
        left = _misfit(limbs[:, order], _RELATIONS)
        yield left, f"{LIMB_LEADS[first]} and {LIMB_LEADS[second]} are swapped"


def _at_odds(limbs: np.ndarray) -> Iterator[tuple[float | None, str]]:
    """The misfit of the others, and what to call a lead that breaks the relations alone."""
    for k, lead in enumerate(LIMB_LEADS):
        left = _misfit(limbs, _RELATIONS[_RELATIONS[:, k] == 0])
        yield left, f"{lead} contradicts the other limb leads"


def _misfit(limbs: np.ndarray, relations: np.ndarray) -> float | None:
    """What the worst of the relations leaves: 0 nothing, 1 what unrelated leads leave; None if none can be tested."""
    left = []
    for factors in relations:
        used = factors != 0
        together = limbs[np.isfinite(limbs[:, used]).all(axis=1)][:, used] * factors[used]
        if len(together) < _LEAST_SAMPLES:
            continue
        chance = together.var(axis=0).sum()
        if chance > 0:
            left.append(np.sqrt(together.sum(axis=1).var() / chance))
    return max(left, default=None)
