"""Write report.html: the predictions, worst page first, in a single file that needs no other."""

from collections.abc import Iterator

import numpy as np

from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.common.html_report import (
    document,
    heading,
    jpeg,
    paragraph,
    pictures_in_a_row,
    table,
)


def goodness(line: dict) -> float:
    """The value that pages are sorted by: the waveform's Dice if it is known, else the confidence."""
    return line["dice"]["waveform"] if "dice" in line else line["confidence"]


def make_pictures(image: np.ndarray, overlay: np.ndarray) -> tuple[bytes, bytes]:
    """Small pictures of a page and its overlay, both (H, W, 3) uint8, as JPEG files."""
    return jpeg(image), jpeg(overlay)


def report_html(
    title: str,
    lines: list[dict],
    kinds: dict[str, dict],
    pictures: dict[str, tuple[bytes, ...]],
    skipped: dict[str, str],
) -> str:
    """Make the report from the lines of predictions.jsonl, the scores by kind of page, and the skipped pages."""
    lines = sorted(lines, key=lambda line: (goodness(line), line["name"]))
    parts = [
        paragraph(
            f"{len(lines)} pages, worst first, by {'Dice of the waveform' if kinds else 'confidence'}."
        ),
        *([table(score_header(), score_rows(kinds))] if kinds else []),
        table(*_page_table(lines)),
        *_skipped(skipped),
        *_cards(lines, pictures),
    ]
    return document(title, parts)


def score_header() -> list[str]:
    """The columns of the table of scores by kind of page."""
    dice, iou = ([f"{what} {name}" for name in CLASS_NAMES] for what in ("Dice", "IoU"))
    return ["pages", "n", *dice, *iou, "hit 1 px", "hit 2 px", "stray > 3 px", "truth off by"]


def score_rows(kinds: dict[str, dict]) -> Iterator[list[str]]:
    """The rows of that table; `kinds` holds the scores and the number of pages of each kind."""
    for kind, found in kinds.items():
        values = [found[what][name] for what in ("dice", "iou") for name in CLASS_NAMES]
        shares = [*found["hit_rate"].values(), found["stray"]]
        offset = "" if found["truth_offset_px"] is None else f"{found['truth_offset_px']:.2f} px"
        yield [kind, str(found["pages"]), *(_number(value) for value in [*values, *shares]), offset]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _page_table(lines: list[dict]) -> tuple[list[str], Iterator[list[str]]]:
    scored = any("dice" in line for line in lines)
    header = [
        "page",
        *(["Dice waveform", "hit 2 px", "stray > 3 px"] if scored else []),
        "confidence",
        "px/mm",
        "turned",
        "",
    ]

    def row(line: dict) -> list[str]:
        scores = ["", "", ""] if scored else []
        if "dice" in line:
            scores = [
                _number(value)
                for value in (line["dice"]["waveform"], line["hit_rate"]["2_px"], line["stray"])
            ]
        facts = [f"{line['confidence']:.3f}", f"{line['pitch_px']:.2f}", f"{line['rotation_deg']:.1f}°"]
        return [line["name"], *scores, *facts, "; ".join(line["warnings"])]

    return header, map(row, lines)


def _skipped(skipped: dict[str, str]) -> Iterator[str]:
    if skipped:
        yield heading("Skipped")
        yield from (paragraph(f"{name}: {why}", warning=True) for name, why in skipped.items())


def _cards(lines: list[dict], pictures: dict[str, tuple[bytes, ...]]) -> Iterator[str]:
    shown = [line for line in lines if line["name"] in pictures]
    yield (
        f"<p class='key'>The {len(shown)} worst: the page, and beside it what was found:"
        "<b style='background:#d6006e'></b>waveform<b style='background:#80cbd5'></b>grid</p>"
    )
    for line in shown:
        yield heading(line["name"])
        yield paragraph(_facts(line))
        yield from (paragraph(warning, warning=True) for warning in line["warnings"])
        yield pictures_in_a_row(pictures[line["name"]], ("page", "overlay"))


def _facts(line: dict) -> str:
    facts = [f"{line['width_px']}×{line['height_px']} px", f"{line['pitch_px']:.2f} px/mm"]
    facts += [f"turned {line['rotation_deg']:.1f}°", f"confidence {line['confidence']:.3f}"]
    if "dice" in line:
        facts += [f"Dice {name} {line['dice'][name]:.4f}" for name in CLASS_NAMES[1:]]
        facts += [f"hit {_number(line['hit_rate']['2_px'])} at 2 px", f"stray {_number(line['stray'])}"]
    return " · ".join(facts)
