"""Find where the reading of real pages loses, with a ladder of readings that take more and more from the truth.

The lowest rung is the reading as it is. Each further rung takes one more step from the truth: the true planes (the
labels of the registered page in place of the network's), then the true place of every point on the paper, then the true
layout with its time zero, then the true track of every row. What a rung gains is what the step that it replaces loses.
The truth of a page is its record, registered in its image (register_page).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import outcome_of
from ecg_generator_with_train_src.common.classes import BACKGROUND, CLASS_NAMES, GRID, WAVEFORM
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import readable_pages
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.page import trace_points
from ecg_generator_with_train_src.page.records import (
    Record,
    find_records,
    read_record,
    read_record_table,
)
from ecg_generator_with_train_src.register.registration import Registration, label_page, register_page
from experiment.labelling.network_flags import checkpoint_of, find_images, load_predictor
from experiment.labelling.page_probability import PageProbability, input_of_upright
from experiment.labelling.predictor import resized
from experiment.network.scales import scale_for_network
from experiment.reading.find_layout import FoundLayout, ReadingOptions
from experiment.reading.lattice import lattice_px
from experiment.reading.major_lines import fit_page
from experiment.reading.paper_field import PaperField
from experiment.reading.read_leads import read_leads
from experiment.reading.read_page import put_together, read_page, read_with_field
from experiment.reading.rectify import RectifiedPage, rectify
from experiment.reading.row_span import LINE_OFFSET_MM
from experiment.reading.trace_tracking import Track
from experiment.runtime.choose import run_networks
from experiment.runtime.network import Runtime, RuntimeOptions
from experiment.scoring.compare import compare
from experiment.scoring.signal_metric import score_db

RUNGS = ("as it is", "true planes", "true paper", "true layout", "true track")


@dataclass(frozen=True)
class Climb:
    """A page's signal-to-noise ratio on each rung, None where it was not read. Unregistered pages have one rung."""

    name: str
    ratios: tuple[float | None, ...]


def benchmark_ladder(images: list[Path], truth_root: Path, checkpoint: Path | None, device: str) -> None:
    """Read every page on every rung and print the table. Raises InputError if a page has no record."""
    records, rates_hz = find_records(truth_root), read_record_table(truth_root).fs_hz
    pages = [(path, record_of(path.stem, records)) for path in find_images(images)]

    def climb_all(runtime: Runtime) -> int:
        see = load_predictor(runtime, checkpoint).page_probability
        climbs = []
        for path, record_id in tqdm(pages, desc="ladder", unit="page", disable=None):
            record_path = records[record_id]
            record = read_record(record_path, rates_hz.get(record_id))
            climbs += [climb(name, image, record, see) for name, image, _ in readable_pages(path)]
        print("\n".join(ladder_table(climbs)))
        return 0

    run_networks(RuntimeOptions(device=device), [checkpoint_of(checkpoint)], climb_all)


def record_of(name: str, records: dict[str, Path]) -> str:
    """The id of the record of the page `<id>-<type>`. Raises InputError if there is none."""
    record_id = name.rpartition("-")[0]
    if record_id not in records:
        raise InputError(f"{name}: no record of this page; expected <id>-<type> and a record <id>")
    return record_id


def climb(
    name: str, image: np.ndarray, record: Record, see: Callable[[np.ndarray], PageProbability]
) -> Climb:
    """Read one page, image (H, W, 3) uint8, on all rungs; `see` runs the network on an image."""
    options = ReadingOptions()
    signals = [outcome_of(lambda _: read_page(see(image), record.fs_hz, options).signal_mv, None)]
    registration = outcome_of(lambda _: register_page(image, record), None)
    if not isinstance(registration, InputError):
        signals += [outcome_of(rung, None) for rung in _rungs(image, record, registration)]
    return Climb(name, tuple(_ratio(signal_mv, record) for signal_mv in signals))


def _ratio(signal_mv: np.ndarray | InputError, record: Record) -> float | None:
    if isinstance(signal_mv, InputError):
        return None
    return compare(Path(record.record_id), record.signal_mv.T, signal_mv.T).ratio


def _rungs(image: np.ndarray, record: Record, registration: Registration) -> list[Callable]:
    """Functions that read the signals (samples, 12) in mV on the rungs above the lowest. They ignore their argument."""
    seen = true_planes(image, record, registration)
    field = true_field(registration, seen)
    page = rectify(seen.probability, seen.image, field)
    found = true_layout(registration, page)
    tracks = true_tracks(registration, record, page, found)
    fs_hz, options = record.fs_hz, ReadingOptions()
    return [
        lambda _: read_with_field(seen, fit_page(seen), fs_hz, options).signal_mv,
        lambda _: read_with_field(seen, field, fs_hz, options).signal_mv,
        lambda _: put_together(read_leads(page.ink, found, fs_hz), fs_hz),
        lambda _: put_together(read_leads(page.ink, found, fs_hz, tracks), fs_hz),
    ]


def true_planes(image: np.ndarray, record: Record, registration: Registration) -> PageProbability:
    """What a faultless network would see on a registered page, upright and at the network's scale."""
    labels = label_page(registration, record)
    height, width = image.shape[:2]
    scale, turns = scale_for_network(registration.px_per_mm), _quarter_turns(registration)

    def upright(plane: np.ndarray) -> np.ndarray:
        small = resized(plane, (round(width * scale), round(height * scale)))
        return np.ascontiguousarray(np.rot90(small, turns))

    waveform = upright(labels.coverage.astype(np.float32) / 255)
    grid = np.minimum(upright((labels.classes == GRID).astype(np.float32)), 1 - waveform)
    probability = np.zeros((len(CLASS_NAMES), *waveform.shape), np.float32)
    probability[WAVEFORM], probability[GRID] = waveform, grid
    probability[BACKGROUND] = 1 - waveform - grid
    return PageProbability(
        probability=probability,
        image=upright(image),
        to_input=input_of_upright(waveform.shape, (height, width), turns),
        input_shape=(height, width),
        pitch_px=registration.px_per_mm,
        quarter_turns=turns,
        rotation_deg=90.0 * turns,
        confidence=1.0,
        warnings=(),
    )


def _quarter_turns(registration: Registration) -> int:
    """How often np.rot90 must turn the image until the page is upright, to the nearest quarter."""
    (a, _, c), (d, _, f), (g, _, i) = registration.page_map.homography
    paper = registration.page.geometry.paper
    right_x = (a * paper.width_px + c) / (g * paper.width_px + i) - c / i
    right_y = (d * paper.width_px + f) / (g * paper.width_px + i) - f / i
    return round(np.rad2deg(np.arctan2(right_y, right_x)) / 90) % 4


def true_field(registration: Registration, seen: PageProbability) -> PaperField:
    """The paper coordinates of every point of the upright image, from the registered map."""
    height, width = seen.probability.shape[1:]
    x_px, y_px = lattice_px((height, width))
    points = np.stack([*np.meshgrid(x_px, y_px), np.ones((len(y_px), len(x_px)))])
    image_x, image_y, _ = np.einsum("ij,jkl->ikl", seen.to_input, points)
    page_x, page_y = registration.page_map.page_of_image(image_x, image_y)
    paper = registration.page.geometry.paper
    inside = (page_x > 0) & (page_x < paper.width_px) & (page_y > 0) & (page_y < paper.height_px)
    u_mm, v_mm = (at / paper.px_per_mm - LINE_OFFSET_MM for at in (page_x, page_y))
    return PaperField(u_mm, v_mm, inside.astype(np.float32), residual_mm=0.0)


def true_layout(registration: Registration, page: RectifiedPage) -> FoundLayout:
    """The competition's layout, at the place that the registered page has."""
    drawn = registration.page
    right_px = -(LINE_OFFSET_MM + page.left_mm) * PX_PER_MM
    down_px = -(LINE_OFFSET_MM + page.top_mm) * PX_PER_MM
    placements = tuple(
        replace(place, x0_px=place.x0_px + right_px, zero_y_px=place.zero_y_px + down_px)
        for place in drawn.placements
    )
    rows = sorted({(place.row, place.zero_y_px) for place in placements})
    return FoundLayout(
        setup=drawn.setup,
        placements=placements,
        zero_y_px=np.array([zero_y_px for _, zero_y_px in rows]),
        start_x_px=min(place.x0_px for place in placements),
        end_x_px=max(float(place.x_px_of_s(np.float64(place.end_s))) for place in placements),
        pulse_clearness=float(drawn.setup.pulse != "none"),
        warnings=(),
    )


def true_tracks(
    registration: Registration, record: Record, page: RectifiedPage, found: FoundLayout
) -> list[Track]:
    """The heights of the ideal traces in every column of each row."""
    points = trace_points(registration.page, record)
    x_px = points.x_px - (LINE_OFFSET_MM + page.left_mm) * PX_PER_MM
    y_px = points.y_px - (LINE_OFFSET_MM + page.top_mm) * PX_PER_MM
    first, last = max(int(found.start_x_px) - 1, 0), min(int(found.end_x_px) + 2, page.ink.shape[1])
    columns = np.arange(first, last) + 0.5
    tracks = []
    for row in range(len(found.zero_y_px)):
        own = np.flatnonzero(points.row == row)
        order = own[np.argsort(x_px[own], kind="stable")]
        height_px = np.interp(columns, x_px[order], y_px[order])
        tracks.append(Track(first, height_px, np.ones(len(columns))))
    return tracks


def ladder_table(climbs: list[Climb]) -> Iterator[str]:
    """A table for people: dB on every rung, worst page first, then all pages together and the mean of their dB."""
    width = max([len("page"), *(len(page.name) for page in climbs)])
    yield f"{'page':<{width}} " + " ".join(f"{rung:>11}" for rung in RUNGS)
    for page in sorted(climbs, key=lambda page: page.ratios[0] or 0.0):
        cells = ["unread" if ratio is None else f"{score_db([ratio]):.2f}" for ratio in page.ratios]
        cells += ["not found"] * (len(RUNGS) - len(cells))
        yield f"{page.name:<{width}} " + " ".join(f"{cell:>11}" for cell in cells)
    together, means = [], []
    for number in range(len(RUNGS)):
        ratios = [page.ratios[number] for page in climbs if len(page.ratios) > number]
        together.append(score_db([ratio or 0.0 for ratio in ratios]))
        means.append(np.mean([0.0 if ratio is None else score_db([ratio]) for ratio in ratios]))
    yield f"{'together':<{width}} " + " ".join(f"{value:11.2f}" for value in together)
    yield f"{'mean of dB':<{width}} " + " ".join(f"{value:11.2f}" for value in means)
