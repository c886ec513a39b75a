"""How a printer prints the page: spread and faded ink, dots, uneven grid lines. Lengths are in page pixels."""

import cv2
import numpy as np

from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.degrade.textures import (
    TONER_UNIT,
    clouds,
    paper_grain,
    toner_screen,
    white_noise,
)
from ecg_generator_with_train_src.page.geometry import PX_PER_MM, PaperGeometry
from ecg_generator_with_train_src.page.grid import horizontal_lines, vertical_lines

SPREAD_PX_PER_MM = 0.55 / PX_PER_MM  # standard deviation by which ink spreads
LINE_GREY, HALF_LINE_GREY = 20, 150  # a grid line that prints black, and the pixels beside it
COARSE = 8  # faded patches are drawn at this fraction of the page's size
TONER_SPREAD_PX = 0.5  # standard deviation by which toner spreads, at 200 dpi
BLACK_DOTS = 0.2  # how strongly a laser's dots show at the edges of black


def print_page(
    image: np.ndarray, effects: Effects, paper: PaperGeometry, rng: np.random.Generator
) -> np.ndarray:
    """Print the page: (height, width, 3) uint8 like `image`, which may be overwritten."""
    if effects.strong_lines:
        _blacken_lines(image, effects.strong_lines, paper, rng)
    if effects.toner:
        image = _laser_printed(image, effects, rng)
    if effects.bleed > 1 or effects.ink_run_px:
        spread = np.hypot(SPREAD_PX_PER_MM * paper.px_per_mm, effects.ink_run_px)
        image = cv2.GaussianBlur(image, (0, 0), spread)
    image = cv2.LUT(image, _tone_curve(effects))
    if effects.fibres:
        grain = paper_grain(rng, image.shape[:2], effects.fibres)
        image = cv2.add(image, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    if effects.print_dots:
        image = _dotted(image, effects.print_dots, rng)
    if effects.fading:
        image = _faded(image, effects, rng)
    return image


def _laser_printed(image: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Print with toner, which covers paper or does not: colours become dark dots, pale ones vanish, black is ragged."""
    image = cv2.GaussianBlur(image, (3, 3), TONER_SPREAD_PX)
    red, green, blue = cv2.split(image)
    darkest = cv2.min(cv2.min(red, green), blue)
    chroma = cv2.subtract(cv2.max(cv2.max(red, green), blue), darkest)
    # the pale edges of a line keep their colour, its core loses it
    core = cv2.LUT(darkest, np.rint(255 - np.square(255.0 - np.arange(256)) / 255).astype(np.uint8))
    greyer = cv2.addWeighted(image, 1 - effects.toner, cv2.merge([core] * 3), effects.toner, 0)
    greyer = cv2.min(greyer, image)
    screen = toner_screen(rng, image.shape[:2])
    broken = cv2.addWeighted(chroma, 1, cv2.bitwise_not(darkest), BLACK_DOTS, 0)
    dots = cv2.multiply(broken, screen, scale=effects.halftone / TONER_UNIT, dtype=cv2.CV_16S)
    dotted = cv2.add(greyer, cv2.merge([dots] * 3), dtype=cv2.CV_8U)
    covered = (1 - np.arange(256) / 255 - effects.pale_lost) / (effects.solid - effects.pale_lost)
    return cv2.LUT(dotted, np.rint(255 * (1 - covered.clip(0, 1))).astype(np.uint8))


def _tone_curve(effects: Effects) -> np.ndarray:
    """The printed grey level (256,) of each grey level: spread ink is darkened, and contrast limits the black."""
    darkness = np.minimum((255 - np.arange(256)) * effects.bleed * effects.grid_strength, 255)
    darkness = 255 * (darkness / 255) ** effects.tone_power
    return np.rint(255 - darkness * effects.contrast).astype(np.uint8)


def _blacken_lines(image: np.ndarray, share: float, paper: PaperGeometry, rng: np.random.Generator) -> None:
    """Print major lines thick and black for the part of their length that falls on the printer's own raster."""
    for lines, axis in ((vertical_lines(paper), 1), (horizontal_lines(paper), 0)):
        across = np.moveaxis(image, axis, 0)
        length = across.shape[1]
        drift = rng.uniform(0.5, 8) * np.arange(length) / length * rng.choice([-1, 1])
        pace, start = rng.uniform(0.2, 0.8), rng.uniform()
        for number, index in enumerate(lines.major):
            ragged = np.repeat(rng.normal(0, 0.1, length // 3 + 1), 3)[:length]
            black = ((start + number * pace + drift + ragged) % 1) < share
            for beside, grey in ((index, LINE_GREY), (index + 1, HALF_LINE_GREY)):
                if beside < len(across):
                    line = across[beside]
                    line[black] = np.minimum(line[black], grey)


def _dotted(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Print a part of the tone as scattered dots, different ones for each colour."""
    noise = white_noise(rng, image.shape[:2], 90.0)
    scatter = [np.roll(noise, 7 * channel, axis=channel % 2) for channel in range(image.shape[2])]
    level = cv2.add(cv2.merge(scatter), (128,) * 4, dtype=cv2.CV_8U)
    level = cv2.min(cv2.max(level, (60,) * 4), (250,) * 4)  # paper stays clean, black stays black
    return cv2.addWeighted(cv2.compare(image, level, cv2.CMP_GT), share, image, 1 - share, 0)


def _faded(image: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Take ink away in patches."""
    height, width = image.shape[:2]
    patches = clouds(rng, (height // COARSE, width // COARSE), 5)
    kept = np.clip(1 - effects.fading * (0.6 + 0.4 * patches), 0.25, 1) * 255
    kept = cv2.resize(kept.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.bitwise_not(cv2.multiply(cv2.bitwise_not(image), cv2.merge([kept] * 3), scale=1 / 255))
