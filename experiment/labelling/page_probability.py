"""What the network saw on a page, and how the page lies in its image. Using it needs no network."""

from dataclasses import dataclass, replace

import numpy as np

from ecg_generator_with_train_src.common.pdf_drawing import Drawing
from experiment.reading.printed_text import NO_TEXT, PrintedText, part_of

SURE_OF_UP = 0.85  # below this chance of being upright, a page may be upside down


@dataclass(frozen=True)
class PageProbability:
    """What the network saw on a page, upright and at the network's scale (PX_PER_MM, to about 3 %).

    `to_input` (3, 3) maps canvas coordinates of these planes to canvas coordinates of the image that was given.
    `quarter_turns` is how often np.rot90 turns that image until the page is upright. `rotation_deg` is how far the page
    is turned clockwise, the slant of its grid lines included.
    """

    probability: np.ndarray  # (3, H, W) float32: background, grid, waveform
    image: np.ndarray  # (H, W, 3) uint8: the page as the network saw it
    to_input: np.ndarray  # (3, 3) float64
    input_shape: tuple[int, int]  # height and width of the image that was given
    pitch_px: float  # input pixels per millimetre
    quarter_turns: int
    rotation_deg: float
    confidence: float  # mean probability of the labels outside the background, 0 to 1
    warnings: tuple[str, ...]
    upright_chance: float = 1.0  # probability that these planes are not upside down
    text: PrintedText = NO_TEXT  # what is printed on it, in canvas coordinates of these planes
    text_over: PrintedText = NO_TEXT  # the same, where the page is read upside down
    scale_is_told: bool = False  # whether the scale was given, and not found from a grid
    drawing: Drawing | None = None  # the lines and letters of the page, if its file is a PDF

    @property
    def may_be_upside_down(self) -> bool:
        """Whether it is uncertain which way up the page is."""
        return self.upright_chance < SURE_OF_UP

    def upside_down(self) -> "PageProbability":
        """The same page, turned upside down."""
        height, width = self.probability.shape[1:]
        over = np.array([[-1.0, 0.0, width], [0.0, -1.0, height], [0.0, 0.0, 1.0]])
        return replace(
            self,
            probability=np.ascontiguousarray(self.probability[:, ::-1, ::-1]),
            image=np.ascontiguousarray(self.image[::-1, ::-1]),
            to_input=self.to_input @ over,
            quarter_turns=(self.quarter_turns + 2) % 4,
            rotation_deg=(self.rotation_deg + 360) % 360 - 180,
            upright_chance=1 - self.upright_chance,
            text=self.text_over,
            text_over=self.text,
        )

    def part(self, left_px: int, top_px: int, right_px: int, bottom_px: int) -> "PageProbability":
        """What stands between these edges, as a page of its own."""
        at = (slice(top_px, bottom_px), slice(left_px, right_px))
        shift = np.array([[1.0, 0.0, left_px], [0.0, 1.0, top_px], [0.0, 0.0, 1.0]])
        return replace(
            self,
            probability=np.ascontiguousarray(self.probability[(slice(None), *at)]),
            image=np.ascontiguousarray(self.image[at]),
            to_input=self.to_input @ shift,
            text=part_of(self.text, left_px, top_px, right_px, bottom_px),
            text_over=NO_TEXT,
        )


def input_of_upright(upright: tuple[int, int], given: tuple[int, int], quarter_turns: int) -> np.ndarray:
    """Affine map (3, 3) from canvas coordinates of an upright image to those of the image that was given.

    Both shapes are (height, width). The upright image is the given one after scaling and np.rot90(…, quarter_turns).
    """
    height, width = given
    turned = (width, height) if quarter_turns % 2 else (height, width)
    scale = np.diag([turned[1] / upright[1], turned[0] / upright[0], 1.0])
    back = {
        0: np.eye(3),
        1: np.array([[0, -1, width], [1, 0, 0], [0, 0, 1]], float),
        2: np.array([[-1, 0, width], [0, -1, height], [0, 0, 1]], float),
        3: np.array([[0, 1, 0], [-1, 0, height], [0, 0, 1]], float),
    }
    return back[quarter_turns % 4] @ scale
