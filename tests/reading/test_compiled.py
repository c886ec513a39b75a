"""What numba needs before its first function runs."""

import threading

from experiment.reading import compiled


def test_numba_gets_ready_beside_other_work_and_is_done_with_it():
    compiled.get_ready()
    for thread in threading.enumerate():
        if thread.name == "numba gets ready":
            thread.join(timeout=120)
            assert not thread.is_alive()
    assert compiled._nothing.signatures == [()]
