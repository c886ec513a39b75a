"""What speaks for a layout and what against it: printed names, separators, beats, and what leads have in common.

Each kind of evidence gives a layout a number of natural logarithms of odds, about 0 where it says nothing. None of them
is needed: a page without names is told by its beats, a page whose rhythm is the same in all leads by its names.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import Layout, LeadOrder
from experiment.reading.printed_text import NO_TEXT, PrintedName, PrintedText
from experiment.reading.rectify import RectifiedPage
from experiment.reading.row_traces import change, limb_leads, limb_misfit, row_traces, stretch, unlikeness
from experiment.reading.rows import Rows

SEPARATOR_MM = 3.5  # half the height of a separator

INSET_MM = 1.5  # beside separators and names, traces are not compared
HALVES_MM = 40.0  # a stretch of a row is compared with itself in halves that are at least this long
RELATION_ODDS = 2.5  # the most that each relation between limb leads says
COPY_ODDS = 3.0  # the most that a strip says which is a copy of a lead
COPIES = 2.0  # and how many times as much: a copy is much more alike than any other lead
SOME_LIKENESS = 0.3  # a strip of the same moments is less unlike one of the leads above it
ODDS = 2.0  # the most that one comparison says, in logarithms of odds
CHANCE_MISFIT, CHANCE_CHANGE, CHANCE_COPY = 0.35, 0.25, 0.2  # values that speak neither for nor against
BEATS = 1.5  # rows do not say independently whether beats change, but more than one row alone
BAR_ODDS = 3.0  # what clear separators at all places of a layout say
BARS = (0.12, 0.3)  # darkness, relative to the ink, that grid lines may leave, and of a clear separator
LEAP_MM = 1.0  # a trace that leaps so far shows another lead
MISSING_NAME, FEW_NAMES = 0.5, 3  # what a lead without a name says against it, if more than a few were read
BLANK_COLUMN = 3.0  # and what a whole column says without names, if in another more than this share are named
WELL_NAMED = 0.6
HARD_NAMES = ("I", "II", "III")  # strokes that are easily overlooked
NAME_ODDS = 1.5  # what a printed name says where it should stand; the contrary says as much against
STRIP_NAMES = 2.0  # how many times as much it says beside a strip, which may be of any lead
# Leads start elsewhere than their columns if so clear a separator stands in all rows, so far from the columns' starts
ODD_BAR, ODD_START_MM = 0.9, 3.0
ODD_NAMES_MM = 6.0  # or if names stand so unequally far behind the starts of columns
# A name stands from this far before its lead's start to this share of the lead's length behind it
NAME_BEFORE_MM, NAME_BEHIND = 7.0, 0.6
NAME_REACH = 0.75  # and up to this share of the rows' distance above or below its row


@dataclass(frozen=True)
class Place:
    """A lead that a layout has somewhere: its row, its column, and the canvas x of its ends."""

    label: str
    row: int
    column: int
    left_px: float
    right_px: float


def places_of(layout: Layout, order: LeadOrder, start_px: float, length_px: float) -> list[Place]:
    """All places of a layout whose rows start there and are so long."""
    return [
        Place(label, row, column, start_px + column * width_px, start_px + (column + 1) * width_px)
        for row, labels in enumerate(layout.leads_of_rows(order))
        for width_px in [length_px / len(labels)]
        for column, label in enumerate(labels)
    ]


class Evidence:
    """What a page with these rows, which start at `start_px` and are `length_px` long, says of any layout."""

    def __init__(
        self, bars: np.ndarray, rows: Rows, start_px: float, length_px: float, text: PrintedText = NO_TEXT
    ):
        self.row_bars, self.rows, self.text = bars, rows, text
        self.start_px, self.length_px = start_px, length_px
        self.traces = row_traces(rows)
        self._changes: dict[tuple, float | None] = {}
        self._unlikenesses: dict[tuple, dict[str, float]] = {}
        self._rows_beside: dict[tuple[PrintedName, bool], int | None] = {}

    def of(self, layout: Layout, order: LeadOrder) -> float:
        """How much speaks for a layout's block in this order of leads, and less what speaks against it."""
        places = places_of(layout, order, self.start_px, self.length_px)
        block = [place for place in places if place.row < layout.rows]
        return self.relations(block) + self.beats(layout, places) + self.bars(layout) + self.names(block)

    def strip(self, layout: Layout, order: LeadOrder, row: int, lead: str) -> float:
        """How much speaks for a rhythm strip's being of a lead that the block shows too. A strip that is like none of
        them shows other moments, and likeness says nothing."""
        places = places_of(layout, order, self.start_px, self.length_px)
        block = [place for place in places if place.row < layout.rows]
        whole = Place(lead, row, 0, self.start_px, self.start_px + self.length_px)
        odds = STRIP_NAMES * self._name(whole, self.names_above(block), missing_name=0.0)
        different = self.unlikenesses(layout, order, row)
        if min(different.values(), default=1.0) < SOME_LIKENESS:
            odds += COPIES * _odds(different.get(lead), CHANCE_COPY, COPY_ODDS)
        return odds

    def unlikenesses(self, layout: Layout, order: LeadOrder, row: int) -> dict[str, float]:
        """How different a rhythm strip is from each lead of the block, where both show the same moments; leads that
        cannot be compared are left out."""
        key = (layout.rows, layout.columns, order, row)
        if key not in self._unlikenesses:
            self._unlikenesses[key] = {}
            for place in places_of(layout, order, self.start_px, self.length_px):
                if place.row < layout.rows:
                    strip, shown = self._seen(place, row), self._seen(place, place.row)
                    different = unlikeness(strip, -shown if place.label.startswith("-") else shown)
                    if different is not None:
                        self._unlikenesses[key][place.label.removeprefix("-")] = different
        return self._unlikenesses[key]

    def relations(self, places: Sequence[Place]) -> float:
        """Whether limb leads of one column fit together as Einthoven and Goldberger found; each half of a whole row by
        itself: where two columns stand, what is right of the middle shows other leads."""
        found = []
        for own in _together(places):
            traces = np.stack([self._seen(place, place.row) for place in own])
            labels = [place.label for place in own]
            relations = len(limb_leads(labels)) - 2
            found.append(relations * _odds(limb_misfit(traces, labels), CHANCE_MISFIT, RELATION_ODDS))
        told = [odds for odds in found if odds]
        return sum(told)

    def beats(self, layout: Layout, places: Sequence[Place]) -> float:
        """Whether beats change where a lead ends, and nowhere else."""
        between, within = [], []
        for place in places:
            if place.column + 1 < layout.columns and place.row < layout.rows:
                width_px = place.right_px - place.left_px
                between.append(
                    -_odds(self._change(place.row, place.left_px, place.right_px, width_px), CHANCE_CHANGE)
                )
            half_px = (place.right_px - place.left_px) / 2
            if half_px > HALVES_MM * PX_PER_MM:
                middle_px = place.left_px + half_px
                within.append(
                    _odds(self._change(place.row, place.left_px, middle_px, half_px), CHANCE_CHANGE)
                )
        return BEATS * sum(float(np.mean(odds)) for odds in (between, within) if odds)

    def bars(self, layout: Layout) -> float:
        """Whether separators, or leaps of the trace, stand where leads start, and nowhere else."""
        shares = np.arange(1, layout.columns) / layout.columns
        starts = np.zeros(self._boundaries.shape, bool)
        starts[: layout.rows] = np.isclose(np.array(_SHARES)[:, None], shares).any(axis=1)
        inside = self._boundaries[starts].mean() if starts.any() else 0.0
        elsewhere = np.where(starts, 0, self._boundaries).max(axis=1).mean()
        return BAR_ODDS * float(inside - elsewhere)

    def names(self, places: Sequence[Place]) -> float:
        """Whether lead names stand beside their leads, all above their rows or all below, and in all columns."""
        above = self.names_above(places)
        odds = sum(self._name(place, above, MISSING_NAME) for place in places)
        named: dict[int, list[bool]] = defaultdict(list)
        for place in places:
            if place.label not in HARD_NAMES:
                named[place.column].append(self._name(place, above, missing_name=0.0) > 0)
        blank = sum(not any(found) for found in named.values())
        well_named = any(np.mean(found) > WELL_NAMED for found in named.values())
        return odds - BLANK_COLUMN * blank * well_named

    def names_above(self, places: Sequence[Place]) -> bool:
        """Whether the names stand above their rows, rather than below, if the leads are these."""
        odds = {
            above: sum(self._name(place, above, MISSING_NAME) for place in places) for above in (True, False)
        }
        return odds[True] >= odds[False]

    def _name(self, place: Place, above: bool, missing_name: float) -> float:
        """What the names beside a place say: the clearest of its own lead, against the clearest of another; a little
        against it if there is none."""
        clearest = {True: 0.0, False: 0.0}
        for name in self.text.names:
            if self.stands_at(name, place, above):
                agrees = same_lead(place.label, name.lead)
                clearest[agrees] = max(clearest[agrees], name.probability)
        missing = missing_name if not any(clearest.values()) and len(self.text.names) > FEW_NAMES else 0.0
        return NAME_ODDS * (clearest[True] - clearest[False]) - missing

    def columns_differ(self, layout: Layout, order: LeadOrder) -> bool:
        """Whether leads of the block start elsewhere than where columns of one width would have them: separators stand
        elsewhere, or names unequally far behind the starts of their columns. Names in all columns alone tell."""
        behind_px = defaultdict(list)
        for place in places_of(layout, order, self.start_px, self.length_px):
            for name in self.text.names:
                above = name.y_px < self.rows.zero_y_px[place.row]
                if place.column and same_lead(place.label, name.lead) and self.stands_at(name, place, above):
                    behind_px[place.column].append(name.x_px - place.left_px)
        usual_px = [float(np.median(found)) for found in behind_px.values() if len(found) > 1]
        if len(usual_px) > 1 and max(usual_px) - min(usual_px) > ODD_NAMES_MM * PX_PER_MM:
            return True
        return len(usual_px) < layout.columns - 1 and self._odd_bar(layout)

    def _odd_bar(self, layout: Layout) -> bool:
        """Whether a clear separator of all rows stands elsewhere than where columns of one width start. Steep beats may
        look like one."""
        starts_px = self.start_px + np.arange(layout.columns + 1) * self.length_px / layout.columns
        x_px = np.arange(self.row_bars.shape[1])
        odd = np.abs(x_px[:, None] - starts_px).min(axis=1) > ODD_START_MM * PX_PER_MM
        odd &= (x_px > starts_px[0]) & (x_px < starts_px[-1])
        bars = maximum_filter1d(standing_out(self.row_bars[: layout.rows], *BARS), 5, axis=1).mean(axis=0)
        return layout.rows > 1 and bars[odd].max(initial=0) > max(ODD_BAR, bars[~odd].max(initial=0))

    @cached_property
    def _starts(self) -> np.ndarray:
        """How much it looks as if a lead started (rows, columns), there or some pixels beside: 0 to 1."""
        leaps = np.stack([_leaps(self.rows, row) for row in range(len(self.row_bars))])
        return maximum_filter1d(np.maximum(standing_out(self.row_bars, *BARS), leaps), 5, axis=1)

    def stands_at(self, name: PrintedName, place: Place, above: bool) -> bool:
        """Whether a name stands where that of a place would, if names stand above their rows, or below."""
        return self.row_beside(name, above) == place.row and (
            place.left_px - NAME_BEFORE_MM * PX_PER_MM
            < name.x_px
            < place.left_px + NAME_BEHIND * (place.right_px - place.left_px)
        )

    def row_beside(self, name: PrintedName, above: bool) -> int | None:
        """The row that a name belongs to if names stand above their rows, or below them."""
        if (name, above) not in self._rows_beside:
            self._rows_beside[name, above] = self._row_beside(name, above)
        return self._rows_beside[name, above]

    def _row_beside(self, name: PrintedName, above: bool) -> int | None:
        zero_y_px = self.rows.zero_y_px
        distance_px = np.diff(zero_y_px).min() if len(zero_y_px) > 1 else 30 * PX_PER_MM
        side = 1 if above else -1
        # names stand a little above (or below) the zero line; some reach to its other side
        away = side * (zero_y_px - name.y_px) / distance_px
        near = np.abs(away - 0.25)
        return int(near.argmin()) if near.min() < NAME_REACH else None

    def _seen(self, place: Place, row: int) -> np.ndarray:
        inset_px = INSET_MM * PX_PER_MM
        return stretch(self.traces[row : row + 1], place.left_px + inset_px, place.right_px - inset_px)[0]

    def _change(self, row: int, left_px: float, middle_px: float, width_px: float) -> float | None:
        key = (row, round(left_px), round(middle_px), round(width_px))
        if key not in self._changes:
            inset_px = INSET_MM * PX_PER_MM
            own = self.traces[row : row + 1]
            before = stretch(own, left_px + inset_px, middle_px - inset_px)[0]
            after = stretch(own, middle_px + inset_px, middle_px + width_px - inset_px)[0]
            self._changes[key] = change(before, after)
        return self._changes[key]

    @cached_property
    def _boundaries(self) -> np.ndarray:
        """How much it looks as if a lead started, (rows, shares): 0 where none does, 1 where one does."""
        found, found_in = np.zeros((len(self.rows.zero_y_px), len(_SHARES))), self._starts
        for k, share in enumerate(_SHARES):
            at = round(self.start_px + share * self.length_px)
            if 0 <= at < found_in.shape[1]:
                found[:, k] = found_in[:, at]
        return found


def _together(places: Sequence[Place]) -> list[list[Place]]:
    """The places of each column, of a single column those of each half."""
    columns = sorted({place.column for place in places})
    if len(columns) > 1:
        return [[place for place in places if place.column == column] for column in columns]
    middle_px = [(place.left_px + place.right_px) / 2 for place in places]
    return [
        [replace(place, right_px=at) for place, at in zip(places, middle_px, strict=True)],
        [replace(place, left_px=at) for place, at in zip(places, middle_px, strict=True)],
    ]


def unexplained_names(evidence: Evidence, layout: Layout, order: LeadOrder, least: float) -> list[str]:
    """Names, likelier than `least`, that stand beside the traces where the layout has none of these leads."""
    places = places_of(layout, order, evidence.start_px, evidence.length_px)
    above = _names_above(evidence, places, layout)

    def is_explained(name: PrintedName) -> bool:
        return any(
            same_lead(place.label, name.lead) and evidence.stands_at(name, place, above) for place in places
        )

    return [
        name.lead
        for name in _clear_names(evidence, least)
        if evidence.row_beside(name, above) is not None and not is_explained(name)
    ]


def names_below(evidence: Evidence, layout: Layout, order: LeadOrder, least: float) -> list[str]:
    """Names, likelier than `least`, that stand below the last row, too far away to be of one of its leads."""
    above = _names_above(evidence, places_of(layout, order, evidence.start_px, evidence.length_px), layout)
    return [
        name.lead
        for name in _clear_names(evidence, least)
        if name.y_px > evidence.rows.zero_y_px[-1] and evidence.row_beside(name, above) is None
    ]


def _names_above(evidence: Evidence, places: Sequence[Place], layout: Layout) -> bool:
    """Whether names stand above their rows, as those of the layout's block tell."""
    return evidence.names_above([place for place in places if place.row < layout.rows])


def _clear_names(evidence: Evidence, least: float) -> list[PrintedName]:
    """Names, likelier than `least` and not easily overlooked, between where rows start and where they end."""
    left_px = evidence.start_px - NAME_BEFORE_MM * PX_PER_MM
    return [
        name
        for name in evidence.text.names
        if name.probability > least
        and name.lead not in HARD_NAMES
        and left_px < name.x_px < evidence.start_px + evidence.length_px
    ]


# Shares of a row's length at which a lead may start within it
_SHARES = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 5 / 6)


def same_lead(label: str, name: str) -> bool:
    """Whether a name is that of a place; a sign before it is easily overlooked, and an R behind it."""
    label, name = (text.removeprefix("-").lower() for text in (label, name))
    return name in (label, label.removesuffix("r"))


def _odds(difference: float | None, chance: float, most: float = ODDS) -> float:
    """Logarithms of odds, `most` at most, that a difference as small as this is none."""
    if difference is None:
        return 0.0
    return float(np.clip(math.log(chance / max(difference, 1e-6)), -most, most))


def bars_of_rows(page: RectifiedPage, rows: Rows) -> np.ndarray:
    """How dark a separator stands at each column of each row (rows, columns), relative to the page's ink."""
    return np.stack([_separator_profile(page, zero) for zero in rows.zero_y_px]) / max(
        page.darkness_of_ink, 1.0
    )


def _separator_profile(page: RectifiedPage, zero_y_px: float) -> np.ndarray:
    """For each column how much darker a bar across the zero line is than what is beside it."""
    reach = int(SEPARATOR_MM * PX_PER_MM)
    top = max(int(zero_y_px) - reach, 0)
    rows = slice(top, top + 2 * reach)
    band = page.darkness[rows] * (1 - page.ink[rows]) * (1 - page.grid[rows])
    band = np.minimum(band, page.darkness_of_ink)
    level = np.percentile(band, 30, axis=0)  # dark over most of its height
    bar = uniform_filter1d(level, 3)
    return bar - np.maximum(np.roll(bar, 7), np.roll(bar, -7))


def _leaps(rows: Rows, row: int) -> np.ndarray:
    """For each column whether the trace leaps there where no ink joins it, 0 to 1: steep strokes touch from column to
    column."""
    centre_px, outer_px = rows.centre_px[:, row], rows.outer_px[:, row]
    half_px = np.abs(outer_px - centre_px)
    gap_px = np.abs(np.roll(centre_px, -1) - centre_px) - half_px - np.roll(half_px, -1)
    return np.clip(np.nan_to_num(gap_px) / (LEAP_MM * PX_PER_MM), 0, 1)


def standing_out(bars: np.ndarray, least: float = 0.0, clear: float = 1e-6) -> np.ndarray:
    """The bars of each row (rows, columns), from those at `least` as dark to the darkest, which are at least `clear`:
    0 to 1."""
    usual, rare = np.percentile(bars, [50, 99.7], axis=1, keepdims=True)
    usual = np.maximum(usual, least)
    return np.clip((bars - usual) / np.maximum(rare - usual, clear - least), 0, 1)
