"""Dice and IoU per class, from a confusion matrix."""

import numpy as np

from ecg_generator_with_train_src.common.classes import CLASS_NAMES


def scores(matrix) -> dict[str, dict[str, float]]:
    """The scores `{"dice": {class: …}, "iou": {class: …}}` of a confusion matrix (C, C).

    A class that is neither on the page nor predicted scores 1.
    """
    counts = np.asarray(matrix, float)
    both = counts.diagonal()
    true, found = counts.sum(axis=1), counts.sum(axis=0)
    dice = np.where(true + found > 0, 2 * both / np.maximum(true + found, 1), 1.0)
    iou = np.where(true + found > 0, both / np.maximum(true + found - both, 1), 1.0)
    return {
        "dice": dict(zip(CLASS_NAMES, dice.tolist(), strict=True)),
        "iou": dict(zip(CLASS_NAMES, iou.tolist(), strict=True)),
    }


def mean_foreground_dice(dice: dict[str, float]) -> float:
    """The mean Dice of all classes except the background."""
    foreground = [value for name, value in dice.items() if name != CLASS_NAMES[0]]
    return sum(foreground) / len(foreground)
