"""What RowNet learns from: points along the traces of a dataset's pages, and how far the true traces lie aside."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes
from ecg_generator_with_train_src.common.page_files import read_single_page
from ecg_generator_with_train_src.dataset.format import REAL_PREFIX, Sample
from ecg_generator_with_train_src.page.geometry import PX_PER_MM, Placement
from ecg_generator_with_train_src.page.records import LEADS
from ecg_generator_with_train_src.page_map import PageMap
from experiment.labelling.page_probability import PageProbability
from experiment.reading.find_layout import FoundLayout, find_layout
from experiment.reading.lattice import lattice_px
from experiment.reading.paper_field import PaperField
from experiment.reading.read_leads import read_leads
from experiment.reading.rectify import RectifiedPage, rectify
from experiment.reading.row_span import LINE_OFFSET_MM
from experiment.reading.second_look import STEP_PX, features, planes_of
from experiment.reading.spike_tips import with_tips
from experiment.reading.trace_decoding import BLURRED, SHARP, Nodes

FS_HZ = 500.0
MARGIN_MM = 10.0
LEAST_NOISE_PX2 = 0.3  # a page is not expected to be read better than this
# A trace that is off by more, upwards and across its stroke, was lost: it teaches nothing
MOST_OFF_PX, MOST_ACROSS_PX = 12.0, 4.0
MOST_MEDIAN_PX = 2.0  # a page whose traces are off by more, at the median, was read by another layout
# Beats are laid over the truth by up to so many points, within so many points of their middle
SHIFTS, BEAT_POINTS, BEATS_APART = np.arange(-6, 6.05, 0.1), 30, 150
LIVELY = 0.2  # a beat moves at least so much as the liveliest ones
ALIKE = 0.3  # and its shape is the truth's but for this share of its power


@dataclass(frozen=True)
class DecodedTrace:
    """The points of one decoded trace."""

    features: np.ndarray  # (points, FEATURES) float16
    steepness: np.ndarray  # (points,)
    off_px: np.ndarray  # (points,) how far the true trace lies below
    counts: np.ndarray  # (points,) bool: whether the point is to be learned from


@dataclass(frozen=True)
class RowPage:
    """The traces of one page to learn from."""

    traces: Sequence[DecodedTrace]
    is_real: bool

    @property
    def noise_px2(self) -> float:
        """How far its traces are off, squared."""
        off_px = np.concatenate([trace.off_px[trace.counts] for trace in self.traces])
        return max(float(np.mean(np.square(off_px))), LEAST_NOISE_PX2) if off_px.size else LEAST_NOISE_PX2


def samples_to_read(samples: Sequence[Sample], simulated: int, seed: int) -> list[Sample]:
    """The real pages of the training part, and so many simulated ones, chosen at random."""
    training = [sample for sample in samples if sample.split == "train"]
    real = [sample for sample in training if sample.profile.startswith(REAL_PREFIX)]
    others = [sample for sample in training if not sample.profile.startswith(REAL_PREFIX)]
    order = np.random.default_rng(seed).permutation(len(others))[:simulated]
    return real + [others[k] for k in order]


def page_of(see: Callable[[np.ndarray], PageProbability], root: Path, sample: Sample, kept: Path) -> RowPage:
    """The traces of a sample, which are written to the folder `kept` and taken from there the next time. Raises
    InputError if the page cannot be read."""
    path, names = kept / f"{sample.name}.npz", [field.name for field in fields(DecodedTrace)]
    if path.is_file():
        with np.load(path) as arrays:
            ends = np.cumsum(arrays["lengths"])[:-1]
            traces = [
                DecodedTrace(*each) for each in zip(*(np.split(arrays[n], ends) for n in names), strict=True)
            ]
    else:
        traces = decoded_traces(see, root, sample)
        arrays = {name: np.concatenate([getattr(trace, name) for trace in traces]) for name in names}
        data = io.BytesIO()
        np.savez(data, lengths=[len(trace.counts) for trace in traces], **arrays)
        write_bytes(path, data.getvalue())
    return RowPage(traces, sample.profile.startswith(REAL_PREFIX))


def decoded_traces(
    see: Callable[[np.ndarray], PageProbability], root: Path, sample: Sample
) -> list[DecodedTrace]:
    """All traces of a sample of the dataset `root`, of which `see` makes planes. Raises InputError if the page cannot
    be read."""
    seen = see(read_single_page(root / sample.image))
    with np.load(root / sample.truth) as arrays:
        truth = dict(arrays)
    page_map = PageMap.model_validate(sample.page_to_image)
    field = field_of_map(page_map, page_map.page_of_image(truth["x_px"], truth["y_px"]), seen)
    page = rectify(seen.probability, seen.image, field)
    to_seen = np.linalg.inv(seen.to_input) @ np.stack(
        [truth["x_px"], truth["y_px"], np.ones(len(truth["x_px"]))]
    )
    paper_mm = field.paper_of_image(*(to_seen[:2] / to_seen[2]))
    for name, at_mm, first_mm in zip(("x_px", "y_px"), paper_mm, (page.left_mm, page.top_mm), strict=True):
        truth[name] = (at_mm - first_mm) * PX_PER_MM
    traces = _traces(page, find_layout(page), truth, sample.profile.startswith(REAL_PREFIX))
    off_px = np.concatenate([trace.off_px[trace.counts] for trace in traces] or [np.full(1, np.inf)])
    if not np.median(np.abs(off_px)) < MOST_MEDIAN_PX:
        raise InputError(f"{sample.image}: its traces were not found")
    return traces


def field_of_map(
    page_map: PageMap, drawn_px: tuple[np.ndarray, np.ndarray], seen: PageProbability
) -> PaperField:
    """The paper coordinates of all points of what was seen, from the map that the page was drawn or registered by. The
    paper reaches MARGIN_MM beyond what is drawn on it."""
    x_px, y_px = lattice_px(seen.probability.shape[1:])
    x, y = np.meshgrid(x_px, y_px)
    image = np.einsum("ij,jkl->ikl", seen.to_input, np.stack([x, y, np.ones_like(x)]))
    page_px = page_map.page_of_image(*(image[:2] / image[2]))
    margin_px = MARGIN_MM * PX_PER_MM
    inside = np.ones(x.shape, bool)
    for at, drawn in zip(page_px, drawn_px, strict=True):
        inside &= (at > drawn.min() - margin_px) & (at < drawn.max() + margin_px)
    u_mm, v_mm = (at / PX_PER_MM - LINE_OFFSET_MM for at in page_px)
    return PaperField(u_mm, v_mm, inside.astype(np.float32), residual_mm=0.0)


def _traces(
    page: RectifiedPage, found: FoundLayout, truth: dict[str, np.ndarray], is_real: bool
) -> list[DecodedTrace]:
    planes, traces = planes_of(page), []

    def keep(
        places: list[Placement],
        nodes: list[Nodes],
        heights_px: list[np.ndarray],
        has_ink: list[np.ndarray],
        pen_px: float,
    ) -> list[np.ndarray]:
        for place, own, y_px, inked in zip(places, nodes, heights_px, has_ink, strict=True):
            told, steepness = features(planes, own, y_px, inked, place.zero_y_px, pen_px, page.is_photo)
            x_px = own.first_x_px + STEP_PX * np.arange(len(told))
            decoded_px, inked = (np.interp(x_px, own.x_px, values) for values in (y_px, inked))
            off_px = _true_heights(truth, place, x_px) - decoded_px
            off_px = with_beats_in_place(decoded_px, off_px) if is_real else off_px
            counts = (inked > 0.5) & (np.abs(off_px) < np.maximum(MOST_OFF_PX, MOST_ACROSS_PX * steepness))
            traces.append(DecodedTrace(told.astype(np.float16), steepness, np.nan_to_num(off_px), counts))
        return heights_px

    read_leads(
        with_tips(page, found), found, FS_HZ, smoothness=BLURRED if page.is_photo else SHARP, corrected=keep
    )
    return traces


def _true_heights(truth: dict[str, np.ndarray], place: Placement, x_px: np.ndarray) -> np.ndarray:
    """The true trace of a place at some x; NaN where it has none."""
    own = truth["row"] == place.row
    own &= truth["lead"] == (LEADS.index(place.lead) if place.lead in LEADS else len(LEADS))
    order = np.flatnonzero(own)[np.argsort(truth["x_px"][own], kind="stable")]
    if not len(order):
        return np.full(len(x_px), np.nan)
    return np.interp(x_px, truth["x_px"][order], truth["y_px"][order], left=np.nan, right=np.nan)


def with_beats_in_place(decoded_px: np.ndarray, off_px: np.ndarray) -> np.ndarray:
    """How far the truth is off once its beats are laid over the decoded ones, so that only their shapes differ; all NaN
    if it has no beat."""
    true_px, at = decoded_px + off_px, np.arange(len(off_px))
    power = np.convolve(np.square(np.gradient(np.nan_to_num(true_px))), np.ones(BEAT_POINTS), "same")
    middles, shifts = [], []
    for middle in find_peaks(power, height=LIVELY * np.percentile(power, 99), distance=BEATS_APART)[0]:
        beat = (
            true_px[middle - BEAT_POINTS : middle + BEAT_POINTS + 1] if middle >= BEAT_POINTS else true_px[:0]
        )
        if len(beat) <= 2 * BEAT_POINTS or not np.isfinite(beat).all():
            continue
        own = middle - BEAT_POINTS + np.arange(len(beat)) + SHIFTS[:, None]
        left = np.var(np.interp(own, at, decoded_px) - beat, axis=1)
        if left.min() < ALIKE * np.var(beat):
            middles.append(middle)
            shifts.append(SHIFTS[left.argmin()])
    if not middles:
        return np.full(len(off_px), np.nan)
    moved = np.interp(at - np.interp(at, middles, shifts), at, true_px) - decoded_px
    return moved - np.nanmedian(moved)
