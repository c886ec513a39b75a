"""Calls that run side by side, or one after the other where OpenCV has one thread."""

import threading

import pytest

from ecg_generator_with_train_src.common.threads import in_threads


def test_two_calls_run_at_the_same_time(threads_of_opencv):
    threads_of_opencv(2)
    both_are_here = threading.Barrier(2, timeout=60)
    assert list(in_threads(lambda number: both_are_here.wait() in (0, 1) and number, (5, 7))) == [5, 7]


def test_with_one_thread_a_call_is_made_when_its_result_is_asked_for(threads_of_opencv):
    threads_of_opencv(1)
    called = []
    results = in_threads(lambda number: called.append(number), (1, 2))
    assert called == []
    next(results)
    assert called == [1]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_where_its_result_is_asked_for(threads_of_opencv, threads):
    threads_of_opencv(threads)
    results = in_threads(lambda number: 1 / number, (1, 0))
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
