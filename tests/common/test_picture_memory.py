"""Memory that was freed is used again, even where a nanny of Dask had it given back at once, and in large pages."""

import os
import platform
import subprocess
import sys

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
import mmap
import numpy as np
from ecg_generator_with_train_src.common.picture_memory import keep_memory_for_pictures

def kilobytes(what):
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith(what))

probe = mmap.mmap(-1, 8 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
probe.madvise(mmap.MADV_HUGEPAGE)
probe.write(bytes(8 * 2**20))
print(kilobytes("AnonHugePages:"))
probe.close()
held, before = kilobytes("Rss:"), kilobytes("AnonHugePages:")
assert keep_memory_for_pictures()
print(kilobytes("Rss:") - held)
pictures = [np.ones(2**20) for _ in range(32)]  # 256 MiB
print(kilobytes("AnonHugePages:") - before)
"""
GIVEN_BACK = """
import numpy as np
from ecg_generator_with_train_src.common.picture_memory import give_back_freed_memory, keep_memory_for_pictures

def megabytes():
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("Rss:")) // 1024

assert keep_memory_for_pictures()
before = megabytes()
pictures = [np.ones(2**20) for _ in range(8)]  # 64 MiB
pictures.clear()
print(megabytes() - before)
give_back_freed_memory()
print(megabytes() - before)
"""
ADDRESSES = """
import resource
from ecg_generator_with_train_src.common.picture_memory import keep_memory_for_pictures

def megabytes():
    return sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize:")) // 1024

resource.setrlimit(resource.RLIMIT_AS, (2**42, resource.RLIM_INFINITY))
before = megabytes()
assert keep_memory_for_pictures()
print(megabytes() - before)
"""
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
def test_pictures_lie_in_large_pages_and_nothing_is_taken_before_there_are_any():
    to_others_kb, taken_kb, in_large_pages_kb = printed(LARGE_PAGES)
    assert taken_kb < 8 * 1024
    if not to_others_kb:
        pytest.skip("the system gives no large pages here")
    assert in_large_pages_kb > 240 * 1024


@glibc_alone
def test_what_is_kept_is_given_back_when_that_is_asked_for():
    kept_mb, left_mb = printed(GIVEN_BACK)
    assert kept_mb > 48 and left_mb < 16


@glibc_alone
def test_under_a_limit_of_addresses_no_gigabyte_of_them_is_asked_for():
    (asked_mb,) = printed(ADDRESSES)
    assert asked_mb < 100
