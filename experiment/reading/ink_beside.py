"""Ink that no trace that was read accounts for, as it stands where two ECGs lie over one another."""

from collections.abc import Sequence

import cv2
import numpy as np

from experiment.reading.read_leads import LeadSignal, heights_in_columns
from experiment.reading.rectify import INKED, RectifiedPage

TRACE_PX = 9  # ink in a band of this width around a trace is its own
ROW_PX = 80  # ink so far above the first row and below the last counts too; so far from its own row it is near a lead
# Of 26 real photos and 18 real scans and clean pages at most 1.4 % of the ink is beside the traces, and of simulated
# pages that are sure 2.1 %; where another ECG stands over the same rows, 5.7 to 9 %
MUCH_BESIDE = 0.03
COARSE_PX = 3.0  # 65 values a second at 25 mm/s


def doubts_of_ink(page: RectifiedPage, leads: Sequence[LeadSignal]) -> tuple[str, ...]:
    """Why a reading of these leads is in doubt, by the ink that it leaves out: one sentence, or none. Values so far
    apart that they leave out spikes tell nothing."""
    if any(_apart_px(lead) > COARSE_PX for lead in leads):
        return ()
    beside, inked = _ink_beside(page, leads)
    share = int(beside.sum()) / max(inked, 1)
    if share <= MUCH_BESIDE:
        return ()
    return (
        f"{share:.0%} of the ink is beside the traces that were read, most near lead {_nearest(beside, leads)}: "
        "writing, another trace, or a part that was not read",
    )


def _apart_px(lead: LeadSignal) -> float:
    return (lead.place.end_s - lead.place.start_s) * lead.place.px_per_s / len(lead.y_px)


def _ink_beside(page: RectifiedPage, leads: Sequence[LeadSignal]) -> tuple[np.ndarray, int]:
    """The pixels (H, W) that are ink beside all traces, 1 and 0, and how many are ink at all; between the first and the
    last row, and between their ends."""
    paths = [heights_in_columns(lead, page.ink.shape[1]) for lead in leads]
    zero_y_px = [lead.place.zero_y_px for lead in leads]
    rows = slice(max(round(min(zero_y_px)) - ROW_PX, 0), max(round(max(zero_y_px)) + ROW_PX, 0))
    columns = slice(min(x[0] for x, _ in paths), max(x[-1] for x, _ in paths) + 1)
    beside = np.zeros(page.ink.shape, np.uint8)
    beside[rows, columns] = page.ink[rows, columns] > INKED
    inked = int(beside.sum())
    for x, y_px in paths:
        path = np.rint(np.stack([x, y_px - 0.5], axis=1)).astype(np.int32)
        cv2.polylines(beside, [path], False, 0, TRACE_PX)
    return beside, inked


def _nearest(beside: np.ndarray, leads: Sequence[LeadSignal]) -> str:
    """The lead near whose zero line most of these pixels are."""

    def near(lead: LeadSignal) -> int:
        x, _ = heights_in_columns(lead, beside.shape[1])
        top, bottom = (max(round(lead.place.zero_y_px) + side, 0) for side in (-ROW_PX, ROW_PX))
        return int(beside[top:bottom, x[0] : x[-1] + 1].sum())

    return max(leads, key=near).place.label
