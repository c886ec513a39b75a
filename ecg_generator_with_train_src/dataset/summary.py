"""What a dataset says of all its pixels: how frequent each class is, and the mean and spread of the colours."""

import cv2
import numpy as np

from ecg_generator_with_train_src import __version__
from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.dataset.format import Sample


def count_pixels(image: np.ndarray, classes: np.ndarray) -> dict[str, tuple[int, int, int]]:
    """The fields of a Sample that count its pixels; RGB image (height, width, 3) and classes (height, width), uint8.

    The sums are whole numbers, from which the frequencies and statistics of any set of samples follow exactly.
    """
    level = np.arange(256)
    histograms = [
        cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel().astype(np.int64)
        for channel in range(3)
    ]
    return {
        "class_pixels": tuple(int(np.count_nonzero(classes == index)) for index in range(len(CLASS_NAMES))),
        "rgb_sum": tuple(int(histogram @ level) for histogram in histograms),
        "rgb_square_sum": tuple(int(histogram @ level**2) for histogram in histograms),
    }


def summarize(samples: list[Sample], seed: int) -> dict:
    """The fields of dataset.json that follow from the samples."""
    by_split = {split: [sample for sample in samples if sample.split == split] for split in ("train", "val")}
    train = by_split["train"] or by_split["val"]
    class_pixels = np.sum([sample.class_pixels for sample in train], axis=0)
    pixels = sum(sample.width_px * sample.height_px for sample in train)
    mean = np.sum([sample.rgb_sum for sample in train], axis=0) / pixels / 255
    mean_square = np.sum([sample.rgb_square_sum for sample in train], axis=0) / pixels / 255**2
    return {
        "class_frequencies": tuple((class_pixels / class_pixels.sum()).tolist()),
        "image_mean": tuple(mean.tolist()),
        "image_std": tuple(np.sqrt(mean_square - mean**2).tolist()),
        "num_samples": {split: len(of_split) for split, of_split in by_split.items()},
        "num_recordings": {
            split: len({s.recording for s in of_split}) for split, of_split in by_split.items()
        },
        "seed": seed,
        "generator_version": __version__,
    }
