"""The ladder: a drawn page stands on every rung, and its table counts what was not read."""

import re
import shutil

import numpy as np
import pytest

from experiment.benchmarks.ladder import Climb, ladder_table

from conftest import run_script


def test_a_drawn_page_is_read_on_every_rung(sample_records, tiny_dataset, tmp_path):
    name = "sample0_0000"
    (tmp_path / name).mkdir()
    shutil.copy(sample_records / name / f"{name}.csv", tmp_path / name)
    page = next(tiny_dataset.glob(f"*/images/{name}-clean-0.png"))
    shutil.copy(page, tmp_path / name / f"{name}-0001.png")
    result = run_script("scripts/benchmark.py", "ladder", "--images", tmp_path, "--truth-root", tmp_path)
    assert result.returncode == 0, result.stderr
    (line,) = re.findall(rf"^{name}-0001 +(.*)$", result.stdout, re.MULTILINE)
    rungs_db = [float(cell) for cell in line.split()]
    assert len(rungs_db) == 5
    assert min(rungs_db) > 20


def test_a_page_whose_record_is_not_there_is_refused(sample_records, tmp_path):
    (tmp_path / "other-0001.png").touch()
    result = run_script(
        "scripts/benchmark.py", "ladder", "--images", tmp_path, "--truth-root", sample_records
    )
    assert result.returncode == 2
    assert "other-0001: no record of this page" in result.stderr


def test_the_table_puts_the_worst_page_first_and_counts_an_unread_one_as_nothing():
    climbs = [
        Climb("good", (100.0, 100.0, 100.0, 100.0, 100.0)),
        Climb("unread", (None, 10.0, 10.0, 100.0, 100.0)),
        Climb("poor", (10.0,)),  # its record was not found in it
    ]
    header, *pages, together, mean = ladder_table(climbs)
    assert header.split()[0] == "page"
    assert [line.split()[0] for line in pages] == ["unread", "poor", "good"]
    assert pages[0].split()[1:] == ["unread", "10.00", "10.00", "20.00", "20.00"]
    assert pages[1].split()[1:] == ["10.00", *["not", "found"] * 4]
    values = [float(cell) for cell in together.split()[1:]]
    assert values == pytest.approx(10 * np.log10([110 / 3, 55, 55, 100, 100]), abs=0.005)
    assert [float(cell) for cell in mean.split()[3:]] == pytest.approx([10, 15, 15, 20, 20])
