"""All that the networks see on a page: its labels, its print, and by both which way up it stands."""

import functools
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiment.labelling.network_flags import load_predictor
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.print_reader import PrintReader, as_turned, with_print
from experiment.network.shipped import PRINT, shipped
from experiment.runtime.choose import runtime_here
from experiment.runtime.network import Runtime, RuntimeOptions


class PageSeer:
    """The networks of a runtime at work on images of `px_per_mm`, None if that is to be found from each one's grid.

    Raises InputError if weights are missing, damaged or of another network.
    """

    def __init__(self, runtime: Runtime, checkpoint: Path, px_per_mm: float | None = None):
        self.predictor = load_predictor(runtime, checkpoint)
        self.read_print = PrintReader(runtime.load(PRINT, shipped(PRINT)))
        self.px_per_mm = px_per_mm

    def __call__(self, image: np.ndarray, rotation_deg: float | None = None) -> PageProbability:
        """The page of an RGB image (H, W, 3) uint8; it is turned clockwise by about `rotation_deg`, if that is told."""
        if rotation_deg is not None:
            return as_turned(self.predictor, self.read_print, image, self.px_per_mm, rotation_deg)
        return with_print(self.predictor.page_probability(image, self.px_per_mm), self.read_print)


@dataclass(frozen=True)
class SeerRecipe:
    """What another process needs for a PageSeer of its own. Each of its threads makes one and keeps it: a network
    serves one thread at a time. Raises InputError if weights are missing, or what runs them."""

    options: RuntimeOptions
    checkpoint: Path
    px_per_mm: float | None = None

    def __call__(self) -> PageSeer:
        """The seer of this thread."""
        return _seer_of(self, threading.get_ident())


@functools.lru_cache(maxsize=64)
def _seer_of(recipe: SeerRecipe, thread: int) -> PageSeer:
    runtime = runtime_here(recipe.options, seers_weights(recipe.checkpoint))
    return PageSeer(runtime, recipe.checkpoint, recipe.px_per_mm)


def seers_weights(checkpoint: Path) -> list[Path]:
    """The weights files of all networks that a PageSeer uses."""
    return [checkpoint, shipped(PRINT)]
