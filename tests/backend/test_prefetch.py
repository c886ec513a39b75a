"""Batches fetched ahead: in order, each error after what came before it, no thread left behind."""

import json
import threading

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from experiment.backend.launch import launch
from experiment.backend.options import LaunchOptions
from experiment.backend.prefetch import DEPTH, prefetched

import rank_programs
from small_runs import damaged_copy


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


def test_a_damaged_page_ends_the_epoch(tiny_dataset, tmp_path, capfd):
    root = damaged_copy(tiny_dataset, tmp_path)
    assert launch(LaunchOptions("cpu"), rank_programs.damaged, str(root)) == 0
    said = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert said["error"].startswith(f"{root}/train/images/")
