"""Drawn pages as a perfect network would see them, of a record with beats that obey Einthoven."""

import numpy as np
import pandas as pd

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.page.compose import compose
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.layouts import PageSetup
from ecg_generator_with_train_src.page.page import PageRequest, describe_page, draw_traces
from experiment.labelling.page_probability import PageProbability

from helpers import record_of, waves_mv

FS_HZ = 250.0


def heart_mv(fs_hz: float = FS_HZ) -> pd.DataFrame:
    """Beats of 1 mV in I and II, and what Einthoven and Goldberger make of them; (samples, 12)."""
    table = waves_mv(fs_hz)
    time_s = np.arange(len(table)) / fs_hz

    def beats(height_mv: float, offset_s: float = 0.0) -> np.ndarray:
        phase_s = (time_s + offset_s) % 0.83 - 0.4
        spike = np.exp(-np.square(phase_s / 0.012)) - 0.3 * np.exp(-np.square((phase_s - 0.03) / 0.012))
        return height_mv * spike + 0.25 * abs(height_mv) * np.exp(-np.square((phase_s - 0.25) / 0.05))

    one, two = beats(0.6), beats(1.1) + 0.05 * np.sin(time_s)
    limb = {"I": one, "II": two, "III": two - one}
    limb |= {"aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    chest = {f"V{k}": beats(height) for k, height in enumerate((-0.5, -0.9, 0.6, 1.2, 1.0, 0.7), start=1)}
    return table.assign(**limb, **chest)


def page_of(setup: PageSetup, fs_hz: float = FS_HZ) -> PageProbability:
    """A drawn page as a perfect network would see it; the record has `fs_hz` values a second."""
    paper = setup.paper()
    request = PageRequest("page", setup, varied=False, variant="0")
    page = describe_page(request, "known", "", fs_hz, (None, paper), seed=0)
    page = page.model_copy(update={"grid": None})
    ink, _ = draw_traces(page, record_of(heart_mv(fs_hz), fs_hz))
    composed = compose(page, ink, draw_grid(paper), draw_grid_mask(paper))
    grid = (composed.classes == GRID).astype(np.float32)
    planes = {GRID: grid, WAVEFORM: composed.coverage.astype(np.float32) / 255}
    probability = np.stack([planes.get(k, np.zeros_like(grid)) for k in range(3)])
    shape = grid.shape
    return PageProbability(probability, composed.image, np.eye(3), shape, paper.px_per_mm, 0, 0.0, 1.0, ())
