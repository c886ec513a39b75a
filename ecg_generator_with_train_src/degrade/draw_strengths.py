"""Draw every parameter of one degraded page, once. Replaying such a record gives the same bytes."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ecg_generator_with_train_src.degrade.camera_poses import (
    phone_homography,
    quarter_turned,
    scanner_homography,
)
from ecg_generator_with_train_src.degrade.profiles import PROFILES, Choice, Count, Range
from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page_map import LATTICE_PX, Crease, Feed, PageMap, Wave

SCAN_WIDTH_PX = 2132
# The competition's scans are slightly taller than the page: 1652 px for letter paper
SCAN_PER_PAGE_HEIGHT = 1.00275
PHOTO_LONG_SIDE_PX = 2600
PHOTO_ASPECT = 4 / 3
MAX_WAVE_SLOPE = 0.12  # the slopes of all waves add up to no more than this
MAX_SLOPE = 0.45  # the displacement is nowhere steeper; below 1 it can be inverted
SLOPE_STEP_MM = 2.0  # the slope is checked this densely
FOLD_LENGTH_MM = 1000.0  # longer than any sheet: a fold goes right across it
# Paper lost in the four steps of a skip; measured: gaps of 5.2, 6.7, 7.2 and 7.0 px between lines instead of 7.9
SKIP_SHAPE = (1.0, 0.45, 0.26, 0.33)
MAX_REPEAT_PX = 3.0  # an uneven feed repeats at most this much of each LATTICE_PX


class Degradation(BaseModel):
    """Everything that turns a page into a scan or photo, except the page itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str
    effects: Effects
    page_map: PageMap
    texture_seed: int  # seeds noise, stains and tears: everything that has a shape


def sample_degradation(
    rng: np.random.Generator, profile: str, paper: PaperGeometry, photo_size_px: int = PHOTO_LONG_SIDE_PX
) -> Degradation:
    """Draw one page's degradation from the table of strengths. `photo_size_px` is the long side of photos."""
    effects = sample_effects(rng, profile)
    bends = _waves(rng, effects), _creases(rng, effects, paper)
    page_map = _eased(_page_map(effects, paper, photo_size_px, *bends), paper)
    if effects.feed_axis != "none":
        page_map = page_map.model_copy(update={"feed": _feed(rng, effects, page_map)})
    return Degradation(
        profile=profile, effects=effects, page_map=page_map, texture_seed=int(rng.integers(2**31))
    )


def sample_effects(rng: np.random.Generator, profile: str) -> Effects:
    """Choose one of the profile's tables and draw a value for each of its entries, in their order."""
    shares, tables = zip(*PROFILES[profile], strict=True)
    table = tables[int(rng.choice(len(tables), p=shares))]
    drawn = {}
    for name, entry in table.items():
        value = _draw(rng, entry)
        if isinstance(entry, Choice) or rng.random() < entry.chance:
            drawn[name] = value
    return Effects(**drawn)


def _draw(rng: np.random.Generator, entry: Range | Count | Choice) -> float | int | str:
    if isinstance(entry, Choice):
        return entry.values[rng.choice(len(entry.values), p=np.array(entry.weights) / sum(entry.weights))]
    if isinstance(entry, Count):
        return int(rng.integers(entry.low, entry.high + 1))
    return round(float(rng.uniform(entry.low, entry.high)), 6)


def _page_map(
    effects: Effects,
    paper: PaperGeometry,
    photo_size_px: int,
    waves: tuple[Wave, ...],
    creases: tuple[Crease, ...],
) -> PageMap:
    page = paper.width_px, paper.height_px
    if effects.camera == "scanner":
        size = SCAN_WIDTH_PX, round(SCAN_WIDTH_PX * page[1] / page[0] * SCAN_PER_PAGE_HEIGHT)
        homography = scanner_homography(effects, page, size)
    else:
        size = photo_size_px, round(photo_size_px / PHOTO_ASPECT)
        homography, size = quarter_turned(phone_homography(effects, page, size), size, effects.quarter_turns)
    return PageMap(
        homography=homography.tolist(),
        width_px=size[0],
        height_px=size[1],
        lens=effects.lens,
        px_per_mm=paper.px_per_mm,
        waves=waves,
        creases=creases,
    )


def _waves(rng: np.random.Generator, effects: Effects) -> tuple[Wave, ...]:
    """The longest wave comes first. Each moves points mostly along itself, as the projection of a bent sheet does."""
    waves = []
    for number in range(effects.waves):
        angle, length_mm = rng.uniform(0, 2 * np.pi), rng.uniform(120, 450) / (1 + number / 2)
        bound_mm = MAX_WAVE_SLOPE / effects.waves * length_mm / (2 * np.pi)
        shift_mm = min(effects.wave_mm / (1 + number), bound_mm)
        turn = angle + rng.normal(0, 0.4)
        waves.append(
            Wave(
                waves_per_mm_x=np.cos(angle) / length_mm,
                waves_per_mm_y=np.sin(angle) / length_mm,
                phase=rng.uniform(0, 2 * np.pi),
                shift_x_mm=shift_mm * np.cos(turn),
                shift_y_mm=shift_mm * np.sin(turn),
            )
        )
    return tuple(waves)


def _creases(rng: np.random.Generator, effects: Effects, paper: PaperGeometry) -> tuple[Crease, ...]:
    """Up to four creases are folds of the whole sheet, mostly parallel to its edges; more make a crumpled sheet."""
    creases = []
    for _ in range(effects.creases):
        folded = effects.creases <= 4
        parallel = folded and rng.random() < 0.7
        angle = rng.choice([0.0, 90.0]) + rng.normal(0, 2.0) if parallel else rng.uniform(0, 180)
        width_mm = rng.uniform(2.0, 6.0)
        length_mm = FOLD_LENGTH_MM if folded else rng.uniform(25, 160)
        creases.append(
            Crease(
                x_mm=paper.mm_of_x_px(rng.uniform(0.1, 0.9) * paper.width_px),
                y_mm=paper.mm_of_y_px(rng.uniform(0.1, 0.9) * paper.height_px),
                angle_deg=float(angle),
                width_mm=width_mm,
                length_mm=length_mm,
                shift_mm=float(rng.choice([-1, 1]) * effects.crease_mm * rng.uniform(0.4, 1)),
                relief=float(rng.choice([-1, 1]) * effects.relief * rng.uniform(0.3, 1)),
                reach_mm=rng.uniform(25, 120) if folded else rng.uniform(6, 30),
                kink=float(rng.choice([-1, 1]) * effects.crease_kink * rng.uniform(0.3, 1)),
                kink_angle_deg=rng.uniform(0, 360),
            )
        )
    return tuple(creases)


def _feed(rng: np.random.Generator, effects: Effects, page_map: PageMap) -> Feed:
    """Each turn of the rollers loses some paper within one step of the lattice; a skip lasts three steps longer."""
    size_px = page_map.width_px if effects.feed_axis == "x" else page_map.height_px
    px_per_mm = page_map.px_per_mm * float(np.linalg.norm(np.array(page_map.homography)[:2, 0]))
    knots_px = (np.arange(-(-size_px // LATTICE_PX) + 2) - 0.5) * LATTICE_PX
    lost_mm = np.zeros(len(knots_px) - 1)
    turns_mm = np.arange(rng.uniform(0, effects.feed_period_mm), size_px / px_per_mm, effects.feed_period_mm)
    at = (turns_mm * px_per_mm / LATTICE_PX).astype(int)
    lost_mm[at] = effects.feed_loss_mm * rng.uniform(0.6, 1.4, len(at))
    for _ in range(effects.feed_skips):
        start = int(rng.integers(len(lost_mm) - len(SKIP_SHAPE)))
        lost_mm[start : start + len(SKIP_SHAPE)] = effects.feed_skip_mm * np.array(SKIP_SHAPE)
    gained_px = np.concatenate([[0], np.cumsum(np.clip(lost_mm * px_per_mm, -MAX_REPEAT_PX, None))])
    gained_px -= np.linspace(0, gained_px[-1], len(gained_px))  # the page as a whole keeps its length
    corner = np.abs(np.diff(gained_px, 2, prepend=np.nan, append=np.nan)) > 1e-9
    corner[[0, -1]] = True
    return Feed(
        axis=effects.feed_axis,
        image_px=tuple(knots_px[corner]),
        even_px=tuple(np.round(knots_px + gained_px, 3)[corner]),
    )


def _eased(page_map: PageMap, paper: PaperGeometry) -> PageMap:
    """The same map, but with weaker creases where crossing ones would make the paper too steep."""
    step_px = SLOPE_STEP_MM * page_map.px_per_mm
    x_px, y_px = np.meshgrid(np.arange(0, paper.width_px, step_px), np.arange(0, paper.height_px, step_px))
    gradients = [np.gradient(shift, step_px) for shift in page_map.displacement_px(x_px, y_px)]
    steepest = float(np.sqrt(sum(along**2 for gradient in gradients for along in gradient)).max())
    if steepest <= MAX_SLOPE:
        return page_map
    ease = (MAX_SLOPE - MAX_WAVE_SLOPE) / steepest
    creases = tuple(
        crease.model_copy(update={"shift_mm": crease.shift_mm * ease, "kink": crease.kink * ease})
        for crease in page_map.creases
    )
    return page_map.model_copy(update={"creases": creases})
