"""Whether a reading may be taken as it is: its status, and the reasons to look at it first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ecg_generator_with_train_src.page.layouts import LEAD_ORDERS
from experiment.labelling.page_probability import PageProbability
from experiment.reading.find_layout import FoundLayout
from experiment.reading.read_leads import LeadSignal

Status = Literal["sure", "check", "unread"]
STATUSES: tuple[Status, ...] = ("unread", "check", "sure")  # those that most need a look first

MUCH_FILLED_S = (
    0.5  # more time than this without ink, over all traces, is reported; separators alone hide 0.3 s
)
MIN_CONFIDENCE = 0.5  # a lead whose ink has a lower mean probability is reported
DOUBTFUL_MISFIT = 0.2  # limb leads that leave more than this share of their power do not fit together


@dataclass(frozen=True)
class Verdict:
    """A page's status, and in words why it is not sure."""

    status: Status
    reasons: tuple[str, ...]


def verdict_of(seen: PageProbability, found: FoundLayout, leads: Sequence[LeadSignal]) -> Verdict:
    """The status of a page that was read."""
    reasons = (*seen.warnings, *found.warnings, *found.doubts, *_doubts_of_leads(leads))
    return Verdict("check" if reasons else "sure", reasons)


def _doubts_of_leads(leads: Sequence[LeadSignal]) -> list[str]:
    faint = [lead.place.label for lead in leads if lead.confidence < MIN_CONFIDENCE]
    filled_s = sum(stop - start for lead in leads for start, stop in lead.gaps_s)
    misfit = limb_misfit_of(leads)
    doubts = (
        [f"little of lead {', '.join(faint)} was found: compare its trace with the page"] if faint else []
    )
    if filled_s > MUCH_FILLED_S:
        doubts.append(
            f"{filled_s:.2f} s of the traces have no ink and were filled in: filled_in_s lists where"
        )
    if misfit is not None and misfit > DOUBTFUL_MISFIT:
        doubts.append(
            "the limb leads do not fit together as Einthoven's and Goldberger's relations have it: "
            "look whether leads are under wrong names, upside down or misread"
        )
    return doubts


def limb_misfit_of(leads: Sequence[LeadSignal]) -> float | None:
    """Mean square of what Einthoven's and Goldberger's relations leave of the limb leads that stand at one time,
    against the leads' own; None where no three of them do."""
    limb = {lead.place.lead: lead for lead in leads if lead.place.lead in LEAD_ORDERS["standard"][:6]}
    relations = (
        {"I": 1, "III": 1, "II": -1},
        {"aVR": 1, "aVL": 1, "aVF": 1},
        {"aVL": 1, "aVR": -1, "I": -1.5},
    )
    left = power = 0.0
    for relation in relations:
        if not relation.keys() <= limb.keys() or len({limb[name].place.start_s for name in relation}) > 1:
            continue
        signals = [factor * limb[name].signal_mv for name, factor in relation.items()]
        length = min(map(len, signals))
        changes = [signal[1:length] - signal[: length - 1] for signal in signals]
        left += float((sum(changes) ** 2).mean())
        power += float(sum((change**2).mean() for change in changes))
    return left / power if power else None
