"""Many pages at once: equal and long names, bad pages, and runs that are broken off and go on."""

import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ecg_generator_with_train_src.common.image_files import read_classes
from experiment import predict
from experiment.config import check_config
from experiment.network.checkpoints import TrainingState, write_weights
from experiment.network.model import GridWaveNet

from conftest import REPOSITORY
from helpers import files_below, run_here, wait_for

NETWORK = {"data": {"root": "d", "crop_size": 64}, "model": {"widths": [8, 16], "norm_groups": 1}}


def untrained(path: Path, seed: int) -> Path:
    """A network that nobody trained, as a file of weights."""
    torch.manual_seed(seed)
    config = check_config({"run": {"name": "r"}, **NETWORK}, "test")
    state = TrainingState(GridWaveNet(config.model).state_dict(), {}, {"step": 0, "scores": {}})
    write_weights(path, state, config)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weights")
    return [untrained(folder / f"{seed}.safetensors", seed) for seed in range(2)]


def save_page(path: Path, seed: int, size: tuple[int, int] = (70, 90)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def pages(tmp_path) -> Path:
    """Three pages, a, b and c."""
    for seed, name in enumerate("abc"):
        save_page(tmp_path / "pages" / f"{name}.png", seed)
    return tmp_path / "pages"


def predicted(images: Path, checkpoint: Path, out: Path, *more) -> dict[str, dict]:
    """The lines of a run by the page's name."""
    arguments = [
        "--images",
        images,
        "--checkpoint",
        checkpoint,
        "--output-dir",
        out,
        "--device",
        "cpu",
        *more,
    ]
    assert predict.main(list(map(str, arguments))) == 0
    return {line["name"]: line for line in map(json.loads, (out / "predictions.jsonl").open())}


def times(out: Path) -> dict[str, int]:
    """When each mask was written, in ns."""
    return {path.name.removesuffix("_mask.png"): path.stat().st_mtime_ns for path in out.glob("*_mask.png")}


def redone(before: dict[str, int], out: Path) -> set[str]:
    return {name for name, time_ns in times(out).items() if before.get(name) != time_ns}


def test_equal_names_are_told_apart_by_their_folders(weights, tmp_path):
    for seed, folder in enumerate(("ann", "bob")):
        save_page(tmp_path / "in" / folder / "ecg.png", seed)
    lines = predicted(tmp_path / "in", weights[0], tmp_path / "out")
    assert lines.keys() == {"ann/ecg", "bob/ecg"}
    for name, line in lines.items():
        assert line["image"] == str(tmp_path / "in" / f"{name}.png")
        areas = np.bincount(read_classes(tmp_path / "out" / f"{name}_mask.png").ravel(), minlength=3)
        assert list(line["area_px"].values()) == areas.tolist()
    report = (tmp_path / "out/report.html").read_text()
    assert "<h2>ann/ecg</h2>" in report and "<h2>bob/ecg</h2>" in report
    options = ("--images", tmp_path / "in", "--checkpoint", weights[0], "--output-dir", tmp_path / "readings")
    result = run_here("experiment/digitize.py", *options, "--device", "cpu", "--num-workers", 1)
    assert result.returncode == 1 and "read 0 of 2 pages (0 sure, 0 to check, 2 unread)" in result.stdout
    for name in ("ann/ecg", "bob/ecg"):
        about = json.loads((tmp_path / "readings" / f"{name}.json").read_text())
        assert about["image"] == str(tmp_path / "in" / f"{name}.png")


def test_each_page_is_scored_by_the_mask_in_its_own_folder(weights, tmp_path):
    for seed, folder in enumerate(("ann", "bob")):
        save_page(tmp_path / "in" / folder / "ecg.png", seed)
    lines = predicted(tmp_path / "in", weights[0], tmp_path / "first")
    for name in lines:
        (tmp_path / "masks" / name).parent.mkdir(parents=True)
        mask = (tmp_path / "first" / f"{name}_mask.png").read_bytes()
        (tmp_path / "masks" / f"{name}.png").write_bytes(mask)
    again = predicted(tmp_path / "in", weights[0], tmp_path / "out", "--truth-root", tmp_path / "masks")
    for line in again.values():
        confusion = np.array(line["counts"]["confusion"])
        assert confusion.trace() == confusion.sum() == 70 * 90


def test_names_of_249_bytes_and_bad_pages_do_not_end_the_run(weights, tmp_path):
    long = "n" * 245
    save_page(tmp_path / "in" / f"{long}.png", 0)
    (tmp_path / "in" / "m.png").write_bytes(b"no image")
    save_page(tmp_path / "in" / "z.png", 1)
    images = ("--images", tmp_path / "in", "--checkpoint", weights[0], "--device", "cpu")
    result = run_here("experiment/predict.py", *images, "--output-dir", tmp_path / "out")
    assert result.returncode == 1 and "predicted 2 pages of 3 files" in result.stdout
    assert f"skipped {tmp_path}/in/m.png: not a readable image" in result.stderr
    lines = {line["image"]: line for line in map(json.loads, (tmp_path / "out/predictions.jsonl").open())}
    line = lines[str(tmp_path / "in" / f"{long}.png")]
    assert (tmp_path / "out" / f"{line['name']}_overlay.png").is_file()
    result = run_here(
        "experiment/digitize.py", *images, "--output-dir", tmp_path / "read", "--num-workers", 1
    )
    assert result.returncode == 1 and "read 0 of 3 pages" in result.stdout
    assert (tmp_path / "read" / f"{line['name']}.json").is_file()


def test_what_is_done_is_kept_and_the_rest_is_done(pages, weights, tmp_path, capsys):
    first = predicted(pages, weights[0], tmp_path / "out")
    before = times(tmp_path / "out")
    whole = files_below(tmp_path / "out")
    save_page(pages / "bb.png", 7)
    (tmp_path / "out/c_overlay.png").unlink()
    lines = predicted(pages, weights[0], tmp_path / "out")
    assert redone(before, tmp_path / "out") == {"bb", "c"}
    assert "predicted 4 pages of 4 files (2 of them by an earlier run)" in capsys.readouterr().out
    assert list(lines) == ["a", "b", "bb", "c"]
    assert {name: line for name, line in lines.items() if name != "bb"} == first
    (pages / "bb.png").unlink()
    predicted(pages, weights[0], tmp_path / "out")
    after = {name: data for name, data in files_below(tmp_path / "out").items() if "bb" not in name}
    assert after == whole


def test_other_options_weights_or_images_are_done_again(pages, weights, tmp_path):
    out = tmp_path / "out"
    predicted(pages, weights[0], out)
    for given, again in (
        ((weights[0],), set()),
        ((weights[1],), {"a", "b", "c"}),
        ((weights[1], "--tta"), {"a", "b", "c"}),
        ((weights[1], "--tta"), set()),
        ((weights[1], "--tta", "--overwrite"), {"a", "b", "c"}),
    ):
        before = times(out)
        predicted(pages, given[0], out, *given[1:])
        assert redone(before, out) == again, given
    before = times(out)
    save_page(pages / "b.png", 8)
    predicted(pages, weights[1], out, "--tta")
    assert redone(before, out) == {"b"}


def test_scores_of_an_earlier_run_count_until_the_truth_changes(pages, weights, tmp_path):
    predicted(pages, weights[0], tmp_path / "masks")
    for path in tmp_path.glob("masks/*_overlay.png"):
        path.unlink()
    out, truth = tmp_path / "out", ("--truth-root", tmp_path / "masks")
    predicted(pages, weights[0], out, *truth)
    metrics, before = json.loads((out / "metrics.json").read_text()), times(out)
    assert metrics["pages"] == 3 and np.trace(metrics["confusion"]) == 3 * 70 * 90
    predicted(pages, weights[0], out, *truth)
    assert redone(before, out) == set() and json.loads((out / "metrics.json").read_text()) == metrics
    (tmp_path / "masks/b_mask.png").write_bytes((tmp_path / "masks/a_mask.png").read_bytes())
    predicted(pages, weights[0], out, *truth)
    assert redone(before, out) == {"b"}
    assert np.trace(json.loads((out / "metrics.json").read_text())["confusion"]) < 3 * 70 * 90


def killed_and_run_again(command: list, cwd: Path, done: str, at_least: int) -> tuple[dict, str]:
    """Start a command, kill it as kill -9 does once a file of so many `done` are there, and run it again.

    Returns when each of these was written, and what the second run printed.
    """
    out, environment = (
        cwd / "out",
        {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "tests")))},
    )
    first = subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: len(list(out.glob(done))) >= at_least, timeout_s=240)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    left = {path.name: path.stat().st_mtime_ns for path in out.glob(done)}
    again = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert again.returncode in (0, 1), again.stderr
    return left, again.stdout


def test_a_prediction_that_is_killed_goes_on_to_the_same_bytes(weights, tmp_path, monkeypatch):
    for number in range(20):
        save_page(tmp_path / "pages" / f"{number:02}.png", number, (200, 260))
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    arguments = ["--images", str(tmp_path / "pages"), "--checkpoint", str(weights[0]), "--output-dir", "out"]
    arguments += ["--device", "cpu"]
    command = [sys.executable, str(REPOSITORY / "experiment/predict.py"), *arguments]
    left, said = killed_and_run_again(command, tmp_path / "killed", "*_overlay.png", 5)
    assert 5 <= len(left) < 20
    now = {name: (tmp_path / "killed/out" / name).stat().st_mtime_ns for name in left}
    kept = [name for name, time_ns in left.items() if now[name] == time_ns]
    assert len(kept) >= 2 and f"({len(kept)} of them by an earlier run)" in said
    monkeypatch.chdir(tmp_path / "whole")
    assert predict.main(arguments) == 0
    assert files_below(tmp_path / "killed/out") == files_below(tmp_path / "whole/out")


READ_ALL = """
from pathlib import Path
from ecg_generator_with_train_src.page.layouts import PageSetup, parse_layout
from experiment.labelling.result_names import PageFile
from experiment.reading.digitize_pages import DigitizeOptions, digitize_pages
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.sampling_rates import SamplingRates
from known_pages import FS_HZ, page_of

if __name__ == "__main__":
    seen = page_of(PageSetup())
    known = ReadingOptions(parse_layout("3x4+II"), "standard", 25.0, 10.0)
    options = DigitizeOptions(Path("out"), known, 2, submission=Path("out/s.csv"), origin={"program": "this"})
    files = [PageFile(path, path.stem) for path in sorted(Path("../pages").iterdir())]
    digitize_pages(lambda image, rotation_deg: seen, options, files, SamplingRates(FS_HZ, {}, {}))
"""


def test_a_reading_that_is_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    for number in range(4):
        save_page(tmp_path / "pages" / f"{number}.png", number)
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    (tmp_path / "read.py").write_text(READ_ALL)
    command = [sys.executable, str(tmp_path / "read.py")]
    left, said = killed_and_run_again(command, tmp_path / "killed", "*.json", 1)
    assert 1 <= len(left) < 4
    for name, time_ns in left.items():
        assert (tmp_path / "killed/out" / name).stat().st_mtime_ns == time_ns
    assert f"read 4 of 4 pages (4 sure, 0 to check, 0 unread), {len(left)} of them by an earlier run" in said
    monkeypatch.chdir(tmp_path / "whole")
    runpy.run_path(str(tmp_path / "read.py"), run_name="__main__")
    assert files_below(tmp_path / "killed/out") == files_below(tmp_path / "whole/out")
