"""The clean grid is drawn, or taken from the rendered pages of many records."""

import shutil

import numpy as np
import pytest

from ecg_generator_with_train_src.common.image_files import read_grey, read_rgb
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.grid_file import read_grid
from ecg_generator_with_train_src.page.layouts import PageSetup

from conftest import run_module

MODULE = "ecg_generator_with_train_src.export_clean_grid"


@pytest.fixture
def train_root(tiny_dataset, tmp_path):
    """The dataset's six pages as a folder of the competition: <id>/<id>-0001.png."""
    root = tmp_path / "train"
    for sample in read_manifest(tiny_dataset):
        (root / sample.record).mkdir(parents=True)
        shutil.copy(tiny_dataset / sample.image, root / sample.record / f"{sample.record}-0001.png")
    return root


def test_the_grid_of_pages_is_the_grid_they_were_built_on(train_root, tmp_path):
    result = run_module(MODULE, "--train-root", train_root, "--output-dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    paper = PageSetup().paper()
    grid = read_grid(tmp_path / "out" / "clean_ecg_grid.png")
    assert grid.geometry == paper
    printed_everywhere = np.zeros(
        grid.rgb.shape[:2], bool
    )  # header, footer, pulses, separators and lead names
    printed_everywhere[:140] = printed_everywhere[1620:1680] = True
    for left in (78, 610, 1102, 1594):
        printed_everywhere[:, left - 8 : left + 100] = True
    differs = (grid.rgb != draw_grid(paper)).any(axis=2)
    assert differs[~printed_everywhere].mean() < 0.001
    assert np.array_equal(read_grey(tmp_path / "out" / "complete_mask.png"), draw_grid_mask(paper))


def test_pages_that_do_not_fit_are_named_and_too_few_are_refused(train_root, tmp_path):
    first, second, *_ = sorted(train_root.glob("*/*-0001.png"))
    first.write_bytes(first.read_bytes()[:1000])
    second.write_bytes(b"no image")
    result = run_module(MODULE, "--train-root", train_root, "--output-dir", tmp_path / "out")
    assert result.returncode == 2
    assert str(first) in result.stderr and str(second) in result.stderr
    assert "4 rendered pages" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_without_pages_the_default_grid_is_drawn(tmp_path):
    result = run_module(MODULE, "--output-dir", tmp_path)
    assert result.returncode == 0, result.stderr
    assert np.array_equal(read_rgb(tmp_path / "clean_ecg_grid.png"), draw_grid(PageSetup().paper()))
