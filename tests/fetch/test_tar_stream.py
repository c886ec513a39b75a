"""Bytes of archives come unpacked, and no more of them than allowed."""

import bz2
import gzip
import lzma

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.tar_stream import MOST_AT_ONCE_BYTES, tar_stream

TEXT = bytes(range(256)) * 40


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_what_is_packed_comes_unpacked_from_any_place(tmp_path, packed):
    archive = tmp_path / "a.tar"
    archive.write_bytes(packed(TEXT))
    with tar_stream(archive, len(TEXT), "too much") as stream:
        assert stream.read(100) == TEXT[:100] and stream.tell() == 100
        stream.seek(5000)
        assert stream.read(len(TEXT)) == TEXT[5000:]


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_no_byte_comes_from_beyond_the_bound(tmp_path, packed):
    archive = tmp_path / "a.tar"
    archive.write_bytes(packed(TEXT))
    with tar_stream(archive, 1000, "too much") as stream:
        assert len(stream.read(1000)) == 1000
        for beyond in (lambda: stream.read(1), lambda: stream.seek(1001)):
            with pytest.raises(InputError, match="too much"):
                beyond()


def test_more_at_once_than_a_header_has_is_damage(tmp_path):
    archive = tmp_path / "a.tar"
    archive.write_bytes(TEXT)
    with tar_stream(archive, 10**9, "too much") as stream:
        for size in (MOST_AT_ONCE_BYTES + 1, -1):
            with pytest.raises(InputError, match=r"a\.tar: corrupt archive"):
                stream.read(size)
