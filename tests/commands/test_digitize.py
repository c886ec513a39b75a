"""The digitizer's command line: rates, submissions and pages that cannot be read."""

import json

import numpy as np
import pytest
import torch

from ecg_generator_with_train_src.common.files import sha256_of
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.page.records import LEADS
from experiment.config import check_config
from experiment.network.checkpoints import TrainingState, write_weights
from experiment.network.model import GridWaveNet
from experiment.reading.sampling_rates import SamplingRates
from experiment.scoring.submission import read_submission

from helpers import refusal, run_here


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """A network that nobody trained: it sees nothing that is a page."""
    torch.manual_seed(0)
    settings = {"data": {"root": "d", "crop_size": 64}, "model": {"widths": [8, 16], "norm_groups": 1}}
    config = check_config({"run": {"name": "r"}, **settings}, "test")
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    write_weights(
        path, TrainingState(GridWaveNet(config.model).state_dict(), {}, {"step": 0, "scores": {}}), config
    )
    return path


@pytest.fixture
def pages(tmp_path):
    """Two blank pages of known rates."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name in ("7-0001", "8-0003"):
        (folder / f"{name}.png").write_bytes(encode_rgb(np.full((200, 260, 3), 250, np.uint8)))
    (tmp_path / "train.csv").write_text("id,fs,sig_len\n7,250,2500\n8,512,5120\n")
    return folder


def digitize(*arguments):
    return run_here("experiment/digitize.py", *arguments)


def test_an_unread_page_leaves_its_reason_and_no_signals(pages, blind, tmp_path):
    (pages / "9.png").write_bytes(b"no image")
    out, table = tmp_path / "readings", tmp_path / "s.parquet"
    out.mkdir()
    (out / "7-0001.csv").write_text("what an earlier run read")
    result = digitize("--images", pages, "--checkpoint", blind, "--output-dir", out, "--submission", table)
    assert result.returncode == 1, result.stderr
    for name in ("7-0001", "8-0003", "9"):
        assert f"skipped {name}: " in result.stderr
    assert "where no train.csv tells a sampling rate, signals have 500 Hz (assumed)" in result.stderr
    assert "read 0 of 3 pages (0 sure, 0 to check, 3 unread)" in result.stdout
    assert f"{table}: a flat line stands for what was not read: 7-0001, 8-0003, 9" in result.stdout
    assert not list(out.glob("*.csv"))
    for name, fs_hz in (("7-0001", 250), ("8-0003", 512), ("9", 500)):
        about = json.loads((out / f"{name}.json").read_text())
        assert (about["fs_hz"], about["status"]) == (fs_hz, "unread")
        assert about["reasons"][0] in result.stderr
        assert about["weights_sha256"] == sha256_of(blind.read_bytes())
        assert f"<h2>{name}: unread</h2>" in (out / "report.html").read_text()
    submitted = read_submission(table)
    assert set(submitted) == {"7", "8", "9"}
    assert (submitted["8"][:, :1280] == 0).all()
    assert np.isfinite(submitted["8"]).sum(axis=1).tolist() == [1280, 5120, *[1280] * 10]


def test_a_submission_takes_one_page_of_each_id(pages, blind, tmp_path):
    (pages / "7-0004.png").write_bytes((pages / "7-0001.png").read_bytes())
    arguments = ("--images", pages, "--checkpoint", blind, "--output-dir", tmp_path / "readings")
    said = refusal(digitize(*arguments, "--submission", tmp_path / "s.csv"))
    assert "several pages of 7" in said
    assert not (tmp_path / "readings").exists()
    rows = "".join(f"{page},{lead},250,625\n" for page in ("7", "77") for lead in LEADS)
    (tmp_path / "test.csv").write_text("id,lead,fs,number_of_rows\n" + rows)
    (pages / "7-0004.png").unlink()
    (pages / "8-0003.png").unlink()
    asked = ("--submission", tmp_path / "s.csv", "--test-csv", tmp_path / "test.csv")
    assert "no page of 77" in refusal(digitize(*arguments, *asked))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fs-hz", 7), "7 Hz is outside 50-2000 Hz"),
        (("--train-csv", "none.csv"), "none.csv: no such file"),
        (("--submission", "table.txt"), "ends in .csv or .parquet"),
        (("--submission", "table.csv", "--gaps", "empty"), "leave out --gaps empty"),
        (("--corrections", "none.csv"), "none.csv: no such file"),
        (("--checkpoint", "none.safetensors"), "none.safetensors: not found"),
    ],
)
def test_bad_usage_is_refused(pages, arguments, said):
    assert said in refusal(digitize("--images", pages, *arguments))


@pytest.mark.parametrize(("flag", "value"), [("--gain-mm-mv", "0"), ("--px-per-mm", "nan")])
def test_a_scale_is_a_positive_number(pages, flag, value):
    result = digitize("--images", pages, flag, value)
    assert result.returncode == 2
    assert f"argument {flag}: {value} is not a positive number" in result.stderr


def test_rates_come_from_the_flag_the_table_or_beside_the_image(tmp_path):
    (tmp_path / "train.csv").write_text("id,fs\n5,100\n")
    beside = tmp_path / "5" / "5-0001.png"
    assert SamplingRates(333.0, {}, {}).of(beside, "5") == (333.0, "--fs-hz")
    assert SamplingRates(None, {"5": 250.0}, {}).of(beside, "5") == (250.0, "table")
    assert SamplingRates(None, {}, {}).of(beside, "5") == (100.0, str(tmp_path / "train.csv"))
    assert SamplingRates(None, {}, {}).of(beside, "6") == (500.0, "assumed")
