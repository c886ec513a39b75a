"""Wear of the sheet: stains, water, mould, folds, tears, and what people left on it. Lengths are in page pixels."""

import cv2
import numpy as np

from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.degrade.textures import clouds
from ecg_generator_with_train_src.page_map import PageMap

STAIN_PX_PER_MM = 1.6  # textures are drawn at this coarse scale, then enlarged
MOULD_PX_PER_MM = 4.0
# The light that is taken from red, green and blue at full density
STAIN_RGB = ((0.20, 0.38, 0.62), (0.10, 0.17, 0.32), (0.28, 0.30, 0.32), (0.42, 0.50, 0.58))
MOULD_RGB = ((0.75, 0.70, 0.78), (0.55, 0.48, 0.66), (0.45, 0.55, 0.72), (0.85, 0.85, 0.84))
YELLOW_RGB = (0.06, 0.16, 0.52)
PEN_RGB = ((20, 30, 140), (25, 25, 30), (170, 25, 35), (15, 60, 190))


def wear_page(
    image: np.ndarray, page_map: PageMap, effects: Effects, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the worn page, and a (height, width) uint8 mask: 255 where there is still paper, 0 where there is none."""
    if effects.bleed_through:
        image = _bled_through(image, effects.bleed_through)
    if effects.stains or effects.tide_marks or effects.yellowing or effects.mould_clusters:
        image = _stained(image, page_map.px_per_mm, effects, rng)
    px_per_mm = page_map.px_per_mm
    image = np.ascontiguousarray(image)
    if effects.worn_folds:
        _wear_folds(image, page_map, effects.worn_folds, rng)
    for _ in range(effects.handwriting):
        _write_by_hand(image, px_per_mm, rng)
    for _ in range(effects.tape):
        _tape(image, px_per_mm, rng)
    for _ in range(effects.staples):
        _staple(image, px_per_mm, rng)
    present = np.full(image.shape[:2], 255, np.uint8)
    for number in range(effects.tears + effects.holes):
        outline = _tear if number < effects.tears else _hole
        _remove(image, present, outline(image.shape, px_per_mm, rng), px_per_mm)
    return image, present


def _bled_through(image: np.ndarray, strength: float) -> np.ndarray:
    """Let the back of the sheet, for which the mirrored page stands, show through softly."""
    height, width = image.shape[:2]
    small = cv2.cvtColor(
        cv2.resize(image, (width // 4, height // 4), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    behind = cv2.GaussianBlur(cv2.flip(small, 1), (0, 0), 0.8).astype(np.float32)
    behind = np.rint(255 * (1 - 4 * strength * (1 - behind / 255).clip(0, 0.5))).clip(0, 255).astype(np.uint8)
    behind = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(image, cv2.merge([behind] * 3), scale=1 / 255)


def _stained(image: np.ndarray, px_per_mm: float, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Colour the paper: all stains together make one filter over the page."""
    height, width = image.shape[:2]
    shape = round(height / px_per_mm * STAIN_PX_PER_MM), round(width / px_per_mm * STAIN_PX_PER_MM)
    light = np.ones((*shape, 3), np.float32)
    if effects.yellowing:
        aged = effects.yellowing * np.clip(0.8 + 0.25 * clouds(rng, shape, 3), 0, 1.3)
        light *= 1 - aged[..., None] * np.array(YELLOW_RGB, np.float32)
    for number in range(effects.stains + effects.tide_marks):
        density = _blot(shape, rng, tide=number >= effects.stains)
        colour = np.array(STAIN_RGB[rng.integers(len(STAIN_RGB))], np.float32)
        light *= 1 - density[..., None] * colour
    light = np.rint(light * 255).clip(0, 255).astype(np.uint8)
    light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    if effects.mould_clusters:
        light = _mouldy(light, px_per_mm, effects.mould_clusters, rng)
    return cv2.multiply(image, light, scale=1 / 255)


def _blot(shape: tuple[int, int], rng: np.random.Generator, tide: bool) -> np.ndarray:
    """The density of one stain, or of the line that drying water leaves (a tide mark): 0 to 1, float32."""
    scale = STAIN_PX_PER_MM
    radius = rng.uniform(20, 90) * scale if tide else rng.lognormal(np.log(14), 0.5) * scale
    centre_y, centre_x = rng.uniform(-0.1, 1.1, 2) * shape
    y, x = np.ogrid[: shape[0], : shape[1]]
    angle = rng.uniform(0, np.pi)
    along = (x - centre_x) * np.cos(angle) + (y - centre_y) * np.sin(angle)
    across = ((y - centre_y) * np.cos(angle) - (x - centre_x) * np.sin(angle)) * rng.uniform(1, 1.6)
    rough = clouds(rng, shape, 6) * radius * (0.12 if tide else rng.choice([0.02, 0.12]))
    # how far each point lies outside the stain's edge, in mm
    beyond = (np.hypot(along, across) + rough - radius).astype(np.float32) / scale
    edge = np.exp(-np.square(beyond / rng.uniform(0.5, 1.5)))
    inside = 1 / (1 + np.exp(np.clip(beyond / 0.6, -30, 30)))
    if tide:
        return (0.55 * edge + 0.12 * inside) * rng.uniform(0.3, 0.9)
    washed = np.clip(0.75 + 0.25 * clouds(rng, shape, 12), 0.2, 1.2)
    return np.clip((0.45 * inside * washed + 0.4 * edge) * rng.uniform(0.3, 1.0), 0, 1)


def _mouldy(light: np.ndarray, px_per_mm: float, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Add colonies of mould to the paper's filter: dark spots of 0.2 to 5 mm with paler halos."""
    height, width = light.shape[:2]
    shape = round(height / px_per_mm * MOULD_PX_PER_MM), round(width / px_per_mm * MOULD_PX_PER_MM)
    density, halo = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for _ in range(clusters):
        centre, spread = rng.uniform(0, 1, 2) * shape[::-1], rng.uniform(4, 28) * MOULD_PX_PER_MM
        for _ in range(int(rng.integers(8, 90))):
            at = centre + rng.normal(0, spread, 2)
            radius = min(rng.lognormal(np.log(0.35), 0.7), 2.5) * MOULD_PX_PER_MM
            place = tuple(int(value) for value in np.rint(at * 16))
            cv2.circle(density, place, int(radius * 16), int(rng.integers(70, 256)), -1, cv2.LINE_AA, 4)
            cv2.circle(halo, place, int(radius * 40), 90, -1, cv2.LINE_AA, 4)
    furry = np.clip(0.75 + 0.3 * clouds(rng, shape, 90, 2), 0.1, 1)
    taken = cv2.GaussianBlur(density, (0, 0), 0.9) * furry + cv2.GaussianBlur(halo, (0, 0), 5) * 0.35 * furry
    taken = cv2.resize(
        np.clip(taken, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR
    )
    colour = MOULD_RGB[rng.integers(len(MOULD_RGB))]
    curves = [np.rint(255 - np.arange(256) * part).astype(np.uint8) for part in colour]
    return cv2.multiply(light, cv2.LUT(cv2.merge([taken] * 3), np.dstack(curves)), scale=1 / 255)


def _wear_folds(image: np.ndarray, page_map: PageMap, worn: float, rng: np.random.Generator) -> None:
    """Rub ink off along the creases, piece by piece."""
    size = np.array(image.shape[1::-1])
    for crease in page_map.creases:
        reach = min(1.5 * max(size), 1.5 * crease.length_mm * page_map.px_per_mm)
        along = np.arange(-reach, reach, 6.0)
        angle = np.deg2rad(crease.angle_deg)
        flat_x = crease.x_mm * page_map.px_per_mm + along * np.cos(angle)
        flat_y = crease.y_mm * page_map.px_per_mm + along * np.sin(angle)
        shift_x, shift_y = page_map.displacement_px(flat_x, flat_y)
        points = np.column_stack([flat_x + shift_x, flat_y + shift_y]) + rng.normal(0, 0.5, (len(along), 2))
        pieces = np.stack([points[:-1], points[1:]], axis=1)[rng.random(len(points) - 1) < worn * 0.6]
        pieces = np.rint(pieces[((pieces >= 0) & (pieces < size)).all(axis=(1, 2))] * 16).astype(np.int32)
        grey = int(rng.integers(225, 250))
        cut = int(len(pieces) * rng.uniform(0.5, 1))
        for thick, some in ((1, pieces[:cut]), (2, pieces[cut:])):
            cv2.polylines(image, list(some), False, (grey, grey, grey - 4), thick, cv2.LINE_AA, 4)


def _write_by_hand(image: np.ndarray, px_per_mm: float, rng: np.random.Generator) -> None:
    """Write a few words: letters are arches and loops on a slanted line."""
    height, width = image.shape[:2]
    size, letters = rng.uniform(2.0, 5.0) * px_per_mm, int(rng.integers(4, 16))
    progress = np.linspace(0, letters * 2 * np.pi, letters * 24)
    swell = np.interp(progress, np.arange(letters + 1) * 2 * np.pi, rng.uniform(0.35, 1.2, letters + 1))
    lean = rng.uniform(0.2, 0.6)
    up = size * swell * np.sin(progress + rng.normal(0, 0.3))
    x = size * (0.16 * progress + 0.35 * np.sin(2 * progress / rng.uniform(1.6, 2.4))) + lean * up
    slope = rng.normal(0, 0.08)
    left, top = rng.uniform(0.05, 0.75) * width, rng.uniform(0.06, 0.95) * height
    points = np.column_stack([left + x, top - up + slope * x])
    colour = PEN_RGB[rng.integers(len(PEN_RGB))]
    thick = max(1, round(rng.uniform(0.3, 0.55) * px_per_mm))
    cv2.polylines(image, [np.rint(points * 16).astype(np.int32)], False, colour, thick, cv2.LINE_AA, 4)


def _tape(image: np.ndarray, px_per_mm: float, rng: np.random.Generator) -> None:
    """Stick on a strip of clear tape: yellowish, a little brighter, with sharp edges."""
    centre = rng.uniform(0.05, 0.95, 2) * image.shape[1::-1]
    size = rng.uniform(40, 120) * px_per_mm, rng.uniform(12, 20) * px_per_mm
    corners = cv2.boxPoints((tuple(centre), size, float(rng.uniform(0, 180))))
    left, top = np.floor(corners.min(axis=0)).astype(int).clip(0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    window = image[top : max(bottom, top), left : max(right, left)]
    if window.size == 0:
        return
    strip = np.zeros(window.shape[:2], np.uint8)
    cv2.fillConvexPoly(strip, np.rint((corners - (left, top)) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    taped = cv2.addWeighted(window, 0.82, np.full_like(window, (248, 240, 205)), 0.17, 0)
    window[strip > 127] = taped[strip > 127]
    rim = cv2.morphologyEx(strip, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 127
    window[rim] = (window[rim] * 0.9).astype(np.uint8)


def _staple(image: np.ndarray, px_per_mm: float, rng: np.random.Generator) -> None:
    """Draw a staple near a corner: a wire of 12 mm with its shadow and gleam."""
    corner = rng.choice([0.05, 0.95], 2) + rng.normal(0, 0.015, 2)
    centre = corner * image.shape[1::-1]
    angle = rng.uniform(0, np.pi)
    half = 6 * px_per_mm * np.array([np.cos(angle), np.sin(angle)])
    for offset_mm, width_mm, grey in ((0.45, 0.9, 90), (0.0, 0.6, 150), (-0.12, 0.15, 245)):
        ends = np.rint((np.stack([centre - half, centre + half]) + offset_mm * px_per_mm) * 16).astype(
            np.int32
        )
        cv2.line(
            image, ends[0], ends[1], (grey, grey, grey), max(1, round(width_mm * px_per_mm)), cv2.LINE_AA, 4
        )


def _tear(shape: tuple[int, ...], px_per_mm: float, rng: np.random.Generator) -> np.ndarray:
    """The outline of a wedge or corner torn out at one of the edges: a polygon in page px."""
    height, width = shape[:2]
    depth, spread = rng.uniform(3, 32) * px_per_mm, rng.uniform(3, 24) * px_per_mm
    across = np.concatenate([np.linspace(-spread, 0, 14), np.linspace(0, spread, 14)[1:]])
    into = depth * (1 - np.abs(across) / spread) ** rng.uniform(0.6, 1.4)
    across = across + into * rng.normal(0, 0.5) + rng.normal(0, 0.5 * px_per_mm, len(across))
    into = into + rng.normal(0, 0.7 * px_per_mm, len(into))
    into[[0, -1]] = -3 * px_per_mm
    side, place = rng.integers(4), rng.uniform(0, 1)
    if side < 2:
        return np.column_stack([place * width + across, into if side == 0 else height - into])
    return np.column_stack([into if side == 2 else width - into, place * height + across])


def _hole(shape: tuple[int, ...], px_per_mm: float, rng: np.random.Generator) -> np.ndarray:
    """The outline of a ragged hole, or of a punched one near the edge: a polygon in page px."""
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    if rng.random() < 0.4:  # punched
        centre = np.array(
            [rng.choice([12 * px_per_mm, shape[1] - 12 * px_per_mm]), rng.uniform(0.1, 0.9) * shape[0]]
        )
        radius = np.full(len(angle), 3 * px_per_mm)
    else:
        centre = rng.uniform(0, 1, 2) * shape[1::-1]
        radius = rng.uniform(1.0, 7.0) * px_per_mm * np.exp(rng.normal(0, 0.18, len(angle)))
    return centre + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def _remove(image: np.ndarray, present: np.ndarray, outline: np.ndarray, px_per_mm: float) -> None:
    """Cut the polygon out of the sheet; torn fibres are white along its border."""
    polygon = [np.rint(outline * 16).astype(np.int32)]
    cv2.polylines(image, polygon, True, (244, 243, 240), max(1, round(0.9 * px_per_mm)), cv2.LINE_AA, 4)
    cv2.fillPoly(present, polygon, 0, cv2.LINE_AA, 4)
