"""ECG pages as other programs draw them: with matplotlib, on a grid, in any layout; no line of the renderer is used."""

from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
CABRERA = ("aVL", "I", "-aVR", "II", "aVF", "III", *LEADS[6:])
BLOCKS = {"3x4": (3, 4), "6x2": (6, 2), "12x1": (12, 1), "4x3": (4, 3)}
LAYOUTS = ("3x4", "3x4+II", "3x4+V1", "3x4+V1,II,V5", "6x2", "6x2+II", "12x1", "rows:I,II,III,aVR,aVL,aVF")
GRIDS = (("#f5b5b5", "#e08080"), ("#c9d8f0", "#90a8d8"), ("#d8d8d8", "#a8a8a8"), ("#f8d8c8", "#e8a078"))


@dataclass(frozen=True)
class ForeignPage:
    """How a page is drawn, and thereby what is to be read on it."""

    layout: str
    order: str = "standard"
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    names: str = "above"  # or below, or none
    separators: bool = False
    pulse: bool = True
    print_scale: bool = True
    grid: int = 0
    dpi: int = 150


def varied(number: int) -> ForeignPage:
    """The page of a number: all combinations come in the course of some hundred."""
    rng = np.random.default_rng(number)
    layout = LAYOUTS[number % len(LAYOUTS)]
    cabrera = number % 5 == 4 and not layout.startswith("rows") and "+" not in layout
    return ForeignPage(
        layout=layout,
        order="cabrera" if cabrera else "standard",
        speed_mm_s=(25.0, 25.0, 50.0)[rng.integers(3)],
        gain_mm_mv=(10.0, 10.0, 5.0, 20.0)[rng.integers(4)]
        if "12x1" not in layout
        else (10.0, 5.0)[rng.integers(2)],
        names=("above", "below", "none")[rng.integers(3)],
        separators=bool(rng.integers(2)),
        pulse=bool(rng.integers(2)),
        print_scale=True,
        grid=int(rng.integers(len(GRIDS))),
        dpi=int(rng.choice([130, 150, 200])),
    )


def rows_of(page: ForeignPage) -> list[tuple[str, ...]]:
    """The leads of every row."""
    if page.layout.startswith("rows:"):
        return [(lead,) for lead in page.layout.removeprefix("rows:").split(",")]
    block, _, strips = page.layout.partition("+")
    rows, _ = BLOCKS[block]
    leads = CABRERA if page.order == "cabrera" else LEADS
    return [leads[row::rows] for row in range(rows)] + [(lead,) for lead in strips.split(",") if lead]


def draw(page: ForeignPage, signal_mv: np.ndarray, fs_hz: float, seed: int = 0) -> np.ndarray:
    """The picture (H, W, 3) uint8 of a record (samples, 12) in mV."""
    rng, rows = np.random.default_rng(seed), rows_of(page)
    distance_mm = {3: 40.0, 4: 36.0, 6: 27.0, 7: 24.0, 12: 15.0}.get(len(rows), 25.0)
    top_mm, left_mm, width_mm = 45.0, rng.uniform(18, 26), 297.0
    height_mm = top_mm + distance_mm * len(rows) + 12
    figure = plt.figure(figsize=(width_mm / 25.4, height_mm / 25.4), dpi=page.dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width_mm)
    axes.set_ylim(height_mm, 0)
    axes.axis("off")
    minor, major = GRIDS[page.grid]
    for step, colour, width in ((1, minor, 0.35), (5, major, 0.7)):
        axes.vlines(np.arange(0, width_mm, step), 0, height_mm, colour, linewidth=width)
        axes.hlines(np.arange(0, height_mm, step), 0, width_mm, colour, linewidth=width)
    axes.text(20, 10, "Name: J. Doe   ID 4711   12:39   HR 72 bpm   PR 160 ms", fontsize=9)
    if page.print_scale:
        axes.text(
            30,
            height_mm - 4,
            f"{page.speed_mm_s:g} mm/s   {page.gain_mm_mv:g} mm/mV   0.05-150 Hz",
            fontsize=9,
        )
    ink = {
        "color": (rng.uniform(0, 0.25),) * 3,
        "linewidth": rng.uniform(0.7, 1.2),
        "solid_joinstyle": "round",
    }
    seconds = 250.0 / page.speed_mm_s
    for row, leads in enumerate(rows):
        zero_mm = top_mm + distance_mm * row
        if page.pulse:
            box = np.array([(-9, 0), (-7, 0), (-7, 1), (-2, 1), (-2, 0), (-1, 0)]) * (1, page.gain_mm_mv)
            wide = page.speed_mm_s / 25.0
            axes.plot(left_mm + box[:, 0] * wide, zero_mm - box[:, 1], **ink)
        for column, lead in enumerate(leads):
            shown_s = seconds / len(leads)
            first = int(column * shown_s * fs_hz)
            part = signal_mv[first : first + int(shown_s * fs_hz), LEADS.index(lead.removeprefix("-"))]
            x_mm = left_mm + (first + np.arange(len(part))) / fs_hz * page.speed_mm_s
            sign = -1 if lead.startswith("-") else 1
            axes.plot(x_mm, zero_mm - sign * part * page.gain_mm_mv, **ink)
            if page.separators and column:
                axes.plot([x_mm[0]] * 2, [zero_mm - 4, zero_mm + 4], **ink)
            if page.names != "none":
                away_mm = -0.3 * distance_mm if page.names == "above" else 0.28 * distance_mm
                axes.text(x_mm[0] + 1, zero_mm + away_mm, lead, fontsize=10 if len(rows) < 12 else 8)
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return image
