"""predict.py and digitize.py when the machine asks them to end: what is done stays, and the exit code says so."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ecg_generator_with_train_src.common.image_files import encode_rgb
from experiment.config import check_config
from experiment.network.checkpoints import TrainingState, write_weights
from experiment.network.model import GridWaveNet

from conftest import REPOSITORY
from helpers import wait_for


def small_weights(path: Path) -> Path:
    torch.manual_seed(0)
    config = check_config(
        {"run": {"name": "r"}, "data": {"root": "d"}, "model": {"widths": [8, 16], "norm_groups": 1}}, "test"
    )
    state = TrainingState(GridWaveNet(config.model).state_dict(), {}, {"step": 0, "scores": {}})
    write_weights(path, state, config)
    return path


@pytest.mark.parametrize(
    ("command", "fourth", "more"),
    [("predict", "page3_mask.png", ()), ("digitize", "page3.json", ("--num-workers", "1"))],
)
def test_sigterm_leaves_what_is_done_as_ctrl_c_does(tmp_path, command, fourth, more):
    pages = tmp_path / "pages"
    pages.mkdir()
    for number in range(200):
        image = np.random.default_rng(number).integers(0, 256, (150, 200, 3), dtype=np.uint8)
        (pages / f"page{number}.png").write_bytes(encode_rgb(image))
    arguments = ["--images", *(str(pages / f"page{k}.png") for k in range(200)), "--device", "cpu", *more]
    arguments += ["--checkpoint", str(small_weights(tmp_path / "w")), "--px-per-mm", "7.874"]
    running = subprocess.Popen(
        [sys.executable, f"experiment/{command}.py", *arguments, "--output-dir", str(tmp_path / "out")],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for((tmp_path / "out" / fourth).exists, timeout_s=300)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate()
    assert running.returncode == 130, said
    assert "interrupted: what was finished is kept" in said
    assert "Traceback" not in said
    assert "page0" in (tmp_path / "out/report.html").read_text()
    assert not (tmp_path / "out" / fourth.replace("page3", "page199")).exists()
