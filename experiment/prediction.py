"""Label a page of any size with a trained network.

The page is brought to the network's scale, cut into overlapping tiles of one fixed size, and the tiles' class
probabilities are blended with weights that fall towards each tile's edges; then all is brought back to the
page's own size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from ecg_generator_with_train_src.dataset_format import CLASS_NAMES, IGNORED

from experiment.backends import Backend
from experiment.data import cut, paper_colour
from experiment.model import PX_PER_MM, GridWaveNet

OVERLAP = 8  # tiles overlap by at least 1/8 of their side


@dataclass(frozen=True)
class Prediction:
    """The labels (H, W) uint8 of a page and the mean probability of the labels that were chosen."""

    label: np.ndarray
    confidence: float


class Predictor:
    """A network on its device, for tiles of `tile` pixels, a multiple of the network's stride."""

    def __init__(self, model: GridWaveNet, backend: Backend, tile: int):
        self.model, self.backend, self.tile = backend.prepare(model), backend, tile

    def predict(self, image: np.ndarray, px_per_mm: float = PX_PER_MM) -> Prediction:
        """The labels of an RGB page (H, W, 3) uint8 whose grid has `px_per_mm` pixels a millimetre."""
        height, width = image.shape[:2]
        size = _scaled_size(width, height, PX_PER_MM / px_per_mm)
        probability = blend(self._tile_probability, _resize(image, size), self.tile)
        return _to_labels(probability, (width, height))

    @torch.inference_mode()
    def _tile_probability(self, window: np.ndarray) -> np.ndarray:
        """Class probabilities (C, T, T) of a tile (T, T, 3)."""
        batch = {"image": torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1))[None])}
        batch = self.backend.upload(batch)
        with self.backend.autocast():
            logits = self.model(batch["image"])
        probability = torch.softmax(logits.float(), dim=1)
        self.backend.step()
        return probability[0].cpu().numpy()


def blend(function: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tile: int) -> np.ndarray:
    """(C, H, W) float32 of `function`, which maps a tile (tile, tile, 3) to (C, tile, tile).

    Tiles are spread evenly over the image (H, W, 3); an image smaller than a tile is padded with its paper's
    colour.
    """
    height, width = image.shape[:2]
    paper = paper_colour(image)
    total = np.zeros((len(CLASS_NAMES), height, width), np.float32)
    weights = np.zeros((height, width), np.float32)
    window = _blend_window(tile)
    for top in tile_starts(height, tile):
        for left in tile_starts(width, tile):
            found = function(cut(image, top, left, tile, paper))
            rows, columns = min(tile, height - top), min(tile, width - left)
            area = (..., slice(top, top + rows), slice(left, left + columns))
            total[area] += (found * window)[:, :rows, :columns]
            weights[area] += window[:rows, :columns]
    total /= weights
    return total


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


def _scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` at (width, height); averaging when smaller, cubic when larger, untouched when equal."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _to_labels(probability: np.ndarray, size: tuple[int, int]) -> Prediction:
    """The likeliest class of each pixel at (width, height)."""
    planes = probability
    if (probability.shape[2], probability.shape[1]) != size:
        planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in probability]
    label, best = np.zeros(planes[0].shape, np.uint8), planes[0].copy()
    for number, plane in enumerate(planes[1:], start=1):
        label[plane > best] = number
        np.maximum(best, plane, out=best)
    return Prediction(label, float(best.mean()))


def count_confusion(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pixels (C, C) by true and predicted class of two label images (H, W); 255 in the truth is left out."""
    known = truth != IGNORED
    number = len(CLASS_NAMES)
    pairs = truth[known].astype(np.int64) * number + predicted[known]
    return np.bincount(pairs, minlength=number * number).reshape(number, number)
