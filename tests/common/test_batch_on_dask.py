"""The batch steps on a Dask cluster: a real scheduler, two worker processes, one of them killed on the way."""

import json
import signal
import subprocess
import sys
import time

import pytest

from ecg_generator_with_train_src.common.files import remove_stale_temporaries

from helpers import build, files_below, render

pytest.importorskip("distributed")
WAIT_S = 60


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler on loopback, and its two workers, which run in another folder than we do."""
    file = tmp_path / "scheduler.json"
    flags = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    processes = [start_dask("scheduler", tmp_path, *flags)]
    try:
        address = wait_for_address(file)
        worker_flags = (address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--host", "127.0.0.1")
        processes += [start_dask("worker", tmp_path, *worker_flags) for _ in range(2)]
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def start_dask(kind, folder, *flags):
    """`dask scheduler` or `dask worker`, as users start them."""
    command = [sys.executable, "-m", "dask", kind, *flags]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_address(file):
    """The scheduler writes its address once it listens."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        try:
            return json.loads(file.read_text())["address"]
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.1)
    raise AssertionError("the scheduler did not start")


SMALL_PAGES = ("--variants", 3, "--dpi", 100)
HERE = ("--num-workers", 1)


def test_a_cluster_that_loses_a_worker_makes_the_same_bytes(cluster, sample_records, tmp_path):
    address, (lost, _) = cluster
    here, there, on_cluster = tmp_path / "here", tmp_path / "there", ("--dask-scheduler", address)
    waves = there / "wave_images"
    command = [sys.executable, "-c", KILL_AFTER_FIRST_PAGE, str(lost.pid), str(waves)]
    killer = subprocess.Popen(command)
    assert render(sample_records, there, *SMALL_PAGES, *on_cluster).returncode == 0
    assert killer.wait(WAIT_S) == 0
    assert lost.wait(WAIT_S) == -signal.SIGKILL
    assert render(sample_records, here, *SMALL_PAGES, *HERE).returncode == 0
    for name in ("wave_images", "wave_masks"):
        remove_stale_temporaries(there / name)  # as the next run would: the lost worker may have had one open
    assert files_below(there) == files_below(here)

    assert build(sample_records, waves, tmp_path / "d_there", *on_cluster).returncode == 0
    assert build(sample_records, waves, tmp_path / "d_here", *HERE).returncode == 0
    assert files_below(tmp_path / "d_there") == files_below(tmp_path / "d_here")


KILL_AFTER_FIRST_PAGE = """
import os, signal, sys, time
from pathlib import Path
pid, folder = int(sys.argv[1]), Path(sys.argv[2])
while not any(folder.glob("*.page.json")):
    time.sleep(0.01)
os.kill(pid, signal.SIGKILL)
"""


def test_an_address_that_is_none_is_refused_in_one_line(sample_records, tmp_path):
    result = render(sample_records, tmp_path, "--dask-scheduler", "host", *HERE)
    assert result.returncode == 2
    assert result.stderr == "error: --dask-scheduler host: not an address such as tcp://host:8786\n"
