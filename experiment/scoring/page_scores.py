"""Score the labels of a page: Dice and IoU by class, and how much of the trace is hit.

Pixels are those of the image. The hit rate at r is the share of points, spread evenly along the true curve, that have a
pixel predicted as waveform within r pixels (Euclidean distance to the pixel's centre, interpolated between pixels).
The stray share is the part of the pixels predicted as waveform that are further than STRAY_PX from every true waveform
pixel. Where the truth is not known (255), nothing counts.
"""

from dataclasses import dataclass, field, fields

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import CLASS_NAMES, IGNORED, WAVEFORM
from experiment.scoring.dice import scores
from experiment.scoring.page_truth import PageTruth

HIT_PX = (1.0, 2.0)
STRAY_PX = 3.0
_FAR_PX = 1e6  # the distance from something that is not on the page


@dataclass(frozen=True)
class Tally:
    """Counts over pages; tallies can be added."""

    pages: int = 0
    confusion: np.ndarray = field(default_factory=lambda: np.zeros((len(CLASS_NAMES),) * 2, np.int64))
    curve_points: int = 0
    hits: np.ndarray = field(default_factory=lambda: np.zeros(len(HIT_PX), np.int64))
    predicted: int = 0
    stray: int = 0
    offset_sum_px: float = 0.0  # summed over the pages whose truth has an offset
    offsets: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))

    def counts(self) -> dict:
        """The counts as values that JSON can hold."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in found.items()
        }

    @classmethod
    def from_counts(cls, counts: dict) -> "Tally":
        """The tally that has these counts."""
        return cls(
            **{name: np.array(value) if isinstance(value, list) else value for name, value in counts.items()}
        )

    def scores(self) -> dict:
        """Return Dice and IoU by class, hit rates by distance, the stray share and the mean offset of the truth.

        A share of nothing is None.
        """
        return {
            **scores(self.confusion),
            "hit_rate": {
                f"{distance:g}_px": _share(hits, self.curve_points)
                for distance, hits in zip(HIT_PX, self.hits.tolist(), strict=True)
            },
            "stray": _share(self.stray, self.predicted),
            "truth_offset_px": _share(self.offset_sum_px, self.offsets),
        }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def score_labels(label: np.ndarray, truth: PageTruth) -> Tally:
    """Count one page, whose predicted classes are `label` (H, W) uint8."""
    known = truth.classes != IGNORED
    predicted = (label == WAVEFORM) & known
    to_predicted = _at(_distance_px(label == WAVEFORM), truth.curve)
    stray = _distance_px(truth.classes == WAVEFORM)[predicted] > STRAY_PX
    return Tally(
        pages=1,
        confusion=count_confusion(label, truth.classes),
        curve_points=len(truth.curve),
        hits=np.array([(to_predicted <= distance).sum() for distance in HIT_PX]),
        predicted=int(predicted.sum()),
        stray=int(stray.sum()),
        offset_sum_px=truth.offset_px or 0.0,
        offsets=int(truth.offset_px is not None),
    )


def _distance_px(there: np.ndarray) -> np.ndarray:
    """The distance (H, W) float32 from each pixel's centre to the nearest pixel that is `there`."""
    if not there.any():
        return np.full(there.shape, _FAR_PX, np.float32)
    return cv2.distanceTransform((~there).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _at(plane: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Interpolate the values of a plane (H, W) at canvas points (N, 2)."""
    height, width = plane.shape
    x, y = np.clip(points[:, 0] - 0.5, 0, width - 1), np.clip(points[:, 1] - 0.5, 0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    upper = plane[top, left] * (1 - x + left) + plane[top, right] * (x - left)
    lower = plane[bottom, left] * (1 - x + left) + plane[bottom, right] * (x - left)
    return upper * (1 - y + top) + lower * (y - top)


def count_confusion(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count pixels (C, C) by true and predicted class of two label images (H, W); 255 in the truth is left out."""
    known = truth != IGNORED
    number = len(CLASS_NAMES)
    pairs = truth[known].astype(np.int64) * number + predicted[known]
    return np.bincount(pairs, minlength=number * number).reshape(number, number)
