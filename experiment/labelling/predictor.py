"""Label a page of any size and orientation with a trained network.

The page is brought to the network's scale and turned upright, cut into overlapping tiles of one fixed size, and the
tiles' class probabilities are blended with weights that fall towards each tile's edges. Labels are made from the
probabilities brought back to the image's own size and orientation.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from ecg_generator_with_train_src.common.classes import BACKGROUND, CLASS_NAMES, GRID, WAVEFORM
from ecg_generator_with_train_src.page.layouts import PAPER_SIZES_MM
from experiment.backend.launch import Backend
from experiment.labelling.crisp_edges import enlarged, with_crisp_edges
from experiment.labelling.grid_scale import MAX_PITCH_PX, MIN_PITCH_PX, find_grid
from experiment.labelling.orientation import runs_down, upside_down
from experiment.network.model import GridWaveNet, scale_for_network
from experiment.training.loaders import cut, paper_colour

OVERLAP = 8  # tiles overlap by at least 1/8 of their side
FLIPS = ((), (3,), (2,), (2, 3))  # of a batch (N, C, T, T), for test-time augmentation
WAVEFORM_FROM = 0.45  # gives held-out pages their best Dice: where the network doubts, it says too little
SURE = 0.8  # of which way up a page stands: below, it is said
UNSURE_OF_UP = "unsure which way up the page stands"
ASSUMED_PAPER_MM = PAPER_SIZES_MM["letter"][
    0
]  # long side of the paper that is assumed where no grid is found
MIN_MARGIN = 0.1  # of a grid's pitch before others: below, it is said
GPU_TILES = 8  # tiles a batch on a GPU; a CPU is fastest with one


@dataclass(frozen=True)
class PageProbability:
    """What the network says of a page, upright and at the network's scale (PX_PER_MM, to about 3 %).

    `to_input` (3, 3) maps canvas coordinates of these planes to canvas coordinates of the image that was given.
    `quarter_turns` is how often np.rot90 turns that image to stand upright; `rotation_deg` is how far its page is
    turned clockwise, grid lines' slant included.
    """

    probability: np.ndarray  # (3, H, W) float32: background, grid, waveform
    image: np.ndarray  # (H, W, 3) uint8: the page as the network saw it
    to_input: np.ndarray  # (3, 3) float64
    input_shape: tuple[int, int]  # height and width of the image that was given
    pitch_px: float  # input pixels a millimetre
    quarter_turns: int
    rotation_deg: float
    confidence: float  # mean probability of the labels over what is no background, 0 to 1
    warnings: tuple[str, ...]

    def upside_down(self) -> "PageProbability":
        """The same page, stood on its head."""
        height, width = self.probability.shape[1:]
        over = np.array([[-1.0, 0.0, width], [0.0, -1.0, height], [0.0, 0.0, 1.0]])
        return replace(
            self,
            probability=np.ascontiguousarray(self.probability[:, ::-1, ::-1]),
            image=np.ascontiguousarray(self.image[::-1, ::-1]),
            to_input=self.to_input @ over,
            quarter_turns=(self.quarter_turns + 2) % 4,
            rotation_deg=(self.rotation_deg + 360) % 360 - 180,
        )


@dataclass(frozen=True)
class Prediction:
    """The labels (H, W) uint8 of an image, in its own size and orientation, and what was found on the way."""

    label: np.ndarray
    page: PageProbability


class Predictor:
    """A network on its device, for tiles of `tile` pixels, a multiple of the network's stride; threads may share it.

    `tta` averages over the tile and its mirror images: four times the work.
    """

    def __init__(self, model: GridWaveNet, backend: Backend, tile: int, tta: bool = False):
        self.model, self.backend, self.tile = backend.prepare(model), backend, tile
        self.flips = FLIPS if tta else FLIPS[:1]
        self._one_at_a_time = threading.Lock()
        self.batch = 1 if backend.device.type == "cpu" else GPU_TILES

    def predict(self, image: np.ndarray, px_per_mm: float | None = None) -> Prediction:
        """The labels of an RGB image (H, W, 3) uint8; scale and orientation as page_probability finds them."""
        page = self.page_probability(image, px_per_mm)
        return Prediction(labels_of(page, image), page)

    def page_probability(self, image: np.ndarray, px_per_mm: float | None = None) -> PageProbability:
        """Class probabilities of the page in an RGB image (H, W, 3) uint8.

        `px_per_mm` is the image's scale if it is known; else it is found from the grid.
        """
        height, width = image.shape[:2]
        pitch_px, slant_deg, warnings = page_scale(image, px_per_mm)
        scaled = _resize(image, _scaled_size(width, height, scale_for_network(pitch_px)))
        scaled, probability, turns = self._across(scaled)
        page = PageProbability(
            probability=probability,
            image=scaled,
            to_input=input_of_upright(scaled.shape[:2], (height, width), turns),
            input_shape=(height, width),
            pitch_px=pitch_px,
            quarter_turns=turns,
            rotation_deg=(90 * turns + slant_deg + 180) % 360 - 180,
            confidence=_confidence(probability),
            warnings=warnings,
        )
        return _upright(page)

    def _across(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """The page with its traces running across, its probabilities, and the quarter turns taken."""
        probability = blend(self.tile_probabilities, image, self.tile, self.batch)
        if not runs_down(probability[WAVEFORM]):  # what was found lying down is good enough to tell, no more
            return image, probability, 0
        image = np.ascontiguousarray(np.rot90(image))
        return image, blend(self.tile_probabilities, image, self.tile, self.batch), 1

    @torch.inference_mode()
    def tile_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Class probabilities (N, C, T, T) of tiles (N, T, T, 3)."""
        tiles = torch.from_numpy(np.ascontiguousarray(windows.transpose(0, 3, 1, 2)))
        with self._one_at_a_time:
            tiles = self.backend.upload({"image": tiles})["image"]
            total = 0.0
            for flip in self.flips:
                with self.backend.autocast():
                    logits = self.model(tiles.flip(flip))
                total = total + torch.softmax(logits.float(), dim=1).flip(flip)
            self.backend.step()
            return (total / len(self.flips)).cpu().numpy()


def _upright(page: PageProbability) -> PageProbability:
    """A page whose traces run across, the right way up."""
    if not (page.probability[WAVEFORM] >= 0.5).any():
        return replace(page, warnings=(*page.warnings, "no waveform found"))
    chance = upside_down(page.image, page.probability, turned=page.quarter_turns > 0)
    unsure = (UNSURE_OF_UP,) if 1 - SURE < chance < SURE else ()
    page = replace(page, warnings=(*page.warnings, *unsure))
    return page.upside_down() if chance > 0.5 else page


def blend(
    function: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tile: int, batch: int = 1
) -> np.ndarray:
    """(C, H, W) float32 of `function`, which maps tiles (N, tile, tile, 3) to (N, C, tile, tile), N = batch.

    Tiles are spread evenly over the image (H, W, 3); an image smaller than a tile is padded with its paper's
    colour, and the last batch with copies of its last tile.
    """
    height, width = image.shape[:2]
    paper = paper_colour(image)
    total = np.zeros((len(CLASS_NAMES), height, width), np.float32)
    weights = np.zeros((height, width), np.float32)
    window = _blend_window(tile)
    for corners in _corner_batches(height, width, tile, batch):
        tiles = [cut(image, top, left, tile, paper) for top, left in corners]
        found = function(np.stack(tiles + tiles[-1:] * (batch - len(tiles))))
        for (top, left), planes in zip(corners, found, strict=False):
            rows, columns = min(tile, height - top), min(tile, width - left)
            area = (..., slice(top, top + rows), slice(left, left + columns))
            total[area] += (planes * window)[:, :rows, :columns]
            weights[area] += window[:rows, :columns]
    total /= weights
    return total


def _corner_batches(height: int, width: int, tile: int, batch: int) -> Iterator[list[tuple[int, int]]]:
    corners = [(top, left) for top in tile_starts(height, tile) for left in tile_starts(width, tile)]
    for first in range(0, len(corners), batch):
        yield corners[first : first + batch]


def tile_starts(length: int, tile: int) -> list[int]:
    """Starts of evenly spread tiles that cover `length` pixels and overlap by at least 1/OVERLAP of a tile."""
    if length <= tile:
        return [0]
    stride = tile - tile // OVERLAP
    count = -(-(length - tile) // stride) + 1
    return [round(number * (length - tile) / (count - 1)) for number in range(count)]


def _blend_window(tile: int) -> np.ndarray:
    """Weights (tile, tile): 1 inside, falling linearly over the overlap, never 0."""
    ramp = np.arange(1, tile + 1, dtype=np.float32) / (tile // OVERLAP + 1)
    side = np.minimum(np.minimum(ramp, ramp[::-1]), 1)
    return side[:, None] * side[None, :]


def page_scale(image: np.ndarray, px_per_mm: float | None = None) -> tuple[float, float, tuple[str, ...]]:
    """Pixels a millimetre, slant of the grid in degrees clockwise, and warnings. What is given is taken as it is."""
    if px_per_mm:
        return px_per_mm, 0.0, ()
    if (grid := find_grid(image)) is None:
        assumed = float(np.clip(max(image.shape[:2]) / ASSUMED_PAPER_MM, MIN_PITCH_PX, MAX_PITCH_PX))
        return (
            assumed,
            0.0,
            (f"no grid found; scale assumed: {assumed:.2f} px/mm, a letter page that fills the image",),
        )
    unsure = (f"unsure of the grid's scale: {grid.pitch_px:.2f} px/mm",) if grid.margin < MIN_MARGIN else ()
    return grid.pitch_px, grid.slant_deg, unsure


def _scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` at (width, height); averaging when smaller, cubic when larger, untouched when equal."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def input_of_upright(upright: tuple[int, int], given: tuple[int, int], quarter_turns: int) -> np.ndarray:
    """Affine map (3, 3) from canvas coordinates of an upright image to those of the image that was given.

    Both shapes are (height, width); the upright image is the given one, scaled, after np.rot90(…, quarter_turns).
    """
    height, width = given
    turned = (width, height) if quarter_turns % 2 else (height, width)
    scale = np.diag([turned[1] / upright[1], turned[0] / upright[0], 1.0])
    back = {
        0: np.eye(3),
        1: np.array([[0, -1, width], [1, 0, 0], [0, 0, 1]], float),
        2: np.array([[-1, 0, width], [0, -1, height], [0, 0, 1]], float),
        3: np.array([[0, 1, 0], [-1, 0, height], [0, 0, 1]], float),
    }
    return back[quarter_turns % 4] @ scale


def labels_of(page: PageProbability, image: np.ndarray) -> np.ndarray:
    """Classes (H, W) uint8 of the image (H, W, 3) that was given, in its size and orientation.

    A pixel is waveform from a probability of WAVEFORM_FROM on; of the others, grid where that is likelier than
    background.
    """
    background, grid, waveform = (_turned_back(plane, page) for plane in page.probability)
    waveform = with_crisp_edges(waveform, _turned_back(page.image, page), image)
    label = np.where(enlarged(grid - background, image) > 0, np.uint8(GRID), np.uint8(BACKGROUND))
    label[waveform >= WAVEFORM_FROM] = WAVEFORM
    return label


def _turned_back(plane: np.ndarray, page: PageProbability) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(plane, -page.quarter_turns))


def _confidence(probability: np.ndarray) -> float:
    """Mean probability of grid or waveform where one of them is the likeliest; 0 on an empty page."""
    foreground = np.maximum(probability[GRID], probability[WAVEFORM])
    found = foreground[foreground > probability[BACKGROUND]]
    return float(found.mean()) if found.size else 0.0
