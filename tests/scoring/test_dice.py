"""Dice and IoU, against counts made by hand."""

import numpy as np
import pytest
import torch

from experiment.scoring.dice import mean_foreground_dice, scores
from experiment.scoring.page_scores import count_confusion
from experiment.training.confusion import confusion_matrix, likeliest

LABELS = np.array([[0, 0, 1, 1], [2, 2, 255, 0]], np.uint8)
FOUND = np.array([[0, 1, 1, 1], [2, 0, 2, 0]], np.uint8)
BY_HAND = [[2, 1, 0], [0, 2, 0], [1, 0, 1]]  # rows true, columns found


def test_confusion_by_hand():
    matrix = confusion_matrix(torch.tensor(FOUND)[None], torch.tensor(LABELS)[None], 3)
    assert matrix.tolist() == BY_HAND
    assert count_confusion(FOUND, LABELS).tolist() == BY_HAND


def test_scores_by_hand():
    result = scores(BY_HAND)
    assert result["dice"] == pytest.approx({"background": 4 / 6, "grid": 4 / 5, "waveform": 2 / 3})
    assert result["iou"] == pytest.approx({"background": 2 / 4, "grid": 2 / 3, "waveform": 1 / 2})
    assert mean_foreground_dice(result["dice"]) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_an_absent_class_that_is_not_found_scores_one():
    result = scores([[5, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert result["dice"]["waveform"] == result["iou"]["grid"] == 1
    assert scores([[5, 1, 0], [0, 0, 0], [0, 0, 0]])["dice"]["grid"] == 0


def test_both_ways_of_counting_agree_and_sums_stay_exact():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 255], (3, 200, 300)).astype(np.uint8)
    found = rng.integers(0, 3, labels.shape).astype(np.uint8)
    matrix = confusion_matrix(torch.from_numpy(found), torch.from_numpy(labels), 3)
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == count_confusion(found, labels).tolist()
    assert matrix.sum() == (labels != 255).sum()
    huge = sum(matrix * 1_000_000_007 for _ in range(3))  # beyond what float32 counts
    assert huge.sum() == 3 * 1_000_000_007 * int((labels != 255).sum())


def test_the_likeliest_class_is_the_first_of_the_highest():
    logits = torch.randint(0, 4, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(likeliest(logits), logits.argmax(dim=1).to(torch.uint8))
