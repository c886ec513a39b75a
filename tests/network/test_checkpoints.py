"""Checkpoints: damaged ones are named or passed over, others come back as they were."""

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
    save_checkpoint,
)
from experiment.network.model import GridWaveNet

CONFIG = check_config(
    {"run": {"name": "t"}, "data": {"root": "d"}, "model": {"widths": [8, 8], "norm_groups": 2}}, "test"
)


@pytest.fixture
def folder(tmp_path):
    """A folder with three checkpoints, of steps 7, 5 and 6."""
    for name, step in zip(NAMES, (7, 5, 6), strict=True):
        torch.manual_seed(step)
        weights = GridWaveNet(CONFIG.model).state_dict()
        record = {"step": step, "scores": {"dice": 0.5}}
        save_checkpoint(tmp_path, name, TrainingState(weights, {"first": torch.ones(3)}, record), CONFIG)
    return tmp_path


def test_a_checkpoint_comes_back_as_it_was_and_its_weights_stand_alone(folder):
    state = load_training_state(folder, "best")
    assert state.record == {"format_version": 1, "step": 5, "scores": {"dice": 0.5}}
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
    with pytest.raises(InputError, match=r"is not a checkpoint of train_tpu\.py"):
        load_model(state)
