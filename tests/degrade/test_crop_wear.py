"""Wear of small pictures: words move with their ink, and the rest of it leaves them where they are."""

import numpy as np
import pytest

from ecg_generator_with_train_src.degrade.crop_wear import with_wear

SHAPE = (192, 320, 3)


@pytest.mark.parametrize("seed", range(12))
def test_a_word_stays_on_its_ink(seed):
    image = np.full(SHAPE, 255, np.float32)
    image[56:64, 196:204] = 0
    worn, words = with_wear(image, [(4, 200.0, 60.0)], np.random.default_rng(seed))
    assert worn.shape == SHAPE and worn.dtype == np.uint8
    (index, x, y), grey = words[0], worn.mean(axis=2)
    local = grey[round(y) - 15 : round(y) + 15, round(x) - 15 : round(x) + 15]
    dark = np.clip(np.median(local) - 40 - local, 0, None)
    rows, columns = np.indices(dark.shape)
    centre = [(index * dark).sum() / dark.sum() + 0.5 for index in (columns, rows)]
    assert index == 4
    np.testing.assert_allclose(centre, (x - round(x) + 15, y - round(y) + 15), atol=1.0)


def test_words_that_leave_the_picture_are_left_out():
    corner = [(0, 1.0, 1.0)]
    kept = [
        with_wear(np.zeros(SHAPE, np.float32), corner, np.random.default_rng(seed))[1] for seed in range(40)
    ]
    assert {len(words) for words in kept} == {0, 1}
