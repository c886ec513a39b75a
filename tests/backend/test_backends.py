"""Backends: what is chosen and said, ranks against one device, loaders that fail, and what XLA compiles."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.backend import DeviceChoice, LaunchOptions, resolve_precision
from experiment.backend.launch import choose, launch
from experiment.backend.prefetch import DEPTH, prefetched

import rank_programs
from conftest import REPOSITORY, run_script
from small_runs import arguments, environment, metrics_of

PROGRAMS = "tests/rank_programs.py"


def variables(**more: str) -> dict[str, str]:
    """One thread a process: several of them share a few cores."""
    return environment(OMP_NUM_THREADS="1", **more)


def torchrun(script: str, *options: str) -> subprocess.CompletedProcess:
    """Two ranks of a script on this machine, on a free port."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(REPOSITORY / script), *options]
    return subprocess.run(command, cwd=REPOSITORY, env=variables(), capture_output=True, text=True)


def found(result: subprocess.CompletedProcess, code: int = 0) -> list[dict]:
    """What the ranks printed as JSON."""
    assert result.returncode == code, result.stdout + result.stderr
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def run_program(*words: str | Path, code: int = 0, **more: str) -> list[dict]:
    return found(run_script(PROGRAMS, *words, env=variables(**more)), code)


# what is chosen, and said


@pytest.mark.parametrize(("asked", "expected"), [("auto", "bf16"), ("fp32", "fp32")])
def test_a_cpu_that_multiplies_bf16_predicts_in_it_unless_told_otherwise(asked, expected):
    precision, _ = resolve_precision(asked, DeviceChoice("cpu", "w", None), can_bf16=True, prefer_bf16=True)
    assert precision == expected


@pytest.mark.parametrize(
    ("asked", "kind", "wish", "can_bf16", "expected"),
    [
        ("auto", "tpu", None, True, ("fp32", "XLA_USE_BF16 is not set")),
        ("auto", "tpu", True, True, ("bf16", "XLA_USE_BF16 is set")),
        ("auto", "xla-cpu", False, True, ("fp32", "XLA_USE_BF16 is off")),
        ("auto", "cuda", None, True, ("bf16", "auto")),
        ("auto", "cuda", None, False, ("fp32", "auto")),
        ("auto", "cpu", True, True, ("fp32", "auto")),
        ("fp32", "tpu", None, True, ("fp32", "as configured")),
        ("bf16", "tpu", True, True, ("bf16", "as configured")),
        ("fp32", "tpu", True, True, ("fp32", "precision: fp32 in the configuration wins over XLA_USE_BF16")),
        ("bf16", "tpu", False, True, ("bf16", "precision: bf16 in the configuration wins over XLA_USE_BF16")),
    ],
)
def test_precision(asked, kind, wish, can_bf16, expected):
    assert resolve_precision(asked, DeviceChoice(kind, "w", wish), can_bf16) == expected


def test_bf16_is_refused_where_it_cannot_be_had():
    with pytest.raises(InputError, match="precision: bf16, but this device"):
        resolve_precision("bf16", DeviceChoice("cuda", "w", None), can_bf16=False)


@pytest.mark.parametrize(
    ("value", "wish"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("", None)]
)
def test_the_bf16_variables_are_taken_out_of_the_environment(monkeypatch, value, wish):
    monkeypatch.setenv("XLA_USE_BF16", value)
    assert choose("cpu").bf16_wish is wish
    assert "XLA_USE_BF16" not in os.environ


@pytest.mark.parametrize(
    ("asked", "here", "expected"),
    [
        (None, 8, (8, None)),
        (8, 8, (8, None)),
        (1, 8, (1, None)),
        (4, 8, (8, "4 cores asked for, this host drives 8: using 8")),
        (8, 4, (4, "8 cores asked for, this host drives 4: using 4")),
        (8, 1, (1, "8 cores asked for, this host drives 1: using 1")),
        (1, 1, (1, None)),
    ],
)
def test_core_counts(asked, here, expected):
    resolve_cores = pytest.importorskip("experiment.backend.xla").resolve_cores
    assert resolve_cores(asked, here) == expected


def test_flags_of_the_other_backend():
    with pytest.raises(InputError, match="--compile is for cuda and cpu"):
        launch(LaunchOptions("xla-cpu", compile=True), print)
    with pytest.raises(InputError, match="--spmd is for XLA"):
        launch(LaunchOptions("cpu", spmd=True), print)


def test_plain_torch_says_that_it_drives_one_device(capsys):
    assert launch(LaunchOptions("cpu", num_cores=4), lambda backend: 5) == 5
    line = "4 cores asked for, plain torch drives 1 device a process: using 1; torchrun starts several\n"
    assert capsys.readouterr().out.startswith(line)


def test_plain_torch_never_loads_torch_xla():
    code = (
        "import sys; from experiment.backend.launch import LaunchOptions, launch; import experiment.training.trainer;"
        "launch(LaunchOptions('cpu'), lambda backend: print('torch_xla' in sys.modules))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=REPOSITORY, env=variables(), capture_output=True, text=True)
    assert result.stdout.endswith("False\n"), result.stdout + result.stderr


# the loader


def broken_after(number: int, error: Exception):
    yield from range(number)
    raise error


@pytest.mark.parametrize("number", [0, 1, 3 * DEPTH])
def test_an_error_comes_after_the_batches_before_it(number):
    seen = []
    with pytest.raises(InputError, match=r"page\.png"):
        for item in prefetched(broken_after(number, InputError("page.png: damaged")), lambda k: 10 * k, None):
            seen.append(item)
    assert seen == [10 * k for k in range(number)]


def test_an_error_on_the_way_to_the_device_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(prefetched(iter([1, 0, 2]), lambda k: 1 / k, None))


@pytest.mark.parametrize("number", [2, 4])
def test_too_few_or_too_many_batches_are_an_error(number):
    with pytest.raises(RuntimeError, match=f"gave {number} batches where 3 were due"):
        list(prefetched(iter(range(number)), int, 3))
    assert list(prefetched(iter(range(3)), int, 3)) == [0, 1, 2]


def test_an_epoch_left_early_leaves_no_thread_behind():
    before = threading.active_count()
    batches = prefetched(iter(range(1000)), int, None)
    assert next(batches) == 0
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


@pytest.fixture(scope="module")
def damaged_dataset(tiny_dataset, tmp_path_factory) -> Path:
    """The dataset with one training page cut off."""
    root = tmp_path_factory.mktemp("damaged") / "dataset"
    shutil.copytree(tiny_dataset, root)
    victim = sorted((root / "train/images").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:2000])
    return root


def test_a_damaged_page_ends_the_epoch(damaged_dataset, capsys):
    assert launch(LaunchOptions("cpu"), rank_programs.damaged, str(damaged_dataset)) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["error"].startswith(f"{damaged_dataset}/train/images/")


# XLA


def test_xla_learns_two_images_by_heart_and_compiles_once(tiny_dataset):
    (said,) = run_program("fit", "xla-cpu", tiny_dataset)
    assert min(said["dice"].values()) > 0.9  # half covered pixels, of which the network is told the coverage
    assert said["fallbacks"] == []
    assert said["last"] == said["first"]  # after the second step nothing is compiled, whatever the rate
    assert said["first"] <= 3
    assert said["bad_steps"] == 0


def test_precision_loader_and_cache_of_an_xla_device(damaged_dataset):
    precision, page, cache = run_program(
        "precision_kept,damaged,cached", "xla-cpu", damaged_dataset, XLA_USE_BF16="1"
    )
    assert precision["product"] == "torch.bfloat16"
    assert precision["sum"] == pytest.approx(1.001)  # 1 in bf16
    assert page["error"].startswith(f"{damaged_dataset}/train/images/")
    files = [path for path in cache["files"] if Path(path).is_file() and Path(path).parent.name == "0"]
    assert cache["value"] == [2, 2, 2] and files  # compiled programs, in a folder of this rank


def test_two_threads_of_a_process_are_two_ranks():
    said = run_program("say_rank", "ranks", "well", code=7, CPU_NUM_DEVICES="2")
    assert sorted((line["rank"], line["of"]) for line in said) == [(0, 2), (1, 2)]
    assert len({line["process"] for line in said}) == 1


def test_a_rank_that_fails_ends_the_others():
    result = run_script(PROGRAMS, "say_rank", "ranks", "bug", env=variables(CPU_NUM_DEVICES="2"))
    assert result.returncode == 1
    assert "ValueError: a rank fails" in result.stderr


# several devices against one


def assert_same(ours: Path, theirs: Path, tolerance: float) -> None:
    lines, expected = metrics_of(ours), metrics_of(theirs)
    assert [line["step"] for line in lines] == [line["step"] for line in expected]
    for line, other in zip(lines, expected, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=tolerance), line["step"]
        assert line["dice"] == pytest.approx(other["dice"], abs=1e-3), line["step"]


def succeed(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_spmd_on_four_devices_is_one_device(tiny_dataset, tmp_path):
    short = {"run__epochs": 2, "run__steps_per_epoch": 2, "run__sample_tiles": 1, "scheduler__patience": 0}
    outputs = {}
    for name, options, batch in (
        ("one", ["--num-cores", "4"], 8),
        ("spmd", ["--spmd", "--num-cores", "4"], 2),
    ):
        sizes = {"run__name": name, "data__batch_size": batch, "data__val_batch_size": batch}
        words = arguments(tiny_dataset, tmp_path, *options, **short, **sizes)
        outputs[name] = succeed(
            run_script("experiment/train_tpu.py", *words, env=variables(PJRT_DEVICE="CPU"))
        )
    assert outputs["one"].startswith("4 cores asked for, this host drives 1: using 1\n")
    assert "4 cores by SPMD" in outputs["spmd"]
    for output in outputs.values():
        assert ", none after the first epoch" in output and "warning" not in output
    assert_same(tmp_path / "spmd", tmp_path / "one", 1e-6)


def test_two_gloo_ranks_are_one_process(tiny_dataset, tmp_path):
    words = arguments(tiny_dataset, tmp_path, "--device", "cpu", run__name="one", run__epochs=1)
    succeed(run_script("experiment/train_tpu.py", *words, env=variables()))
    sizes = {"data__batch_size": 2, "data__val_batch_size": 5}  # 16 tiles: the last batches are padded
    words = arguments(tiny_dataset, tmp_path, "--device", "cpu", run__name="two", run__epochs=1, **sizes)
    output = succeed(torchrun("experiment/train_tpu.py", *words))
    assert "2 ranks" in output
    assert output.count("trained 1 epochs") == 1  # rank 0 alone speaks
    assert_same(tmp_path / "two", tmp_path / "one", 1e-5)


def test_gloo_ranks_start_alike_and_exchange():
    said = found(torchrun(PROGRAMS, "exchange", "cpu", ""))
    assert sorted(line["rank"] for line in said) == [0, 1]
    for line in said:
        assert line["same"]
        assert line["sum"] == [2, 1]
        assert bytes.fromhex(line["said"]) == b"said\xff"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_learns_two_images_by_heart(tiny_dataset):
    (said,) = run_program("fit", "cuda", tiny_dataset)
    assert min(said["dice"].values()) > 0.9  # half covered pixels, of which the network is told the coverage
