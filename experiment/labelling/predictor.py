"""Label a page of any size and orientation with a trained network.

The page is brought to the network's scale and turned upright, cut into overlapping tiles of one size, and the tiles'
class probabilities are blended with weights that fall towards each tile's edges. Labels are made from the
probabilities brought back to the image's own size and orientation.
"""

import itertools
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, WAVEFORM
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import paper_colour
from ecg_generator_with_train_src.page.layouts import PAPER_SIZES_MM
from experiment.labelling.crisp_edges import enlarged, with_crisp_edges
from experiment.labelling.grid_scale import MAX_PITCH_PX, MIN_PITCH_PX, find_grid
from experiment.labelling.orientation import runs_down, upside_down
from experiment.labelling.page_probability import PageProbability, input_of_upright
from experiment.labelling.polarity import is_negative
from experiment.labelling.straightening import Straight, laid_back, straightened
from experiment.labelling.tiled_look import TiledLook, fitted_side
from experiment.network.scales import scale_for_network
from experiment.runtime.network import Network

FLIPS = (1, -1)  # steps along an axis: as it is, and mirrored, for test-time augmentation
WAVEFORM_FROM = 0.45  # gives held-out pages their best Dice: where the network doubts, it says too little
INVERTED = "light lines on dark paper: the page was read as a negative"
UNSURE_OF_UP = "unsure which way up the page stands"
ASSUMED_PAPER_MM = PAPER_SIZES_MM["letter"][
    0
]  # long side of the paper that is assumed where no grid is found
MOST_SEEN_PIXELS = 30e6  # at the network's scale: 70 x 70 cm of paper and table
LONGEST_SEEN_PX = 30_000  # at the same scale: 3.8 m; OpenCV lays no picture flat that has 32,767 or more
MIN_MARGIN = 0.1  # a grid whose pitch beats others by less than this is reported as unsure


@dataclass(frozen=True)
class Prediction:
    """The labels (H, W) uint8 of an image, in its own size and orientation, and what was found on the way."""

    label: np.ndarray
    page: PageProbability


class Predictor:
    """A network at work on tiles of about `tile` pixels, a multiple of what the network asks for; threads may share it.

    `tta` averages over the tile and its mirror images: four times the work.

    >>> def dark_is_waveform(images: np.ndarray) -> np.ndarray:  # a network that nobody needs to train
    ...     waveform = (images.mean(axis=3) < 128).astype(np.float32)
    ...     return np.stack([1 - waveform, 0 * waveform, waveform], axis=1)
    >>> page = np.full((80, 90, 3), 250, np.uint8)
    >>> page[40] = 0
    >>> label = Predictor(Network(dark_is_waveform), tile=64).predict(page, px_per_mm=7.874).label
    >>> label.shape, np.flatnonzero((label == WAVEFORM).all(axis=1)).tolist()
    ((80, 90), [40])
    """

    def __init__(self, network: Network, tile: int, tta: bool = False):
        self.network, self.tile = network, tile
        self.flips = FLIPS if tta else FLIPS[:1]

    def predict(self, image: np.ndarray, px_per_mm: float | None = None) -> Prediction:
        """The labels of an RGB image (H, W, 3) uint8; scale and orientation as page_probability finds them."""
        page = self.page_probability(image, px_per_mm)
        return Prediction(labels_of(page, 255 - image if INVERTED in page.warnings else image), page)

    def page_probability(
        self, image: np.ndarray, px_per_mm: float | None = None, stands_upright: bool = False
    ) -> PageProbability:
        """Class probabilities of the page in an RGB image (H, W, 3) uint8.

        `px_per_mm` is the image's scale if it is known; else it is found from the grid. A page of which it is known
        that it stands upright, but for its slant, is not turned.
        """
        height, width = image.shape[:2]
        negative = is_negative(image)
        image = 255 - image if negative else image
        scale = page_scale(image, px_per_mm)
        straight = _straight_at_network_scale(image, scale)
        seen, probability, turns = self._across(straight, stands_upright)
        to_input = input_of_upright(_scaled_shape(image, scale.pitch_px), (height, width), 0)
        to_straight = input_of_upright(seen.shape[:2], straight.image.shape[:2], turns)
        page = PageProbability(
            probability=probability,
            image=seen,
            to_input=to_input @ straight.to_given @ to_straight,
            input_shape=(height, width),
            pitch_px=scale.pitch_px,
            quarter_turns=turns,
            rotation_deg=(90 * turns + scale.slant_deg + 180) % 360 - 180,
            confidence=_confidence(probability),
            scale_is_told=px_per_mm is not None,
            warnings=(*scale.warnings, *((INVERTED,) if negative else ())),
        )
        return _upright(page, stands_upright)

    def _across(self, page: Straight, stands_upright: bool) -> tuple[np.ndarray, np.ndarray, int]:
        """The page with its traces running across, its probabilities, and the quarter turns taken.

        Traces that run down are told from the middle of a page that lies on its side; the rest is then not looked at.
        """
        look = self.look(page.image, page.inside)
        if not stands_upright and runs_down(look.at_middle()[WAVEFORM], clearly=True):
            return self._turned(page)
        probability = look.at_all()
        if stands_upright or not runs_down(probability[WAVEFORM]):
            return page.image, probability, 0
        return self._turned(page)

    def _turned(self, page: Straight) -> tuple[np.ndarray, np.ndarray, int]:
        image, inside = (np.ascontiguousarray(np.rot90(plane)) for plane in (page.image, page.inside))
        look = self.look(image, inside)
        return image, look.at_all(), 1

    def look(self, image: np.ndarray, inside: np.ndarray | None = None) -> TiledLook:
        """A look at an image (H, W, 3) at the network's scale, or at what is `inside` (H, W)."""
        sides, network = self.sides(image.shape[:2]), self.network
        return TiledLook(self.tile_probabilities, image, sides, network.batch, inside, network.at_once)

    def sides(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Sides (down, across) of the tiles of an image (H, W): `tile`, or those that cover it with fewest pixels."""
        if self.network.one_shape:
            return self.tile, self.tile
        return tuple(fitted_side(length, self.tile, self.network.multiple) for length in shape)

    def tile_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Class probabilities (N, C, h, w) of tiles (N, h, w, 3)."""
        _, *mirrored = itertools.product(self.flips, repeat=2)  # the first way is as they are
        found = self.network(windows)
        for down, across in mirrored:
            found = found + self.network(windows[:, ::down, ::across])[:, :, ::down, ::across]
        return found / (1 + len(mirrored)) if mirrored else found


def _upright(page: PageProbability, stands_upright: bool) -> PageProbability:
    """A page whose traces run across, the right way up."""
    if not (page.probability[WAVEFORM] >= 0.5).any():
        return replace(page, warnings=(*page.warnings, "no waveform found"))
    if stands_upright:
        return page
    chance = 1 - upside_down(page.image, page.probability, turned=page.quarter_turns > 0)
    page = replace(page, upright_chance=chance)
    page = page.upside_down() if chance < 0.5 else page
    return replace(page, warnings=(*page.warnings, UNSURE_OF_UP)) if page.may_be_upside_down else page


class PageScale(NamedTuple):
    """How a page lies in its image: pixels a millimetre, slant of its grid in degrees clockwise, warnings, and centres
    (n, 2) and side of the squares that show its grid, None if they are not known."""

    pitch_px: float
    slant_deg: float
    warnings: tuple[str, ...]
    sheet_px: np.ndarray | None = None
    patch_px: float = 0.0


def page_scale(image: np.ndarray, px_per_mm: float | None = None) -> PageScale:
    """Scale and place of the page in an RGB image (H, W, 3) uint8. A scale that is given is taken as it is."""
    if px_per_mm:
        return PageScale(px_per_mm, 0.0, ())
    if (grid := find_grid(image)) is None:
        assumed = float(np.clip(max(image.shape[:2]) / ASSUMED_PAPER_MM, MIN_PITCH_PX, MAX_PITCH_PX))
        warning = f"no grid found; scale assumed: {assumed:.2f} px/mm, a letter page that fills the image"
        return PageScale(assumed, 0.0, (warning,))
    unsure = (f"unsure of the grid's scale: {grid.pitch_px:.2f} px/mm",) if grid.margin < MIN_MARGIN else ()
    return PageScale(grid.pitch_px, grid.slant_deg, unsure, grid.sheet_px, grid.patch_px)


def _straight_at_network_scale(image: np.ndarray, scale: PageScale) -> Straight:
    """The page as the network is to see it: at its scale, its grid along the axes, most of the table cut off."""
    height, width = _scaled_shape(image, scale.pitch_px)
    if height * width > MOST_SEEN_PIXELS or max(height, width) > LONGEST_SEEN_PX:
        sides_mm = "x".join(f"{side / scale.pitch_px:.0f}" for side in image.shape[1::-1])
        raise InputError(
            f"at {scale.pitch_px:.2f} px/mm the picture shows {sides_mm} mm, more than any page; "
            "--px-per-mm tells the scale"
        )
    factor = width / image.shape[1]
    sheet_px = None if scale.sheet_px is None else scale.sheet_px * factor
    return straightened(
        resized(image, (width, height)),
        scale.slant_deg,
        sheet_px,
        scale.patch_px * factor,
        paper_colour(image),
    )


def _scaled_shape(image: np.ndarray, pitch_px: float) -> tuple[int, int]:
    """Height and width of an image at the network's scale."""
    height, width = image.shape[:2]
    return _scaled_size(width, height, scale_for_network(pitch_px))[::-1]


def _scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(round(width * scale), 1), max(round(height * scale), 1)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` at (width, height); averaging when smaller, cubic when larger, untouched when equal."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def labels_of(page: PageProbability, image: np.ndarray) -> np.ndarray:
    """Classes (H, W) uint8 of the image (H, W, 3) that was given, in its size and orientation.

    A pixel is waveform from a probability of WAVEFORM_FROM on; of the others, grid where that is likelier than
    background.
    """
    shape = _scaled_shape(image, page.pitch_px)
    to_scaled = input_of_upright(page.input_shape, shape, 0) @ page.to_input
    grid, waveform = (laid_back(page.probability[k], to_scaled, shape, outside=0) for k in (GRID, WAVEFORM))
    background = laid_back(page.probability[BACKGROUND], to_scaled, shape, outside=1)
    waveform = with_crisp_edges(waveform, resized(image, shape[::-1]), image)
    label = np.where(enlarged(grid - background, image) > 0, np.uint8(GRID), np.uint8(BACKGROUND))
    label[waveform >= WAVEFORM_FROM] = WAVEFORM
    return label


def _confidence(probability: np.ndarray) -> float:
    """Mean probability of grid or waveform where one of them is the likeliest; 0 on an empty page."""
    foreground = np.maximum(probability[GRID], probability[WAVEFORM])
    found = foreground[foreground > probability[BACKGROUND]]
    return float(found.mean()) if found.size else 0.0
