"""A run's folder: what is cut, what is found again, and runs that are stopped anywhere and go on."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from ecg_generator_with_train_src.common.errors import InputError
from experiment.network.checkpoints import newest_whole, read_safetensors
from experiment.training.loaders import DataSource
from experiment.training.run_folder import RunFolder, cut_events

from conftest import REPOSITORY
from helpers import PowerCut, wait_for
from small_runs import arguments, environment, metrics_of, train_on_cpu

# a log line every three steps, which the ends of epochs of five do not meet
COMMON = {"run__steps_per_epoch": 5, "run__log_every": 3, "run__epochs": 2, "run__sample_tiles": 1}
train = functools.partial(train_on_cpu, **COMMON)


@pytest.fixture(scope="module")
def whole(tiny_dataset, tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted."""
    runs = tmp_path_factory.mktemp("whole")
    assert train(tiny_dataset, runs) == 0
    return runs / "small"


def copy_of(folder: Path, runs: Path) -> Path:
    return Path(shutil.copytree(folder, runs / folder.name))


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """All TensorBoard scalars, but for speeds."""
    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "per_s" not in tag]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def assert_same_run(ours: Path, theirs: Path) -> None:
    assert metrics_of(ours) == metrics_of(theirs)
    assert scalars_of(ours) == scalars_of(theirs)
    for name in ("last", "best", "best_loss"):
        one, two = (read_safetensors(run / f"checkpoints/{name}.safetensors")[0] for run in (ours, theirs))
        assert all(torch.equal(one[key], two[key]) for key in two), name


# stopped and resumed


@pytest.mark.parametrize("step", [1, 4, 5, 7])
def test_broken_off_at_any_step_and_resumed_it_ends_like_the_unbroken_run(
    tiny_dataset, whole, tmp_path, monkeypatch, step
):
    clean = DataSource.train_batches

    def cut_off(source, epoch, first_step=0):
        for number, batch in enumerate(clean(source, epoch, first_step), start=5 * epoch - 4):
            if number > step:
                raise PowerCut
            yield batch

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(DataSource, "train_batches", cut_off)
        train(tiny_dataset, tmp_path)
    assert train(tiny_dataset, tmp_path) == 0
    assert_same_run(tmp_path / "small", whole)


@pytest.mark.parametrize("step", [1, 4, 5, 9])
def test_stopped_within_an_epoch_and_resumed_it_ends_like_the_unbroken_run(
    tiny_dataset, whole, tmp_path, monkeypatch, capsys, step
):
    """The stop comes while the batch of step `step` is made, so it is saved after that step, or in the validation."""
    asked = {"now": False}
    clean, clean_val = DataSource.train_batches, DataSource.val_batches

    def watched(source, epoch, first_step=0):
        for number, batch in enumerate(clean(source, epoch, first_step), start=5 * epoch - 4 + first_step):
            asked["now"] |= number == step
            yield batch

    def watched_val(source):
        asked["now"] |= step == 5
        yield from clean_val(source)

    with monkeypatch.context() as patch:
        patch.setattr(DataSource, "val_batches", watched_val)
        if step != 5:
            patch.setattr(DataSource, "train_batches", watched)
        patch.setattr("experiment.training.supervisor.stop_asked", lambda: asked["now"])
        patch.setattr("experiment.backend.prefetch.DEPTH", 1)
        assert train(tiny_dataset, tmp_path) == 0
    record = json.loads((tmp_path / "small/checkpoints/last.json").read_text())
    assert record["epoch_step"] > 0 and record["step"] <= step
    assert (
        f"stopped after step {record['step']}, in epoch {record['epoch'] + 1}, saved; resume with python"
        in (capsys.readouterr().out)
    )
    assert train(tiny_dataset, tmp_path) == 0
    assert_same_run(tmp_path / "small", whole)


def test_sigterm_saves_and_the_printed_command_goes_on(tiny_dataset, tmp_path):
    command = [sys.executable, str(REPOSITORY / "experiment/train_tpu.py")]
    options = {"run__epochs": 100000, "data__in_memory": "false", "data__num_workers": 1}
    command += arguments(tiny_dataset, tmp_path, "--device", "cpu", "--resume", "none", **COMMON | options)
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if " step 6/" in line:
            process.send_signal(signal.SIGTERM)
            break
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    *_, last = out.splitlines()
    assert "saved; resume with python " in last and "--resume" not in last
    step = json.loads((tmp_path / "small/checkpoints/last.json").read_text())["step"]
    assert f"stopped after step {step}, " in last
    again = last.partition("resume with python ")[2].replace("run.epochs=100000", f"run.epochs={step // 5}")
    done = subprocess.run(
        f"{sys.executable} {again}", shell=True, env=environment(), capture_output=True, text=True, check=True
    )
    assert "is finished" in done.stdout or "going on after" in done.stdout


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.08])
def test_killed_while_it_writes_and_resumed_it_ends_like_the_unbroken_run(
    tiny_dataset, whole, tmp_path, delay_s
):
    """SIGKILL at the end of an epoch, when the log, pictures and checkpoints are written."""
    pid = os.fork()
    if pid == 0:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 1)
        train(tiny_dataset, tmp_path)
        os._exit(0)
    metrics = tmp_path / "small/metrics.jsonl"
    wait_for(lambda: metrics.is_file() and '"val"' in metrics.read_text())
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert train(tiny_dataset, tmp_path) == 0
    assert_same_run(tmp_path / "small", whole)
    assert not list((tmp_path / "small").rglob(".*"))


# the pieces


def test_both_bests_are_what_they_say(whole):
    vals = [line for line in metrics_of(whole) if line["kind"] == "val"]
    record = json.loads((whole / "checkpoints/last.json").read_text())
    dice = [(line["dice"]["grid"] + line["dice"]["waveform"]) / 2 for line in vals]
    assert record["best_epochs"]["best"]["mean_dice"] == max(dice)
    assert record["best_epochs"]["best_loss"]["loss"] == min(line["loss"] for line in vals)
    for name, best in record["best_epochs"].items():
        assert json.loads((whole / f"checkpoints/{name}.json").read_text())["epoch"] == best["epoch"]


def test_a_damaged_checkpoint_is_passed_over(whole, tmp_path, capsys):
    folder = copy_of(whole, tmp_path) / "checkpoints"
    (state,) = folder.glob("last.state-*")
    state.unlink()
    others = [json.loads((folder / f"{name}.json").read_text())["step"] for name in ("best", "best_loss")]
    assert newest_whole(folder).record["step"] == max(others)
    assert (
        f"warning: {state}: missing or damaged; going on with another checkpoint" in capsys.readouterr().err
    )
    for other in folder.glob("*.state-*"):
        other.write_bytes(b"")
    with pytest.raises(InputError, match=r"missing or damaged; start afresh with --resume none"):
        newest_whole(folder)
    assert newest_whole(tmp_path) is None


def test_a_finished_run_writes_nothing(tiny_dataset, whole, tmp_path, capsys):
    folder = copy_of(whole, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert train(tiny_dataset, tmp_path) == 0
    assert "small is finished: 2 epochs, best mean Dice " in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_log_and_pictures_are_cut_and_retries_put_in(whole, tmp_path):
    folder = RunFolder(copy_of(whole, tmp_path))
    retry = {"kind": "retry", "step": 5, "reason": "r"}
    for _ in range(2):  # once more changes nothing
        folder.cut({"step": 5, "epoch": 1, "retries": [retry]})
        lines = folder.read_metrics()
        assert [(line["kind"], line["step"]) for line in lines] == [
            *(("train", 3), ("train", 5), ("val", 5), ("retry", 5))
        ]
        assert [path.name for path in folder.samples.iterdir()] == ["epoch_0001.png"]
        assert {step for values in scalars_of(folder.root).values() for step, _ in values} == {3, 5}
    folder.draw_curves()
    assert (folder.root / "curves.png").stat().st_size > 5000


def test_events_are_cut_and_those_that_a_kill_doubled_are_single(tmp_path):
    for _ in range(2):
        with SummaryWriter(str(tmp_path)) as writer:
            for step in range(1, 8):
                writer.add_scalar("a", step, step)
                writer.add_scalar("b", -step, step)
    torn = max(tmp_path.iterdir())
    torn.write_bytes(torn.read_bytes()[:-5])
    (tmp_path / ".events.killed").mkdir()
    cut_events(tmp_path, 5)
    assert len(list(tmp_path.iterdir())) == 1
    expected = [(step, float(step)) for step in range(1, 6)]
    assert scalars_of(tmp_path) == {"a": expected, "b": [(step, -value) for step, value in expected]}
    cut_events(tmp_path, 0)
    assert not list(tmp_path.iterdir())
