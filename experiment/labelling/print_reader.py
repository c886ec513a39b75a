"""Read lead names, paper speed and gain on a page with PrintNet, and tell by them which way up the page stands."""

import math
from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.print_words import PRINTED_NAMES, PRINTED_WORDS
from experiment.labelling.page_probability import PageProbability, input_of_upright
from experiment.labelling.predictor import UNSURE_OF_UP, Predictor
from experiment.labelling.printed_numbers import FAINTEST, with_numbers
from experiment.network.scales import STRIDE
from experiment.reading.printed_text import PrintedName, PrintedScale, PrintedText
from experiment.runtime.network import Network

# The sides of pages that the network sees are multiples of this: OpenVINO keeps 4 MB for each new shape until it ends
SIDES_PX = 256
LEAST, LEAST_OF_I = 0.5, 0.8  # a name is read from this probability on; beats and separators look like I
LEAST_OF_SCALES = 0.38  # the same of all values together of a speed or a gain
FAINT = 0.3  # peaks below are not looked at
BETWEEN_CELLS = 0.78  # the least heat of a word that is read for certain
PEAK_CELLS = 3  # a centre is the hottest cell of a square of this side
NAMES_APART_MM, SCALES_APART_MM = 2.5, 6.0  # of two words that are nearer, the likelier is read
SAME_BOTH_WAYS = {"I", "II", "III"}  # these names stand on their heads as they stand on their feet
ENOUGH_NAMES = (
    3  # so many other names, and twice as many as the other way up, tell which way up a page stands
)
CERTAIN = 0.995
_SCALES = PRINTED_WORDS[len(PRINTED_NAMES) :]
_SCALES_OF = {  # which of them are of a quantity
    quantity: [k for k, word in enumerate(_SCALES) if word.split()[1] == quantity]
    for quantity in ("mm/s", "mm/mV")
}


class PrintReader:
    """PrintNet at work. Call it with a page as the network sees it: (H, W, 3) uint8, PX_PER_MM pixels a mm."""

    def __init__(self, network: Network):
        self.network = network

    def __call__(self, image: np.ndarray) -> PrintedText:
        """All words on the page, in its canvas coordinates."""
        below, beside = (-side % math.lcm(self.network.multiple, SIDES_PX) for side in image.shape[:2])
        whole = np.pad(image, ((0, below), (0, beside), (0, 0)), constant_values=255)
        return with_numbers(text_of(self.network(whole[None])[0, 1:]), image)


def text_of(heat: np.ndarray) -> PrintedText:
    """The words at the peaks of their maps (words, rows, columns): of names at one place, the likeliest; of scales, all
    that may stand there, which are sought by the sum of their maps."""
    of_names, of_scales = heat[: len(PRINTED_NAMES)], heat[len(PRINTED_NAMES) :]
    names = [
        PrintedName(PRINTED_NAMES[word], *_centre(of_names[word], row, column), probability)
        for probability, word, row, column in _apart(of_names, NAMES_APART_MM)
        if probability > (LEAST_OF_I if PRINTED_NAMES[word] == "I" else LEAST)
    ]
    sums = np.stack([of_scales[own].sum(axis=0) for own in _SCALES_OF.values()])
    scales = []
    for _, number, row, column in _apart(sums, SCALES_APART_MM):
        place = _centre(sums[number], row, column)
        scales += _scales_at(of_scales, [*_SCALES_OF][number], row, column, *place)
    return PrintedText(tuple(names), tuple(scales))


def _scales_at(
    heat: np.ndarray, quantity: str, row: int, column: int, x_px: float, y_px: float
) -> list[PrintedScale]:
    """The scales of a quantity that may be printed at a place, if it is likely that one is."""
    own = _SCALES_OF[quantity]
    chances = heat[own, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max(axis=(1, 2))
    total = float(chances.sum())
    if total < LEAST_OF_SCALES:
        return []
    # a centre between two cells has this much less heat in each, whatever stands there
    chances = chances / max(total, BETWEEN_CELLS)
    scales = []
    for k, chance in zip(own, chances.tolist(), strict=True):
        value, _, *part = _SCALES[k].split()
        if chance > FAINTEST:
            scales.append(PrintedScale(quantity, float(value), x_px, y_px, chance, *part))
    return scales


def _apart(heat: np.ndarray, apart_mm: float) -> list[tuple[float, int, int, int]]:
    """Probability, map and cell of all peaks, the likeliest first, that are farther apart than this."""
    peaks = maximum_filter(heat, (1, PEAK_CELLS, PEAK_CELLS), mode="nearest") == heat
    peaks &= heat > FAINT
    places = zip(*(index.tolist() for index in peaks.nonzero()), strict=True)
    kept: list[tuple[float, int, int, int]] = []
    for peak in sorted(((float(heat[at]), *at) for at in places), reverse=True):
        away_mm = [np.hypot(peak[2] - row, peak[3] - column) * STRIDE / PX_PER_MM for *_, row, column in kept]
        if min(away_mm, default=np.inf) > apart_mm:
            kept.append(peak)
    return kept


def _centre(heat: np.ndarray, row: int, column: int) -> tuple[float, float]:
    """The centre of mass, in canvas pixels, of a map's heat about a peak."""
    around = heat[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    y, x = np.indices(around.shape)
    rows, columns = (float((index * around).sum() / around.sum()) for index in (y, x))
    return (max(column - 1, 0) + columns + 0.5) * STRIDE, (max(row - 1, 0) + rows + 0.5) * STRIDE


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
    """How many words, of which a scale counts as two names, say that a page stands this way up."""
    names = sum(name.lead not in SAME_BOTH_WAYS for name in text.names)
    return names + 2 * len({scale.quantity for scale in text.scales if scale.probability > LEAST})


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
