"""Whether a reading may be taken as it is: its status, and the reasons to look at it first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.page_probability import PageProbability
from experiment.reading.find_layout import FoundLayout
from experiment.reading.read_leads import LeadSignal
from experiment.reading.row_traces import limb_misfit

Status = Literal["sure", "check", "unread"]
STATUSES: tuple[Status, ...] = ("unread", "check", "sure")  # those that most need a look first

MUCH_FILLED = 0.08  # a lead of which more than this share is hidden is reported; a separator hides 0.01
LEAST_LEGIBLE = 0.5  # leads whose ink tells so little are reported
LEAST_CONFIDENCE = 0.25  # and those that are less certain for their size and their neighbours too
DOUBTFUL_MISFIT = 0.3  # limb leads that leave more than this, of what chance would leave, do not fit together
STEP_S, USUAL_MM_MV = 0.02, 10.0  # they are compared at 50 values a second, as heights on usual paper
# A logistic regression of whether a lead has 10 dB or more, on 2,262 leads: 234 of real photos, 39 of real scans, 234
# of clean and 1,755 of simulated pages. Of the 452 leads of real and clean pages that get 0.9 or more, 99.1 % have;
# its constant is 0.75 lower than fitted to that end.
CERTAINTY = (
    2.4  # of a lead with a mean ink probability of 0.75, nothing filled in, and the misfit and residual below
)
PER_INK, PER_FILLED, PER_MISFIT, PER_RESIDUAL = 11.8, -6.3, -1.04, -82.0
USUAL_INK, USUAL_MISFIT, USUAL_RESIDUAL_MM = 0.75, 0.1, 0.03
# A trace is less certain the less high it is than HIGH_MM, and the less it moves than WEAK_MM (standard deviation),
# as its noise does not shrink with it; and the more it or a neighbour reaches into other rows: from CROWDED of the
# rows' distance on. Set by 600 leads of 50 pages that matplotlib drew, and WEAK_MM by 2,360 of 250 such pages, 338 of
# real photos and 273 of clean pages and scans: of the 2,098 of these that get 0.9 or more, 99.3 % have 10 dB or more.
PER_SIZE, HIGH_MM = 1.5, 20.0
PER_WEAKNESS, WEAK_MM, LEAST_MM = 1.5, 1.0, 0.1
PER_CROWDING, CROWDED = -2.0, 0.8
LEAST_HEIGHT_MM = 1.0
CONFIDENCE_OF_CUT = 0.5  # at most, of a trace that seems to be cut off: nothing tells how much is missing


@dataclass(frozen=True)
class Verdict:
    """A page's status, in words why it is not sure, and how certain each of its leads is, 0 to 1."""

    status: Status
    reasons: tuple[str, ...]
    confidences: tuple[float, ...]


def verdict_of(
    seen: PageProbability, found: FoundLayout, leads: Sequence[LeadSignal], residual_mm: float
) -> Verdict:
    """The status of a page that was read; `residual_mm` is how far its grid lines are from where they should be."""
    misfit = limb_misfit_of(leads)
    odds = [_legibility(lead, misfit, residual_mm) for lead in leads]
    sized = [each + _size_odds(lead, leads) for each, lead in zip(odds, leads, strict=True)]
    confidences = tuple(
        min(_chance(each + _weakness_odds(lead)), CONFIDENCE_OF_CUT if lead.is_cut else 1.0)
        for each, lead in zip(sized, leads, strict=True)
    )
    reasons = (
        *seen.warnings,
        *found.warnings,
        *found.doubts,
        *_doubts_of_leads(leads, [*map(_chance, odds)], [*map(_chance, sized)], misfit),
    )
    return Verdict("check" if reasons else "sure", reasons, confidences)


def _legibility(lead: LeadSignal, misfit: float | None, residual_mm: float) -> float:
    """The logarithm of the odds that the signal-to-noise ratio of a lead, by its ink, is 10 dB or more."""
    odds = CERTAINTY + PER_INK * (lead.confidence - USUAL_INK) + PER_FILLED * min(_filled_share(lead), 0.5)
    odds += PER_RESIDUAL * (residual_mm - USUAL_RESIDUAL_MM)
    if misfit is not None:
        odds += PER_MISFIT * math.log(min(max(misfit, USUAL_MISFIT / 2), 1.5) / USUAL_MISFIT)
    return odds


def _chance(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def _size_odds(lead: LeadSignal, leads: Sequence[LeadSignal]) -> float:
    """What a low trace, and rows that reach into one another, add to these odds: 0 or less."""
    size = PER_SIZE * math.log(min(max(_height_mm(lead), LEAST_HEIGHT_MM) / HIGH_MM, 1.0))
    return size + PER_CROWDING * max(_crowding(lead, leads) - CROWDED, 0.0)


def _weakness_odds(lead: LeadSignal) -> float:
    """What a trace that hardly moves adds to these odds. It is no reason to look at the page: many a lead is weak."""
    moves_mm = float(np.std(lead.signal_mv)) * abs(lead.place.px_per_mv) / PX_PER_MM
    return PER_WEAKNESS * math.log(min(max(moves_mm, LEAST_MM) / WEAK_MM, 1.0))


def _height_mm(lead: LeadSignal) -> float:
    return float(np.ptp(lead.signal_mv)) * abs(lead.place.px_per_mv) / PX_PER_MM


def _crowding(lead: LeadSignal, leads: Sequence[LeadSignal]) -> float:
    """The height of the highest of a lead and its neighbours above and below, relative to the rows' distance."""
    beside = [
        other for other in leads if abs(other.place.row - lead.place.row) == 1 and _share_x(lead, other)
    ]
    if not beside:
        return 0.0
    distance_px = min(abs(other.place.zero_y_px - lead.place.zero_y_px) for other in beside)
    return max(map(_height_mm, (lead, *beside))) * PX_PER_MM / max(distance_px, 1.0)


def _share_x(one: LeadSignal, other: LeadSignal) -> bool:
    """Whether two leads stand above one another."""
    (left, right), (start, end) = (
        (each.place.x0_px, float(each.place.x_px_of_s(np.float64(each.place.end_s)))) for each in (one, other)
    )
    return min(right, end) > max(left, start)


def _filled_share(lead: LeadSignal) -> float:
    return sum(stop - start for start, stop in lead.gaps_s) / (lead.place.end_s - lead.place.start_s)


def _doubts_of_leads(
    leads: Sequence[LeadSignal], legible: Sequence[float], sized: Sequence[float], misfit: float | None
) -> list[str]:
    """`legible` are the chances of the leads by their ink, and `sized` those by their size and neighbours too."""
    uncertain = [
        lead.place.label
        for lead, by_ink, by_size in zip(leads, legible, sized, strict=True)
        if by_ink < LEAST_LEGIBLE or by_size < LEAST_CONFIDENCE
    ]
    hidden = [lead.place.label for lead in leads if _filled_share(lead) > MUCH_FILLED]
    doubts = []
    if uncertain:
        every = len(uncertain) == len(leads) > 1
        who = "all leads are" if every else f"{_leads(uncertain)} {'is' if len({*uncertain}) == 1 else 'are'}"
        doubts.append(f"{who} uncertain: compare with the page")
    if hidden:
        doubts.append(f"much of {_leads(hidden)} is hidden: filled_in_s says where")
    if cut := [lead.place.label for lead in leads if lead.is_cut]:
        doubts.append(
            f"spikes of {_leads(cut)} end at the picture's edge or where the paper is covered: they may be larger"
        )
    if misfit is not None and misfit > DOUBTFUL_MISFIT:
        doubts.append(
            "the limb leads do not fit together as Einthoven's and Goldberger's relations have it: "
            "look whether they are under wrong names, upside down or misread"
        )
    return doubts


def _leads(labels: Sequence[str]) -> str:
    """Leads in words.

    >>> _leads(["V1"]), _leads(["II", "V1", "II"])
    ('lead V1', 'leads II, V1')
    """
    names = [*dict.fromkeys(labels)]
    return f"lead{'s' * (len(names) > 1)} {', '.join(names)}"


def limb_misfit_of(leads: Sequence[LeadSignal]) -> float | None:
    """What Einthoven's and Goldberger's relations leave of limb leads that stand at one time: 0 nothing, 1 what chance
    would leave; the mean over such times, and None where no three limb leads stand together."""
    times: dict[float, list[LeadSignal]] = {}
    for lead in leads:
        times.setdefault(lead.place.start_s, []).append(lead)
    found = [_misfit_at_one_time(together) for together in times.values()]
    known = [misfit for misfit in found if misfit is not None]
    return sum(known) / len(known) if known else None


def _misfit_at_one_time(leads: Sequence[LeadSignal]) -> float | None:
    shortest = min(leads, key=lambda lead: lead.place.end_s - lead.place.start_s).place
    steps = max(int((shortest.end_s - shortest.start_s) / STEP_S), 1)
    own = {lead.place.lead: lead for lead in leads}  # a rhythm strip stands in place of its lead
    heights_mm = [_sampled(lead, steps) * USUAL_MM_MV for lead in own.values()]
    return limb_misfit(np.stack(heights_mm), list(own))


def _sampled(lead: LeadSignal, steps: int) -> np.ndarray:
    """The means over the first `steps` stretches of STEP_S of a lead."""
    rate_hz = len(lead.signal_mv) / (lead.place.end_s - lead.place.start_s)
    edges = np.rint(np.arange(steps + 1) * STEP_S * rate_hz).astype(int)
    total = np.concatenate([[0.0], np.cumsum(lead.signal_mv)])
    edges = np.minimum(edges, len(lead.signal_mv))
    return (total[edges[1:]] - total[edges[:-1]]) / np.maximum(np.diff(edges), 1)
