"""digitize.py on a Dask cluster: the same bytes as in one process, whatever becomes of a worker."""

import signal

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import remove_stale_temporaries
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.page.layouts import PageSetup
from experiment.labelling.result_names import PageFile
from experiment.reading.digitize_on_cluster import read_files
from experiment.reading.digitize_pages import DigitizeOptions
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.sampling_rates import SamplingRates
from known_pages import page_of

from conftest import run_script
from dask_cluster import WAIT_S, kill_after_first, two_workers
from helpers import files_below


@pytest.fixture
def pages(tmp_path):
    """Four small pages, one without a calibration pulse, and a file that is no picture."""
    folder = tmp_path / "pages"
    folder.mkdir()
    pictures = [encode_rgb(page_of(PageSetup(dpi=100, pulse=pulse)).image) for pulse in ("left", "none")]
    for number in range(4):
        (folder / f"{number}.png").write_bytes(pictures[number == 3])
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_a_cluster_that_loses_a_worker_reads_the_same_bytes(pages, tmp_path):
    pytest.importorskip("distributed")
    here, there = tmp_path / "here", tmp_path / "there"

    def digitize(*flags):
        result = run_script(
            "experiment/digitize.py", "--images", pages, "--train-csv", tmp_path / "train.csv", *flags
        )
        assert result.returncode == 1, result.stderr  # of the broken file
        return result

    (tmp_path / "train.csv").write_text("id,fs\n" + "".join(f"{number},250\n" for number in range(4)))
    with two_workers(tmp_path) as cluster:
        killer = kill_after_first(cluster.worker, there, "*.json")
        on_cluster = digitize(
            "--dask-scheduler", cluster.address, "--output-dir", there, "--submission", tmp_path / "there.csv"
        )
        assert killer.wait(WAIT_S) == 0
        assert cluster.worker.wait(WAIT_S) == -signal.SIGKILL
    alone = digitize("--num-workers", 1, "--output-dir", here, "--submission", tmp_path / "here.csv")
    assert (
        "read 4 of 5 pages" in alone.stdout and f"s a page, cluster {cluster.address})" in on_cluster.stdout
    )
    for result in (alone, on_cluster):
        assert "warning: broken: is not in the given table; 500 Hz (assumed)" in result.stderr
    for folder in (there, there / "report_pictures"):
        remove_stale_temporaries(folder)  # as the next run would: the lost worker may have had one open
    written, expected = files_below(there), files_below(here)
    assert written.keys() == expected.keys()
    title = b"Readings in "
    assert [
        name
        for name, data in written.items()
        if data.replace(title + str(there).encode(), b"")
        != expected[name].replace(title + str(here).encode(), b"")
    ] == []
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_what_a_worker_passes_over_and_cannot_read_comes_back(tmp_path):
    path = tmp_path / "7.png"
    path.write_bytes(encode_rgb(page_of(PageSetup(dpi=50)).image))

    def make_see():
        def see(image, rotation_deg):
            raise InputError("no page")

        return see

    options = DigitizeOptions(tmp_path / "out", ReadingOptions(), num_workers=1)
    group = (PageFile(path, "7"), PageFile(path, "7"))
    outcome = read_files(group, make_see, options, SamplingRates(500.0, {}, {}))
    ((page, result),) = outcome.pages
    assert (page.name, page.seen, result.about["status"], result.about["reasons"]) == (
        *("7", None, "unread", ["no page"]),
    )
    assert outcome.passed_over == ((str(path), "another page is called 7 as well; rename a file"),)
