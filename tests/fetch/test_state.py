"""What a run remembers of earlier ones, and files that reach their places without costing the user's own."""

import tempfile
from pathlib import Path

import pytest

from ecg_generator_with_train_src.fetch.state import (
    STATE_NAME,
    State,
    Unpacked,
    has_size,
    is_same_file,
    link_or_copy,
    place_file,
    set_aside,
    size_and_time,
)

from record_sources import contents, write_files


@pytest.fixture
def made(tmp_path) -> Path:
    """A file of the output folder."""
    return write_files(tmp_path, {"train-csvs/101.csv": b"one"}) / "train-csvs/101.csv"


def test_what_was_noted_is_known_to_the_next_run(tmp_path, made):
    archive = write_files(tmp_path, {"a.zip": b"zip"}) / "a.zip"
    linked = write_files(tmp_path, {"train/101/101.csv": b"one"}) / "train/101/101.csv"
    state = State(tmp_path)
    state.set_made(made)
    state.set_verified(archive, "sum")
    state.set_linked(linked)
    state.unpacked["a.zip"] = Unpacked(key="sum", files=[state.name(made)])
    state.fetched.add("a.zip")
    state.save()
    known = State(tmp_path)
    assert known.is_as_made(made) and not known.is_linked(made)
    assert known.is_verified(archive, "sum") and not known.is_verified(archive, "other")
    assert known.is_linked(linked)
    assert known.is_unpacked("a.zip", "sum") and not known.is_unpacked("a.zip", "other")
    assert not known.is_unpacked("b.zip", "sum")
    assert known.fetched == {"a.zip"}


def test_a_changed_or_missing_file_is_no_longer_as_it_was_made(tmp_path, made):
    state = State(tmp_path)
    state.set_verified(made, "sum")
    state.unpacked["a.zip"] = Unpacked(key="sum", files=[state.name(made)])
    made.write_bytes(b"edited")
    assert not state.is_as_made(made) and not state.is_verified(made, "sum")
    assert not state.is_unpacked("a.zip", "sum")
    made.unlink()
    assert not state.is_as_made(made)


def test_a_file_that_is_made_anew_is_neither_verified_nor_linked(tmp_path, made):
    state = State(tmp_path)
    state.set_verified(made, "sum")
    state.linked.add(state.name(made))
    state.set_made(made)
    assert not state.is_verified(made, "sum") and not state.is_linked(made)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "file: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        ("no JSON", "file: Invalid JSON: expected ident at line 1 column 2"),
        ("[]", "file: Input should be an object"),
        ("[" * 100_000, "file: Invalid JSON: recursion limit exceeded"),
        ('{"version": 1, "made": {"train-csvs/101.csv": [3, 4]}}', "version: Input should be 2"),
        ('{"version": 2, "made": 5}', "made: Input should be an object"),
        ('{"version": 2, "made": {"a": [3]}}', "made.a: List should have at least 2 items after validation, not 1"),
        ('{"version": 2, "unpacked": {"a.zip": {"key": "sum"}}}', "unpacked.a.zip.files: Field required"),
        (
            '{"version": 2, "unpacked": {"a.zip": {"key": "sum", "files": ["../precious"]}}}',
            "unpacked.a.zip.files.0: Value error, '../precious' is no path inside its folder",
        ),
    ],
)  # fmt: skip
def test_a_foreign_or_damaged_state_file_is_as_good_as_none_and_is_named(tmp_path, capsys, text, said):
    State(tmp_path).path.write_text(text)
    state = State(tmp_path)
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: {state.path}: {said}")
    assert warning.endswith("; all files are checked again\n") and warning.count("\n") == 1
    state.save()
    assert state.path.read_bytes() == saved_by_a_new_one(tmp_path / "new")


def saved_by_a_new_one(root: Path) -> bytes:
    root.mkdir()
    State(root).save()
    return (root / STATE_NAME).read_bytes()


def test_an_archive_whose_files_are_not_noted_is_unpacked_again(tmp_path, made):
    state = State(tmp_path)
    state.unpacked["a.zip"] = Unpacked(key="sum", files=[state.name(made)])
    assert not state.is_unpacked("a.zip", "sum")
    state.set_made(made)
    assert state.is_unpacked("a.zip", "sum")


def test_a_files_size_and_time(tmp_path, made):
    assert size_and_time(made) == [3, made.stat().st_mtime_ns]
    assert has_size(made, 3) and not has_size(made, 4)
    assert not has_size(tmp_path / "none", 0) and not has_size(tmp_path, tmp_path.stat().st_size)


def test_a_file_in_the_way_is_kept_if_it_is_the_users(tmp_path, made, capsys):
    new = write_files(tmp_path, {".new": b"two"}) / ".new"
    place_file(new, made, State(tmp_path))
    assert contents(tmp_path) == {"train-csvs/101.csv": b"two", "train-csvs/101.csv.old": b"one"}
    assert not new.exists()
    line = f"{made} differs from the source's file; your file is now 101.csv.old\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("ours", [True, False])
def test_a_file_in_the_way_is_replaced_if_it_is_ours_or_the_same(tmp_path, made, ours):
    state = State(tmp_path)
    if ours:
        state.set_made(made)
    place_file(write_files(tmp_path, {".new": b"two" if ours else b"one"}) / ".new", made, state)
    assert contents(tmp_path) == {"train-csvs/101.csv": b"two" if ours else b"one"}


def test_names_of_files_that_were_set_aside_do_not_meet(tmp_path):
    for text in (b"1", b"2", b"3"):
        set_aside(write_files(tmp_path, {"train.csv": text}) / "train.csv")
    assert contents(tmp_path) == {"train.csv.old": b"1", "train.csv.old1": b"2", "train.csv.old2": b"3"}


def test_a_link_takes_no_space_and_is_made_once(tmp_path, made):
    target, state = tmp_path / "train/101/101.csv", State(tmp_path)
    assert link_or_copy(made, target, state)
    assert target.samefile(made) and is_same_file(made, target)
    assert not link_or_copy(made, target, state)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_a_copy_to_another_disk_is_made_once_and_again_if_the_file_changed(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        source = write_files(Path(other), {"101.csv": b"one"}) / "101.csv"
        target, state = tmp_path / "101.csv", State(tmp_path)
        assert link_or_copy(source, target, state)
        assert target.read_bytes() == b"one" and not target.samefile(source)
        state.set_made(target)
        assert not link_or_copy(source, target, state)
        source.write_bytes(b"three")
        assert link_or_copy(source, target, state)
        assert contents(tmp_path) == {"101.csv": b"three"}


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_a_file_is_placed_in_a_folder_on_another_disk(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        new, target = write_files(tmp_path, {".new": b"one"}) / ".new", Path(other) / "101.csv"
        place_file(new, target, State(tmp_path))
        assert contents(Path(other)) == {"101.csv": b"one"}
