"""What a rectified page shows: its rows, its layout, where time starts, and at which speed and gain it was drawn.

The rows are found from the ink of all columns at once. Where they start is read from the ink's ends, and the layouts
that have as many rows are told apart by where leads start: by separators, jumps of the trace and lead names beside
them, and by the rows' distances. Speed and gain are 25 mm/s and 10 mm/mV unless the page has calibration pulses that
say otherwise.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import MINOR_MM, PX_PER_MM, Placement
from ecg_generator_with_train_src.page.layouts import (
    DEFAULT_LAYOUT,
    GAINS_MM_MV,
    LAYOUTS,
    LEAD_STARTS,
    PAPER_SIZES_MM,
    PULSE_S,
    ROW_LENGTH_MM,
    SPEEDS_MM_S,
    Layout,
    PageSetup,
)
from experiment.reading.rectify import INKED, RectifiedPage
from experiment.reading.rows import Rows, find_rows

END_WINDOW_MM = 4.0  # a row starts where its ink goes on for at least this long
END_SHARE = 0.6
SNAP_MM = 0.45  # a start this close to a grid line is taken to lie on it
LINE_OFFSET_MM = 0.5 / PX_PER_MM  # a drawn line's pixel is the one right of its place
LENGTH_TOLERANCE_MM = 4.0
TIME_ZERO_MM = 2.0  # ink may start or end this far from where its row does
SEARCH_MM = 6.0  # time zero is looked for up to this far from where ink starts or should start
CLEAR_BARS = 0.4
DISTANCE_COST = 0.02  # what each millimetre from there costs, in clearness of the separators
USUAL_LAYOUT = 0.3  # bonus of the commonest layout over the others
STRIPS_ELSEWHERE = 0.7  # how well rows fit if only those of the block, and not the strips, are evenly spaced
LEAST_SEEN_MM = 12.0  # a lead of which less is on the page (half a second) is left out
ZERO_TOLERANCE_MM = 2.5  # how far rows may be from where their layout has them
SEPARATOR_MM = 3.5  # half the height of a separator
PULSE_CLEAR = 0.45  # how dark a calibration pulse must be against the traces
PULSE_SHIFT_PX = 16  # pulses may stand this far from their zero line
_BESIDE_PX = np.arange(-6, 7)  # offsets that cover a line and what is beside it


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


def find_layout(
    page: RectifiedPage,
    layout: Layout | None = None,
    speed_mm_s: float | None = None,
    gain_mm_mv: float | None = None,
) -> FoundLayout:
    """The likeliest layout, or where the given one stands. Raises InputError if the page does not show one."""
    rows = _find_rows(page.ink, layout)
    seen_start_px, end_px = _extent(page.ink, rows.zero_y_px)
    bars = _bars(page, rows.zero_y_px)
    possible = [layout] if layout else _with_rows(len(rows.zero_y_px))
    columns = {known.columns for known in possible}
    start_px = _snap(_time_zero(page, rows.zero_y_px, bars, columns, seen_start_px, end_px))
    length_px = ROW_LENGTH_MM * PX_PER_MM
    warnings = []
    if abs(end_px - start_px - length_px) > LENGTH_TOLERANCE_MM * PX_PER_MM:
        warnings.append(
            f"the traces are {(end_px - start_px) / PX_PER_MM:.0f} mm long, not {ROW_LENGTH_MM:.0f} mm: "
            "part of the page is missing, or times are wrong"
        )
    if layout is None:
        layout = _likeliest(possible, page, rows, start_px)
    row_end_px = min(end_px, start_px + length_px)
    pulse, speed, gain, clearness = _find_pulse(page, rows.zero_y_px, start_px, row_end_px)
    setup = PageSetup(
        layout=layout,
        separators=_bars_at(bars, start_px, layout.columns) > CLEAR_BARS,
        pulse=pulse,
        paper_speed_mm_s=speed_mm_s or speed,
        gain_mm_mv=gain_mm_mv or gain,
    )
    zero_y_px = _zero_lines(layout, rows.zero_y_px)
    placements, missing = _on_page(_placements(setup, zero_y_px, start_px), page.ink.shape[1])
    if missing:
        warnings.append(f"lead {', '.join(missing)} lies beyond the page's edge")
    return FoundLayout(setup, placements, zero_y_px, start_px, end_px, clearness, tuple(warnings))


def _find_rows(ink: np.ndarray, layout: Layout | None) -> Rows:
    """The rows of the layout, or of one of those that are known. Raises InputError if they are not seen."""
    possible = {row_count(layout)} if layout else {row_count(known) for known in LAYOUTS.values()}
    if rows := find_rows(ink, sorted(possible)):
        return rows
    raise InputError(
        f"no {row_count(layout)} rows as layout {layout.name} has are seen; --layout auto finds the layout"
        if layout
        else "no rows of a known layout are seen"
    )


def row_count(layout: Layout) -> int:
    """Rows of a layout, rhythm strips included."""
    return layout.rows + len(layout.rhythm_leads)


def _with_rows(number: int) -> list[Layout]:
    return [known for known in LAYOUTS.values() if row_count(known) == number]


def _extent(ink: np.ndarray, zero_y_px: np.ndarray) -> tuple[float, float]:
    """Canvas x where most rows' ink starts and ends."""
    ends = []
    bounds = np.concatenate([[-np.inf], (zero_y_px[1:] + zero_y_px[:-1]) / 2, [np.inf]])
    bounds = np.clip(np.nan_to_num(bounds, neginf=0, posinf=len(ink)), 0, len(ink)).astype(int)
    reach = int(END_WINDOW_MM * PX_PER_MM)
    for top, bottom in itertools.pairwise(bounds):
        has_ink = ink[top:bottom].max(axis=0, initial=0)
        ends.append((_first(has_ink, reach), len(has_ink) - _first(has_ink[::-1], reach)))
    starts, stops = np.array(ends).T
    if np.isnan(starts).all():
        raise InputError("no row shows a trace that goes on: where the rows start is not seen")
    return float(np.nanmedian(starts)) + 1.0, float(
        np.nanmedian(stops)
    ) - 1.0  # less the round end of the pen


def _time_zero(
    page: RectifiedPage,
    zero_y_px: np.ndarray,
    bars: np.ndarray,
    columns: set[int],
    start_px: float,
    end_px: float,
) -> float:
    """Canvas x where the rows start: near where their ink does, or near a row's length before it ends, the grid line
    that has separators behind it where rows of one of these numbers of columns have them; pulses that were taken for
    traces move the former, a page cut on the right the latter, and faint traces both. Without separators the ink's
    start, unless the ink is longer than a row: then the one of both that has pulses beside it."""
    length_px = ROW_LENGTH_MM * PX_PER_MM
    seen = np.array([start_px, end_px - length_px])
    reach = np.array([seen.min(), seen.max()]) + np.array([-SEARCH_MM, SEARCH_MM]) * PX_PER_MM
    lines = (np.arange(*(reach / PX_PER_MM).round()) - LINE_OFFSET_MM) * PX_PER_MM
    candidates = np.concatenate([seen, lines])
    scores = np.array([max(_bars_at(bars, at, number) for number in columns) for at in candidates])
    away_mm = np.abs(candidates[:, None] - seen).min(axis=1) / PX_PER_MM
    scores -= DISTANCE_COST * away_mm
    if scores.max() > CLEAR_BARS:
        return float(candidates[scores.argmax()])
    if seen[1] - seen[0] < TIME_ZERO_MM * PX_PER_MM:
        return start_px
    clear = [_find_pulse(page, zero_y_px, _snap(at), _snap(at) + length_px)[3] for at in seen]
    if max(clear) > 0:
        return float(seen[np.argmax(clear)])
    cut = end_px > page.ink.shape[1] - length_px / 10
    return float(start_px if cut else seen[1])


def _bars(page: RectifiedPage, zero_y_px: np.ndarray) -> np.ndarray:
    """How clear a separator stands at each column, 0 to 1, over all rows."""
    return np.mean([_standing_out(_separator_profile(page, zero)) for zero in zero_y_px], axis=0)


def _bars_at(bars: np.ndarray, start_px: float, columns: int) -> float:
    """How clear separators stand between the columns of rows that start there, 0 to 1; 0 for rows of one column."""
    if columns == 1:
        return 0.0
    at = start_px + ROW_LENGTH_MM * PX_PER_MM * np.arange(1, columns) / columns
    near = [bars[max(round(x) - 2, 0) : round(x) + 2].max(initial=0) for x in at]
    return float(np.mean(near))


def _first(has_ink: np.ndarray, reach: int) -> float:
    """Where ink starts that goes on, from the share of the first pixel that is covered."""
    going_on = uniform_filter1d((has_ink > INKED).astype(float), reach, origin=-(reach // 2), mode="constant")
    starts = np.flatnonzero((has_ink > INKED) & (going_on > END_SHARE))
    return float(starts[0]) if len(starts) else np.nan


def _snap(start_px: float, within_mm: float = SNAP_MM) -> float:
    """On the grid line beside it, if that is close."""
    line_mm = round(start_px / PX_PER_MM / MINOR_MM + LINE_OFFSET_MM) - LINE_OFFSET_MM
    return line_mm * PX_PER_MM if abs(line_mm - start_px / PX_PER_MM) <= within_mm else start_px


def _likeliest(possible: list[Layout], page: RectifiedPage, rows: Rows, start_px: float) -> Layout:
    """The one of some layouts whose leads start where something starts."""
    evidence = _boundary_evidence(page, rows, start_px)

    def score(known: Layout) -> float:
        usual = USUAL_LAYOUT if known == DEFAULT_LAYOUT else 0.0
        return usual + _boundary_score(known, evidence) + _spacing_score(known, rows.zero_y_px)

    return max(possible, key=score)


def _boundary_score(layout: Layout, evidence: np.ndarray) -> float:
    """Mean evidence where the layout's leads start less that where they do not."""
    starts = np.zeros(evidence.shape, bool)
    shares = np.arange(1, layout.columns) / layout.columns
    starts[: layout.rows] = np.isclose(np.array(LEAD_STARTS)[:, None], shares).any(axis=1)
    inside = evidence[starts].mean() if starts.any() else 0.0
    outside = evidence[~starts].mean() if (~starts).any() else 0.0
    return float(inside - outside)


def _spacing_score(layout: Layout, zero_y_px: np.ndarray) -> float:
    """1 where the rows' distances are the layout's own or all alike, whatever the page's size; less where those of its
    block are and its strips stand elsewhere."""
    declared = np.diff([layout.zero_line(row) for row in range(row_count(layout))])
    found = np.diff(zero_y_px)
    fits = [_alike(found, declared), _alike(found, np.ones(len(found)))]
    if layout.rhythm_leads and layout.rows > 2:
        fits.append(STRIPS_ELSEWHERE * _alike(found[: layout.rows - 1], np.ones(layout.rows - 1)))
    return max(fits)


def _alike(found: np.ndarray, declared: np.ndarray) -> float:
    """How well distances agree with declared ones but for a common factor, 0 to 1."""
    off = found / found.mean() - declared / declared.mean()
    return float(np.exp(-np.square(off / 0.05).mean()))


def _boundary_evidence(page: RectifiedPage, rows: Rows, start_px: float) -> np.ndarray:
    """How much it looks as if a lead started, (rows, LEAD_STARTS): 0 where none does, 1 to 2 where one does."""
    length_px = ROW_LENGTH_MM * PX_PER_MM
    at = [round(start_px + share * length_px) for share in LEAD_STARTS]
    evidence = np.zeros((len(rows.zero_y_px), len(LEAD_STARTS)))
    for row, zero in enumerate(rows.zero_y_px):
        bars = _standing_out(_separator_profile(page, zero))
        jumps = _standing_out(_jump_profile(rows, row))
        for k, x in enumerate(at):
            near = slice(max(x - 2, 0), x + 3)
            evidence[row, k] = bars[near].max(initial=0) + jumps[near].max(initial=0)
    return evidence


def _separator_profile(page: RectifiedPage, zero_y_px: float) -> np.ndarray:
    """For each column how much darker a bar across the zero line is than what is beside it."""
    reach = int(SEPARATOR_MM * PX_PER_MM)
    top = max(int(zero_y_px) - reach, 0)
    band = page.darkness[top : top + 2 * reach] * (1 - page.ink[top : top + 2 * reach])
    band = np.minimum(band, page.darkness_of_ink)
    level = np.percentile(band, 30, axis=0)  # dark over most of its height
    bar = uniform_filter1d(level, 3)
    return bar - np.maximum(np.roll(bar, 7), np.roll(bar, -7))


def _jump_profile(rows: Rows, row: int) -> np.ndarray:
    """For each column how far the trace leaps where its ink does not."""
    height = rows.centre_px[:, row]
    leap = np.abs(np.roll(height, -2) - np.roll(height, 2))
    return np.nan_to_num(leap)


def _standing_out(profile: np.ndarray) -> np.ndarray:
    """Values against what is rare in the profile, 0 to 1."""
    usual, rare = np.percentile(profile, [50, 99.7])
    return np.clip((profile - usual) / max(rare - usual, 1e-6), 0, 1)


def _find_pulse(
    page: RectifiedPage, zero_y_px: np.ndarray, start_px: float, end_px: float
) -> tuple[str, float, float, float]:
    """Side, speed and gain of the calibration pulses, and how clear they are."""
    usual = float(np.median(page.darkness[page.ink > 0.8])) if (page.ink > 0.8).any() else 1.0
    dark = gaussian_filter1d(page.darkness, 1.0, axis=0)
    best = ("none", SPEEDS_MM_S[0], GAINS_MM_MV[0], 0.0)
    for side, speed, gain in itertools.product(("left", "right"), SPEEDS_MM_S, GAINS_MM_MV):
        width = PULSE_S * speed * PX_PER_MM
        left = start_px - width if side == "left" else end_px
        clear = _pulse_contrast(dark, zero_y_px, left, width, gain * PX_PER_MM) / max(usual, 1.0)
        if clear > max(best[3], PULSE_CLEAR):
            best = (side, speed, gain, clear)
    return best


def _pulse_contrast(
    dark: np.ndarray, zero_y_px: np.ndarray, left_px: float, width_px: float, height_px: float
) -> float:
    """Median over the rows of how dark a pulse's top and sides are against what is beside them."""
    left, right, height = int(left_px), int(left_px + width_px), int(height_px)
    if left < 8 or right + 8 >= dark.shape[1] or height + 16 >= len(dark):
        return 0.0
    base = zero_y_px.astype(int)[:, None] + np.arange(-PULSE_SHIFT_PX, PULSE_SHIFT_PX + 1)  # rows, shifts
    inside = (base - height >= 8) & (base + 8 < len(dark))
    base = np.where(inside, base, height + 8)
    top = base - height
    plateau = dark[:, left + 4 : right - 4].mean(axis=1)
    contrasts = [_line_contrast(plateau[top[..., None] + _BESIDE_PX], off_px=1)]
    for at in (left, right):
        summed = np.pad(np.cumsum(dark[:, at + _BESIDE_PX], axis=0, dtype=float), ((1, 0), (0, 0)))
        side = (summed[base - 6] - summed[top + 6]) / (height - 12)
        contrasts.append(_line_contrast(side, off_px=3))
    contrast = np.where(inside, np.min(contrasts, axis=0), 0)
    return float(np.median(contrast.max(axis=1, initial=0)))


def _line_contrast(across: np.ndarray, off_px: int) -> np.ndarray:
    """How much darker than its surroundings (…, _BESIDE_PX) a line is that lies `off_px` from its place at most."""
    return across[..., abs(_BESIDE_PX) <= off_px].max(axis=-1) - np.median(across, axis=-1)


def _zero_lines(layout: Layout, usual_y_px: np.ndarray) -> np.ndarray:
    """0 mV of each row: the layout's own distances if the rows' usual heights agree with them, else those heights.

    Where a layout's distances are measured ones, its zero lines are grid lines, and are taken to be here.
    """
    height_mm = PAPER_SIZES_MM["letter"][1]
    declared = np.array([layout.zero_line(row) for row in range(row_count(layout))]) * height_mm * PX_PER_MM
    shift = np.median(usual_y_px - declared)
    if np.abs(usual_y_px - declared - shift).max() > ZERO_TOLERANCE_MM * PX_PER_MM:
        return usual_y_px
    zero_y_px = declared + shift
    if layout.zero_lines:
        zero_y_px += np.median([_snap(y, 0.5) - y for y in zero_y_px])
    return zero_y_px


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


def _placements(setup: PageSetup, zero_y_px: np.ndarray, start_px: float) -> tuple[Placement, ...]:
    """The setup's leads, moved to where the rows were found."""
    paper = setup.paper()
    geometry = setup.page_on(paper)
    shift_px = start_px - setup.time_zero_mm * PX_PER_MM
    scale = PX_PER_MM / geometry.px_per_mm_x
    return tuple(
        Placement(
            lead=place.lead,
            label=place.label,
            row=place.row,
            start_s=place.start_s,
            end_s=place.end_s,
            x0_px=place.x0_px * scale + shift_px,
            zero_y_px=float(zero_y_px[place.row]),
            px_per_s=setup.paper_speed_mm_s * PX_PER_MM,
            px_per_mv=float(np.sign(place.px_per_mv)) * setup.gain_mm_mv * PX_PER_MM,
        )
        for place in setup.placements(geometry)
    )
