"""What a rectified page shows: its rows, its layout, where time starts, and at which speed and gain it was drawn.

The rows are found from the ink of all columns at once. Where they start is read from the ink's ends and separators. The
layouts that have as many rows are then told apart by all that the page says of them (layout_evidence); the likeliest is
taken, and how much likelier it is than the others is its certainty. Speed and gain are those printed on the page, or
those of its calibration pulses; else the usual ones are taken, which is said.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import PX_PER_MM, Placement
from ecg_generator_with_train_src.page.layouts import (
    FURTHER_LEADS,
    LEAD_ORDERS,
    PAPER_SIZES_MM,
    ROW_LENGTH_MM,
    UNKNOWN_LEAD,
    Layout,
    LeadOrder,
    PageSetup,
    parse_layout,
)
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S
from experiment.reading.calibration import Told, TraceSizes, calibration
from experiment.reading.column_times import ColumnTimes, beats_apart_mm, column_times
from experiment.reading.layout_evidence import (
    FEW_NAMES,
    Evidence,
    bars_of_rows,
    names_below,
    standing_out,
    unexplained_names,
)
from experiment.reading.layout_guesses import CABRERA, USUAL_ROWS, Guess, guesses, possible_columns
from experiment.reading.printed_text import NO_TEXT, PrintedText
from experiment.reading.pulses import find_pulse
from experiment.reading.rectify import RectifiedPage
from experiment.reading.row_span import CLEAR_BARS, LENGTH_TOLERANCE_MM, bars_at, find_span, snapped
from experiment.reading.row_traces import height_mm
from experiment.reading.rows import MOST_ROWS, Rows, find_rows

MUCH_ASIDE = 0.25  # more paper than this that is left aside may show another ECG
FAINT_BARS = (0.12, 0.2)  # darkness, relative to the ink, that grid lines may leave, and of separators
LEAST_SEEN_MM = 12.0  # a lead of which less is on the page (half a second) is left out
ZERO_TOLERANCE_MM = 2.5  # how far rows may be from where their layout has them
DOUBTFUL = 0.9  # a layout that is less certain is said to be
DOUBTFUL_WITHOUT_NAMES = 0.95  # the same if few lead names were read, or none
CLEAR_NAME = 0.7  # a name of this probability was read clearly
UNLIKE_STRIP = 0.5  # a strip that differs so much from its own lead is doubted
SEVERAL = 2  # so many clear names that stand at other leads are no misreading, nor is one of these:
RIGHT_LEADS = tuple(lead for lead in FURTHER_LEADS if lead.endswith("R"))
FEW_ROWS = 6  # so many rows of one lead each, or more, fit together by chance only rarely


@dataclass(frozen=True)
class FoundLayout:
    """A page's setup and its leads' places, in canvas pixels of the rectified page."""

    setup: PageSetup
    placements: tuple[Placement, ...]
    zero_y_px: np.ndarray  # (rows,)
    start_x_px: float
    end_x_px: float  # end of the drawing, as far as it is visible
    pulse_clearness: float  # darkness of the pulses against the traces', 0 where none is seen
    warnings: tuple[str, ...]
    certainty: float = 1.0  # of the layout, 0 to 1
    doubts: tuple[str, ...] = ()  # why the layout may be another one
    speed_from: Told = "assumed"
    gain_from: Told = "assumed"


@dataclass(frozen=True)
class ReadingOptions:
    """What is known of a page beforehand; None where it is to be found."""

    layout: Layout | str | None = None
    lead_order: LeadOrder | None = None
    paper_speed_mm_s: float | None = None
    gain_mm_mv: float | None = None
    time_zero_px: float | None = None

    def __post_init__(self):
        """A layout may be given in words, such as 3x4+II. Raises InputError if they say none."""
        if isinstance(self.layout, str):
            object.__setattr__(self, "layout", parse_layout(self.layout))


def find_layout(
    page: RectifiedPage, known: ReadingOptions = ReadingOptions(), text: PrintedText = NO_TEXT
) -> FoundLayout:
    """The likeliest layout, or where the given one stands. Raises InputError if the page does not show one."""
    rows = _find_rows(page.ink, known.layout)
    row_bars = bars_of_rows(page, rows)
    bars = standing_out(row_bars, *FAINT_BARS).mean(axis=0)
    columns = {known.layout.columns} if known.layout else possible_columns(len(rows.zero_y_px))
    span = find_span(page, rows.zero_y_px, bars, columns, known.time_zero_px)
    start_px, end_px, length_px = span.start_px, span.end_px, span.length_px
    pulse = find_pulse(page, rows.zero_y_px, start_px, min(end_px, start_px + length_px))
    evidence = Evidence(row_bars, rows, start_px, length_px, text)
    sizes = TraceSizes(
        beats_apart_mm(evidence.traces, start_px, length_px), height_mm(evidence.traces, start_px, length_px)
    )
    scale = calibration(known.paper_speed_mm_s, known.gain_mm_mv, pulse, text, sizes)
    layout, order, certainty, doubts = _likeliest(evidence, known)
    times = column_times(
        evidence.traces[: layout.rows], evidence.traces[layout.rows :], start_px, length_px, layout.columns
    )
    setup = PageSetup(
        layout=layout,
        simultaneous=times.simultaneous,
        lead_order=order,
        separators=bars_at(bars, start_px, length_px, layout.columns) > CLEAR_BARS,
        pulse=pulse.side,
        row_s=min(length_px / PX_PER_MM / scale.paper_speed_mm_s, RECORD_DURATION_S),
        paper_speed_mm_s=scale.paper_speed_mm_s,
        gain_mm_mv=scale.gain_mm_mv,
        chest_gain_mm_mv=scale.chest_gain_mm_mv,
    )
    zero_y_px = _zero_lines(layout, rows.zero_y_px)
    placements, missing = _on_page(_placements(setup, zero_y_px, start_px, length_px), page.ink.shape[1])
    return FoundLayout(
        setup=setup,
        placements=placements,
        zero_y_px=zero_y_px,
        start_x_px=start_px,
        end_x_px=end_px,
        pulse_clearness=pulse.clearness,
        warnings=(
            *_odd_length(end_px - start_px, min(length_px, ROW_LENGTH_MM * PX_PER_MM)),
            *_missing(missing),
            *_left_aside(page.share_aside, rows.further),
        ),
        certainty=certainty,
        doubts=(
            *doubts,
            *scale.doubts,
            *_doubts_of_start(span.may_start_later_px / PX_PER_MM, scale.paper_speed_mm_s),
            *_doubts_of_times(times),
            *_doubts_of_columns(evidence, layout, order),
            *(() if known.layout else _doubts_of_leads(evidence, layout, order)),
        ),
        speed_from=scale.speed_from,
        gain_from=scale.gain_from,
    )


def _find_rows(ink: np.ndarray, layout: Layout | None) -> Rows:
    """The rows of the layout, or all that are seen. Raises InputError if they are not seen."""
    if rows := find_rows(ink, [layout.row_count] if layout else range(1, MOST_ROWS + 1)):
        return rows
    raise InputError(
        f"no {layout.row_count} rows as layout {layout.name} has are seen; --layout auto finds the layout"
        if layout
        else "no rows of traces are seen"
    )


def _likeliest(evidence: Evidence, known: ReadingOptions) -> tuple[Layout, LeadOrder, float, tuple[str, ...]]:
    """Layout and order of leads, how certain they are, and why they may be others."""
    if known.layout:
        orders = [known.lead_order] if known.lead_order else list(LEAD_ORDERS)
        usual = {order: evidence.of(known.layout, order) + CABRERA * (order == "cabrera") for order in orders}
        return known.layout, max(usual, key=usual.get), 1.0, ()
    best, *others = guesses(evidence, known.lead_order)
    certainty = 1 / (1 + sum(math.exp(max(other.odds - best.odds, -50.0)) for other in others))
    doubts = []
    named = len(evidence.text.names) > FEW_NAMES
    if certainty < (DOUBTFUL if named else DOUBTFUL_WITHOUT_NAMES):
        doubts.append(
            f"the layout may be {_in_words(others[0])} instead of {_in_words(best)}; --layout says which it is"
        )
    leads = [*best.layout.rhythm_leads, *best.layout.row_leads]
    if unknown := leads.count(UNKNOWN_LEAD):
        whose = "the lead of one row is" if unknown == 1 else f"the leads of {unknown} rows are"
        doubts.append(f"{whose} not known: --layout says it, as in 3x4+II")
    elif best.layout.row_leads and (
        not set(leads) <= set(LEADS)
        or (best.layout.name not in USUAL_ROWS and not _clearly_named(leads, evidence.text))
    ):
        doubts.append(
            "the lead names beside the rows were not read clearly: compare them; --layout says them"
        )
    elif best.layout.row_leads and best.layout.rows < FEW_ROWS and not evidence.text.names:
        doubts.append("no lead names were read beside the rows: whose they are is a guess; --layout says it")
    return best.layout, best.lead_order, certainty, tuple(doubts)


def _doubts_of_start(later_mm: float, paper_speed_mm_s: float) -> list[str]:
    if not later_mm:
        return []
    away = f"{abs(later_mm):.1f} mm ({abs(later_mm) / paper_speed_mm_s:.2f} s)"
    return [
        f"the rows may start {away} {'later' if later_mm > 0 else 'earlier'}, as their ink ends elsewhere: look where "
        "they do, and tell time_zero_px by --corrections"
    ]


def _doubts_of_times(times: ColumnTimes) -> list[str]:
    if not times.uncertain:
        return []
    if times.simultaneous:
        return ["all columns seem to show the same moments: their times begin at 0; look whether they do"]
    return ["all columns may show the same moments: their beats stand at the same places"]


def _doubts_of_columns(evidence: Evidence, layout: Layout, order: LeadOrder) -> list[str]:
    if not evidence.columns_differ(layout, order):
        return []
    return [
        "leads do not start where columns of one width would: their times are wrong, and maybe their names"
    ]


def _doubts_of_leads(evidence: Evidence, layout: Layout, order: LeadOrder) -> list[str]:
    """What to say of strips that are unlike the lead of their name where both should show the same moments, and of
    names that are printed at other leads; of the usual ones, a single one may be misread."""
    unlike = [
        lead
        for row, lead in enumerate(layout.rhythm_leads, start=layout.rows)
        if evidence.unlikenesses(layout, order, row).get(lead, 0.0) > UNLIKE_STRIP
    ]
    other = unexplained_names(evidence, layout, order, CLEAR_NAME)
    doubts = []
    if unlike:
        doubts.append(
            f"strip {', '.join(unlike)} is unlike that lead above it: it shows other moments, or another lead; "
            "--layout says which"
        )
    if len(other) >= SEVERAL or set(other) & set(RIGHT_LEADS):
        doubts.append(
            f"{', '.join(other)} seem to be printed where the layout {layout.name} has other leads: compare the names"
        )
    if below := names_below(evidence, layout, order, CLEAR_NAME):
        doubts.append(
            f"{', '.join(below)} seem to be printed below the last row that was read: is there another one? "
            "--layout says which rows there are"
        )
    return doubts


def _clearly_named(leads: list[str], text: PrintedText) -> bool:
    """Whether the name of each lead that has a row of its own was read clearly."""
    clearest = {lead: [name.probability for name in text.names if name.lead == lead] for lead in leads}
    return all(max(found, default=0.0) > CLEAR_NAME for found in clearest.values())


def _in_words(guess: Guess) -> str:
    return guess.layout.name + (" in Cabrera's order" if guess.lead_order == "cabrera" else "")


def _odd_length(seen_px: float, length_px: float) -> list[str]:
    """What to say of traces that are not as long as rows are."""
    if abs(seen_px - length_px) <= LENGTH_TOLERANCE_MM * PX_PER_MM:
        return []
    return [
        f"the traces are {seen_px / PX_PER_MM:.0f} mm long, not {length_px / PX_PER_MM:.0f} mm: "
        "part of the page is missing, or times are wrong"
    ]


def _missing(labels: tuple[str, ...]) -> list[str]:
    if not labels:
        return []
    return [f"{'leads' if labels[1:] else 'lead'} {', '.join(labels)} beyond the page's edge: left out"]


def _left_aside(share: float, further_rows: int) -> list[str]:
    said = []
    if share >= MUCH_ASIDE:
        said.append(
            f"{share:.0%} of the paper that has a grid stands apart and was not read: does it show another ECG?"
        )
    if further_rows:
        said.append(f"further rows seem to be on the page and were not read ({further_rows}): another ECG?")
    return said


def _zero_lines(layout: Layout, usual_y_px: np.ndarray) -> np.ndarray:
    """0 mV of each row: the rows' usual heights, or grid lines at the layout's own distances, where these were measured
    on pages and the rows agree with them."""
    if not layout.zero_lines:
        return usual_y_px
    height_mm = PAPER_SIZES_MM["letter"][1]
    declared = np.array(layout.zero_lines) * height_mm * PX_PER_MM
    shift = np.median(usual_y_px - declared)
    if np.abs(usual_y_px - declared - shift).max() > ZERO_TOLERANCE_MM * PX_PER_MM:
        return usual_y_px
    zero_y_px = declared + shift
    return zero_y_px + np.median([snapped(y, 0.5) - y for y in zero_y_px])


def _on_page(
    placements: tuple[Placement, ...], width_px: int
) -> tuple[tuple[Placement, ...], tuple[str, ...]]:
    """The places of which enough is on the page, and the names of the other leads. Raises InputError if none is."""

    def is_seen(place: Placement) -> bool:
        left, right = (float(place.x_px_of_s(at_s)) for at_s in (place.start_s, place.end_s))
        return min(right, width_px) - max(left, 0) > LEAST_SEEN_MM * PX_PER_MM

    kept = tuple(place for place in placements if is_seen(place))
    if not kept:
        raise InputError(
            "all leads would lie beyond the page's edge: where the rows start is not seen rightly"
        )
    return kept, tuple(place.label for place in placements if not is_seen(place))


def _placements(
    setup: PageSetup, zero_y_px: np.ndarray, start_px: float, length_px: float
) -> tuple[Placement, ...]:
    """The setup's leads, where the rows were found."""
    geometry = setup.page_on(setup.paper())
    scale = PX_PER_MM / geometry.px_per_mm_x
    columns = setup.layout.columns
    return tuple(
        replace(
            place,
            x0_px=start_px + (place.column * length_px / columns),
            zero_y_px=float(zero_y_px[place.row]),
            px_per_s=place.px_per_s * scale,
            px_per_mv=place.px_per_mv * scale,
        )
        for place in setup.placements(geometry)
    )
