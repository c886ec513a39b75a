"""Small pictures of print on ECG paper, to learn to read it from: names of leads and scales, at known places.

Each picture has a grid of some colour, traces of a record, and words in many fonts, sizes and states; some are names of
leads or scales, others are what else stands on such pages. Everything is drawn from one random generator. Scale is that
of a rectified page, PX_PER_MM pixels a millimetre.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ecg_generator_with_train_src.page.furniture import font_folder
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import FURTHER_LEADS, GAINS_MM_MV, SPEEDS_MM_S
from ecg_generator_with_train_src.page.records import LEADS

CROP_PX = 256
PRINTED_NAMES = (*LEADS, "-aVR", *FURTHER_LEADS)
PRINTED_SCALES = (
    *(f"{value:g} mm/s" for value in SPEEDS_MM_S),
    *(f"{value:g} mm/mV" for value in GAINS_MM_MV),
)
PRINTED_WORDS = (*PRINTED_NAMES, *PRINTED_SCALES)

WORDS_PER_CROP = (2, 8)
KINDS, KIND_CHANCES = ("name", "scale", "other"), (0.4, 0.35, 0.25)
SIZES_PX = (12.0, 42.0)  # of a font
SPACING = (0.0, 0.5)  # between letters, in parts of the font's size, of the words that are spaced
STRETCH = (0.65, 1.2)
SLANT_DEG, SCALES = 6.0, (0.85, 1.2)  # of some pictures
FONTS = (
    *(
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSansMono",
        "DejaVuSansMono-Bold",
        "DejaVuSerif",
        "DejaVuSerif-Bold",
    ),
    *(
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralItalic",
        "cmss10",
        "cmr10",
        "cmb10",
        "cmtt10",
        "DejaVuSans-Oblique",
    ),
)
STROKE_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)
STROKE_CHANCE = 0.2
GRIDS_RGB = (
    *((255, 120, 120), (240, 160, 160), (255, 190, 200), (230, 150, 110), (150, 190, 230), (140, 200, 150)),
    *((150, 150, 150), (90, 90, 90), (225, 120, 90)),
)
OTHER_WORDS = (
    *(
        "PR 160 ms",
        "QRS",
        "QT/QTc",
        "412 ms",
        "72 bpm",
        "HR 98",
        "Vent. rate",
        "V-rate",
        "P-R-T",
        "0.05-150 Hz",
    ),
    *(
        "AC 50Hz",
        "Name:",
        "ID",
        "Age: 57",
        "Sex: M",
        "12-Lead",
        "Sinus rhythm",
        "Normal ECG",
        "Unconfirmed",
        "IV",
    ),
    *(
        "VI",
        "IX",
        "LVH",
        "AVN",
        "LAD",
        "RHYTHM",
        "STRIP",
        "Filter",
        "Date",
        "12:39:12",
        "2021-04-03",
        "mm",
        "mV",
    ),
    *(
        "a",
        "F",
        "L",
        "R",
        "V",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "11",
        "111",
        "l",
        "i",
        "|",
        "||",
        "7",
        "VR",
        "T",
        "P",
    ),
    *(
        "STJ",
        "Lead",
        "Limb",
        "Chest",
        "Speed",
        "Gain",
        "F 40",
        "F 60",
        "x1.0",
        "Page 1",
        "kg",
        "cm",
        "years",
        "Dr.",
    ),
)


@dataclass(frozen=True)
class PrintCrop:
    """A picture (CROP_PX, CROP_PX, 3) uint8, and what is printed on it: (index in PRINTED_WORDS, centre x, y in px)."""

    image: np.ndarray
    words: tuple[tuple[int, float, float], ...]


def draw_print_crop(rng: np.random.Generator, signals_mv: Sequence[np.ndarray], fs_hz: float) -> PrintCrop:
    """Draw one picture; traces are taken from records (samples, leads) in mV."""
    image = _paper(rng)
    for _ in range(rng.integers(0, 4)):
        _draw_trace(rng, image, signals_mv[rng.integers(len(signals_mv))], fs_hz)
    _draw_bars(rng, image)
    words, taken = [], np.zeros((CROP_PX, CROP_PX), bool)
    for _ in range(rng.integers(*WORDS_PER_CROP)):
        index, text = _word(rng)
        if (centre := _print(rng, image, taken, text)) and index is not None:
            words.append((index, *centre))
    image, words = _turned(rng, image, words)
    return PrintCrop(_worn(rng, image), tuple(words))


def _paper(rng: np.random.Generator) -> np.ndarray:
    image = np.empty((CROP_PX, CROP_PX, 3), np.float32)
    image[:] = np.minimum(rng.uniform(200, 255) + rng.uniform(-20, 8, 3), 255)
    if rng.random() < 0.1:
        return image
    colour = np.array(GRIDS_RGB[rng.integers(len(GRIDS_RGB))]) + rng.uniform(-25, 25, 3)
    shift, kind = rng.uniform(0, 5 * PX_PER_MM, 2), rng.integers(3)
    strengths = {1: rng.uniform(0.1, 0.7) * (kind > 0), 5: rng.uniform(0.4, 1.0)}
    for every_mm, strength in strengths.items():
        lines = np.zeros((CROP_PX, CROP_PX), np.float32)
        pitch_px = every_mm * PX_PER_MM
        for axis in (0, 1):
            at = np.arange(shift[axis] % pitch_px, CROP_PX, pitch_px).astype(int)
            lines[(slice(None), at) if axis else (at, slice(None))] = 1
        if every_mm == 1 and kind == 2:  # rows of dots
            lines *= (np.indices(lines.shape).sum(axis=0) % 4 < 1) | (rng.random(lines.shape) < 0.2)
        image += (strength * lines)[..., None] * (colour - image)
    return image


def _draw_trace(rng: np.random.Generator, image: np.ndarray, signal_mv: np.ndarray, fs_hz: float) -> None:
    px_per_s, px_per_mv = (value * PX_PER_MM * rng.choice([1, 1, 1, 2]) for value in (25.0, 10.0))
    samples = int(CROP_PX / px_per_s * fs_hz) + 2
    start, lead = rng.integers(0, len(signal_mv) - samples), rng.integers(signal_mv.shape[1])
    part = signal_mv[start : start + samples, lead]
    x = np.arange(samples) / fs_hz * px_per_s
    y = rng.uniform(-20, CROP_PX + 20) - (part - np.median(part)) * px_per_mv
    first = rng.choice([0, 0, rng.integers(0, CROP_PX)])  # rows begin and end somewhere
    points = np.rint(np.stack([x + first, y], axis=1) * 16).astype(np.int32)
    cv2.polylines(image, [points], False, _ink(rng), int(rng.integers(1, 4)), cv2.LINE_AA, 4)


def _draw_bars(rng: np.random.Generator, image: np.ndarray) -> None:
    """Separators, and calibration pulses."""
    if rng.random() < 0.4:
        x, y = rng.integers(0, CROP_PX, 2)
        half = int(rng.uniform(2, 12) * PX_PER_MM)
        cv2.line(image, (int(x), int(y) - half), (int(x), int(y) + half), _ink(rng), int(rng.integers(1, 4)))
    if rng.random() < 0.2:
        x, y = (int(value) for value in rng.integers(0, CROP_PX, 2))
        width, height = int(rng.choice([2.5, 5]) * PX_PER_MM), int(10 * PX_PER_MM)
        corners = [
            (x - 12, y),
            (x, y),
            (x, y - height),
            (x + width, y - height),
            (x + width, y),
            (x + width + 12, y),
        ]
        cv2.polylines(
            image, [np.array(corners, np.int32)], False, _ink(rng), int(rng.integers(1, 3)), cv2.LINE_AA
        )


def _ink(rng: np.random.Generator) -> tuple[float, ...]:
    """Mostly dark grey, at times coloured."""
    if rng.random() < 0.15:
        return tuple(rng.uniform(0, 150, 3))
    return (float(rng.uniform(0, 110)),) * 3


def _word(rng: np.random.Generator) -> tuple[int | None, str]:
    """The index in PRINTED_WORDS, None for any other, and the text as it is printed."""
    kind = rng.choice(KINDS, p=KIND_CHANCES)
    if kind == "name":
        name = PRINTED_NAMES[rng.integers(len(LEADS) if rng.random() < 0.85 else len(PRINTED_NAMES))]
        return PRINTED_WORDS.index(name), _spelled(rng, name)
    if kind == "scale":
        scale = PRINTED_SCALES[rng.integers(len(PRINTED_SCALES))]
        return PRINTED_WORDS.index(scale), _scale_text(rng, scale)
    if rng.random() < 0.3:
        letters = "abcdefghijklmnoprstuvxyzABCDEFGHLMNOPRSTUVI0123456789/.-: "
        return None, "".join(rng.choice(list(letters), rng.integers(2, 10)))
    return None, OTHER_WORDS[rng.integers(len(OTHER_WORDS))]


def _spelled(rng: np.random.Generator, name: str) -> str:
    drawn = rng.random()
    if "a" in name and drawn < 0.3:
        return name.upper() if drawn < 0.2 else name[:-1] + name[-1].lower()
    if name.endswith("R") and name.startswith("V") and drawn < 0.5:
        return name[:-1] + "r"
    return name


def _scale_text(rng: np.random.Generator, scale: str) -> str:
    value, unit = scale.split()
    if scale == "10 mm/mV" and rng.random() < 0.15:
        return rng.choice(["1 cm/mV", "1cm/mV", "1.0 cm/mV"])
    if "." not in value and rng.random() < 0.25:
        value += ".0"
    if unit == "mm/s" and rng.random() < 0.35:
        unit = "mm/sec"
    return value + rng.choice(["", " "]) + unit


def _print(
    rng: np.random.Generator, image: np.ndarray, taken: np.ndarray, text: str
) -> tuple[float, float] | None:
    """Print a word where there is room; returns its centre, or None if there is none."""
    glyphs = _glyphs(rng, text)
    height, width = glyphs.shape
    if height >= CROP_PX or width >= CROP_PX:
        return None
    top, left = int(rng.integers(CROP_PX - height)), int(rng.integers(CROP_PX - width))
    around = (slice(max(top - 4, 0), top + height + 4), slice(max(left - 10, 0), left + width + 10))
    if taken[around].any():
        return None
    taken[top : top + height, left : left + width] = True
    window = image[top : top + height, left : left + width]
    window += glyphs[..., None] * (np.array(_ink(rng), np.float32) - window)
    return left + width / 2, top + height / 2


def _glyphs(rng: np.random.Generator, text: str) -> np.ndarray:
    """The coverage (H, W) of a text, 0 to 1, cut to its ink."""
    size_px = float(np.exp(rng.uniform(*np.log(SIZES_PX))))
    spacing_px = round(rng.uniform(*SPACING) * size_px) if rng.random() < 0.2 else 0
    if rng.random() < STROKE_CHANCE:
        drawn = _stroked(rng, text, size_px)
    else:
        drawn = _typeset(text, FONTS[rng.integers(len(FONTS))], round(size_px), spacing_px)
    width = max(round(drawn.shape[1] * rng.uniform(*STRETCH)), 2) if rng.random() < 0.5 else drawn.shape[1]
    if width != drawn.shape[1]:
        drawn = cv2.resize(drawn, (width, drawn.shape[0]), interpolation=cv2.INTER_AREA)
    return drawn


@lru_cache(maxsize=512)
def _font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_folder() / f"{name}.ttf"), size_px)


def _typeset(text: str, name: str, size_px: int, spacing_px: int) -> np.ndarray:
    font = _font(name, size_px)
    advance = [font.getlength(letter) + spacing_px for letter in text]
    image = Image.new("L", (int(sum(advance)) + size_px, 2 * size_px))
    draw, x = ImageDraw.Draw(image), size_px / 4
    if spacing_px:
        for letter, step in zip(text, advance, strict=True):
            draw.text((x, size_px / 4), letter, font=font, fill=255)
            x += step
    else:
        draw.text((x, size_px / 4), text, font=font, fill=255)
    return _cut_to_ink(np.asarray(image, np.float32) / 255)


def _stroked(rng: np.random.Generator, text: str, size_px: float) -> np.ndarray:
    face, scale = STROKE_FONTS[rng.integers(len(STROKE_FONTS))], size_px / 30
    thickness = int(rng.integers(1, 3))
    (width, height), below = cv2.getTextSize(text, face, scale, thickness)
    canvas = np.zeros((height + below + 12, width + 12), np.uint8)
    cv2.putText(canvas, text, (6, height + 6), face, scale, 255, thickness, cv2.LINE_AA)
    return _cut_to_ink(canvas.astype(np.float32) / 255)


def _cut_to_ink(glyphs: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero(glyphs.max(axis=axis) > 0.1) for axis in (1, 0))
    if not len(rows):
        return np.zeros((2, 2), np.float32)
    return glyphs[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _turned(
    rng: np.random.Generator, image: np.ndarray, words: list[tuple[int, float, float]]
) -> tuple[np.ndarray, list[tuple[int, float, float]]]:
    """Picture and words as on a page that slants, or is seen at another scale; words outside are left out."""
    if rng.random() < 0.3:
        return image, words
    middle = CROP_PX / 2
    turn = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-SLANT_DEG, SLANT_DEG), rng.uniform(*SCALES))
    image = cv2.warpAffine(
        image, turn, (CROP_PX, CROP_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    moved = [(index, *(turn @ (x, y, 1.0))) for index, x, y in words]
    return image, [word for word in moved if min(word[1:]) > 0 and max(word[1:]) < CROP_PX - 1]


def _worn(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The picture as a scanner or phone sees it: fewer pixels, blur, light, noise, JPEG."""
    if rng.random() < 0.5:
        small = round(CROP_PX * rng.uniform(0.4, 1.0))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.4))
    ramp = np.linspace(-1, 1, CROP_PX, dtype=np.float32)
    light = 1 + rng.uniform(-0.25, 0.25) * ramp[:, None] + rng.uniform(-0.25, 0.25) * ramp
    image = image * (rng.uniform(0.45, 1.0) * light)[..., None] * rng.uniform(0.9, 1.1, 3)
    image = image + rng.standard_normal(image.shape, np.float32) * rng.uniform(0, 8)
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return image
