"""The shipped weights: small, whole, and good for pages that nobody trained on."""

import json
from pathlib import Path

import pandas as pd
import yaml

from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.records import read_signal_mv
from experiment.labelling.network_flags import SHIPPED
from experiment.network.checkpoints import load_model
from experiment.network.model import count_parameters

from conftest import run_script

MAX_BYTES, MAX_PARAMETERS = 10_000_000, 4_800_000


def test_they_are_small_and_described():
    model, config = load_model(SHIPPED)
    assert SHIPPED.stat().st_size <= MAX_BYTES and count_parameters(model) <= MAX_PARAMETERS
    assert yaml.safe_load(SHIPPED.with_name("config.yaml").read_text()) == config
    assert json.loads(SHIPPED.with_name("metrics.json").read_text())["pages"] > 0
    card = SHIPPED.with_name("README.md").read_text()
    assert f"{count_parameters(model):,} parameters" in card and "CC BY 4.0" in card


def test_without_a_checkpoint_a_simulated_page_is_labelled_and_read(tiny_dataset, sample_records, tmp_path):
    sample = next(sample for sample in read_manifest(tiny_dataset) if sample.split == "val")
    page = ("--images", tiny_dataset / sample.image, "--device", "cpu", "--output-dir", tmp_path)
    result = run_script("experiment/predict.py", *page, "--truth-root", tiny_dataset)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "metrics.json").read_text())["dice"]["waveform"] > 0.8
    fs_hz = read_record_fs_hz(sample_records, sample.record)
    result = run_script("experiment/digitize.py", *page, "--fs-hz", fs_hz)
    assert result.returncode == 0, result.stderr
    table = tmp_path / "scores" / "table.csv"
    folders = ("--predictions", tmp_path, "--truth-root", sample_records)
    result = run_script("experiment/score.py", *folders, "--out", table)
    assert result.returncode == 0, result.stderr
    scores = pd.read_csv(table)
    assert scores[scores.lead == "all"].snr_db.item() > 10


def read_record_fs_hz(root: Path, record: str) -> float:
    return len(read_signal_mv(next(root.rglob(f"{record}.csv")))) / 10


def test_one_worker_and_two_read_the_same(tiny_dataset, tmp_path):
    images = [tiny_dataset / sample.image for sample in read_manifest(tiny_dataset)[:2]]
    for workers in (1, 2):
        result = run_script(
            *("experiment/digitize.py", "--images", *images, "--device", "cpu", "--fs-hz", 100),
            *("--num-workers", workers, "--output-dir", tmp_path / str(workers)),
        )
        assert result.returncode == 0, result.stderr
        assert f"read 2 of 2 pages -> {tmp_path / str(workers)}" in result.stdout
        assert f"{workers} workers)" in result.stdout
    for image in images:
        one, two = (pd.read_csv(tmp_path / str(workers) / f"{image.stem}.csv") for workers in (1, 2))
        pd.testing.assert_frame_equal(one, two, rtol=0, atol=1e-3)
