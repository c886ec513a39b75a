"""What numba needs before its first function runs."""

import threading

from experiment.reading import compiled


def test_numba_gets_ready_beside_other_work_and_is_done_with_it():
    before = threading.active_count()
    compiled.get_ready()
    for thread in threading.enumerate():
        if thread.name == "numba gets ready":
            thread.join(timeout=120)
    assert threading.active_count() == before
    assert compiled._nothing.signatures == [()]
