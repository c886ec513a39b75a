"""The report: whole, self-contained, the worst page first."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from ecg_generator_with_train_src.common.html_report import Gallery, save_pictures
from experiment.labelling.report_html import goodness, make_pictures, report_html
from experiment.scoring.page_scores import score_labels
from experiment.scoring.page_truth import PageTruth

VOID = {"meta", "img", "br"}


class Balanced(HTMLParser):
    """Raises on a tag that closes another than the last."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def line_of(name: str, confidence: float, **more) -> dict:
    return {
        "name": name,
        "width_px": 2000,
        "height_px": 1500,
        "pitch_px": 7.874,
        "rotation_deg": -0.31,
        "confidence": confidence,
        "warnings": [],
        **more,
    }


def report_of(folder: Path, lines: list[dict], kinds: dict | None = None, size: int = 30) -> str:
    gallery = Gallery(folder, size)
    image = np.full((1500, 2000, 3), 200, np.uint8)
    for line in lines:
        save_pictures(folder, line["name"], make_pictures(image, image))
        gallery.add(line["name"], goodness(line))
    return report_html("Report", lines, kinds or {}, gallery.pictures(), {"c.png": "not a readable image"})


def test_it_is_whole_and_needs_no_other_file(tmp_path):
    text = report_of(
        tmp_path, [line_of("a<b", 0.9), line_of("worse", 0.5, warnings=["no grid found & more"])]
    )
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "a&lt;b" in text and "no grid found &amp; more" in text and "c.png: not a readable image" in text
    sources = re.findall(r"src='([^']*)'", text)
    assert len(sources) == 4 and "http" not in text and "<link" not in text and "<script" not in text
    for source in sources:
        picture = Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))))
        assert picture.size == (1000, 750)


def test_the_worst_page_comes_first_and_only_the_worst_are_pictured(tmp_path):
    text = report_of(tmp_path, [line_of(f"page{number}", 0.1 * number) for number in (5, 2, 9, 1, 7)], size=2)
    assert re.findall(r"<td>(page\d)</td>", text) == ["page1", "page2", "page5", "page7", "page9"]
    assert re.findall(r"<h2>(page\d)</h2>", text) == ["page1", "page2"]
    kept = [f"page{number}_report{picture}.jpg" for number in (1, 2) for picture in (1, 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_a_page_with_fewer_pictures_than_before_loses_the_others(tmp_path):
    save_pictures(tmp_path, "ward/a", (b"1", b"2"))
    save_pictures(tmp_path, "ward/a", (b"3",))
    gallery = Gallery(tmp_path)
    gallery.add("ward/a", 0.5)
    assert gallery.pictures() == {"ward/a": (b"3",)}
    assert [path.name for path in (tmp_path / "ward").iterdir()] == ["a_report1.jpg"]


def test_scores_are_shown_by_kind_and_by_page(tmp_path):
    classes = np.zeros((20, 20), np.uint8)
    classes[10] = 2
    truth = PageTruth("scan_bw", classes, np.stack([np.arange(20), np.full(20, 10.5)], axis=1))
    tally = score_labels(classes, truth)
    kinds = {"scan_bw": {"pages": 1, **tally.scores()}}
    good, bad = line_of("good", 0.2, **tally.scores()), line_of("bad", 0.9, **tally.scores())
    bad["dice"] = {**bad["dice"], "waveform": 0.25}
    text = report_of(tmp_path, [good, bad], kinds)
    assert "<td>scan_bw</td>" in text and "Dice waveform 0.2500" in text
    assert re.findall(r"<h2>(good|bad)</h2>", text) == ["bad", "good"]  # by Dice, not by confidence
