"""The batch steps on a Dask cluster: a real scheduler, two worker processes, one of them killed on the way."""

import signal

import pytest

from ecg_generator_with_train_src.common.files import remove_stale_temporaries

from dask_cluster import WAIT_S, kill_after_first, two_workers
from helpers import build, files_below, render

pytest.importorskip("distributed")

SMALL_PAGES = ("--variants", 3, "--dpi", 100)
HERE = ("--num-workers", 1)


def test_a_cluster_that_loses_a_worker_makes_the_same_bytes(sample_records, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    waves = there / "wave_images"
    with two_workers(tmp_path) as cluster:
        on_cluster = ("--dask-scheduler", cluster.address)
        killer = kill_after_first(cluster.worker, waves, "*.page.json")
        assert render(sample_records, there, *SMALL_PAGES, *on_cluster).returncode == 0
        assert killer.wait(WAIT_S) == 0
        assert cluster.worker.wait(WAIT_S) == -signal.SIGKILL
        assert build(sample_records, waves, tmp_path / "d_there", *on_cluster).returncode == 0
    assert render(sample_records, here, *SMALL_PAGES, *HERE).returncode == 0
    for name in ("wave_images", "wave_masks"):
        remove_stale_temporaries(there / name)  # as the next run would: the lost worker may have had one open
    assert files_below(there) == files_below(here)
    assert build(sample_records, waves, tmp_path / "d_here", *HERE).returncode == 0
    assert files_below(tmp_path / "d_there") == files_below(tmp_path / "d_here")


def test_a_scheduler_that_goes_away_ends_the_step_in_one_line(sample_records, tmp_path):
    with two_workers(tmp_path) as cluster:
        killer = kill_after_first(cluster.scheduler, tmp_path / "out" / "wave_images", "*.page.json")
        on_cluster = ("--dask-scheduler", cluster.address)
        result = render(sample_records, tmp_path / "out", "--variants", 40, *on_cluster)
        assert killer.wait(WAIT_S) == 0
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: --dask-scheduler {cluster.address}: the connection was lost; run again to go on"
    ]
    assert "Traceback" not in result.stderr


def test_an_address_that_is_none_is_refused_in_one_line(sample_records, tmp_path):
    result = render(sample_records, tmp_path, "--dask-scheduler", "host", *HERE)
    assert result.returncode == 2
    assert result.stderr == "error: --dask-scheduler host: not an address such as tcp://host:8786\n"
