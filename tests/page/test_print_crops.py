"""Pictures of print, drawn to learn from: words stand where they are said to stand."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page import print_crops
from ecg_generator_with_train_src.page.print_crops import (
    FOOT_HEIGHT_PX,
    HEIGHT_PX,
    OWN_FONTS,
    WIDTH_PX,
    draw_print_crop,
    print_material,
)
from ecg_generator_with_train_src.page.print_words import PRINTED_NAMES, PRINTED_WORDS

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def material():
    return print_material([np.sin(np.arange(5000) / 30)[:, None] * np.ones(12)], 500.0)


def test_traces_keep_their_speed_and_fonts_can_be_added(tmp_path, material):
    more = print_material([np.zeros((1000, 12))], 100.0, [tmp_path / "own.ttf"])
    assert (len(material.signals_mv), len(material.signals_mv[0])) == (12, 2500)
    assert material.px_step == pytest.approx(196.85 / 250, abs=1e-3)
    assert (len(more.signals_mv[0]), more.px_step) == (1000, pytest.approx(1.9685, abs=1e-3))
    assert len(material.fonts) == len(OWN_FONTS) and more.fonts[-1].name == "own.ttf"


def test_the_same_generator_draws_the_same_picture(material):
    one, other = (draw_print_crop(material, RNG(5)) for _ in range(2))
    assert np.array_equal(one.image, other.image) and one.words == other.words
    assert one.image.shape == (HEIGHT_PX, WIDTH_PX, 3) and one.image.dtype == np.uint8


def test_at_the_foot_of_pages_most_words_are_scales(material):
    feet = [draw_print_crop(material, RNG(seed), foot=True) for seed in range(20)]
    assert {foot.image.shape for foot in feet} == {(FOOT_HEIGHT_PX, WIDTH_PX, 3)}
    words = [index for foot in feet for index, _, _ in foot.words]
    scales = [index for index in words if index >= len(PRINTED_NAMES)]
    assert len(scales) > len(words) / 2 > 0


def test_words_lie_in_the_picture_and_all_names_come(material):
    words = [word for seed in range(60) for word in draw_print_crop(material, RNG(seed)).words]
    assert all(0 <= x < WIDTH_PX and 0 <= y < HEIGHT_PX for _, x, y in words)
    assert {index for index, _, _ in words} >= set(range(len(PRINTED_NAMES)))


def test_each_word_of_a_line_has_its_own_centre(material):
    line = [("25 mm/s", "25 mm/s"), ("     ", None), ("10 mm/mV", "10 mm/mV")]
    glyphs, words = print_crops._line_of(line, (material.fonts[0], 20.0, 1.0, 0.0), RNG(0))
    (speed, speed_x), (gain, gain_x) = words
    assert [PRINTED_WORDS[speed], PRINTED_WORDS[gain]] == ["25 mm/s", "10 mm/mV"]
    empty = np.flatnonzero(glyphs.max(axis=0) < 0.1)
    gaps = np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1)
    between = max(gaps, key=len)  # the widest gap is the one between the two phrases
    assert speed_x == pytest.approx(between[0] / 2, abs=4)
    assert gain_x == pytest.approx((between[-1] + glyphs.shape[1]) / 2, abs=4)


def test_ink_is_where_words_are_said_to_stand(material, monkeypatch):
    monkeypatch.setattr(print_crops, "BARRED", 0.0)
    blank = np.full((HEIGHT_PX, WIDTH_PX, 3), 250, np.float32)
    for seed in range(10):
        cover, words = print_crops._print(material, blank.copy(), RNG(seed), lambda rng: [("V1", "V1")])
        assert words and all(PRINTED_WORDS[index] == "V1" for index, _, _ in words)
        centres = np.array([place for _, *place in words])
        inked = np.argwhere(cover > 0.5)[:, ::-1] + 0.5
        away = np.hypot(*(inked[:, None] - centres).transpose(2, 0, 1))
        assert away.min(axis=1).max() < 45  # all ink is near a centre, and all centres are amid ink
        assert away.min(axis=0).max() < 25
