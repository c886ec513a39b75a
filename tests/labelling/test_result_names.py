"""What results are called: the file's name, its folders where names are equal, and never more than a disk takes."""

import os
from pathlib import Path

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of
from ecg_generator_with_train_src.common.image_files import encode_rgb
from ecg_generator_with_train_src.common.picture_sizes import ALL_WHOLE
from experiment.labelling.result_names import LONGEST_BYTES, PageFile, named_files


def names_of(*paths: str, given: tuple[str, ...] = ("in",)) -> list[str]:
    return [file.name for file in named_files([Path(path) for path in paths], [Path(path) for path in given])]


def test_files_of_different_names_lie_beside_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    assert names_of("in/a.png", "in/x/b.tar.jpg") == ["a", "b.tar"]


def test_equal_names_mirror_the_folders_from_where_all_images_are_below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("in", "x/one", "x/two"):
        Path(folder).mkdir(parents=True)
    assert names_of("in/ann/ecg.png", "in/bob/ecg.jpg", "in/bob/2.png") == ["ann/ecg", "bob/ecg", "bob/2"]
    assert names_of("in/ecg.png", "in/bob/ecg.jpg") == ["ecg", "bob/ecg"]
    assert names_of("in/ECG.png", "in/bob/ecg.jpg") == [
        "ECG",
        "bob/ecg",
    ]  # some disks do not tell these apart
    assert names_of("x/one/1.png", "x/two/1.png", given=("x/one", "x/two")) == ["one/1", "two/1"]
    assert names_of("x/one/1.png", "in/1.png", given=("x/one/1.png", "in")) == ["x/one/1", "in/1"]
    assert names_of("in/../x/one/1.png", "x/1.png", given=("in/../x",)) == ["one/1", "1"]


def test_equal_names_in_one_folder_keep_their_endings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    assert names_of("in/ecg.png", "in/ecg.JPG", "in/b/2.pdf") == ["ecg.png", "ecg.JPG", "b/2"]


@pytest.mark.parametrize("letter", ["n", "ü", "心"])
def test_a_name_too_long_for_a_disk_is_cut_and_stays_a_name_of_its_own(letter):
    length = 249 // len(letter.encode())
    long, other = letter * length, letter * (length - 1) + "x"
    cut, cut_other = names_of(f"in/{long}.png", f"in/{other}.png")
    assert cut != cut_other
    assert LONGEST_BYTES - 3 < len(cut.encode()) <= LONGEST_BYTES
    assert cut.startswith(letter * 60) and cut.endswith("~" + sha256_of(long.encode())[:8])
    assert names_of("in/" + "n" * LONGEST_BYTES + ".png") == ["n" * LONGEST_BYTES]


def test_the_pages_of_a_file_have_its_name_and_their_number(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_rgb(np.zeros((4, 5, 3), np.uint8)))
    pages = list(PageFile(path, "ward/b").pages(ALL_WHOLE))
    assert [(page.name, page.image.shape) for page in pages] == [("ward/b", (4, 5, 3))]
    assert PageFile(path, "b").sha256() == sha256_of(path.read_bytes())
    with pytest.raises(InputError, match=f"^{tmp_path}/none.png: No such file"):
        PageFile(tmp_path / "none.png", "none").sha256()


def test_equal_names_without_a_common_folder_are_refused(monkeypatch):
    def no_common(folders):
        raise ValueError("Paths don't have the same drive")  # what Windows says; no other system has drives

    monkeypatch.setattr(os.path, "commonpath", no_common)
    with pytest.raises(InputError, match="several drives: give those of one drive at a time"):
        names_of("a/1.png", "b/1.png")
