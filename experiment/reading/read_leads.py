"""Read the leads' signals from a rectified page whose layout is known.

The traces are tracked and decoded, their heights become millivolts, and hidden stretches are drawn from other leads.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import binary_dilation, binary_opening, find_objects, label, uniform_filter1d

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.pieces import Pieces, pieces_of
from ecg_generator_with_train_src.page.furniture import PULSE_MV
from ecg_generator_with_train_src.page.geometry import PX_PER_MM, Placement
from experiment.reading.find_layout import FoundLayout
from experiment.reading.layout_evidence import SEPARATOR_MM
from experiment.reading.lead_relations import fill_hidden
from experiment.reading.spike_tips import whole_strokes
from experiment.reading.trace_decoding import SHARP, Nodes, decode
from experiment.reading.trace_tracking import Track, track_rows

MIN_NODE_PX = 0.35  # nodes that are closer would tell more than a page of 200 dpi can show
REACH_MM = 42.0  # how far a trace may leave its zero line
BAR_PX = 5  # a separator may stand up to so many columns beside the start of its lead
HIDDEN_PX = 3.5  # up to this far from its middle, a separator hides the trace behind it
STEEP = 3.0  # pixels up or down per column from which a stroke is a flank of a QRS complex
BLANK_COLUMNS = 2  # a trace is hidden where so many neighbouring columns have no ink
SHORTEST_GAP_PX = 3.0  # shorter gaps are not reported; half a separator hides this much
APERTURE_PX = 1.8  # blur of a network's plane that was resampled
BAR_INK = 0.2  # most of a separator's height has more ink than this
BAR_MARGIN_MM = 2.0  # this much above and below a separator is cleared with it
# This far beyond the end of a separator its column has no ink; more than this, on average, is the trace's
BEYOND_BAR_MM, BEYOND_BAR_INK = (0.3, 0.9), 0.3
SPECK_INK = 0.15  # pieces of ink are connected pixels with more ink than this
# A lead's name lies off the zero line by NAME_FROM_MM or more, and right of the lead's start by up to NAME_WIDTH_MM
NAME_FROM_MM, NAME_WIDTH_MM = 2.5, 10.0
NAME_MM = 8.0  # height of the band in which a lead's name may stand
# Over SCRAPS_MM of a track, mean ink below SCRAPS_INK of what is usual is too little to be a trace
SCRAPS_MM, SCRAPS_INK = 3.0, 0.35
PULSE_FOOT_PX = 1.0  # the falling flank of a calibration pulse ends this far before time zero
MIN_PEN_PX, MAX_PEN_PX = 1.0, 5.0


# Places, their nodes, heights and whether these have ink, and the pen's diameter, to better heights
Corrected = Callable[
    [list[Placement], list[Nodes], list[np.ndarray], list[np.ndarray], float], list[np.ndarray]
]


@dataclass(frozen=True)
class LeadSignal:
    """The signal of one lead at one place of the page."""

    place: Placement
    signal_mv: np.ndarray  # at place.samples(fs_hz)
    y_px: np.ndarray  # the same values as canvas heights of the rectified page
    confidence: float  # mean probability of the ink along it, 0 to 1
    gaps_s: tuple[
        tuple[float, float], ...
    ]  # times of the record that were hidden, or had no ink, and were filled in
    is_cut: bool = False  # whether spikes seem to go on where nothing of them is to be seen


def read_leads(
    ink: np.ndarray,
    found: FoundLayout,
    fs_hz: float,
    tracks: list[Track] | None = None,
    smoothness: float = SHARP,
    corrected: Corrected | None = None,
) -> list[LeadSignal]:
    """Read the signals of all places of a layout, sampled at `fs_hz`, from the rectified ink (H, W).

    `tracks` are the rows' heights if they are known; otherwise they are followed through the ink. `smoothness` is the
    decoding's; `corrected` betters the heights that it finds, as second_look does. Raises InputError, which does not
    name the file, if a place lies beyond the page.
    """
    pen_px = measure_pen(ink)
    ink = _without_bars(ink, found)
    tracks = tracks or _track(ink, found, pen_px)
    places = [_on_page(place, ink.shape[1]) for place in found.placements]
    nodes = [_nodes(place, fs_hz) for place in places]
    starts = [_start(tracks[place.row], node) for place, node in zip(places, nodes, strict=True)]
    if found.setup.pulse == "left":
        starts = [
            _risen_from_level(tracks[place.row], node, y_px) if place.column == 0 else y_px
            for place, node, y_px in zip(places, nodes, starts, strict=True)
        ]
    has_ink = [_has_ink(tracks[place.row], node.x_px) for place, node in zip(places, nodes, strict=True)]
    heights = decode(ink, nodes, starts, has_ink, pen_px, APERTURE_PX, smoothness)
    if corrected is not None:
        heights = corrected(places, nodes, heights, has_ink, pen_px)
    leads = [
        _lead_signal(place, tracks[place.row], node, y_px, fs_hz)
        for place, node, y_px in zip(places, nodes, heights, strict=True)
    ]
    visible = [_visible(lead, tracks[lead.place.row], found, fs_hz) for lead in leads]
    return without_gaps(leads, visible, fs_hz)


def _on_page(place: Placement, width_px: int) -> Placement:
    """The part of a place that is on the page: nothing is known of the rest, so it is left out."""
    first_s, last_s = (float(place.s_of_x_px(np.float64(x_px))) for x_px in (0, width_px))
    start_s, end_s = max(place.start_s, first_s), min(place.end_s, last_s)
    if end_s <= start_s:
        raise InputError(
            "a lead would lie beyond the page's edge: the start of the rows was not found rightly"
        )
    return replace(place, start_s=start_s, end_s=end_s, x0_px=float(place.x_px_of_s(np.float64(start_s))))


def _visible(lead: LeadSignal, track: Track, found: FoundLayout, fs_hz: float) -> np.ndarray:
    """Which of a lead's samples have ink and do not lie behind a separator."""
    samples = lead.place.samples(fs_hz)
    x_px = lead.place.x_px_of_s(np.arange(samples.start, samples.stop) / fs_hz)
    return _has_ink(track, x_px) & ~_behind_bar(found, lead.place, x_px, lead.y_px)


def without_gaps(leads: list[LeadSignal], visible: list[np.ndarray], fs_hz: float) -> list[LeadSignal]:
    """Draw from other leads, as far as these tell it, what is not `visible` of each lead's samples, and list it."""
    length = max(lead.place.samples(fs_hz).stop for lead in leads)
    signal_mv, seen = np.full((len(leads), length), np.nan), np.zeros((len(leads), length), bool)
    for number, lead in enumerate(leads):
        samples = lead.place.samples(fs_hz)
        signal_mv[number, samples], seen[number, samples] = lead.signal_mv, visible[number]
    filled = fill_hidden(signal_mv, seen, fs_hz)
    return [
        _with_filled(lead, row[lead.place.samples(fs_hz)], own, fs_hz)
        for lead, row, own in zip(leads, filled, visible, strict=True)
    ]


def _with_filled(lead: LeadSignal, signal_mv: np.ndarray, visible: np.ndarray, fs_hz: float) -> LeadSignal:
    place = lead.place
    time_s = np.arange(place.samples(fs_hz).start, place.samples(fs_hz).stop) / fs_hz
    gaps_s = _gaps(time_s, visible, SHORTEST_GAP_PX / place.px_per_s)
    return replace(lead, signal_mv=signal_mv, y_px=place.y_px_of_mv(signal_mv), gaps_s=gaps_s)


def _behind_bar(found: FoundLayout, own: Placement, x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
    """Which points of a place's trace lie behind one of its row's separators."""
    bars_px = [place.x0_px for place in found.placements if place.row == own.row and place.column > 0]
    if not found.setup.separators or not bars_px:
        return np.zeros(len(x_px), bool)
    behind = (np.abs(x_px[:, None] - bars_px) < HIDDEN_PX).any(axis=1)
    return behind & (np.abs(y_px - own.zero_y_px) < (SEPARATOR_MM + BEYOND_BAR_MM[0]) * PX_PER_MM)


def measure_pen(ink: np.ndarray) -> float:
    """Measure the pen's diameter: the ink per column where a trace runs level, as it does in most columns."""
    inked = ink > 0.5
    starts = inked[0] + np.count_nonzero(inked[1:] > inked[:-1], axis=0)
    columns = starts > 0
    if not columns.any():
        return MIN_PEN_PX
    return float(
        np.clip(np.percentile(ink.sum(axis=0)[columns] / starts[columns], 20), MIN_PEN_PX, MAX_PEN_PX)
    )


def _without_bars(ink: np.ndarray, found: FoundLayout) -> np.ndarray:
    """Clear separators, flanks of calibration pulses and names of leads that the network took for traces. They stand
    where leads start; separators and flanks are columns of ink of their height."""
    ink = ink.copy()
    pieces = pieces_of(ink > SPECK_INK)
    for place in found.placements:
        _blank_name(ink, pieces, place)
        if place.column > 0:
            _blank_bar(ink, place.x0_px, place.zero_y_px, SEPARATOR_MM, SEPARATOR_MM)
        elif found.setup.pulse == "left":
            height_mm = PULSE_MV * found.setup.gain_mm_mv
            _blank_bar(ink, place.x0_px - PULSE_FOOT_PX, place.zero_y_px, height_mm, -height_mm / 4)
    return ink


def _blank_bar(ink: np.ndarray, x_px: float, zero_y_px: float, above_mm: float, below_mm: float) -> None:
    """Clear the columns near x that have ink over most of the given height around the zero line, but for those with ink
    beyond it: a stroke that goes on there is the trace's."""
    left = max(round(x_px) - BAR_PX, 0)
    columns = slice(left, left + 2 * BAR_PX + 1)
    window = ink[_rows(zero_y_px, above_mm, below_mm), columns]
    if window.size:
        bar = np.percentile(window, 25, axis=0) > BAR_INK
        goes_on = _goes_on(ink[:, columns], zero_y_px, above_mm, below_mm)
        bar = binary_dilation(bar & ~goes_on) & ~goes_on
        ink[_rows(zero_y_px, above_mm + BAR_MARGIN_MM, below_mm + BAR_MARGIN_MM), columns][:, bar] = 0


def _goes_on(columns: np.ndarray, zero_y_px: float, above_mm: float, below_mm: float) -> np.ndarray:
    """Which columns (H, n) of a separator have ink beyond its ends. None of a calibration pulse has: it stands on the
    trace, and its flanks go on into its top."""
    if below_mm <= 0:
        return np.zeros(columns.shape[1], bool)
    near_mm, far_mm = BEYOND_BAR_MM
    above = columns[_rows(zero_y_px, above_mm + far_mm, -above_mm - near_mm)].sum(axis=0)
    below = columns[_rows(zero_y_px, -below_mm - near_mm, below_mm + far_mm)].sum(axis=0)
    return np.maximum(above, below) > BEYOND_BAR_INK * (far_mm - near_mm) * PX_PER_MM


def _blank_name(ink: np.ndarray, pieces: Pieces, place: Placement) -> None:
    """Clear pieces of ink that lie wholly where a lead's name may stand: right of its start and off its zero line."""
    left, right = place.x0_px - PX_PER_MM, place.x0_px + NAME_WIDTH_MM * PX_PER_MM
    x, y, width, height, _ = pieces.boxes.T
    inside = (x >= left) & (x + width <= right)
    near, far = NAME_FROM_MM * PX_PER_MM, (NAME_FROM_MM + NAME_MM) * PX_PER_MM
    below = (y >= place.zero_y_px + near) & (y + height <= place.zero_y_px + far)
    above = (y >= place.zero_y_px - far) & (y + height <= place.zero_y_px - near)
    for number in np.flatnonzero(inside & (below | above)):
        window = slice(y[number], y[number] + height[number]), slice(x[number], x[number] + width[number])
        ink[window][pieces.numbers[window] == number] = 0


def _rows(zero_y_px: float, above_mm: float, below_mm: float) -> slice:
    top, bottom = zero_y_px - above_mm * PX_PER_MM, zero_y_px + below_mm * PX_PER_MM
    return slice(max(round(top), 0), max(round(bottom), 0))


def _track(ink: np.ndarray, found: FoundLayout, pen_px: float) -> list[Track]:
    places = found.placements
    last_px = max(float(place.x_px_of_s(place.end_s)) for place in places)
    columns = slice(max(int(found.start_x_px) - 1, 0), min(int(last_px) + 2, ink.shape[1]))
    breaks: list[list[int]] = [[] for _ in found.zero_y_px]
    for place in places:
        if place.column > 0:
            breaks[place.row].append(round(place.x0_px))
    reach_px = REACH_MM * PX_PER_MM
    return track_rows(whole_strokes(ink), found.zero_y_px, columns, breaks, reach_px, pen_px)


def _nodes(place: Placement, fs_hz: float) -> Nodes:
    """One node per sample, or per few samples if the page cannot tell them apart; then one node lies past the end."""
    samples = place.samples(fs_hz)
    every = _every(place, fs_hz)
    first_px = float(place.x_px_of_s(np.float64(samples.start / fs_hz)))
    count = -(-(samples.stop - samples.start - 1) // every) + 1
    return Nodes(first_px, place.px_per_s / fs_hz * every, count)


def _every(place: Placement, fs_hz: float) -> int:
    return max(int(np.ceil(MIN_NODE_PX * fs_hz / place.px_per_s)), 1)


def _start(track: Track, nodes: Nodes) -> np.ndarray:
    """The heights of the nodes, from the columns that lie wholly within the stretch."""
    x_px, y_px = _inked_within(track, nodes)
    return np.interp(nodes.x_px, x_px, y_px)


def _inked_within(track: Track, nodes: Nodes) -> tuple[np.ndarray, np.ndarray]:
    """The columns wholly within the stretch, and the track's heights there; only those with ink if there are any."""
    x_px = track.first_column + np.arange(len(track.y_px)) + 0.5
    own = (x_px > nodes.first_x_px + 0.5) & (x_px < nodes.last_x_px - 0.5)
    if not own.any():
        raise InputError(
            "a lead would lie beyond the page's edge: the start of the rows was not found rightly"
        )
    own = own & (track.ink > 0) if (own & (track.ink > 0)).any() else own
    return x_px[own], track.y_px[own]


def _risen_from_level(track: Track, nodes: Nodes, y_px: np.ndarray) -> np.ndarray:
    """The nodes' heights. If a steep stroke follows the flank of a pulse, a QRS complex begins there: the nodes under
    the flank then lie on a straight line from the lead's level."""
    inked_x_px, inked_y_px = _inked_within(track, nodes)
    hidden_px = inked_x_px[0] - nodes.x_px[0]
    stroke = inked_y_px[: max(round(hidden_px), 2)]
    if hidden_px < 1 or np.ptp(stroke) < STEEP * len(stroke):
        return y_px
    share = np.clip((nodes.x_px - nodes.x_px[0]) / hidden_px, 0, 1)
    level_px = np.median(inked_y_px)
    return np.where(share < 1, level_px + (inked_y_px[0] - level_px) * share, y_px)


def _has_ink(track: Track, x_px: np.ndarray) -> np.ndarray:
    """Whether the track has ink at each place. Scraps of faint ink, as handwriting leaves of a trace, do not count."""
    blank = binary_opening(track.ink <= 0, np.ones(BLANK_COLUMNS))
    usual = np.median(track.ink[track.ink > 0]) if (track.ink > 0).any() else 1.0
    blank |= uniform_filter1d(track.ink, round(SCRAPS_MM * PX_PER_MM)) < SCRAPS_INK * usual
    return np.interp(x_px, track.first_column + np.arange(len(blank)) + 0.5, blank) == 0


def _lead_signal(place: Placement, track: Track, nodes: Nodes, y_px: np.ndarray, fs_hz: float) -> LeadSignal:
    samples = place.samples(fs_hz)
    number = np.arange(samples.stop - samples.start)
    x_px = track.first_column + np.arange(len(track.ink)) + 0.5
    own = (x_px > nodes.first_x_px) & (x_px < nodes.last_x_px)
    if (every := _every(place, fs_hz)) > 1:
        y_px = CubicSpline(np.arange(len(y_px)) * every, y_px)(number)
    confidence = float(track.ink[own].mean()) if own.any() else 0.0
    return LeadSignal(place, place.mv_of_y_px(y_px), y_px, confidence, ())


def heights_in_columns(lead: LeadSignal, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns (n,) of a rectified page of this width that a lead's trace crosses, one at least, and its canvas
    height in each."""
    samples = len(lead.y_px)
    time_s = np.linspace(lead.place.start_s, lead.place.end_s, samples, endpoint=False)
    x_px = lead.place.x_px_of_s(time_s)
    first = int(np.clip(np.ceil(x_px[0]), 0, width_px - 1))
    columns = np.arange(first, max(min(int(x_px[-1]), width_px), first + 1))
    return columns, np.interp(columns + 0.5, x_px, lead.y_px)


def _gaps(time_s: np.ndarray, visible: np.ndarray, shortest_s: float) -> tuple[tuple[float, float], ...]:
    """The first and last times of the runs of samples that are not visible."""
    step_s = time_s[1] - time_s[0]
    ends = [time_s[run][[0, -1]] for (run,) in find_objects(label(~visible)[0])]
    return tuple((round(float(a), 3), round(float(b), 3)) for a, b in ends if b - a + step_s >= shortest_s)
