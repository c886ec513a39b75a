"""experiment/fuzzing/working_folder.py."""

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from experiment.fuzzing.working_folder import MARK, cleared

from helpers import files_below


def test_a_new_folder_is_made_and_its_own_is_emptied_but_for_what_others_put_there(tmp_path):
    root = cleared(tmp_path / "new/fuzz")
    assert [path.name for path in root.iterdir()] == [MARK]
    (root / "material/work").mkdir(parents=True)
    (root / "cases/3").mkdir(parents=True)
    (root / "notes.txt").write_text("mine")
    assert cleared(root) == root
    assert sorted(path.name for path in root.iterdir()) == [MARK, "notes.txt"]


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases/precious.txt").write_text("precious")
    before = files_below(tmp_path)
    with pytest.raises(
        InputError, match=f"{tmp_path}: not empty and not made by fuzz.py; nothing was touched"
    ):
        cleared(tmp_path)
    with pytest.raises(InputError, match=r"precious.txt: is a file; choose another --output-dir"):
        cleared(tmp_path / "cases/precious.txt")
    assert files_below(tmp_path) == before


def test_a_link_in_it_is_removed_and_what_it_leads_to_stays(tmp_path):
    root, other = cleared(tmp_path / "fuzz"), tmp_path / "other"
    other.mkdir()
    (other / "precious.txt").write_text("precious")
    (root / "material").symlink_to(other)
    cleared(root)
    assert not (root / "material").is_symlink() and (other / "precious.txt").read_text() == "precious"
