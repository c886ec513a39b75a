"""common/bounds.py."""

import os

import pytest

from ecg_generator_with_train_src.common.bounds import (
    MOST_LINE_BYTES,
    check_pixels,
    input_lines,
    read_input,
    regular_file,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of_file

from helpers import linux_only

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "read", [regular_file, read_input, sha256_of_file, lambda path: list(input_lines(path))]
)
def test_pipes_devices_and_folders_are_no_files_and_nobody_waits_for_them(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(os.devnull)
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match=f"{tmp_path / name}: is a pipe or a device, not a file"):
            read(tmp_path / name)
    with pytest.raises(InputError, match="is a folder, not a file"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"12345678")
    assert read_input(path, 8) == b"12345678"
    with pytest.raises(
        InputError, match=r"a.csv: has more than 6.67572e-06 MiB, more than any such file needs"
    ):
        read_input(path, 7)


@linux_only
def test_three_sparse_gigabytes_are_refused_without_being_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n{}\n")
    os.truncate(path, 3 * 10**9)
    lines = input_lines(path)
    assert [next(lines), next(lines)] == [b"{}", b"{}"]
    with pytest.raises(InputError, match=r"a.jsonl, line 3: has more than 4 MiB; mend this line"):
        next(lines)
    with pytest.raises(InputError, match="has more than 64 MiB"):
        read_input(path)


def test_the_last_line_needs_no_end_and_a_long_one_is_allowed(tmp_path):
    path = tmp_path / "a.jsonl"
    long = b"x" * (MOST_LINE_BYTES - 2)
    path.write_bytes(b"\n" + long + b"\nend")
    assert list(input_lines(path)) == [b"", long, b"end"]


def test_a_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256_of_file(tmp_path / "empty") == EMPTY_SHA256


def test_a_picture_of_too_many_pixels_is_named_with_the_remedy(tmp_path):
    check_pixels(tmp_path, 10, 10, 100, "reduce it")
    with pytest.raises(InputError, match=r"12000x10001 pixels are 120 megapixels, more than 120; reduce it"):
        check_pixels(tmp_path, 12_000, 10_001, 120_000_000, "reduce it")


@linux_only
@pytest.mark.parametrize("read", [read_input, sha256_of_file, lambda path: list(input_lines(path))])
def test_a_file_that_the_system_cannot_read_is_named(tmp_path, read):
    (tmp_path / "a.csv").symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match="Input/output error") as refused:
        read(tmp_path / "a.csv")
    assert refused.value.filename == str(tmp_path / "a.csv")


@linux_only
def test_no_digest_is_taken_of_sparse_terabytes(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"I,II")
    os.truncate(tmp_path / "a.csv", 10**12)
    with pytest.raises(InputError, match=r"a\.csv: has more than 4096 MiB, more than any such file needs"):
        sha256_of_file(tmp_path / "a.csv")
