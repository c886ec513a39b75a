"""The files that digitize.py writes for a page: its signals, its geometry, and a picture of what was read."""

import cv2
import numpy as np

from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S
from experiment.labelling.redaction import blacked_out
from experiment.reading.read_page import PageReading, further_leads
from experiment.reading.rectify import laid_on_page

TRACE_RGB = (214, 0, 110)
GRID_RGB = (235, 235, 235)
PICTURE_SCALE = 0.6  # the rectified page is shown at this scale
PLOT_WIDTH_PX = 1100
PLOT_COLUMNS = 2
PLOT_MV = 3.0  # height of each lead's plot
SUBPIXEL_BITS = 4  # curves are drawn in sixteenths of a pixel


def signals_csv(signal_mv: np.ndarray, further_mv: dict[str, np.ndarray] | None = None) -> str:
    """The competition's table of a record: one column per lead, in mV, empty where the page shows nothing.

    Leads that records do not have, such as V3R, follow if the page shows them.
    """
    further_mv = further_mv or {}
    columns = np.column_stack([signal_mv, *further_mv.values()])
    rows = (",".join("" if value != value else f"{value:.4f}" for value in row) for row in columns.tolist())
    return "\n".join([",".join([*LEADS, *further_mv]), *rows, ""])


def reading_summary(reading: PageReading) -> dict:
    """What was found on a page, as values that JSON can hold."""
    setup, found = reading.found.setup, reading.found
    return {
        "px_per_mm": reading.seen.pitch_px,
        "rotation_deg": reading.seen.rotation_deg,
        "upright_chance": round(reading.seen.upright_chance, 4),
        "traces_from": reading.traces_from,
        "layout": setup.layout.name,
        "lead_order": setup.lead_order,
        "paper_speed_mm_s": setup.paper_speed_mm_s,
        "gain_mm_mv": setup.gain_mm_mv,
        "chest_gain_mm_mv": setup.chest_gain_mm_mv or setup.gain_mm_mv,
        "told_by": {"paper_speed_mm_s": found.speed_from, "gain_mm_mv": found.gain_from},
        "calibration_pulse": setup.pulse,
        "rectified": {
            "width_px": reading.page.ink.shape[1],
            "height_px": reading.page.ink.shape[0],
            "px_per_mm": PX_PER_MM,
            "px_per_s": setup.paper_speed_mm_s * PX_PER_MM,
            "mv_per_px": 1 / (setup.gain_mm_mv * PX_PER_MM),
            "time_zero_x_px": round(found.start_x_px, 3),
            "zero_y_px": [round(float(y), 3) for y in found.zero_y_px],
            "grid_residual_mm": round(reading.residual_mm, 4),
        },
        "leads": [
            {
                "lead": lead.place.lead,
                "label": lead.place.label,
                "row": lead.place.row,
                "start_s": round(lead.place.start_s, 4),
                "end_s": round(lead.place.end_s, 4),
                "confidence": round(confidence, 4),
                "ink_probability": round(lead.confidence, 4),
                "filled_in_s": [list(gap) for gap in lead.gaps_s],
            }
            for lead, confidence in zip(reading.leads, reading.verdict.confidences, strict=True)
        ],
        "status": reading.verdict.status,
        "reasons": list(reading.verdict.reasons),
        "assumed": _assumed(reading),
        "layout_certainty": round(found.certainty, 4),
    }


def _assumed(reading: PageReading) -> dict[str, float]:
    """What neither the page nor the user told."""
    setup, found = reading.found.setup, reading.found
    values = {
        "paper_speed_mm_s": (found.speed_from, setup.paper_speed_mm_s),
        "gain_mm_mv": (found.gain_from, setup.gain_mm_mv),
    }
    return {name: value for name, (told_by, value) in values.items() if told_by == "assumed"}


def picture(reading: PageReading, hidden: np.ndarray | None = None) -> np.ndarray:
    """Draw the traces over the rectified page, beside a plot of the leads: (H, W, 3) uint8.

    `hidden` (H, W) bool are pixels of the page as the network saw it that are blacked out.
    """
    page = reading.page.image
    if hidden is not None:
        hidden = laid_on_page(255 * hidden.astype(np.uint8), reading.page, outside=255) > 0
    left = cv2.resize(
        paled(page, hidden), None, fx=PICTURE_SCALE, fy=PICTURE_SCALE, interpolation=cv2.INTER_AREA
    )
    for lead in reading.leads:
        samples = lead.place.samples(reading.fs_hz)
        x_px = lead.place.x_px_of_s((samples.start + np.arange(len(lead.y_px))) / reading.fs_hz)
        draw_curve(left, PICTURE_SCALE * x_px, PICTURE_SCALE * lead.y_px, TRACE_RGB)
    return np.concatenate([left, plot_of(reading, len(left))], axis=1)


def paled(image: np.ndarray, hidden: np.ndarray | None) -> np.ndarray:
    """An image (H, W, 3) uint8 that is half as dark, for curves to be drawn over it, and black where it is `hidden`."""
    pale = 255 - (255 - image) // 2
    return pale if hidden is None else blacked_out(pale, hidden)


def plot_of(reading: PageReading, height_px: int) -> np.ndarray:
    """Plot the twelve leads in two columns; of a page that shows others, those that it shows."""
    standard, further = dict(zip(LEADS, reading.signal_mv.T, strict=True)), further_leads(reading)
    if further:
        standard = {lead: values for lead, values in standard.items() if np.isfinite(values).any()}
    return plot(standard | further, height_px)


def plot(leads: dict[str, np.ndarray], height_px: int) -> np.ndarray:
    """Plot leads (samples,) in mV in two columns, each over the whole time and around its median: (H, W, 3) uint8."""
    canvas = np.full((height_px, PLOT_WIDTH_PX, 3), 255, np.uint8)
    rows = -(-len(leads) // PLOT_COLUMNS)
    box_w, box_h = PLOT_WIDTH_PX / PLOT_COLUMNS, height_px / rows
    for number, (lead, values) in enumerate(leads.items()):
        column, row = divmod(number, rows)
        left, middle = column * box_w + 10, (row + 0.55) * box_h
        for second in range(int(RECORD_DURATION_S) + 1):
            x = round(left + second / RECORD_DURATION_S * (box_w - 20))
            cv2.line(canvas, (x, round(row * box_h + 4)), (x, round((row + 1) * box_h - 4)), GRID_RGB)
        cv2.line(canvas, (round(left), round(middle)), (round(left + box_w - 20), round(middle)), GRID_RGB)
        cv2.putText(
            canvas,
            lead,
            (round(left), round(row * box_h + 18)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.5,
            (60, 60, 60),
            1,
            cv2.LINE_AA,
        )
        shown = np.flatnonzero(np.isfinite(values))
        if len(shown):
            x_px = left + shown / len(values) * (box_w - 20)
            y_px = middle - (values[shown] - np.median(values[shown])) / PLOT_MV * (box_h - 8)
            draw_curve(canvas, x_px, y_px, (0, 0, 0))
    return canvas


def draw_curve(
    image: np.ndarray, x_px: np.ndarray, y_px: np.ndarray, rgb: tuple[int, int, int], thickness_px: int = 1
) -> None:
    """Draw a curve through canvas points."""
    points = np.rint((np.stack([x_px, y_px], axis=1) - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.polylines(image, [points], False, rgb, thickness_px, cv2.LINE_AA, SUBPIXEL_BITS)
