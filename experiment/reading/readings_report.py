"""Write report.html of digitize.py: every reading with its photo, its leads and its doubts, the doubtful ones first."""

from collections.abc import Iterator

import cv2
import numpy as np

from ecg_generator_with_train_src.common.html_report import (
    document,
    heading,
    jpeg,
    paragraph,
    pictures_in_a_row,
    table,
    to_copy,
)
from experiment.reading.corrections import COLUMNS, correction_line
from experiment.reading.doubt import STATUSES
from experiment.reading.output_files import TRACE_RGB, draw_curve, paled, plot_of
from experiment.reading.read_page import PageReading
from experiment.reading.rectify import MAP_STEP_PX

PLOT_HEIGHT_PX = 900
CAPTIONS = ("the page with the traces that were read", "the leads")
TRACE_PX = 2


def sureness(about: dict) -> float:
    """The value that pages are sorted by: their status, then the confidence of their faintest lead."""
    faintest = min((lead["confidence"] for lead in about.get("leads", ())), default=0.0)
    return STATUSES.index(about["status"]) + faintest


def reading_pictures(reading: PageReading, hidden: np.ndarray | None = None) -> tuple[bytes, bytes]:
    """The page with the traces over it, black where it is `hidden`, and a plot of the leads, as JPEG files."""
    return jpeg(with_traces(reading, hidden)), jpeg(plot_of(reading, PLOT_HEIGHT_PX))


def with_traces(reading: PageReading, hidden: np.ndarray | None = None) -> np.ndarray:
    """The upright page (H, W, 3) uint8, as it was photographed, with the traces that were read."""
    image = np.ascontiguousarray(paled(reading.seen.image, hidden))
    places = reading.page.to_image.astype(np.float32)
    for lead in reading.leads:
        samples = lead.place.samples(reading.fs_hz)
        x_px = lead.place.x_px_of_s((samples.start + np.arange(len(lead.y_px))) / reading.fs_hz)
        steps = (np.stack([x_px, lead.y_px]) / MAP_STEP_PX).astype(np.float32)[:, None]
        on_image = cv2.remap(places, steps[0], steps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        draw_curve(image, on_image[:, 0], on_image[:, 1], TRACE_RGB, TRACE_PX)
    return image


def readings_report(title: str, pages: dict[str, dict], pictures: dict[str, tuple[bytes, ...]]) -> str:
    """The report on pages by name, from what their JSON files say and the pictures of some of them."""
    order = sorted(pages, key=lambda name: (sureness(pages[name]), name))
    counts = [f"{sum(page['status'] == status for page in pages.values())} {status}" for status in STATUSES]
    parts = [
        paragraph(f"{len(pages)} pages: {', '.join(counts)}. Doubtful pages come first."),
        paragraph(
            "Where a reading is wrong, change its line and give the table to digitize.py --corrections:"
        ),
        to_copy(",".join(COLUMNS)),
        table(["page", "status", "layout", "mm/s", "mm/mV", ""], (_row(name, pages[name]) for name in order)),
    ]
    for name in order:
        if name in pictures or pages[name]["status"] != "sure":
            parts += _card(name, pages[name], pictures.get(name, ()))
    return document(title, parts)


def _row(name: str, about: dict) -> list[str]:
    facts = [str(about.get(key, "")) for key in ("layout", "paper_speed_mm_s", "gain_mm_mv")]
    return [name, about["status"], *facts, "; ".join(about["reasons"])]


def _card(name: str, about: dict, pictures: tuple[bytes, ...]) -> Iterator[str]:
    yield heading(f"{name}: {about['status']}")
    if about["status"] != "unread":
        turned_deg = round(about["rotation_deg"], 1) + 0.0  # no -0.0
        yield paragraph(
            f"{about['layout']}, {about['lead_order']} order, {about['paper_speed_mm_s']:g} mm/s, "
            f"{about['gain_mm_mv']:g} mm/mV, {about['fs_hz']:g} Hz, turned {turned_deg:.1f}°"
        )
    yield from (paragraph(reason, warning=True) for reason in about["reasons"])
    yield to_copy(correction_line(name, about))
    if pictures:
        yield pictures_in_a_row(pictures, CAPTIONS)
