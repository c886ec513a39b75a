"""Where the contents of a source's folder are found and where they belong."""

import pytest

from ecg_generator_with_train_src.fetch.folders import archives_in, data_folder, files_below, place_of

from record_sources import write_files


@pytest.mark.parametrize(
    ("files", "inner"),
    [
        (["101.csv", "202.csv"], "."),
        (["one/wrapping/folder/101.csv", "one/wrapping/folder/202.csv"], "one/wrapping/folder"),
        (["one/train-csvs/101.csv"], "one"),
        (["one/train/101/101.csv"], "one"),
        (["one/101/101.csv"], "one"),  # a record, no wrapping
        (["one/101/101-0001.png"], "one"),
        (["__MACOSX/x/101.csv", ".hidden/101.csv", "one/101.csv"], "one"),
    ],
)
def test_wrapping_folders_are_skipped(tmp_path, files, inner):
    write_files(tmp_path, dict.fromkeys(files, b""))
    assert data_folder(tmp_path) == tmp_path / inner


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (["101.csv"], "train-csvs"),
        (["101/101.csv"], "train-csvs"),
        (["101/101.csv", "101/101-0001.png"], "train"),
        (["train-csvs/101.csv"], "."),
        (["train/101/101.csv"], "."),
        (["train-csvs.tar.gz", "train.csv"], "."),
    ],
)
def test_the_place_follows_from_what_the_folder_holds(tmp_path, files, place):
    write_files(tmp_path, dict.fromkeys(files, b""))
    assert place_of(tmp_path) == place


def test_hidden_files_and_those_of_other_systems_are_left_out(tmp_path):
    seen = ["b.zip", "a/101.csv", "a.tgz"]
    write_files(tmp_path, dict.fromkeys([*seen, ".a.zip", "a/._101.csv", "__MACOSX/101.csv"], b""))
    assert {path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)} == set(seen)
    assert archives_in(tmp_path) == [tmp_path / "a.tgz", tmp_path / "b.zip"]
