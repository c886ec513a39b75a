"""The number before a unit is told by its ink, in fonts that it is not compared with."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ecg_generator_with_train_src.page.furniture import font_folder
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.labelling.printed_numbers import PRINTED_VALUES, chances_of_numbers, with_numbers
from experiment.reading.printed_text import PrintedScale, PrintedText

LEFT_PX, FOOT_PX = 200, 120
GAINS = PRINTED_VALUES["mm/mV"]
CLEAR = 0.9


def page_with(
    before: str, phrase: str, font: str = "DejaVuSans", size: int = 25
) -> tuple[np.ndarray, tuple[float, float]]:
    """A page with a red grid and a line of print, and where the centre of the phrase in it stands."""
    image = np.full((200, 700, 3), 252, np.uint8)
    for mm in range(0, 90):
        at, colour = round(mm * PX_PER_MM), (245, 180, 180) if mm % 5 else (225, 130, 130)
        image[:, at : at + 1] = colour
        image[at : at + 1] = colour
    picture = Image.fromarray(image)
    drawn = ImageFont.truetype(str(font_folder() / f"{font}.ttf"), size)
    ImageDraw.Draw(picture).text(
        (LEFT_PX, FOOT_PX), f"{before}{phrase}   0.05-150 Hz", font=drawn, fill=(20, 20, 20), anchor="ls"
    )
    first, last = (drawn.getlength(text) for text in (before, before + phrase))
    return np.array(picture), (LEFT_PX + (first + last) / 2, FOOT_PX - 0.36 * size)


def told(image: np.ndarray, centre: tuple[float, float], unit: str = "mm/mV") -> dict[float, float]:
    chances = chances_of_numbers(image, unit, PRINTED_VALUES[unit], *centre)
    return dict(zip(PRINTED_VALUES[unit], chances.tolist(), strict=True))


@pytest.mark.parametrize("font", ["DejaVuSans", "DejaVuSerif"])
@pytest.mark.parametrize("gain", ["2.5", "5", "15", "20"])
def test_gains_are_told_in_fonts_that_they_are_not_compared_with(font, gain):
    chances = told(*page_with("25 mm/s   ", f"{gain} mm/mV", font))
    assert chances[float(gain)] > CLEAR


@pytest.mark.parametrize("phrase", ["5mm/mV", "5.0 mm/mV", "0.5 cm/mV"])
def test_spellings_of_a_gain(phrase):
    assert told(*page_with("50 mm/s  ", phrase))[5.0] > CLEAR


@pytest.mark.parametrize("speed", ["12.5", "25"])
def test_speeds_are_told_as_well(speed):
    assert told(*page_with("", f"{speed} mm/s"), "mm/s")[float(speed)] > CLEAR


@pytest.mark.parametrize(("dark", "light"), [(90, 150), (20, 110)])
def test_print_in_a_shadow_is_told(dark, light):
    image, centre = page_with("25 mm/s   ", "20 mm/mV")
    shadow = (dark + (light - dark) * (image.astype(np.float32) / 255)).astype(np.uint8)
    assert told(shadow, centre)[20.0] > CLEAR


def test_the_line_below_is_not_read_instead():
    image, (x, y) = page_with("", "5 mm/mV")
    cv2.putText(
        image, "20 mm/mV", (round(x) - 70, round(y) + 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2
    )
    assert told(image, (x, y))[5.0] > CLEAR


def test_a_blank_place_has_no_number():
    assert chances_of_numbers(np.full((200, 700, 3), 252, np.uint8), "mm/mV", GAINS, 300.0, 110.0) is None


@pytest.mark.parametrize("phrase", ["mm/mV", "7418 mm/mV"])
def test_no_number_and_another_one_tell_nothing(phrase):
    image, centre = page_with("", phrase)
    chances = chances_of_numbers(image, "mm/mV", GAINS, *centre)
    assert chances is None or chances.max() < 0.5


def seen(*chances: tuple[float, float], of: str = "all") -> PrintedText:
    """Gains that seem to be printed at the centre of a page with "5 mm/mV"."""
    _, (x, y) = page_with("", "5 mm/mV")
    return PrintedText((), tuple(PrintedScale("mm/mV", value, x, y, chance, of) for value, chance in chances))


def test_the_ink_decides_between_gains_that_seem_as_likely():
    image, _ = page_with("", "5 mm/mV")
    (scale,) = with_numbers(seen((2.5, 0.25), (5.0, 0.25), (20.0, 0.45)), image).scales
    assert scale.value == 5.0
    assert scale.probability == pytest.approx(0.95, abs=0.02)


def test_ink_against_what_seemed_certain_leaves_doubt():
    image, _ = page_with("", "5 mm/mV")
    scales = with_numbers(seen((20.0, 0.98)), image).scales
    assert {scale.value for scale in scales} == {5.0, 20.0}
    assert max(scale.probability for scale in scales) < 0.8


def test_what_seems_to_be_the_usual_gain_is_left_as_it_is():
    image, _ = page_with("", "5 mm/mV")
    text = seen((10.0, 0.6), (5.0, 0.2), (20.0, 0.15))
    assert with_numbers(text, image) == text


def test_gains_of_parts_and_what_is_hardly_there_are_left_as_they_are():
    image, _ = page_with("", "5 mm/mV")
    for text in (seen((5.0, 0.4), (20.0, 0.5), of="chest"), seen((5.0, 0.2), (20.0, 0.3))):
        assert with_numbers(text, image) == text
