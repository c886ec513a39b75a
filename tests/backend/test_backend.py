"""What backends share: the precision that is chosen and why, and how a rank that fails ends."""

import os
import sys

import pytest
import torch

from ecg_generator_with_train_src.common.command_line import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_USAGE
from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.backend import end_rank, resolve_precision, torch_versions
from experiment.backend.launch import KINDS
from experiment.backend.options import DeviceChoice


def choice_of(kind: str, bf16_wish: bool | None = None) -> DeviceChoice:
    return DeviceChoice(kind, "w", bf16_wish, KINDS[kind].pjrt_device)


@pytest.mark.parametrize(("asked", "expected"), [("auto", "bf16"), ("fp32", "fp32")])
def test_a_cpu_that_multiplies_bf16_predicts_in_it_unless_told_otherwise(asked, expected):
    precision, _ = resolve_precision(asked, choice_of("cpu"), can_bf16=True, prefer_bf16=True)
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
    assert resolve_precision(asked, choice_of(kind, wish), can_bf16) == expected


def test_bf16_is_refused_where_it_cannot_be_had():
    with pytest.raises(InputError, match="precision: bf16, but this device"):
        resolve_precision("bf16", choice_of("cuda"), can_bf16=False)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (InputError("page.png: not found"), EXIT_USAGE, "error: page.png: not found\n"),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, ""),
        (ZeroDivisionError("a slip"), EXIT_FAULT, "rank 3:\nZeroDivisionError: a slip\n"),
    ],
)
def test_a_rank_that_fails_ends_with_the_code_for_it(tmp_path, error, code, says):
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(tmp_path / "stderr", os.O_WRONLY | os.O_CREAT), 2)
        sys.stderr = os.fdopen(2, "w")
        end_rank(3, error, tmp_path / "outcome")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == code
    assert (tmp_path / "outcome").read_text() == str(code)
    assert (tmp_path / "stderr").read_text() == says


def test_versions_of_what_is_installed_are_told():
    assert torch_versions()["torch"] == torch.__version__
