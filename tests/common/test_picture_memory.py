"""Memory that was freed is used again, even where a nanny of Dask had it given back at once, and in large pages."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource, sys
import numpy as np
from ecg_generator_with_train_src.common.picture_memory import keep_memory_for_pictures
how, megabytes = sys.argv[1], int(sys.argv[2])
if how == "keep":
    assert keep_memory_for_pictures()
np.ones(megabytes * 2**17)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(megabytes * 2**17)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
LARGE_PAGES = """
import numpy as np
from ecg_generator_with_train_src.common.picture_memory import keep_memory_for_pictures

def kilobytes(what):
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith(what))

held, before = kilobytes("Rss:"), kilobytes("AnonHugePages:")
assert keep_memory_for_pictures()
print(kilobytes("Rss:") - held)
pictures = [np.ones(2**20) for _ in range(8)]  # 64 MiB
print(kilobytes("AnonHugePages:") - before)
"""
THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")
glibc_alone = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the options")


def printed(program: str, *arguments: str) -> list[int]:
    """The numbers that a program prints, in a process as Dask's nannies start it."""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536", "NUMPY_MADVISE_HUGEPAGE": "0"}
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(line) for line in run.stdout.split()]


@glibc_alone
@pytest.mark.parametrize("megabytes", ["16", "48"])  # by itself glibc never keeps more than 32 at once
def test_freed_memory_is_used_again(megabytes):
    (asked_for_again,), (kept,) = printed(FAULTS, "leave", megabytes), printed(FAULTS, "keep", megabytes)
    assert asked_for_again > 5 * max(kept, 10)


@glibc_alone
@pytest.mark.skipif(not THP.is_file() or "[never]" in THP.read_text(), reason="the system has no large pages")
def test_pictures_lie_in_large_pages_and_nothing_is_taken_before_there_are_any():
    taken_kb, in_large_pages_kb = printed(LARGE_PAGES)
    assert taken_kb < 8 * 1024
    assert in_large_pages_kb > 48 * 1024
