"""Which backend is chosen, what it says of its precision, and what is refused before any device is touched."""

import importlib
import os
import subprocess
import sys

import pytest
import torch

from ecg_generator_with_train_src.common.errors import InputError
from experiment import train_tpu
from experiment.backend.launch import KINDS, choose, launch, tpu_device_files
from experiment.backend.options import LaunchOptions

from conftest import REPOSITORY
from small_runs import arguments, environment


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_device_names_a_function_that_starts_ranks(kind):
    if KINDS[kind].pjrt_device is not None:
        pytest.importorskip("torch_xla")
    assert callable(getattr(importlib.import_module(KINDS[kind].module), KINDS[kind].starter))


@pytest.mark.parametrize(
    ("value", "wish"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("", None)]
)
def test_the_bf16_variables_are_taken_out_of_the_environment(monkeypatch, value, wish):
    monkeypatch.setenv("XLA_USE_BF16", value)
    assert choose("cpu").bf16_wish is wish
    assert "XLA_USE_BF16" not in os.environ


def test_flags_of_the_other_backend():
    with pytest.raises(InputError, match="--compile is for cuda and cpu"):
        launch(LaunchOptions("xla-cpu", compile=True), print)
    with pytest.raises(InputError, match="--spmd is for XLA"):
        launch(LaunchOptions("cpu", spmd=True), print)


def test_an_explicit_precision_wins_and_says_so(monkeypatch, capsys):
    monkeypatch.setenv("XLA_USE_BF16", "true")
    assert launch(LaunchOptions("cpu", precision="fp32"), lambda backend: 5) == 5
    line = "precision fp32 (precision: fp32 in the configuration wins over XLA_USE_BF16)"
    assert line in capsys.readouterr().out
    assert "XLA_USE_BF16" not in os.environ


def test_plain_torch_never_loads_torch_xla():
    code = (
        "import sys, experiment.train_tpu, experiment.predict, experiment.training.run\n"
        "from experiment.backend.options import LaunchOptions\n"
        "from experiment.backend.launch import launch\n"
        "found = lambda backend: print([name for name in sys.modules if 'torch_xla' in name])\n"
        "launch(LaunchOptions('cpu'), found)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True)
    assert result.stdout.endswith("\n[]\n"), result.stdout + result.stderr


def test_torch_and_torch_xla_of_different_lines_are_refused(tiny_dataset, tmp_path, monkeypatch):
    wheel = tmp_path / "site" / "torch_xla-2.3.1.dist-info"
    wheel.mkdir(parents=True)
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: torch_xla\nVersion: 2.3.1\n")
    monkeypatch.syspath_prepend(str(wheel.parent))
    line = ".".join(torch.__version__.split(".")[:2])
    with pytest.raises(InputError) as refusal:
        train_tpu.main(arguments(tiny_dataset, tmp_path, "--device", "xla-cpu"))
    told = f"torch {line} and torch_xla 2.3 do not work together: pip install 'torch~=2.3.0'"
    assert told in str(refusal.value) and "\n" not in str(refusal.value)
    assert not (tmp_path / "small").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_an_error(tiny_dataset, tmp_path):
    with pytest.raises(InputError, match=r"--device cuda, but torch .* finds no CUDA device"):
        train_tpu.main(arguments(tiny_dataset, tmp_path, "--device", "cuda"))


@pytest.mark.skipif(bool(tpu_device_files()), reason="this machine has a TPU")
def test_a_missing_tpu_is_an_error(tiny_dataset, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--device tpu, but this machine has no TPU"):
        train_tpu.main(arguments(tiny_dataset, tmp_path, "--device", "tpu"))
    monkeypatch.setenv("PJRT_DEVICE", "TPU")
    with pytest.raises(InputError, match="PJRT_DEVICE=TPU, but this machine has no TPU"):
        train_tpu.main(arguments(tiny_dataset, tmp_path))
    monkeypatch.setenv("PJRT_DEVICE", "ROCM")
    with pytest.raises(InputError, match="PJRT_DEVICE=ROCM: only TPU and CPU"):
        train_tpu.main(arguments(tiny_dataset, tmp_path))


@pytest.mark.parametrize(("own", "used"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_that_wait_leave_the_processor_to_others_unless_told(own, used):
    code = "import os, sys; import experiment; print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    variables = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | own
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables, cwd=REPOSITORY
    )
    assert done.stdout == f"False {used}\n"
