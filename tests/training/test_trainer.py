"""The training loop: what a run leaves behind, and what it does when loss or gradients stop being finite."""

import contextlib
import functools
import json
import math
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ecg_generator_with_train_src.common.command_line import EXIT_NOT_FINITE
from experiment.network.checkpoints import load_training_state, read_safetensors
from experiment.training.loaders import DataSource

from helpers import PowerCut
from small_runs import metrics_of, train_on_cpu


def test_a_run_leaves_what_it_promises(tiny_dataset, tmp_path):
    assert train_on_cpu(tiny_dataset, tmp_path) == 0
    folder = tmp_path / "small"
    lines = metrics_of(folder)
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, 13))
    assert [line["epoch"] for line in lines if line["kind"] == "val"] == [1, 2, 3]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert (folder / "curves.png").stat().st_size > 5000
    assert [path.name for path in sorted((folder / "samples").iterdir())] == [
        f"epoch_{n:04d}.png" for n in (1, 2, 3)
    ]
    info = json.loads((folder / "env.json").read_text())
    assert info["packages"]["torch"] == torch.__version__
    assert (info["device"], info["precision"]) == ("cpu", "fp32")
    events = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in events.Scalars("val/dice/waveform")] == [4, 8, 12]
    assert not list(folder.rglob(".*"))  # no temporary file is left


# What is not finite. Four steps an epoch, a log line every two.
train = functools.partial(train_on_cpu, run__log_every=2, nan__max_bad_steps=2, run__sample_tiles=0)


class Poison:
    """Makes the images of chosen training steps not finite: `wanted(attempt, step)`, steps counted from 1."""

    def __init__(self, monkeypatch, wanted=lambda attempt, step: False):
        self.wanted, self.attempts, self.stop_at = wanted, {}, None
        clean = DataSource.train_batches

        def poisoned(source, epoch, first_step=0):
            self.attempts[epoch] = self.attempts.get(epoch, 0) + 1
            first = (epoch - 1) * source.steps + first_step + 1
            for step, batch in enumerate(clean(source, epoch, first_step), start=first):
                if step == self.stop_at:
                    raise PowerCut
                if self.wanted(self.attempts[epoch], step):
                    batch = batch | {"image": batch["image"] * torch.nan}
                yield batch

        monkeypatch.setattr(DataSource, "train_batches", poisoned)


@pytest.fixture(scope="module")
def clean(tiny_dataset, tmp_path_factory) -> Path:
    """The folder of a run in which nothing went wrong."""
    runs = tmp_path_factory.mktemp("clean")
    assert train(tiny_dataset, runs) == 0
    return runs / "small"


def retries_of(folder: Path) -> list[dict]:
    return [line for line in metrics_of(folder) if line["kind"] == "retry"]


def test_a_single_bad_step_is_counted_and_changes_nothing(tiny_dataset, tmp_path, monkeypatch):
    Poison(monkeypatch, lambda attempt, step: step == 2)
    changes = {"run__epochs": 1, "run__steps_per_epoch": 2}
    assert train(tiny_dataset, tmp_path / "two", **changes) == 0
    Poison(monkeypatch)
    changes["run__steps_per_epoch"] = 1
    assert train(tiny_dataset, tmp_path / "one", **changes) == 0
    (line, _) = metrics_of(tmp_path / "two/small")
    assert line["bad_steps"] == 1 and math.isfinite(line["loss"])
    states = [load_training_state(tmp_path / name / "small/checkpoints", "last") for name in ("one", "two")]
    one, two = ({**state.weights, **state.optimizer} for state in states)
    different = {name for name in one if not torch.equal(one[name], two[name])}
    assert different == {"bad_steps", "bad_in_a_row", "worst_row"}


def test_retries_halve_the_rate_and_the_second_turns_bf16_off(tiny_dataset, tmp_path, monkeypatch, capsys):
    Poison(monkeypatch, lambda attempt, step: attempt <= 2 and step in (7, 8))
    changes = {"precision": "bf16"}
    assert train(tiny_dataset, tmp_path, **changes) == 0
    output = capsys.readouterr().out
    assert "retry 1 of 3: 2 steps in a row were not finite (nan.max_bad_steps); back from step 8" in output
    assert "to step 4 with lr 0.00075, precision fp32" in output
    first, second = retries_of(tmp_path / "small")
    assert (first["step"], first["lr"], first["precision"]) == (4, 0.0015, "bf16")
    assert (second["step"], second["lr"], second["precision"]) == (4, 0.00075, "fp32")
    steps = [line["step"] for line in metrics_of(tmp_path / "small")]
    assert steps == sorted(steps)  # what came to nothing is cut
    assert [line["lr"] for line in metrics_of(tmp_path / "small") if line["kind"] == "val"][1:] == [
        0.00075
    ] * 2
    assert (tmp_path / "small/curves.png").stat().st_size > 5000
    # it stays so
    assert train(tiny_dataset, tmp_path, **changes, run__epochs=4) == 0
    assert "; fp32, since a retry turned bf16 off" in capsys.readouterr().out
    record = load_training_state(tmp_path / "small/checkpoints", "last").record
    assert (record["epoch"], record["precision"], len(record["retries"])) == (4, "fp32", 2)


def test_the_run_gives_up_with_the_last_good_checkpoint(tiny_dataset, clean, tmp_path, monkeypatch, capsys):
    Poison(monkeypatch, lambda attempt, step: step > 4)
    changes = {"nan__max_retries": 2}
    assert train(tiny_dataset, tmp_path, **changes) == 3
    last = tmp_path / "small/checkpoints/last.safetensors"
    output = capsys.readouterr().out
    assert "after 2 retries (nan.max_retries); the last good checkpoint is " + str(last) in output
    record = load_training_state(last.parent, "last").record
    assert (record["epoch"], record["step"], record["lr"]) == (1, 4, 0.003 / 4)
    assert metrics_of(tmp_path / "small")[:3] == metrics_of(clean)[:3]
    # its weights are those of one epoch
    Poison(monkeypatch)
    assert train(tiny_dataset, tmp_path / "one", run__epochs=1) == 0
    ours, theirs = (
        read_safetensors(path)[0] for path in (last, tmp_path / "one/small/checkpoints/last.safetensors")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    # run again, it tries once more and gives up at once; a larger nan.max_retries would go on
    Poison(monkeypatch, lambda attempt, step: step > 4)
    assert train(tiny_dataset, tmp_path, **changes) == 3


def test_before_the_first_epoch_it_goes_back_to_the_first_weights(tiny_dataset, tmp_path, monkeypatch):
    Poison(monkeypatch, lambda attempt, step: attempt == 1 and step in (1, 2))
    assert train(tiny_dataset, tmp_path) == 0
    (line,) = retries_of(tmp_path / "small")
    assert (line["step"], line["from_step"], line["lr"]) == (0, 2, 0.0015)
    assert metrics_of(tmp_path / "small")[0] == line


def test_the_scheduler_never_sees_a_loss_that_is_not_finite(tiny_dataset, clean, tmp_path, monkeypatch):
    val_batches, calls = DataSource.val_batches, []

    def poisoned(source):
        calls.append(source)
        for batch in val_batches(source):
            yield batch if len(calls) != 2 else batch | {"image": batch["image"] * torch.nan}

    monkeypatch.setattr(DataSource, "val_batches", poisoned)
    assert train(tiny_dataset, tmp_path) == 0
    (line,) = retries_of(tmp_path / "small")
    assert line["reason"] == "the validation loss of epoch 2 is not finite"
    record = load_training_state(tmp_path / "small/checkpoints", "last").record
    reference = load_training_state(clean / "checkpoints", "last").record
    assert record["scheduler"]["last_epoch"] == reference["scheduler"]["last_epoch"] == 3
    assert record["scheduler"]["num_bad_epochs"] == 0
    assert record["best_epochs"]["best_loss"]["loss"] == record["scheduler"]["best"]


def test_a_run_killed_after_a_retry_goes_on_like_one_that_was_not(tiny_dataset, tmp_path, monkeypatch):
    def wanted(attempt, step):
        return attempt == 1 and step in (5, 6)

    Poison(monkeypatch, wanted)
    assert train(tiny_dataset, tmp_path / "whole") == 0
    poison = Poison(monkeypatch, wanted)
    poison.stop_at = 7  # behind the place of the retry
    with contextlib.suppress(PowerCut):
        train(tiny_dataset, tmp_path / "killed")
    poison.stop_at = None
    assert json.loads((tmp_path / "killed/small/checkpoints/last.json").read_text())["step"] == 4
    assert train(tiny_dataset, tmp_path / "killed") == 0
    assert metrics_of(tmp_path / "killed/small") == metrics_of(tmp_path / "whole/small")


def test_a_loss_that_is_not_finite_ends_with_code_3(tiny_dataset, tmp_path, capsys):
    changes = {"optimizer__lr": 1e30, "optimizer__warmup_steps": 0, "nan__max_bad_steps": 2}
    assert train_on_cpu(tiny_dataset, tmp_path, **changes) == EXIT_NOT_FINITE
    output = capsys.readouterr().out
    assert "stopped: 2 steps in a row were not finite" in output
    assert "the last good checkpoint is" in output
