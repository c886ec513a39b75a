"""Pictures of print, drawn to learn from: words stand where they are said to stand."""

import numpy as np

from ecg_generator_with_train_src.page import print_crops
from ecg_generator_with_train_src.page.print_crops import CROP_PX, PRINTED_WORDS, draw_print_crop

RNG = np.random.default_rng
SIGNALS_MV = [np.sin(np.arange(5000) / 30)[:, None] * np.ones(12)]


def test_the_same_generator_draws_the_same_picture():
    one, other = (draw_print_crop(RNG(5), SIGNALS_MV, 500.0) for _ in range(2))
    assert np.array_equal(one.image, other.image) and one.words == other.words
    assert one.image.shape == (CROP_PX, CROP_PX, 3) and one.image.dtype == np.uint8


def test_words_lie_in_the_picture_and_all_of_them_come():
    crops = [draw_print_crop(RNG(seed), SIGNALS_MV, 500.0) for seed in range(300)]
    words = [word for crop in crops for word in crop.words]
    assert all(0 <= x < CROP_PX and 0 <= y < CROP_PX for _, x, y in words)
    assert {index for index, _, _ in words} == set(range(len(PRINTED_WORDS)))


def test_ink_is_where_a_word_is_said_to_stand(monkeypatch):
    monkeypatch.setattr(print_crops, "WORDS_PER_CROP", (1, 2))
    monkeypatch.setattr(print_crops, "_paper", lambda rng: np.full((CROP_PX, CROP_PX, 3), 250, np.float32))
    monkeypatch.setattr(print_crops, "_draw_trace", lambda *_: None)
    monkeypatch.setattr(print_crops, "_draw_bars", lambda *_: None)
    monkeypatch.setattr(print_crops, "_worn", lambda _, image: image)
    monkeypatch.setattr(print_crops, "SPACING", (0.0, 0.0))
    monkeypatch.setattr(print_crops, "_ink", lambda rng: (20.0,) * 3)
    found = 0
    for seed in range(60):
        crop = draw_print_crop(RNG(seed), SIGNALS_MV, 500.0)
        rows, columns = np.nonzero(crop.image.min(axis=2) < 240)
        whole = (
            len(rows) and min(rows.min(), columns.min()) > 2 and max(rows.max(), columns.max()) < CROP_PX - 3
        )
        for _, x, y in crop.words if whole else ():
            middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
            np.testing.assert_allclose((y, x), middle, atol=6)
            found += 1
    assert found > 20


def test_names_and_scales_are_spelled_in_the_usual_ways():
    spelled = {print_crops._spelled(RNG(seed), "aVR") for seed in range(60)}
    assert spelled == {"aVR", "AVR", "aVr"}
    scales = {print_crops._scale_text(RNG(seed), "10 mm/mV") for seed in range(300)}
    assert {"10 mm/mV", "10mm/mV", "10.0 mm/mV", "1 cm/mV"} <= scales
    assert {print_crops._scale_text(RNG(seed), "12.5 mm/s") for seed in range(60)} == {
        *("12.5mm/s", "12.5 mm/s", "12.5mm/sec", "12.5 mm/sec"),
    }
