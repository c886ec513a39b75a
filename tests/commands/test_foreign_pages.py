"""Pages that another program drew, read by the shipped networks: right, or said to be doubtful."""

import json

import numpy as np
import pytest

from ecg_generator_with_train_src.common.image_files import encode_rgb
from foreign_pages import ForeignPage, draw
from known_pages import FS_HZ, heart_mv

from helpers import run_here

PAGES = {
    "names": ForeignPage("3x4+V1", names="above", pulse=True, print_scale=False),
    "signals": ForeignPage("6x2", names="none", separators=True, gain_mm_mv=5.0, grid=1),
    "rows": ForeignPage("rows:I,II,III,aVR,aVL,aVF", names="none", gain_mm_mv=5.0, pulse=False),
    "fast": ForeignPage("3x4+II", names="below", speed_mm_s=50.0, pulse=True, grid=2),
}


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """What digitize.py said of all pages."""
    root = tmp_path_factory.mktemp("foreign")
    signal_mv = heart_mv().to_numpy()
    signal_mv[:, 6:] *= np.sin(np.arange(len(signal_mv)) / FS_HZ)[:, None] / 4 + 1  # chest leads of their own
    for name, page in PAGES.items():
        (root / f"{name}.png").write_bytes(encode_rgb(draw(page, signal_mv, FS_HZ)))
    out = root / "out"
    result = run_here(
        "experiment/digitize.py", "--images", root, "--output-dir", out, "--fs-hz", 250, "--device", "cpu"
    )
    assert result.returncode == 0, result.stderr
    assert "read 4 of 4 pages" in result.stdout
    return {name: json.loads((out / f"{name}.json").read_text()) for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_right_or_to_check(readings, name):
    page, about = PAGES[name], readings[name]
    found = about["layout"], about["paper_speed_mm_s"], about["gain_mm_mv"]
    right = found == (page.layout, page.speed_mm_s, page.gain_mm_mv)
    assert right or about["status"] == "check", about


def test_printed_names_and_pulses_leave_no_doubt_of_layout_and_gain(readings):
    about = readings["names"]
    assert (about["layout"], about["gain_mm_mv"], about["told_by"]["gain_mm_mv"]) == ("3x4+V1", 10.0, "pulse")
    assert about["layout_certainty"] > 0.95


def test_relations_tell_rows_of_limb_leads_and_print_their_gain(readings):
    about = readings["rows"]
    assert (about["layout"], about["told_by"]["gain_mm_mv"]) == ("rows:I,II,III,aVR,aVL,aVF", "print")
    assert about["layout_certainty"] > 0.99
    assert about["status"] == "sure", about["reasons"]
