"""The state of a run: the weights it starts with, what it saves, and which epochs are the best."""

import json
from pathlib import Path

import pytest
import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment.config import config_file, load_config
from experiment.network.checkpoints import load_model, load_training_state
from experiment.network.shipped import LABELS, shipped
from experiment.training.run_state import first_network

from small_runs import metrics_of, train_on_cpu


@pytest.fixture(scope="module")
def finished(tiny_dataset, tmp_path_factory) -> Path:
    """The folder of a finished run on the CPU."""
    runs = tmp_path_factory.mktemp("finished")
    assert train_on_cpu(tiny_dataset, runs, run__sample_tiles=0) == 0
    return runs / "small"


def test_weights_are_of_the_best_epoch_and_hold_the_normalisation(finished, tiny_dataset):
    model, config = load_model(finished / "checkpoints/best.safetensors")
    assert model.config.widths == (8, 16) == tuple(config["model"]["widths"])
    info = json.loads((tiny_dataset / "dataset.json").read_text())
    assert model.image_mean.flatten().tolist() == pytest.approx(info["image_mean"])
    assert model.image_std.flatten().tolist() == pytest.approx(info["image_std"])
    best = load_training_state(finished / "checkpoints", "best")
    dice = [line["dice"] for line in metrics_of(finished) if line["kind"] == "val"]
    means = [(each["grid"] + each["waveform"]) / 2 for each in dice]
    assert best.record["epoch"] == means.index(max(means)) + 1
    assert all(torch.equal(best.weights[name], tensor) for name, tensor in model.state_dict().items())


def test_both_bests_are_what_they_say(finished):
    vals = [line for line in metrics_of(finished) if line["kind"] == "val"]
    record = json.loads((finished / "checkpoints/last.json").read_text())
    dice = [(line["dice"]["grid"] + line["dice"]["waveform"]) / 2 for line in vals]
    assert record["best_epochs"]["best"]["mean_dice"] == max(dice)
    assert record["best_epochs"]["best_loss"]["loss"] == min(line["loss"] for line in vals)
    for name, best in record["best_epochs"].items():
        assert json.loads((finished / f"checkpoints/{name}.json").read_text())["epoch"] == best["epoch"]


def test_a_run_may_start_from_the_shipped_weights():
    config = load_config(config_file(Path("finetune")))
    assert config.run.initial_weights == "shipped"
    weights = first_network(config, info=None).state_dict()  # the data tell nothing that the weights do not
    for name, before in load_model(shipped(LABELS))[0].state_dict().items():
        torch.testing.assert_close(weights[name], before, rtol=0, atol=0)


def test_a_run_starts_from_given_weights(tiny_dataset, finished, tmp_path):
    given = finished / "checkpoints/best.safetensors"
    still = {"optimizer__lr": 1e-12, "scheduler__min_lr": 1e-13, "run__epochs": 1}
    assert train_on_cpu(tiny_dataset, tmp_path, run__initial_weights=given, **still) == 0
    weights, _ = load_model(tmp_path / "small/checkpoints/last.safetensors")
    for found, before in zip(weights.parameters(), load_model(given)[0].parameters(), strict=True):
        torch.testing.assert_close(found, before, rtol=0, atol=1e-6)
    wider = {"model__widths": "[8, 32]", "run__name": "wider"}
    with pytest.raises(InputError, match=r"best.safetensors: is a network of model.widths \[8, 16\]"):
        train_on_cpu(tiny_dataset, tmp_path, run__initial_weights=given, **wider)
