"""Files that are written whole or not at all."""

import json
import os
import stat
import threading

import pytest

from ecg_generator_with_train_src.common.files import (
    atomic_path,
    remove_stale_temporaries,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)

from helpers import files_below


def test_a_file_is_written_with_its_folders_and_the_users_mask(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    before = os.umask(0o027)
    try:
        write_text(path, "grüß\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == "grüß\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(files_below(tmp_path)) == ["a/b/c.txt"]


def test_a_writer_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.png"
    write_bytes(path, b"old")
    for failure in (ValueError, KeyboardInterrupt):
        with pytest.raises(failure), atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            assert path.read_bytes() == b"old"
            raise failure
        assert files_below(tmp_path) == {"a.png": b"old"}


def test_an_error_of_the_system_names_the_file_and_not_its_temporary(tmp_path):
    with (
        pytest.raises(OSError, match="No space left") as refused,
        atomic_path(tmp_path / "a.png") as temporary,
    ):
        temporary.unlink()
        temporary.symlink_to("/dev/full")  # the kernel's own full disk
        temporary.write_bytes(b"x" * 100_000)
    assert refused.value.filename == str(tmp_path / "a.png")
    long = tmp_path / ("n" * 256)
    with pytest.raises(OSError, match="name too long") as refused:
        write_bytes(long, b"")
    assert refused.value.filename == str(long)
    with pytest.raises(FileNotFoundError) as refused, atomic_path(tmp_path / "a.png"):
        (tmp_path / "other").read_bytes()
    assert refused.value.filename == str(tmp_path / "other")
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("name", ["n" * 251 + ".png", "ü" * 125 + ".png"])
def test_the_longest_name_that_a_file_system_takes_is_written(tmp_path, name):
    write_bytes(tmp_path / name, b"x")
    assert files_below(tmp_path) == {name: b"x"}


def test_readers_never_see_a_part_of_a_file(tmp_path):
    path = tmp_path / "a.bin"
    contents = [bytes([k]) * 200_000 for k in range(3)]
    write_bytes(path, contents[0])
    stop, seen = threading.Event(), set()

    def watch():
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=watch)
    reader.start()
    for k in range(200):
        write_bytes(path, contents[k % 3])
    stop.set()
    reader.join()
    assert seen <= set(contents)


def test_json_refuses_what_json_has_not(tmp_path):
    write_json(tmp_path / "a.json", {"ü": [1, None]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "ü": [\n    1,\n    null\n  ]\n}\n'
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "b.json", float("nan"))
    assert list(files_below(tmp_path)) == ["a.json"]


def test_only_temporaries_of_its_own_make_are_stale(tmp_path):
    with pytest.raises(KeyError), atomic_path(tmp_path / "page.json") as own:
        kept = own.with_name(own.name)
        raise KeyError
    kept.write_bytes(b"half")
    others = (".bashrc", ".vimrc.tmpl", ".notes.tmp", "x.tmp.png", ".a.0123456.tmp.png", "page.json")
    for name in others:
        (tmp_path / name).touch()
    remove_stale_temporaries(tmp_path)
    assert set(files_below(tmp_path)) == set(others)


def test_a_digest_is_the_published_one():
    assert sha256_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_is_no_text_becomes_escapes_which_json_reads_back(tmp_path):
    name = os.fsdecode(b"a\xff")
    write_json(tmp_path / "a.json", {"name": name})
    assert json.loads((tmp_path / "a.json").read_text()) == {"name": name}
    write_text(tmp_path / "a.txt", f"{name} Größe\n")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "a\\udcff Größe\n"
