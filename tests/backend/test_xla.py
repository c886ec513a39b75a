"""XLA, on its stand-in for a TPU: core counts, precision, ranks, what is compiled, and several devices against one."""

from pathlib import Path

import pytest
import torch

from ecg_generator_with_train_src.common.command_line import EXIT_FAULT
from experiment.network.checkpoints import read_safetensors

from conftest import run_script
from small_runs import (
    arguments,
    assert_same_metrics,
    damaged_copy,
    environment,
    metrics_of,
    run_programs,
    said_by,
    train_on_cpu,
)

pytest.importorskip("torch_xla")


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
    from experiment.backend.xla import resolve_cores

    assert resolve_cores(asked, here) == expected


def test_xla_learns_two_images_by_heart_and_compiles_once(tiny_dataset):
    (said,) = said_by(run_programs("xla-cpu", f"fit={tiny_dataset}"))
    assert min(said["dice"].values()) > 0.9  # half covered pixels, of which the network is told the coverage
    assert said["fallbacks"] == []
    assert said["last"] == said["first"]  # after the second step nothing is compiled, whatever the rate
    assert said["first"] <= 3
    assert said["bad_steps"] == 0


def test_bf16_by_the_environment_loader_and_cache_of_an_xla_device(tiny_dataset, tmp_path):
    damaged, whole = damaged_copy(tiny_dataset, tmp_path), tmp_path / "runs"
    programs = ("precision_kept=", f"damaged={damaged}", f"train_briefly={tiny_dataset},{whole}")
    result = run_programs("xla-cpu", *programs, f"cached={tmp_path}", XLA_USE_BF16="1")
    precision, page, cache = said_by(result)
    assert "precision bf16 (XLA_USE_BF16 is set)" in result.stdout
    assert precision["product"] == "torch.bfloat16"
    assert precision["sum"] == pytest.approx(1.001)  # 1 in bf16
    assert page["error"].startswith(f"{damaged}/train/images/")
    files = [path for path in cache["files"] if Path(path).is_file() and Path(path).parent.name == "0"]
    assert cache["value"] == [2, 2, 2] and files  # compiled programs, in a folder of this rank
    weights, _ = read_safetensors(whole / "r/checkpoints/last.safetensors")
    for name, tensor in weights.items():
        assert tensor.dtype == torch.float32, name
    head = weights["head.weight"]
    assert not torch.equal(head, head.bfloat16().float())  # not rounded on the way either


def test_two_threads_of_a_process_are_two_ranks():
    said = said_by(run_programs("ranks", "say_rank=well", CPU_NUM_DEVICES="2"), code=7)
    assert sorted((line["rank"], line["of"]) for line in said) == [(0, 2), (1, 2)]
    assert len({line["process"] for line in said}) == 1


def test_a_rank_that_fails_ends_the_others():
    result = run_programs("ranks", "say_rank=bug", CPU_NUM_DEVICES="2")
    assert result.returncode == EXIT_FAULT
    assert "ValueError: a rank fails" in result.stderr


def test_an_xla_device_agrees_with_the_cpu_and_four_devices_by_spmd_with_one(tiny_dataset, tmp_path):
    short = {"run__epochs": 2, "run__steps_per_epoch": 2, "run__sample_tiles": 1, "scheduler__patience": 0}
    one, four = (
        {"data__batch_size": 8, "data__val_batch_size": 8},
        {"data__batch_size": 2, "data__val_batch_size": 2},
    )
    outputs = {}
    for name, options, sizes in (
        ("one", ["--num-cores", "4"], one),
        ("spmd", ["--spmd", "--num-cores", "4"], four),
    ):
        words = arguments(tiny_dataset, tmp_path, *options, run__name=name, **short, **sizes)
        result = run_script("experiment/train_tpu.py", *words, env=environment(PJRT_DEVICE="CPU"))
        assert result.returncode == 0, result.stdout + result.stderr
        outputs[name] = result.stdout
    assert outputs["one"].startswith("4 cores asked for, this host drives 1: using 1\n")
    assert "device xla-cpu (PJRT_DEVICE=CPU)" in outputs["one"]
    assert "4 cores by SPMD" in outputs["spmd"]
    for output in outputs.values():
        assert ", none after the first epoch" in output and "warning" not in output
    assert_same_metrics(tmp_path / "spmd", tmp_path / "one", 1e-6)
    assert train_on_cpu(tiny_dataset, tmp_path, run__name="cpu", **short, **one) == 0
    lines, expected = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "cpu")
    assert [line["kind"] for line in lines] == [line["kind"] for line in expected]
    for line, other in zip(lines, expected, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-3), line["step"]
