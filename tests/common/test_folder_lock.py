"""common/folder_lock.py, and that the commands whose output two runs would mix hold their folders."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.folder_lock import locked
from ecg_generator_with_train_src.fetch.transfers import output_folder
from experiment.labelling.predict_pages import PredictOptions, predict_pages
from experiment.reading.digitize_pages import DigitizeOptions, digitize_pages
from experiment.reading.find_layout import ReadingOptions

from helpers import build, linux_only, refusal, render
from small_runs import train_on_cpu

HOLD = """
import sys, pathlib
from ecg_generator_with_train_src.common.folder_lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds a folder."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.stdin.close()


@linux_only
def test_the_second_run_names_the_first_and_goes_on_when_that_is_killed(tmp_path):
    folder = tmp_path / "out"
    with held_elsewhere(folder) as first:
        with pytest.raises(InputError) as refused, locked(folder):
            pass
        assert str(refused.value) == (
            f"{folder}: another run (process {first.pid}) is at work there; wait until it has ended"
        )
        first.send_signal(signal.SIGKILL)
        first.wait()
        with locked(folder):
            assert list(folder.iterdir()) == []


def test_a_folder_is_free_again_after_its_run_and_others_are_free_all_the_time(tmp_path):
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        pass
    with locked(tmp_path / "a"):
        pass


def test_a_file_is_no_output_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: is a file; choose another folder"), locked(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    "run",
    [
        lambda folder: output_folder(folder).__enter__(),
        lambda folder: predict_pages(None, PredictOptions(folder), [], None),
        lambda folder: digitize_pages(
            None, DigitizeOptions(folder, ReadingOptions(), num_workers=1), [], None
        ),
    ],
    ids=["fetching", "predict", "digitize"],
)
def test_what_works_in_a_folder_holds_it(tmp_path, run):
    with held_elsewhere(tmp_path / "out"), pytest.raises(InputError, match=r"another run .*is at work there"):
        run(tmp_path / "out")


def test_rendering_holds_both_of_its_folders(tmp_path, sample_records):
    for name in ("wave_images", "wave_masks"):
        with held_elsewhere(tmp_path / name):
            result = render(sample_records, tmp_path, "--num-workers", 1)
        assert f"{tmp_path / name}: another run" in refusal(result)


def test_building_holds_its_folder(tmp_path, sample_records, rendered):
    with held_elsewhere(tmp_path / "out"):
        result = build(sample_records, rendered / "wave_images", tmp_path / "out", "--num-workers", 1)
    assert f"{tmp_path / 'out'}: another run" in refusal(result)


def test_training_holds_the_folder_of_its_run_also_where_that_is_to_be_moved_aside(tmp_path, tiny_dataset):
    for options in ((), ("--resume", "none")):
        with held_elsewhere(tmp_path / "small"), pytest.raises(InputError, match="small: another run"):
            train_on_cpu(tiny_dataset, tmp_path, *options)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
