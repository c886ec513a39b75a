"""The shipped weights: small, whole, and good for pages that nobody trained on."""

import json
from pathlib import Path

import pandas as pd
import yaml

from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.records import read_signal_mv
from experiment.network.checkpoints import load_model, read_safetensors, weights_file
from experiment.network.loaders import LOADERS
from experiment.network.model import count_parameters
from experiment.network.onnx_note import onnx_beside, onnx_problem
from experiment.network.shipped import LABELS, shipped

from conftest import run_script
from helpers import run_here

MAX_BYTES, MAX_PARAMETERS, MAX_ONNX_BYTES = 10_000_000, 4_800_000, 12_000_000
SHIPPED = shipped(LABELS)


def test_they_are_small_and_described():
    model, config = load_model(SHIPPED)
    assert SHIPPED.stat().st_size <= MAX_BYTES and count_parameters(model) <= MAX_PARAMETERS
    assert yaml.safe_load(SHIPPED.with_name("config.yaml").read_text()) == config
    assert json.loads(SHIPPED.with_name("metrics.json").read_text())["pages"] > 0
    card = SHIPPED.with_name("README.md").read_text()
    assert f"{count_parameters(model):,} parameters" in card and "CC BY 4.0" in card


def test_written_again_each_is_the_same_file():
    for weights in map(shipped, LOADERS):
        assert weights_file(*read_safetensors(weights)) == weights.read_bytes(), weights


def test_each_network_stands_beside_its_weights_as_onnx():
    assert [onnx_problem(shipped(kind)) for kind in LOADERS] == [None] * len(LOADERS)
    assert sum(onnx_beside(shipped(kind)).stat().st_size for kind in LOADERS) < MAX_ONNX_BYTES


def test_without_a_checkpoint_simulated_pages_are_labelled_and_read_alike_by_one_worker_and_by_two(
    tiny_dataset, sample_records, tmp_path
):
    sample, *others = sorted(read_manifest(tiny_dataset), key=lambda sample: sample.split != "val")
    images = [tiny_dataset / each.image for each in (sample, others[0])]
    one, two = tmp_path / "one", tmp_path / "two"
    given = ("--images", images[0], "--device", "cpu", "--output-dir", one, "--truth-root", tiny_dataset)
    result = run_here("experiment/predict.py", *given)
    assert result.returncode == 0, result.stderr
    assert json.loads((one / "metrics.json").read_text())["dice"]["waveform"] > 0.8

    fs_hz = read_record_fs_hz(sample_records, sample.record)
    given = ("--images", *images, "--device", "cpu", "--fs-hz", fs_hz)
    for run, workers, folder in ((run_here, 1, one), (run_script, 2, two)):
        words = ("--num-workers", workers, "--output-dir", folder)
        result = run("experiment/digitize.py", *given, *words)
        assert result.returncode == 0, result.stderr
        assert "read 2 of 2 pages (" in result.stdout and f" -> {folder}" in result.stdout
        assert f"{workers} workers)" in result.stdout
    for image in images:
        tables = [pd.read_csv(folder / f"{image.stem}.csv") for folder in (one, two)]
        pd.testing.assert_frame_equal(*tables, rtol=0, atol=1e-3)

    (one / f"{images[1].stem}.csv").unlink()
    table = tmp_path / "scores" / "table.csv"
    folders = ("--predictions", one, "--truth-root", sample_records)
    result = run_here("experiment/score.py", *folders, "--out", table)
    assert result.returncode == 0, result.stderr
    scores = pd.read_csv(table)
    assert scores[scores.lead == "all"].snr_db.item() > 10


def read_record_fs_hz(root: Path, record: str) -> float:
    return len(read_signal_mv(next(root.rglob(f"{record}.csv")))) / 10
