"""Checkpoints: damaged ones are named or passed over, others come back as they were."""

import json
import re

import pytest
import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment.config import check_config
from experiment.network.checkpoints import (
    NAMES,
    TrainingState,
    load_model,
    load_training_state,
    newest_whole,
    read_safetensors,
    save_checkpoint,
    weights_file,
)
from experiment.network.model import GridWaveNet

CONFIG = check_config(
    {"run": {"name": "t"}, "data": {"root": "d"}, "model": {"widths": [8, 8], "norm_groups": 2}}, "test"
)


def record_at(step: int) -> dict:
    """Where a run stands in the middle of its second epoch of four steps."""
    shares = {"background": 0.9, "grid": 0.5, "waveform": 0.25}
    scores = {"loss": 1.5, "dice": shares, "iou": shares}
    best = {"epoch": 1, "mean_dice": 0.375, "loss": 1.5}
    return {
        "epoch": 1,
        "step": step,
        "epoch_step": step - 4,
        "epoch_steps": 4,
        "dataset_sha256": "abc",
        "precision": "fp32",
        "bf16_off": False,
        "lr": 1e-3,
        "scheduler": {"best": 1.5, "num_bad_epochs": 0, "cooldown_counter": 0, "last_epoch": 1},
        "best_epochs": {"best": best, "best_loss": best},
        "scores": scores,
        "retries": [{"kind": "retry", "step": 4, "reason": "r"}],
        "meter": {"loss": 2.5, "images": 8.0, "matrix": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]},
    }


@pytest.fixture
def folder(tmp_path):
    """A folder with three checkpoints, of steps 7, 5 and 6."""
    for name, step in zip(NAMES, (7, 5, 6), strict=True):
        torch.manual_seed(step)
        weights = GridWaveNet(CONFIG.model).state_dict()
        record = record_at(step)
        save_checkpoint(tmp_path, name, TrainingState(weights, {"first": torch.ones(3)}, record), CONFIG)
    return tmp_path


def test_a_checkpoint_comes_back_as_it_was_and_its_weights_stand_alone(folder):
    state = load_training_state(folder, "best")
    assert state.record == record_at(5)
    assert torch.equal(state.optimizer["first"], torch.ones(3))
    model, config = load_model(folder / "best.safetensors")
    assert config == CONFIG.model_dump(mode="json")
    assert all(torch.equal(state.weights[name], tensor) for name, tensor in model.state_dict().items())


def test_saving_again_leaves_one_state_file(folder):
    state = load_training_state(folder, "last")
    save_checkpoint(folder, "last", state, CONFIG)
    assert len(list(folder.glob("last.state-*"))) == 1


def test_a_damaged_checkpoint_is_passed_over(folder, tmp_path_factory, capsys):
    (state,) = folder.glob("last.state-*")
    state.unlink()
    assert newest_whole(folder).record["step"] == 6
    told = f"warning: {state}: missing or damaged; going on with another checkpoint"
    assert told in capsys.readouterr().err
    for other in folder.glob("*.state-*"):
        other.write_bytes(b"")
    with pytest.raises(InputError, match=r"missing or damaged; start afresh with --resume none"):
        newest_whole(folder)
    assert newest_whole(tmp_path_factory.mktemp("empty")) is None


def test_a_damaged_or_foreign_weights_file_is_named(folder):
    path = folder / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"best\.safetensors: truncated or not a safetensors file"):
        load_model(path)
    with pytest.raises(InputError, match=r"none\.safetensors: not found"):
        load_model(folder / "none.safetensors")
    (state,) = folder.glob("last.state-*")
    with pytest.raises(InputError, match=r"is no weights file of train_tpu\.py"):
        load_model(state)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("step", None, "step: Input should be a valid integer"),
        ("step", 2**63, "step: Input should be less than 9223372036854775808"),
        ("epoch_steps", 0, "epoch_steps: Input should be greater than or equal to 1"),
        ("epoch_step", 5, "file: Value error, epoch_step 5 is beyond the 4 steps of an epoch"),
        ("lr", float("nan"), "lr: Input should be a finite number"),
        ("scheduler", {"best": "x"}, "scheduler.best: Input should be a valid number"),
        ("best_epochs", {}, "file: Value error, an epoch has ended, but best_epochs are missing"),
        ("retries", [{}], "retries.0.step: Field required"),
        (
            "meter",
            {"loss": 1.0, "images": 1.0, "matrix": [[1]]},
            "meter.matrix.0: List should have at least 3",
        ),
        ("state_file", "../precious.safetensors", "is no path inside its folder"),
        ("state_file", 5, "state_file: Input should be a valid string"),
        ("else", 1, "else: Extra inputs are not permitted"),
    ],
)
def test_a_checkpoint_that_says_nonsense_is_passed_over_or_named(folder, capsys, key, value, said):
    def spoil(name: str) -> None:
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    spoil("last")
    assert newest_whole(folder).record == record_at(6)
    assert said in capsys.readouterr().err
    for name in ("best", "best_loss"):
        spoil(name)
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        newest_whole(folder)
    assert str(refused.value).startswith(f"{folder}/last.json: ")
    assert str(refused.value).endswith("; start afresh with --resume none")


@pytest.mark.parametrize("data", [b"", b"[" * 100_000, b'{"step": "\xff"}', b"\0" * 50, b"5", b"null"])
def test_a_checkpoint_that_is_no_record_is_named(folder, data):
    for name in NAMES:
        (folder / f"{name}.json").write_bytes(data)
    with pytest.raises(InputError, match=r"last\.json: file: .*; start afresh with --resume none"):
        newest_whole(folder)


def test_the_same_weights_are_the_same_bytes_and_read_back(folder):
    tensors, header = read_safetensors(folder / "best.safetensors")
    shuffled = dict(reversed(header.items()))
    data = (folder / "best.safetensors").read_bytes()
    assert weights_file(dict(reversed(tensors.items())), shuffled) == data
    names = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(names["__metadata__"]) == [
        "classes",
        "config",
        "format_version",
        "px_per_mm",
        "scores",
        "step",
    ]
    assert int.from_bytes(data[:8], "little") % 8 == 0


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("config", None, "config: Field required"),
        ("config", "[1]", "config: Input should be a valid dictionary"),
        ("config", "[" * 9999, "config: Invalid JSON: recursion limit exceeded"),
        ("step", "many", "step: String should match pattern"),
        ("step", "9" * 5000, "step: String should match pattern"),
    ],
)
def test_weights_with_another_header_are_named(folder, tmp_path, key, value, said):
    tensors, header = read_safetensors(folder / "best.safetensors")
    header.pop(key)
    (tmp_path / "other").write_bytes(weights_file(tensors, header | ({} if value is None else {key: value})))
    with pytest.raises(InputError, match=rf"other: is no weights file of train_tpu\.py \(header: {said}"):
        load_model(tmp_path / "other")


def test_weights_whose_widths_cannot_be_a_network_are_named(folder, tmp_path):
    tensors, header = read_safetensors(folder / "best.safetensors")
    config = json.dumps({"model": {"widths": [8, 9], "norm_groups": 2}})
    (tmp_path / "other").write_bytes(weights_file(tensors, header | {"config": config}))
    with pytest.raises(
        InputError, match=r"other: model\.widths: 9 is not a multiple of model\.norm_groups \(2\)"
    ):
        load_model(tmp_path / "other")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("classes", '["background", "waveform", "grid"]', "its classes are background, waveform, grid, not"),
        ("px_per_mm", "15.748", "it sees pages at 15.748 px/mm, not at 7.874"),
        ("px_per_mm", "nan", "px_per_mm: "),
    ],
)
def test_weights_for_other_classes_or_another_scale_are_refused(folder, tmp_path, key, value, said):
    tensors, header = read_safetensors(folder / "best.safetensors")
    (tmp_path / "other").write_bytes(weights_file(tensors, header | {key: value}))
    with pytest.raises(InputError, match=re.escape(said)):
        load_model(tmp_path / "other")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(folder, tmp_path, bad):
    tensors, header = read_safetensors(folder / "best.safetensors")
    tensors["head.bias"][0] = bad
    (tmp_path / "other").write_bytes(weights_file(tensors, header))
    with pytest.raises(InputError, match=r"other: head\.bias holds values that are not finite"):
        load_model(tmp_path / "other")
