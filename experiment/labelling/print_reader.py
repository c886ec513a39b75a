"""Read lead names, paper speed and gain on a page with PrintNet, and tell by them which way up the page stands."""

from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.print_words import PRINTED_NAMES, PRINTED_WORDS
from experiment.labelling.page_probability import PageProbability, input_of_upright
from experiment.labelling.predictor import UNSURE_OF_UP, Predictor
from experiment.network.scales import STRIDE
from experiment.reading.printed_text import PrintedName, PrintedScale, PrintedText
from experiment.runtime.network import Network

LEAST, LEAST_OF_I = 0.5, 0.8  # a word is read from this probability on; beats and separators look like I
CONTRADICTS = 0.4  # a scale is not believed where another value of it has this probability
PEAK_CELLS = 3  # a centre is the hottest cell of a square of this side
APART_MM = {"name": 2.5, "scale": 6.0}  # of two words that are nearer, the likelier is read
SAME_BOTH_WAYS = {"I", "II", "III"}  # these names stand on their heads as they stand on their feet
ENOUGH_NAMES = (
    3  # so many other names, and twice as many as the other way up, tell which way up a page stands
)
CERTAIN = 0.995


class PrintReader:
    """PrintNet at work. Call it with a page as the network sees it: (H, W, 3) uint8, PX_PER_MM pixels a mm."""

    def __init__(self, network: Network):
        self.network = network

    def __call__(self, image: np.ndarray) -> PrintedText:
        """All words on the page, in its canvas coordinates."""
        below, beside = (-side % self.network.multiple for side in image.shape[:2])
        whole = np.pad(image, ((0, below), (0, beside), (0, 0)), constant_values=255)
        return text_of(self.network(whole[None])[0, 1:])


def text_of(heat: np.ndarray) -> PrintedText:
    """The words at the peaks of their maps (words, rows, columns); of words at one place, the likeliest.

    Values of the paper speed, or of the gain of the same leads, that contradict one another are all left out.
    """
    names, scales = [], []
    for probability, word, x_px, y_px in _apart(heat):
        if _kind(word) == "name":
            names.append(PrintedName(PRINTED_WORDS[word], x_px, y_px, probability))
        else:
            value, quantity, *part = PRINTED_WORDS[word].split()
            scales.append(PrintedScale(quantity, float(value), x_px, y_px, probability, *part))
    sure_names = (name for name in names if name.probability > (LEAST_OF_I if name.lead == "I" else LEAST))
    sure_scales = (
        scale
        for scale in scales
        if scale.probability > LEAST and not any(_contradict(scale, other) for other in scales)
    )
    return PrintedText(tuple(sure_names), tuple(sure_scales))


def _apart(heat: np.ndarray) -> list[tuple[float, int, float, float]]:
    """Probability, word and place in canvas pixels of all peaks, the likeliest first, that stand by themselves."""
    peaks = maximum_filter(heat, (1, PEAK_CELLS, PEAK_CELLS), mode="nearest") == heat
    peaks &= heat > CONTRADICTS
    places = zip(*(index.tolist() for index in peaks.nonzero()), strict=True)
    found = sorted(((float(heat[at]), *at) for at in places), reverse=True)
    kept: list[tuple[float, int, float, float]] = []
    for probability, word, row, column in found:
        x_px, y_px = _centre(heat[word], row, column)
        apart_px = APART_MM[_kind(word)] * PX_PER_MM
        if all(
            np.hypot(x_px - x, y_px - y) > apart_px or _kind(word) != _kind(other) for _, other, x, y in kept
        ):
            kept.append((probability, word, x_px, y_px))
    return kept


def _contradict(one: PrintedScale, other: PrintedScale) -> bool:
    return (one.quantity, one.of) == (other.quantity, other.of) and one.value != other.value


def _centre(heat: np.ndarray, row: int, column: int) -> tuple[float, float]:
    """The centre of mass, in canvas pixels, of a map's heat about a peak."""
    around = heat[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    y, x = np.indices(around.shape)
    rows, columns = (float((index * around).sum() / around.sum()) for index in (y, x))
    return (max(column - 1, 0) + columns + 0.5) * STRIDE, (max(row - 1, 0) + rows + 0.5) * STRIDE


def _kind(word: int) -> str:
    return "name" if word < len(PRINTED_NAMES) else "scale"


def with_print(page: PageProbability, read: PrintReader) -> PageProbability:
    """The page with its print; turned over if its names can be read the other way up alone."""
    text = read(page.image)
    if _telling(text) >= ENOUGH_NAMES:
        return _certain(replace(page, text=text))
    over = page.upside_down()
    text_over = read(over.image)
    if _telling(text_over) >= max(ENOUGH_NAMES, 2 * _telling(text)):
        return _certain(replace(over, text=text_over))
    return replace(page, text=text, text_over=text_over)


def _telling(text: PrintedText) -> int:
    return sum(name.lead not in SAME_BOTH_WAYS for name in text.names)


def _certain(page: PageProbability) -> PageProbability:
    warnings = tuple(warning for warning in page.warnings if warning != UNSURE_OF_UP)
    return replace(page, upright_chance=max(page.upright_chance, CERTAIN), warnings=warnings)


def as_turned(
    predictor: Predictor, read: PrintReader, image: np.ndarray, px_per_mm: float | None, rotation_deg: float
) -> PageProbability:
    """The page of an image (H, W, 3) uint8 in which it is told to be turned clockwise by about so many degrees."""
    turns = round(rotation_deg / 90) % 4
    turned = np.ascontiguousarray(np.rot90(image, turns))
    page = predictor.page_probability(turned, px_per_mm, stands_upright=True)
    back = input_of_upright(page.input_shape, image.shape[:2], turns)
    page = replace(
        page,
        to_input=back @ page.to_input,
        input_shape=image.shape[:2],
        quarter_turns=turns,
        rotation_deg=(page.rotation_deg + 90 * turns + 180) % 360 - 180,
        text=read(page.image),
    )
    return _certain(page)
