"""Plain torch: one device per process, and two ranks that compute what one computes."""

import subprocess
import sys

import pytest
import torch

from experiment.backend.launch import choose, launch
from experiment.backend.options import LaunchOptions
from experiment.backend.plain_torch import TorchBackend

from conftest import REPOSITORY
from small_runs import arguments, assert_same_metrics, environment, run_programs, said_by, train_on_cpu


def two_ranks(script: str, *options: str) -> subprocess.CompletedProcess:
    """Two ranks of a script on this machine, which torchrun starts on a free port."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(REPOSITORY / script), *options]
    return subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True)


def test_plain_torch_says_that_it_drives_one_device(capsys):
    assert launch(LaunchOptions("cpu", num_cores=4), lambda backend: 5) == 5
    line = "4 cores asked for, plain torch drives 1 device per process: using 1; torchrun starts several\n"
    assert capsys.readouterr().out.startswith(line)


def test_two_gloo_ranks_are_one_process(tiny_dataset, tmp_path):
    assert train_on_cpu(tiny_dataset, tmp_path, run__name="one", run__epochs=1) == 0
    sizes = {"data__batch_size": 2, "data__val_batch_size": 5}  # 16 tiles: the last batches are padded
    words = arguments(tiny_dataset, tmp_path, "--device", "cpu", run__name="two", run__epochs=1, **sizes)
    result = two_ranks("experiment/train_tpu.py", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 ranks" in result.stdout
    assert result.stdout.count("trained 1 epochs") == 1  # rank 0 alone speaks
    assert_same_metrics(tmp_path / "two", tmp_path / "one", 1e-5)


def test_gloo_ranks_start_alike_and_exchange():
    said = said_by(two_ranks("tests/rank_programs.py", "cpu", "exchange="))
    assert sorted(line["rank"] for line in said) == [0, 1]
    for line in said:
        assert line["same"]
        assert line["sum"] == [2, 1]
        assert bytes.fromhex(line["said"]) == b"said\xff"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_learns_two_images_by_heart(tiny_dataset):
    (said,) = said_by(run_programs("cuda", f"fit={tiny_dataset}"))
    assert min(said["dice"].values()) > 0.9  # half covered pixels, of which the network is told the coverage


def test_what_torch_compile_compiles_is_counted():
    backend = TorchBackend(choose("cpu"), LaunchOptions("cpu", compile=True))
    before = backend.compilations()
    add_one = torch.compile(lambda x: x + 1, backend="eager")
    for _ in range(2):
        add_one(torch.ones(2))
    assert backend.compilations() == before + 1
