"""The layouts that a page with so many rows may have, and the one that the evidence on it speaks for."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import (
    LEAD_ORDERS,
    UNKNOWN_LEAD,
    Layout,
    LeadOrder,
    parse_layout,
)
from ecg_generator_with_train_src.page.records import LEADS
from experiment.reading.layout_evidence import Evidence, same_lead

# How usual blocks are, as logarithms of odds, by their size and number of strips
USUAL_BLOCKS = {
    "3x4": {0: -0.5, 1: 0.0, 2: -1.0, 3: -0.5},
    "6x2": {0: -0.5, 1: -0.5, 2: -2.0},
    "12x1": {0: -0.5, 1: -1.5},
    "4x3": {0: -2.0, 1: -2.5},
    "2x6": {0: -2.5, 1: -2.5},
}
# and pages of rows of one lead each
USUAL_ROWS = {
    "rows:I,II,III": -1.0,
    "rows:I,II,III,aVR,aVL,aVF": -1.0,
    "rows:V1,V2,V3,V4,V5,V6": -1.0,
    "rows:aVR,aVL,aVF": -2.0,
    "rows:I,II,V1,V2,V3,V4,V5,V6": -2.0,
    "rows:V3R,V4R,V7": -2.0,  # what a 15-lead ECG adds
    "rows:V7,V8,V9": -2.0,
}
ROWS_UNKNOWN = -1.5  # rows of leads that nothing names
ROWS_AS_PRINTED = -1.0
CABRERA = -1.5
USUAL_STRIPS = {"II": 1.0, "V1": 0.3, "V5": 0.3, "V6": 0.0, "I": 0.0}
UNUSUAL_STRIP = -1.0
STRIP_UNKNOWN = 1.0  # what must speak for a strip's lead for it to be named
STRIP_CLEAR = 1.2  # and how much more than for any other lead: neighbours such as V5 and V6 are much alike
STRIP_MOST = 4.5  # the most that a strip says for the layout that it is of
USUAL_STRIP = "II"  # which need not be so much clearer, as most strips show it


@dataclass(frozen=True)
class Guess:
    """A layout that a page may have, and the logarithm of its odds but for a common constant."""

    layout: Layout
    lead_order: LeadOrder
    odds: float


def guesses(evidence: Evidence, order: LeadOrder | None = None) -> list[Guess]:
    """The layouts with as many rows as the page, likeliest first."""
    number = len(evidence.rows.zero_y_px)
    orders = [order] if order else list(LEAD_ORDERS)
    found = [guess for each in orders for guess in _blocks(evidence, number, each)]
    found += _rows(evidence, number, [rows_of(guess) for guess in found])
    return sorted(found, key=lambda guess: -guess.odds)


def with_strips(evidence: Evidence, block: Layout, order: LeadOrder, strips: int) -> tuple[Layout, float]:
    """A block with its likeliest rhythm strips below, and what speaks for these."""
    if not strips:
        return block, 0.0
    named = block.model_copy(update={"rhythm_leads": (UNKNOWN_LEAD,) * strips})
    rows = range(block.rows, block.rows + strips)
    odds = np.array(
        [
            [
                USUAL_STRIPS.get(lead, UNUSUAL_STRIP) + evidence.strip(named, order, row, lead)
                for lead in LEADS
            ]
            for row in rows
        ]
    )
    second, first = np.sort(odds, axis=1)[:, -2:].T
    is_best = odds == first[:, None]
    clear = is_best & ((first - second > STRIP_CLEAR)[:, None] | (np.array(LEADS) == USUAL_STRIP))
    told = np.where(clear, np.clip(odds - STRIP_UNKNOWN, 0, STRIP_MOST), 0)
    best = linear_sum_assignment(told, maximize=True)[1]  # no two strips are of one lead
    worth = told[np.arange(strips), best]
    leads = [LEADS[lead] if odds_of > 0 else UNKNOWN_LEAD for lead, odds_of in zip(best, worth, strict=True)]
    return parse_layout(f"{block.name}+{','.join(leads)}"), float(worth.sum())


def possible_columns(rows: int) -> set[int]:
    """The numbers of columns that pages with so many rows have."""
    blocks = {parse_layout(words): usual for words, usual in USUAL_BLOCKS.items()}
    return {1, *(block.columns for block, usual in blocks.items() if rows - block.rows in usual)}


def _blocks(evidence: Evidence, number: int, order: LeadOrder) -> list[Guess]:
    found = []
    for words, usual in USUAL_BLOCKS.items():
        block = parse_layout(words)
        strips = number - block.rows
        if strips in usual:
            layout, odds = with_strips(evidence, block, order, strips)
            odds += usual[strips] + evidence.of(layout, order) + (CABRERA if order == "cabrera" else 0.0)
            found.append(Guess(layout, order, odds))
    return found


def _rows(evidence: Evidence, number: int, known: list[list[tuple[str, ...]]]) -> list[Guess]:
    """Pages of one lead a row: the usual ones, that which the names beside the rows say, and one without names."""
    usual = {parse_layout(words): odds for words, odds in USUAL_ROWS.items()}
    usual[_of_rows([UNKNOWN_LEAD] * number)] = ROWS_UNKNOWN
    named = _of_rows(_names_of_rows(evidence, number) or [UNKNOWN_LEAD] * number)
    known = [
        *known,
        *(layout.leads_of_rows("standard") for layout in usual if UNKNOWN_LEAD not in layout.row_leads),
    ]
    if not any(_agree(named.leads_of_rows("standard"), rows) for rows in known):
        usual.setdefault(named, ROWS_AS_PRINTED)
    return [
        Guess(layout, "standard", odds + evidence.of(layout, "standard"))
        for layout, odds in usual.items()
        if layout.rows == number
    ]


def rows_of(guess: Guess) -> list[tuple[str, ...]]:
    """The leads of every row of a guess."""
    return guess.layout.leads_of_rows(guess.lead_order)


def _agree(some: list[tuple[str, ...]], others: list[tuple[str, ...]]) -> bool:
    """Whether rows are the same but for leads that are not known, and for what is easily overlooked in the first."""
    if [len(row) for row in some] != [len(row) for row in others]:
        return False
    pairs = zip(itertools.chain(*some), itertools.chain(*others), strict=True)
    return all(UNKNOWN_LEAD in (own, other) or same_lead(other, own) for own, other in pairs)


def _of_rows(labels: Sequence[str]) -> Layout:
    return Layout(rows=len(labels), columns=1, row_leads=tuple(labels))


def _names_of_rows(evidence: Evidence, number: int) -> list[str]:
    """The name printed beside the start of each row, UNKNOWN_LEAD where there is none; empty if no row has one."""
    best: list[str] = []
    reach_px = 30 * PX_PER_MM
    for above in (True, False):
        labels = [UNKNOWN_LEAD] * number
        for name in sorted(evidence.text.names, key=lambda name: -name.probability):
            row = evidence.row_beside(name, above)
            near = abs(name.x_px - evidence.start_px) < reach_px
            if near and row is not None and labels[row] == UNKNOWN_LEAD and name.lead not in labels:
                labels[row] = name.lead
        if sum(label != UNKNOWN_LEAD for label in labels) > sum(label != UNKNOWN_LEAD for label in best):
            best = labels
    return best
