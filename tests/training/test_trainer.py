"""Training: the optimizer, the loop on CPU and XLA, and what a broken-off or mistaken run does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ecg_generator_with_train_src.common.errors import InputError
from experiment import train_tpu
from experiment.config import ModelConfig, OptimizerConfig
from experiment.network.checkpoints import load_model, load_training_state, read_safetensors
from experiment.network.model import GridWaveNet
from experiment.training.optimizer import GuardedAdamW

from conftest import REPOSITORY, run_script
from small_runs import arguments, environment, metrics_of, train_on_cpu


@pytest.fixture(scope="module")
def unbroken(tiny_dataset, tmp_path_factory) -> Path:
    """The folder of a finished run on the CPU."""
    runs = tmp_path_factory.mktemp("unbroken")
    assert train_on_cpu(tiny_dataset, runs) == 0
    return runs / "small"


# the optimizer


def small_model() -> GridWaveNet:
    torch.manual_seed(1)
    return GridWaveNet(ModelConfig(widths=(8, 16)))


def test_good_steps_are_adamw():
    ours, theirs = small_model(), small_model()
    guarded = GuardedAdamW(ours, OptimizerConfig(lr=0.01, weight_decay=0.1, warmup_steps=0, clip_norm=1e9))
    decaying = [p for p in theirs.parameters() if p.dim() > 1]
    others = [p for p in theirs.parameters() if p.dim() == 1]
    groups = [{"params": decaying, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99))
    for seed in range(5):
        torch.manual_seed(seed)
        image = torch.randint(0, 256, (1, 3, 16, 16))
        for model in (ours, theirs):
            model.zero_grad()
            model(image).square().mean().backward()
        assert guarded.step(guarded.gradient(), torch.tensor(1.0))
        reference.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)


def test_clipping_and_warm_up_bound_the_step():
    model = small_model()
    optimizer = GuardedAdamW(model, OptimizerConfig(lr=0.5, weight_decay=0.0, warmup_steps=10, clip_norm=1.0))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer.step(torch.full_like(optimizer.first, 1e6), torch.tensor(1.0))
    assert torch.linalg.vector_norm(optimizer.first) == pytest.approx(
        1 - 0.9, rel=1e-4
    )  # of a gradient of norm 1
    largest = max((p - b).abs().max() for p, b in zip(model.parameters(), before, strict=True))
    assert largest.item() == pytest.approx(0.5 / 10, rel=1e-3)


@pytest.mark.parametrize("poison", ["gradient", "loss", "infinite gradient"])
def test_a_bad_step_leaves_everything_as_it_was(poison):
    model = small_model()
    optimizer = GuardedAdamW(model, OptimizerConfig())
    good = torch.ones_like(optimizer.first)
    optimizer.step(good, torch.tensor(1.0))
    kept = {key: value.clone() for key, value in {**model.state_dict(), **optimizer.tensors()}.items()}
    bad = good.clone()
    bad[7] = {"gradient": torch.nan, "infinite gradient": torch.inf}.get(poison, 1.0)
    for _ in range(3):
        assert not optimizer.step(bad, torch.tensor(torch.nan if poison == "loss" else 1.0))
    now = {**model.state_dict(), **optimizer.tensors()}
    counters = {"bad_steps", "bad_in_a_row", "worst_row"}
    for name in now.keys() - counters:
        assert torch.equal(now[name], kept[name]), name
    assert [int(now[name]) for name in sorted(counters)] == [3, 3, 3]
    optimizer.step(good, torch.tensor(1.0))
    assert [int(optimizer.tensors()[name]) for name in sorted(counters)] == [0, 3, 3]
    assert not torch.equal(model.state_dict()["head.weight"], kept["head.weight"])


# a whole run


def test_a_run_leaves_what_it_promises(unbroken):
    lines = metrics_of(unbroken)
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, 13))
    assert [line["epoch"] for line in lines if line["kind"] == "val"] == [1, 2, 3]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert (unbroken / "curves.png").stat().st_size > 5000
    assert [path.name for path in sorted((unbroken / "samples").iterdir())] == [
        f"epoch_{n:04d}.png" for n in (1, 2, 3)
    ]
    info = json.loads((unbroken / "env.json").read_text())
    assert info["packages"]["torch"] == torch.__version__
    assert (info["device"], info["precision"]) == ("cpu", "fp32")
    events = EventAccumulator(str(unbroken)).Reload()
    assert [event.step for event in events.Scalars("val/dice/waveform")] == [4, 8, 12]
    assert not list(unbroken.rglob(".*"))  # no temporary file is left


def test_checkpoints_stand_alone_and_hold_the_normalisation(unbroken, tiny_dataset):
    model, config = load_model(unbroken / "checkpoints/best.safetensors")
    assert model.config.widths == (8, 16) == tuple(config["model"]["widths"])
    info = json.loads((tiny_dataset / "dataset.json").read_text())
    assert model.image_mean.flatten().tolist() == pytest.approx(info["image_mean"])
    assert model.image_std.flatten().tolist() == pytest.approx(info["image_std"])
    best = load_training_state(unbroken / "checkpoints", "best")
    vals = [line for line in metrics_of(unbroken) if line["kind"] == "val"]
    dice = [(line["dice"]["grid"] + line["dice"]["waveform"]) / 2 for line in vals]
    assert best.record["best_epochs"]["best"]["mean_dice"] == max(dice)
    assert best.record["epoch"] == dice.index(max(dice)) + 1


def test_a_finished_run_says_so_and_more_epochs_go_on(tiny_dataset, unbroken, tmp_path, capsys):
    runs = copy_run(unbroken, tmp_path)
    assert train_on_cpu(tiny_dataset, runs) == 0
    assert "is finished: 3 epochs" in capsys.readouterr().out
    assert train_on_cpu(tiny_dataset, runs, run__epochs=4) == 0
    assert "going on after epoch 3, step 12" in capsys.readouterr().out
    lines = metrics_of(runs / "small")
    assert lines[: len(metrics_of(unbroken))] == metrics_of(unbroken)
    assert lines[-1]["epoch"] == 4


def copy_run(folder: Path, target: Path) -> Path:
    import shutil

    shutil.copytree(folder, target / folder.name)
    return target


def test_resume_refuses_another_setting_or_dataset_by_name(tiny_dataset, unbroken, tmp_path):
    runs = copy_run(unbroken, tmp_path)
    with pytest.raises(InputError, match=r"its optimizer\.lr is 0\.003, now 0\.5; --resume none"):
        train_on_cpu(tiny_dataset, runs, optimizer__lr=0.5)
    record = runs / "small/checkpoints/last.json"
    record.write_text(record.read_text().replace('"dataset_sha256": "', '"dataset_sha256": "0'))
    with pytest.raises(InputError, match=r"its dataset digest is 0"):
        train_on_cpu(tiny_dataset, runs)
    assert metrics_of(runs / "small") == metrics_of(unbroken)


def test_resume_none_moves_the_old_run_aside(tiny_dataset, unbroken, tmp_path):
    runs = copy_run(unbroken, tmp_path)
    (runs / "small.1").mkdir()
    changes = {"optimizer__lr": 0.002, "run__epochs": 1}
    assert train_on_cpu(tiny_dataset, runs, "--resume", "none", **changes) == 0
    assert metrics_of(runs / "small.2") == metrics_of(unbroken)
    assert metrics_of(runs / "small")[-1]["epoch"] == 1


def test_a_run_starts_from_given_weights(tiny_dataset, unbroken, tmp_path):
    given = unbroken / "checkpoints/best.safetensors"
    still = {"optimizer__lr": 1e-12, "scheduler__min_lr": 1e-13, "run__epochs": 1}
    assert train_on_cpu(tiny_dataset, tmp_path, run__initial_weights=given, **still) == 0
    weights, _ = load_model(tmp_path / "small/checkpoints/last.safetensors")
    for found, before in zip(weights.parameters(), load_model(given)[0].parameters(), strict=True):
        torch.testing.assert_close(found, before, rtol=0, atol=1e-6)
    wider = {"model__widths": "[8, 32]", "run__name": "wider"}
    with pytest.raises(InputError, match=r"best.safetensors: is a network of model.widths \[8, 16\]"):
        train_on_cpu(tiny_dataset, tmp_path, run__initial_weights=given, **wider)


def test_a_damaged_state_is_named(tiny_dataset, unbroken, tmp_path):
    runs = copy_run(unbroken, tmp_path)
    for state in (runs / "small/checkpoints").glob("*.state-*"):
        state.write_bytes(state.read_bytes()[:-1])
    (state,) = (runs / "small/checkpoints").glob("last.state-*")
    with pytest.raises(InputError, match=f"{state.name}: missing or damaged"):
        train_on_cpu(tiny_dataset, runs, run__epochs=9)
    with pytest.raises(InputError, match="no whole safetensors file"):
        load_model(state)


def test_killed_and_run_again_ends_like_the_unbroken_run(tiny_dataset, unbroken, tmp_path):
    command = [sys.executable, str(REPOSITORY / "experiment/train_tpu.py")]
    command += arguments(tiny_dataset, tmp_path, "--device", "cpu")
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if " step 6/" in line:  # in the middle of the second epoch
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    folder = tmp_path / "small"
    assert not (folder / "checkpoints/last.json").exists() or json.loads(
        (folder / "checkpoints/last.json").read_text()
    )["epoch"] in (1, 2)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "tra')  # as a kill in the middle of a line would leave it
    result = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert metrics_of(folder) == metrics_of(unbroken)
    for name in ("last", "best"):
        ours, _ = read_safetensors(folder / f"checkpoints/{name}.safetensors")
        theirs, _ = read_safetensors(unbroken / f"checkpoints/{name}.safetensors")
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


def test_ctrl_c_ends_without_a_stack_trace(tiny_dataset, tmp_path):
    command = [sys.executable, str(REPOSITORY / "experiment/train_tpu.py")]
    command += arguments(tiny_dataset, tmp_path, "--device", "cpu", run__epochs=1000)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment(), **pipes)
    for line in process.stdout:
        if " step 2/" in line:
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors and "interrupted" in errors


def test_a_loss_that_is_not_finite_ends_with_code_3(tiny_dataset, tmp_path, capsys):
    changes = {"optimizer__lr": 1e30, "optimizer__warmup_steps": 0, "nan__max_bad_steps": 2}
    assert train_on_cpu(tiny_dataset, tmp_path, **changes) == 3
    output = capsys.readouterr().out
    assert "stopped: 2 steps in a row were not finite" in output
    assert "the last good checkpoint is" in output


# devices


def test_training_on_an_xla_device_agrees_with_the_cpu(tiny_dataset, unbroken, tmp_path):
    options = arguments(tiny_dataset, tmp_path, run__epochs=1)
    result = run_script("experiment/train_tpu.py", *options, env=environment(PJRT_DEVICE="CPU"))
    assert result.returncode == 0, result.stderr
    assert "device xla-cpu (PJRT_DEVICE=CPU)" in result.stdout
    for ours, theirs in zip(metrics_of(tmp_path / "small"), metrics_of(unbroken), strict=False):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3), ours["step"]
    assert ours["kind"] == "val"


def test_bf16_by_the_environment_keeps_weights_in_fp32(tiny_dataset, tmp_path):
    options = arguments(tiny_dataset, tmp_path, run__epochs=1, run__steps_per_epoch=2)
    variables = {"PJRT_DEVICE": "CPU", "XLA_USE_BF16": "1"}
    result = run_script("experiment/train_tpu.py", *options, env=environment(**variables))
    assert result.returncode == 0, result.stderr
    assert "precision bf16 (XLA_USE_BF16 is set)" in result.stdout
    weights, _ = read_safetensors(tmp_path / "small/checkpoints/last.safetensors")
    for name, tensor in weights.items():
        assert tensor.dtype == torch.float32, name
    head = weights["head.weight"]
    assert not torch.equal(head, head.bfloat16().float())  # not rounded on the way either


def test_an_explicit_precision_wins_and_says_so(tiny_dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XLA_USE_BF16", "true")
    changes = {"precision": "fp32", "run__epochs": 1, "run__steps_per_epoch": 1}
    assert train_on_cpu(tiny_dataset, tmp_path, **changes) == 0
    assert (
        "precision fp32 (precision: fp32 in the configuration wins over XLA_USE_BF16)"
        in capsys.readouterr().out
    )
    assert "XLA_USE_BF16" not in os.environ


def test_plain_torch_never_imports_torch_xla():
    code = "import sys, experiment.train_tpu, experiment.predict; print([m for m in sys.modules if 'torch_xla' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_torch_and_torch_xla_of_different_lines_are_refused(tiny_dataset, tmp_path):
    wheel = tmp_path / "site" / "torch_xla-2.3.1.dist-info"
    wheel.mkdir(parents=True)
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: torch_xla\nVersion: 2.3.1\n")
    options = arguments(tiny_dataset, tmp_path, "--device", "xla-cpu")
    result = run_script(
        "experiment/train_tpu.py", *options, env=environment(PYTHONPATH=str(wheel.parent), PJRT_DEVICE="CPU")
    )
    assert result.returncode == 2
    line = ".".join(torch.__version__.split(".")[:2])
    assert f"torch {line} and torch_xla 2.3 do not work together: pip install 'torch~=2.3.0'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "small").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_an_error(tiny_dataset, tmp_path):
    with pytest.raises(InputError, match=r"--device cuda, but torch .* finds no CUDA device"):
        train_tpu.main(arguments(tiny_dataset, tmp_path, "--device", "cuda"))


@pytest.mark.skipif(
    bool([*Path("/dev").glob("accel*"), *Path("/dev").glob("vfio/*")]), reason="may have a TPU"
)
def test_a_missing_tpu_is_an_error(tiny_dataset, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--device tpu, but this machine has no TPU"):
        train_tpu.main(arguments(tiny_dataset, tmp_path, "--device", "tpu"))
    monkeypatch.setenv("PJRT_DEVICE", "TPU")
    with pytest.raises(InputError, match="PJRT_DEVICE=TPU, but this machine has no TPU"):
        train_tpu.main(arguments(tiny_dataset, tmp_path))
    monkeypatch.setenv("PJRT_DEVICE", "ROCM")
    with pytest.raises(InputError, match="PJRT_DEVICE=ROCM: only TPU and CPU"):
        train_tpu.main(arguments(tiny_dataset, tmp_path))


def test_command_line_errors_are_one_line(tmp_path):
    result = run_script("experiment/train_tpu.py", *arguments(tmp_path / "no", tmp_path, "--device", "cpu"))
    assert result.returncode == 2
    assert result.stderr == (
        f"error: {tmp_path}/no/dataset.json: not found; build the dataset with scripts/build_dataset.py\n"
    )
