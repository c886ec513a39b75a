"""Weights for others: half the size, the same labels, refused where half precision is not enough."""

from pathlib import Path

import pytest
import torch

from experiment.config import check_config, load_config
from experiment.network.checkpoints import TrainingState, load_model, write_weights
from experiment.network.model import GridWaveNet

from helpers import run_here

CONFIG = check_config(
    {"run": {"name": "t"}, "data": {"root": "d"}, "model": {"widths": [8, 8], "norm_groups": 2}}, "test"
)


def checkpoint(path: Path, factor: float = 1.0) -> Path:
    torch.manual_seed(0)
    weights = {name: factor * tensor for name, tensor in GridWaveNet(CONFIG.model).state_dict().items()}
    write_weights(path, TrainingState(weights, {}, {"step": 7, "scores": {"dice": 0.5}}), CONFIG)
    return path


def test_exported_weights_predict_the_same_from_half_the_bytes(tmp_path):
    whole, half = checkpoint(tmp_path / "best.safetensors"), tmp_path / "out" / "net.safetensors"
    result = run_here("experiment/export_weights.py", "--checkpoint", whole, "--output", half)
    assert result.returncode == 0, result.stderr
    assert "of step 7 ->" in result.stdout
    (model, config), (exported, config_there) = load_model(whole), load_model(half)
    assert config_there == config == CONFIG.model_dump(mode="json")
    assert load_config(half.with_name("config.yaml")) == CONFIG
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(exported(image), model(image), rtol=1e-2, atol=1e-2)
    values = sum(tensor.numel() for tensor in model.state_dict().values())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(2 * values, rel=0.05)


def test_several_checkpoints_become_their_mean(tmp_path):
    paths = [checkpoint(tmp_path / f"{factor}.safetensors", factor) for factor in (0.5, 1.0, 3.0)]
    result = run_here(
        "experiment/export_weights.py", "--checkpoint", *paths, "--output", tmp_path / "net.safetensors"
    )
    assert result.returncode == 0, result.stderr
    assert "mean of 3 checkpoints" in result.stdout
    mean, single = load_model(tmp_path / "net.safetensors")[0], load_model(paths[1])[0]
    for exported, own in zip(mean.parameters(), single.parameters(), strict=True):
        torch.testing.assert_close(exported, 1.5 * own, rtol=1e-3, atol=1e-4)


def test_checkpoints_of_different_networks_have_no_mean(tmp_path):
    one = checkpoint(tmp_path / "one.safetensors")
    other = tmp_path / "other.safetensors"
    wider = check_config(
        CONFIG.model_dump(mode="json") | {"model": {"widths": [16, 8], "norm_groups": 2}}, "test"
    )
    write_weights(
        other, TrainingState(GridWaveNet(wider.model).state_dict(), {}, {"step": 1, "scores": {}}), wider
    )
    result = run_here(
        "experiment/export_weights.py", "--checkpoint", other, one, "--output", tmp_path / "net.safetensors"
    )
    assert result.returncode == 2
    assert str(other) in result.stderr and "another shape" in result.stderr


def test_weights_beyond_half_precision_are_refused(tmp_path):
    huge = checkpoint(tmp_path / "best.safetensors", factor=1e6)
    result = run_here(
        "experiment/export_weights.py", "--checkpoint", huge, "--output", tmp_path / "net.safetensors"
    )
    assert result.returncode == 2
    assert str(huge) in result.stderr and "half precision" in result.stderr
    assert not (tmp_path / "net.safetensors").exists()
