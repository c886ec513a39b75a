"""One page, from the network's planes to the leads: rectify, find the layout, read the signals, put them together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP, FURTHER_LEADS, Layout, PageSetup
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S
from experiment.labelling.page_probability import PageProbability
from experiment.reading.cut_traces import with_cuts
from experiment.reading.doubt import Verdict, limb_misfit_of, verdict_of
from experiment.reading.find_layout import FoundLayout, ReadingOptions, find_layout
from experiment.reading.ink_beside import doubts_of_ink
from experiment.reading.lead_relations import blend_limb_leads
from experiment.reading.major_lines import fit_page
from experiment.reading.paper_field import PaperField, flat_paper
from experiment.reading.printed_text import laid_flat
from experiment.reading.read_leads import LeadSignal, read_leads
from experiment.reading.rectify import RectifiedPage, rectify
from experiment.reading.second_look import look_again
from experiment.reading.spike_tips import with_tips
from experiment.reading.trace_decoding import BLURRED, SHARP

PICTURE, CURVES = "picture", "curves of the PDF"  # where traces are from
TURN_FROM_MISFIT = 0.2  # limb leads that fit together worse may be those of a page that stands upside down
MAX_RESIDUAL_MM = 0.15  # Lines of a real grid lie within 0.1 mm of the fitted ones; chance gives 0.25 mm
NO_GRID = "no grid is seen: the picture is taken to be flat and of the scale that was given"
TURNED = "turned over: the limb leads do not fit together the way up its print seemed to stand"
CERTAINLY_UPRIGHT = (
    0.99  # above this chance, leads that do not fit together have another reason than the way up
)


@dataclass(frozen=True)
class PageReading:
    """What was read from a page."""

    seen: PageProbability  # what the network saw, the way up in which it was read
    fs_hz: float
    signal_mv: np.ndarray  # (samples, 12) in the order of LEADS, NaN where the page shows nothing
    leads: tuple[LeadSignal, ...]
    found: FoundLayout
    page: RectifiedPage
    residual_mm: float  # how far the grid's lines are from where they should be (median)
    verdict: Verdict
    traces_from: str = PICTURE


def read_page(seen: PageProbability, fs_hz: float, options: ReadingOptions) -> PageReading:
    """Read a page at `fs_hz`.

    A page that may stand upside down is read both ways, and the one with limb leads that fit together better is taken;
    so is one whose limb leads do not fit together as it stands, unless its print leaves no doubt. Raises InputError,
    naming no file, if no grid or no layout is found on it.

    >>> from ecg_generator_with_train_src.page.geometry import PX_PER_MM
    >>> from ecg_generator_with_train_src.page.layouts import parse_layout
    >>> y, x = np.indices((1100, 2200))
    >>> ink = ((x >= 118) & (x < 2087) & np.isin(y // 2, (150, 252, 350, 452))).astype(np.float32)  # four flat rows
    >>> grid = (1 - ink) * ((x % PX_PER_MM < 1) | (y % PX_PER_MM < 1))
    >>> planes = np.stack([1 - grid - ink, grid, ink]).astype(np.float32)
    >>> white = np.full((1100, 2200, 3), 255, np.uint8)
    >>> seen = PageProbability(planes, white, np.eye(3), (1100, 2200), PX_PER_MM, 0, 0.0, 1.0, ())
    >>> reading = read_page(seen, 500.0, ReadingOptions(layout=parse_layout("3x4+II")))
    >>> reading.found.setup.layout.name, reading.signal_mv.shape, bool(np.nanmax(np.abs(reading.signal_mv)) < 0.02)
    ('3x4+II', (5000, 12), True)
    """
    if seen.may_be_upside_down:
        return _better_of_both_ways(seen, fs_hz, options)
    reading = _read_as_it_stands(seen, fs_hz, options)
    misfit = _misfit(reading.leads)
    if misfit < TURN_FROM_MISFIT or seen.upright_chance > CERTAINLY_UPRIGHT:
        return reading
    try:
        turned = _read_as_it_stands(seen.upside_down(), fs_hz, options)
    except InputError:
        return reading
    in_order = turned.found.setup.lead_order == (options.lead_order or "standard")
    if not in_order or _misfit(turned.leads) > misfit / 2:
        return reading
    return replace(turned, verdict=_also(turned.verdict, TURNED))


def _also(verdict: Verdict, reason: str) -> Verdict:
    return replace(verdict, status="check", reasons=(*verdict.reasons, reason))


def _misfit(leads: Sequence[LeadSignal]) -> float:
    """How badly the limb leads fit together; 1 where that cannot be told."""
    misfit = limb_misfit_of(leads)
    return 1.0 if misfit is None else misfit


def _better_of_both_ways(seen: PageProbability, fs_hz: float, options: ReadingOptions) -> PageReading:
    readings, problems = [], []
    for way in (seen, seen.upside_down()):
        try:
            readings.append(_read_as_it_stands(way, fs_hz, options))
        except InputError as error:
            problems.append(error)
    if not readings:
        raise problems[0]
    return min(readings, key=lambda reading: _misfit(reading.leads))


def _read_as_it_stands(seen: PageProbability, fs_hz: float, options: ReadingOptions) -> PageReading:
    field = fit_page(seen)
    if seen.scale_is_told and (field is None or field.residual_mm > MAX_RESIDUAL_MM):
        field = flat_paper(seen.image.shape[:2], PX_PER_MM)
        seen = replace(seen, warnings=(*seen.warnings, NO_GRID))
    return read_with_field(seen, field, fs_hz, options)


def read_with_field(
    seen: PageProbability,
    field: PaperField | None,
    fs_hz: float,
    options: ReadingOptions,
) -> PageReading:
    """Read a page, the way up it stands, whose paper lies where `field` says. Raises InputError, naming no file, for no
    field or if no layout is found."""
    if field is None:
        raise InputError(
            "no grid is seen, so nothing can be measured; --px-per-mm says the scale of a picture without a grid"
        )
    if field.residual_mm > MAX_RESIDUAL_MM:
        raise InputError(
            f"what is seen of a grid is {field.residual_mm:.2f} mm off lines 1 mm apart (median), as chance would have "
            "it: nothing can be measured"
        )
    page = rectify(seen.probability, seen.image, field)
    found = find_layout(page, options, laid_flat(seen.text, field, page.left_mm, page.top_mm))
    leads = read_leads(
        with_tips(page, found),
        found,
        fs_hz,
        smoothness=BLURRED if page.is_photo else SHARP,
        corrected=partial(look_again, page),
    )
    leads = with_cuts(leads, page, seen)
    found = replace(found, doubts=(*found.doubts, *doubts_of_ink(page, leads)))
    verdict = verdict_of(seen, found, leads, field.residual_mm)
    signal_mv = blend_limb_leads(put_together(leads, fs_hz))
    return PageReading(seen, fs_hz, signal_mv, tuple(leads), found, page, field.residual_mm, verdict)


def flat_page(fs_hz: float, layout: Layout | None) -> np.ndarray:
    """0 mV (samples, 12) wherever a page of this layout shows a lead, else NaN."""
    setup = PageSetup(layout=layout) if layout else DEFAULT_SETUP
    shown = setup.shown(fs_hz, round(RECORD_DURATION_S * fs_hz))
    return np.where(shown, 0.0, np.nan)


def put_together(leads: list[LeadSignal], fs_hz: float) -> np.ndarray:
    """The signals in mV (samples, 12) of all places: of each lead the longest place's values first, then the others'
    where that one has gaps."""
    signal_mv = np.full((round(RECORD_DURATION_S * fs_hz), len(LEADS)), np.nan)
    for lead in sorted(leads, key=lambda lead: lead.place.end_s - lead.place.start_s):
        if lead.place.lead not in LEADS:
            continue
        samples = lead.place.samples(fs_hz)
        column = signal_mv[samples, LEADS.index(lead.place.lead)]
        time_s = (samples.start + np.arange(len(column))) / fs_hz
        filled_in = np.zeros(len(column), bool)
        for start, stop in lead.gaps_s:
            filled_in |= (time_s >= start) & (time_s <= stop)
        write = ~filled_in | np.isnan(column)
        column[write] = lead.signal_mv[: len(column)][write]
    return signal_mv


def further_leads(reading: PageReading) -> dict[str, np.ndarray]:
    """The signals in mV (samples,) of leads that records do not have, such as V3R; NaN where the page shows nothing."""
    found: dict[str, np.ndarray] = {}
    for lead in reading.leads:
        if lead.place.lead in FURTHER_LEADS:
            signal_mv = np.full(len(reading.signal_mv), np.nan)
            samples = lead.place.samples(reading.fs_hz)
            signal_mv[samples] = lead.signal_mv[: len(signal_mv[samples])]
            found[lead.place.lead] = signal_mv
    return found


def without_filled(reading: PageReading) -> np.ndarray:
    """The signals (samples, 12) of a reading without what was drawn from other leads: NaN there."""
    read_mv = put_together([_with_gaps(lead, reading.fs_hz) for lead in reading.leads], reading.fs_hz)
    return np.where(np.isfinite(read_mv), reading.signal_mv, np.nan)


def _with_gaps(lead: LeadSignal, fs_hz: float) -> LeadSignal:
    first = lead.place.samples(fs_hz).start
    time_s = (first + np.arange(len(lead.signal_mv))) / fs_hz
    signal_mv = lead.signal_mv.copy()
    for start, stop in lead.gaps_s:
        signal_mv[(time_s >= start) & (time_s <= stop)] = np.nan
    return replace(lead, signal_mv=signal_mv)
