"""Ink that no trace that was read accounts for, as it stands where two ECGs lie over one another."""

from collections.abc import Sequence

import cv2
import numpy as np

from experiment.reading.read_leads import LeadSignal, heights_in_columns
from experiment.reading.rectify import INKED, RectifiedPage

TRACE_PX = 9  # ink in a band of this width around a trace is its own
ROW_PX = 80  # ink so far above the first zero line, and below the last, is looked at too
# Of 26 real photos and 18 real scans and clean pages at most 1.4 % of the ink is beside the traces, and of simulated
# pages that are sure 2.1 %; where another ECG stands over the same rows, 5.7 to 9 %
MUCH_BESIDE = 0.03
BESIDE = (
    "{:.0%} of the ink is beside the traces that were read: another trace, or a part of these, is not read"
)


def doubts_of_ink(page: RectifiedPage, leads: Sequence[LeadSignal]) -> tuple[str, ...]:
    """Why a reading of these leads is in doubt, by the ink that it leaves out: one sentence or none."""
    share = share_beside(page, leads)
    return (BESIDE.format(share),) if share > MUCH_BESIDE else ()


def share_beside(page: RectifiedPage, leads: Sequence[LeadSignal]) -> float:
    """The share of the ink between the first and the last row, and between their ends, that is beside all traces."""
    beside = (page.ink > INKED).astype(np.uint8)
    paths = [heights_in_columns(lead, page.ink.shape[1]) for lead in leads]
    zero_y_px = [lead.place.zero_y_px for lead in leads]
    rows = slice(max(round(min(zero_y_px)) - ROW_PX, 0), max(round(max(zero_y_px)) + ROW_PX, 0))
    columns = slice(min(path[0][0] for path in paths), max(path[0][-1] for path in paths) + 1)
    inked = int(beside[rows, columns].sum())
    for x, y_px in paths:
        cv2.polylines(
            beside, [np.rint(np.stack([x, y_px - 0.5], axis=1)).astype(np.int32)], False, 0, TRACE_PX
        )
    return int(beside[rows, columns].sum()) / max(inked, 1)
