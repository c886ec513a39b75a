"""Whole runs: broken off anywhere, stopped, killed and resumed, they end like one that nothing interrupted."""

import functools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment import train_tpu
from experiment.network.checkpoints import read_safetensors
from experiment.training.loaders import DataSource

from conftest import REPOSITORY
from helpers import PowerCut, wait_for
from small_runs import arguments, copy_of, environment, metrics_of, scalars_of, train_on_cpu

# A log line every three steps, which the ends of epochs of five do not meet.
COMMON = {"run__steps_per_epoch": 5, "run__log_every": 3, "run__epochs": 2, "run__sample_tiles": 1}
train = functools.partial(train_on_cpu, **COMMON)


@pytest.fixture(scope="module")
def whole(tiny_dataset, tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted."""
    runs = tmp_path_factory.mktemp("whole")
    assert train(tiny_dataset, runs) == 0
    return runs / "small"


def assert_same_run(ours: Path, theirs: Path) -> None:
    assert metrics_of(ours) == metrics_of(theirs)
    assert scalars_of(ours) == scalars_of(theirs)
    for name in ("last", "best", "best_loss"):
        one, two = (read_safetensors(run / f"checkpoints/{name}.safetensors")[0] for run in (ours, theirs))
        assert all(torch.equal(one[key], two[key]) for key in two), name


def test_a_finished_run_writes_nothing_and_more_epochs_go_on(tiny_dataset, whole, tmp_path, capsys):
    folder = copy_of(whole, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert train(tiny_dataset, tmp_path) == 0
    assert "small is finished: 2 epochs, best mean Dice " in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert train(tiny_dataset, tmp_path, run__epochs=3) == 0
    assert "going on after epoch 2, step 10" in capsys.readouterr().out
    lines = metrics_of(folder)
    assert lines[: len(metrics_of(whole))] == metrics_of(whole)
    assert lines[-1]["epoch"] == 3


def test_resume_refuses_another_setting_dataset_or_damaged_state_by_name(tiny_dataset, whole, tmp_path):
    folder = copy_of(whole, tmp_path)
    with pytest.raises(InputError, match=r"its optimizer\.lr is 0\.003, now 0\.5; --resume none"):
        train(tiny_dataset, tmp_path, optimizer__lr=0.5)
    record = folder / "checkpoints/last.json"
    kept = record.read_text()
    record.write_text(kept.replace('"dataset_sha256": "', '"dataset_sha256": "0'))
    with pytest.raises(InputError, match=r"its dataset digest is 0"):
        train(tiny_dataset, tmp_path)
    record.write_text(kept)
    for state in (folder / "checkpoints").glob("*.state-*"):
        state.write_bytes(state.read_bytes()[:-1])
    (state,) = (folder / "checkpoints").glob("last.state-*")
    with pytest.raises(InputError, match=f"{state.name}: missing or damaged"):
        train(tiny_dataset, tmp_path, run__epochs=9)
    assert metrics_of(folder) == metrics_of(whole)


def test_resume_none_moves_the_old_run_aside(tiny_dataset, whole, tmp_path):
    copy_of(whole, tmp_path)
    (tmp_path / "small.1").mkdir()
    changes = {"optimizer__lr": 0.002, "run__epochs": 1}
    assert train(tiny_dataset, tmp_path, "--resume", "none", **changes) == 0
    assert metrics_of(tmp_path / "small.2") == metrics_of(whole)
    assert metrics_of(tmp_path / "small")[-1]["epoch"] == 1


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


def test_killed_and_run_again_it_ends_like_the_unbroken_run(tiny_dataset, whole, tmp_path):
    command = [sys.executable, str(REPOSITORY / "experiment/train_tpu.py")]
    command += arguments(tiny_dataset, tmp_path, "--device", "cpu", **COMMON)
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if " step 6/" in line:  # in the middle of the second epoch
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    folder = tmp_path / "small"
    last = folder / "checkpoints/last.json"
    assert not last.exists() or json.loads(last.read_text())["epoch"] in (1, 2)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "tra')  # as a kill in the middle of a line would leave it
    assert train(tiny_dataset, tmp_path) == 0
    assert_same_run(folder, whole)


def test_sigterm_saves_and_the_printed_command_goes_on(tiny_dataset, tmp_path, capsys):
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
    script, *words = shlex.split(again)
    assert script == command[1]
    assert train_tpu.main(words) == 0
    said = capsys.readouterr().out
    assert "is finished" in said or "going on after" in said


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
