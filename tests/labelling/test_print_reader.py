"""Print is read where it stands, and tells which way up a page stands."""

import cv2
import numpy as np
import pytest
import torch

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.print_words import PRINTED_WORDS
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.predictor import UNSURE_OF_UP
from experiment.labelling.print_reader import BETWEEN_CELLS, CERTAIN, PrintReader, text_of, with_print
from experiment.network.print_net import load_print_net
from experiment.network.scales import STRIDE
from experiment.network.shipped import PRINT
from experiment.network.shipped import shipped as shipped_weights
from experiment.reading.printed_text import NO_TEXT, PrintedName, PrintedScale, PrintedText
from experiment.runtime.choose import run_networks
from experiment.runtime.network import RuntimeOptions

NAMES = ("aVR", "V1", "V4", "aVL", "V2", "V5", "aVF", "V3", "V6")


@pytest.fixture(scope="module")
def shipped():
    """The shipped reader on the CPU."""
    readers = []

    def keep(runtime) -> int:
        readers.append(PrintReader(runtime.load(PRINT, shipped_weights(PRINT))))
        return 0

    run_networks(RuntimeOptions("torch", "cpu", "fp32"), [], keep)
    return readers[0]


def page_with_names(scale: str = "") -> tuple[np.ndarray, dict[str, tuple[float, float]]]:
    """A page of 120 x 190 mm with a red grid and nine names, and where these stand."""
    image = np.full((round(120 * PX_PER_MM), round(190 * PX_PER_MM), 3), 250, np.uint8)
    for mm in range(0, 190, 5):
        image[:, round(mm * PX_PER_MM)] = image[round(min(mm, 115) * PX_PER_MM)] = (250, 150, 150)
    places = {}
    for number, name in enumerate(NAMES):
        x, y = 120 + 480 * (number % 3), 150 + 280 * (number // 3)
        cv2.putText(image, name, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2, cv2.LINE_AA)
        (width, height), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.9, 2)
        places[name] = (x + width / 2, y - height / 2)
    cv2.putText(image, scale, (500, 900), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2, cv2.LINE_AA)
    return image, places


def heat_with(*peaks: tuple[str, int, int, float]) -> np.ndarray:
    heat = np.zeros((len(PRINTED_WORDS), 40, 60), np.float32)
    for word, row, column, probability in peaks:
        heat[PRINTED_WORDS.index(word), row, column] = probability
    return heat


def test_a_word_stands_at_the_peak_of_its_map():
    text = text_of(heat_with(("aVL", 10, 20, 0.9), ("50 mm/s", 30, 40, 0.8)))
    (name,), (scale,) = text.names, text.scales
    assert (name.lead, name.x_px, name.y_px) == ("aVL", 20.5 * STRIDE, 10.5 * STRIDE)
    assert name.probability == pytest.approx(0.9)
    assert (scale.quantity, scale.value, scale.of) == ("mm/s", 50.0, "all")


def test_the_place_is_the_centre_of_the_heat():
    heat = heat_with(("V1", 10, 20, 0.6))
    heat[PRINTED_WORDS.index("V1"), 10, 21] = 0.6
    assert [(name.lead, name.x_px, name.y_px) for name in text_of(heat).names] == [
        ("V1", pytest.approx(21 * STRIDE), 10.5 * STRIDE)
    ]


def test_a_second_gain_that_is_hardly_legible_is_read_as_such():
    text = text_of(heat_with(("10 mm/mV", 30, 12, 0.9), ("5 mm/mV", 30, 40, 0.45)))
    assert [scale.value for scale in text.scales] == [10.0, 5.0]
    assert text.scales[1].probability < 0.6
    assert not text_of(heat_with(("5 mm/mV", 30, 40, 0.35))).scales


def test_gains_of_limb_and_chest_leads_are_told_apart():
    text = text_of(heat_with(("10 mm/mV limb", 10, 20, 0.9), ("5 mm/mV chest", 10, 40, 0.8)))
    assert [(scale.value, scale.of) for scale in text.scales] == [(10.0, "limb"), (5.0, "chest")]


def test_all_values_that_may_stand_at_a_place_are_kept():
    text = text_of(heat_with(("20 mm/mV", 10, 20, 0.5), ("5 mm/mV", 10, 21, 0.25), ("25 mm/s", 30, 40, 0.33)))
    assert [(scale.value, scale.probability) for scale in text.scales] == [
        (5.0, pytest.approx(0.25 / BETWEEN_CELLS)),
        (20.0, pytest.approx(0.5 / BETWEEN_CELLS)),
    ]


def test_a_scale_is_read_where_no_single_value_stands_out():
    values = (2.5, 5.0, 15.0, 20.0)
    text = text_of(heat_with(*((f"{value:g} mm/mV", 10, 20, 0.22) for value in values)))
    assert [(scale.value, scale.probability) for scale in text.scales] == [
        (value, pytest.approx(0.25)) for value in values
    ]


def test_bars_are_easily_taken_for_the_name_i():
    text = text_of(heat_with(("I", 10, 20, 0.7), ("I", 30, 20, 0.85), ("II", 10, 40, 0.7)))
    assert [(name.lead, name.y_px) for name in text.names] == [("I", 30.5 * STRIDE), ("II", 10.5 * STRIDE)]


def test_of_words_at_one_place_the_likeliest_is_read_and_faint_ones_are_not():
    text = text_of(heat_with(("III", 10, 20, 0.9), ("II", 10, 21, 0.6), ("V1", 30, 50, 0.3)))
    assert [name.lead for name in text.names] == ["III"]


def test_the_shipped_network_reads_names_and_scale_at_their_places(shipped):
    image, places = page_with_names("25 mm/s 10 mm/mV")
    text = shipped(image)
    found = {name.lead: (name.x_px, name.y_px) for name in text.names}
    right = [
        name for name in NAMES if name in found and np.hypot(*np.subtract(found[name], places[name])) < 8
    ]
    assert len(right) >= 8
    assert len(found.keys() - places.keys()) <= 1
    clearest = {(scale.quantity, scale.value) for scale in text.scales if scale.probability > 0.5}
    assert clearest <= {("mm/s", 25.0), ("mm/mV", 10.0)}


def test_it_reads_nothing_on_an_empty_page(shipped):
    assert shipped(np.full((300, 401, 3), 250, np.uint8)) == NO_TEXT


def page_of(image: np.ndarray) -> PageProbability:
    planes = np.zeros((3, *image.shape[:2]), np.float32)
    warnings = (UNSURE_OF_UP,)
    return PageProbability(planes, image, np.eye(3), image.shape[:2], PX_PER_MM, 0, 0.0, 1.0, warnings, 0.6)


def test_names_tell_which_way_up_a_page_stands(shipped):
    image, _ = page_with_names()
    upright = with_print(page_of(image), shipped)
    over = with_print(page_of(np.ascontiguousarray(image[::-1, ::-1])), shipped)
    assert np.array_equal(over.image, image)
    assert over.rotation_deg == -180 and upright.rotation_deg == 0
    assert min(over.upright_chance, upright.upright_chance) >= CERTAIN
    assert over.warnings == upright.warnings == ()
    assert [name.lead for name in over.text.names] == [name.lead for name in upright.text.names]


def test_names_that_read_the_same_both_ways_do_not_tell():
    text = PrintedText(tuple(PrintedName(lead, 50, 50, 0.9) for lead in ("I", "II", "III", "V1")), ())
    page = with_print(page_of(np.zeros((80, 80, 3), np.uint8)), lambda image: text)
    assert (page.upright_chance, page.warnings, page.text) == (0.6, (UNSURE_OF_UP,), text)


def test_scales_tell_which_way_up_a_page_stands():
    scales = tuple(PrintedScale(unit, 25.0, 50, 50, 0.9) for unit in ("mm/s", "mm/mV"))
    texts = iter([NO_TEXT, PrintedText((), scales)])
    page = with_print(page_of(np.zeros((80, 80, 3), np.uint8)), lambda image: next(texts))
    assert (page.quarter_turns, page.upright_chance, page.warnings) == (2, CERTAIN, ())


def test_a_file_of_other_weights_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="do not fit the network that reads print"):
        load_print_net(tmp_path / "other.safetensors")
