"""What pip installs: six commands that work in any folder, without the repository and without a network."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest

from ecg_generator_with_train_src.page.records import LEADS
from experiment.network.loaders import LOADERS

from conftest import MASK, REPOSITORY
from helpers import files_below

LAY_OUT = "import setuptools, sys; setuptools.setup(script_args=['-q', *sys.argv[1:]])"
COMMAND = (
    "import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
)
NO_NETWORK = """import socket
def refuse(*_, **__): raise AssertionError('the network was asked for')
socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = refuse
"""
SMALL_TRAINING = (
    *(
        "run.epochs=1",
        "run.steps_per_epoch=1",
        "run.sample_tiles=0",
        "data.crop_size=32",
        "data.val_max_tiles=1",
    ),
    *("data.in_memory=true", "data.num_workers=0"),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what a wheel holds, and with the commands, as pip writes them, in bin/."""
    root = tmp_path_factory.mktemp("installed")
    words = ("egg_info", "--egg-base", root, "build_py", "--build-lib", root)
    command = [sys.executable, "-W", "ignore", "-c", LAY_OUT, *map(str, words)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    entries = configparser.ConfigParser()
    entries.read(root / "kaggle_ecg_analysis.egg-info" / "entry_points.txt")
    (root / "bin").mkdir()
    for name, target in entries["console_scripts"].items():
        module, function = target.split(":")
        (root / "bin" / name).write_text(COMMAND.format(module=module, function=function))
    (root / "sitecustomize.py").write_text(NO_NETWORK)
    return root


@pytest.fixture
def run_command(installed, tmp_path):
    """Run a command of the wheel in an empty folder; the network is refused to it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def run(name: str, *words) -> subprocess.CompletedProcess:
        command = [sys.executable, str(installed / "bin" / name), *map(str, words)]
        variables = os.environ | {"PYTHONPATH": str(installed)}
        result = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    return run


@pytest.fixture
def two_records(sample_records, tmp_path) -> Path:
    """Two of the records, one of 250 and one of 256 Hz, and their table."""
    root = tmp_path / "records"
    for name in ("sample0_0000", "sample0_0001"):
        shutil.copytree(sample_records / name, root / name)
    shutil.copy(sample_records / "train.csv", root)
    return root


def test_a_wheel_holds_weights_settings_grid_and_mask(installed):
    held = files_below(installed)
    for kind in LOADERS:
        assert {f"experiment/pretrained/{kind}.{suffix}" for suffix in ("safetensors", "onnx")} <= held.keys()
    for name in (path.name for path in (REPOSITORY / "experiment" / "configs").glob("*.yaml")):
        assert f"experiment/configs/{name}" in held
    assert {
        f"ecg_generator_with_train_src/export/clean_ecg_grid.{kind}" for kind in ("png", "json")
    } <= held.keys()
    assert held["ecg_generator_with_train_src/export/complete_mask.png"] == MASK.read_bytes()
    assert not [name for name in held if name.startswith(("scripts", "tests", "runs"))]


def test_the_weights_are_also_where_the_readme_names_them():
    link = REPOSITORY / "runs" / "pretrained"
    assert link.resolve() == REPOSITORY / "experiment" / "pretrained"
    assert not link.readlink().is_absolute()


def test_the_commands_render_build_train_and_label_in_any_folder(run_command, two_records, tmp_path):
    waves = ("--image-dir", "waves", "--mask-dir", "masks", "--num-workers", 2)
    assert "rendered 2 pages" in run_command("ecg-render", "--csv-root", two_records, *waves).stdout
    built = ("--wave-root", "waves", "--output-root", "dataset", "--val-fraction", 0.5, "--num-workers", 1)
    assert "1 train, 1 val" in run_command("ecg-build", "--input-root", two_records, *built).stdout
    settings = ("--config", "demo_cpu", "data.root=dataset", *SMALL_TRAINING)
    said = run_command("ecg-train", "--device", "cpu", *settings).stdout
    assert (tmp_path / "elsewhere/runs/demo_run/checkpoints/last.safetensors").is_file(), said
    images = ("--images", "dataset/val/images", "--device", "cpu")
    said = run_command("ecg-predict", *images, "--truth-root", "dataset").stdout
    assert "runtime openvino" in said
    assert len(list((tmp_path / "elsewhere" / "predictions").glob("*_mask.png"))) == 1


def test_the_competition_is_answered_without_a_network(run_command, two_records, tiny_dataset, tmp_path):
    test = tmp_path / "elsewhere" / "test"
    test.mkdir()
    rows = ["id,lead,fs,number_of_rows"]
    for name, fs_hz in (("sample0_0000", 250), ("sample0_0001", 256)):
        (page,) = tiny_dataset.glob(f"*/images/{name}-clean-0.png")
        shutil.copy(page, test / f"{name}.png")
        rows += [f"{name},{lead},{fs_hz},{fs_hz * (10 if lead == 'II' else 2.5):.0f}" for lead in LEADS]
    (test.parent / "test.csv").write_text("\n".join(rows) + "\n")
    asked = ("--images", "test", "--test-csv", "test.csv", "--submission", "submission.parquet")
    assert "read 2 of 2 pages" in run_command("ecg-digitize", *asked, "--num-workers", 2).stdout

    table = pyarrow.parquet.read_table(test.parent / "submission.parquet").to_pandas()
    page_and_lead = table["id"].str.extract(r"^(sample0_000\d)_\d+_(\w+)$")
    counts = table.groupby([page_and_lead[0], page_and_lead[1]]).size()
    wanted = pd.read_csv(test.parent / "test.csv").set_index(["id", "lead"])["number_of_rows"]
    assert counts.to_dict() == wanted.to_dict()
    assert table["value"].notna().all()

    said = run_command("ecg-score", "--predictions", "submission.parquet", "--truth-root", two_records).stdout
    assert "scored 2 pages of 2 records: 2" in said, "a clean page gives 20 dB or more"


def test_help_names_the_command_that_was_typed(run_command):
    said = run_command("ecg-digitize", "--help").stdout
    assert said.startswith("usage: ecg-digitize ")
    assert "\necg-digitize --images FILE|FOLDER …\n" in said and "python" not in said
