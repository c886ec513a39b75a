"""Light changes to training crops: flips, and for some crops scale, light, colour, blur, noise and JPEG.

Wear of the paper and geometry of the camera come with the dataset (`build_dataset.py --profiles`); what is done here
is cheap enough to be drawn anew for each crop. Geometry is applied to the coverages of traces and grid lines, and the
hard label is made from them afterwards. The constants below hold all chances and strengths.
"""

from typing import NamedTuple

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, IGNORED, WAVEFORM
from ecg_generator_with_train_src.page.coverage import widened

PLAIN_CHANCE = 0.5  # how often light, colour, blur, noise and JPEG are left as they are in the dataset
SCALE_CHANCE = 0.5  # how often a crop is shown at another scale than the network's own
SCALES = (0.75, 1.35)  # the range of other scales, relative to the network's own
FLIP_CHANCE = 0.25  # how often a crop is flipped top to bottom, and how often left to right
GREY_CHANCE = 0.1
GAMMA = (0.7, 1.4)
GAIN = (0.75, 1.2)  # all channels are multiplied by a factor in this range
TINT = 0.08  # each channel is multiplied by another factor, up to this far from 1
OFFSET = 25.0  # up to this much of 255 is added to all channels or taken from them
BLUR_CHANCE, BLUR_SIGMA_PX = 0.3, (0.3, 1.3)
NOISE_CHANCE, NOISE_LEVELS = 0.3, (1.0, 10.0)  # the levels are standard deviations, of 255
JPEG_CHANCE, JPEG_QUALITY = 0.3, (25, 90)


class Page(NamedTuple):
    """A page, or a window of one: uint8 arrays of one height and width."""

    image: np.ndarray  # (H, W, 3), RGB
    label: np.ndarray  # (H, W), 0 background, 1 grid, 2 waveform, 255 ignored
    coverage: np.ndarray  # (H, W), how much of each pixel the traces cover: 255 is all of it


def draw_scale(rng: np.random.Generator) -> float:
    """The scale of a crop relative to the network's: often 1, else drawn evenly from the logarithms of SCALES."""
    return float(np.exp(rng.uniform(*np.log(SCALES)))) if rng.random() < SCALE_CHANCE else 1.0


def augment(rng: np.random.Generator, window: Page, size: int) -> Page:
    """A crop (size, size) of a window (S, S) of the page, changed at random. Its scale is size / S."""
    crop = resize_page(_flipped(rng, window), size)
    if rng.random() < PLAIN_CHANCE:
        return crop
    return crop._replace(image=_degraded(rng, _recoloured(rng, crop.image)))


def resize_page(page: Page, size: int) -> Page:
    """A square page at `size` x `size` pixels; grid lines stay at least a pixel wide."""
    if page.label.shape == (size, size):
        return page
    scale = size / page.label.shape[0]
    flat = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grid = widened(np.where(page.label == GRID, np.uint8(255), np.uint8(0)), 0.8 * (1 / scale - 1))
    coverage = cv2.resize(page.coverage, (size, size), interpolation=flat)
    label = np.where(cv2.resize(grid, (size, size), interpolation=flat) >= 128, GRID, BACKGROUND)
    label[coverage >= 128] = WAVEFORM
    label[cv2.resize(page.label, (size, size), interpolation=cv2.INTER_NEAREST) == IGNORED] = IGNORED
    image = cv2.resize(page.image, (size, size), interpolation=flat if scale < 1 else cv2.INTER_CUBIC)
    return Page(image, label.astype(np.uint8), coverage)


def _flipped(rng: np.random.Generator, page: Page) -> Page:
    rows, columns = (slice(None, None, -1 if rng.random() < FLIP_CHANCE else 1) for _ in range(2))
    return Page(*(np.ascontiguousarray(plane[rows, columns]) for plane in page))


def _recoloured(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image after gamma, gain, tint and offset, which are one table of values per channel."""
    if rng.random() < GREY_CHANCE:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    level = np.linspace(0, 1, 256) ** np.exp(rng.uniform(*np.log(GAMMA)))
    gains = rng.uniform(*GAIN) * rng.uniform(1 - TINT, 1 + TINT, 3)
    table = 255 * level[:, None] * gains + rng.uniform(-OFFSET, OFFSET)
    return cv2.LUT(image, np.clip(np.rint(table), 0, 255).astype(np.uint8)[None])


def _degraded(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    if rng.random() < BLUR_CHANCE:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(*BLUR_SIGMA_PX))
    if rng.random() < NOISE_CHANCE:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(*NOISE_LEVELS))
        image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    if rng.random() < JPEG_CHANCE:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITY))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return image
