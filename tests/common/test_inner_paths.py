"""Paths that files name never lead out of their folder."""

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.inner_paths import check_inner, followed, inside, own_file


@pytest.mark.parametrize("text", ["a.png", "train/images/a.png", "a..b/..c", "пациент/患者.png", "a\\tb.png"])
def test_a_path_inside_is_taken_as_it_is(text):
    assert check_inner(text) == text


@pytest.mark.parametrize(
    "text",
    ["", ".", "/etc/passwd", "..", "../a", "a/../../b", "..\\a", "C:/a", "C:a", "\\\\pc\\a", "\\a", "a\0b"],
)
def test_a_path_that_could_lead_out_is_refused(text):
    with pytest.raises(ValueError, match="is no path inside its folder"):
        check_inner(text)


def test_links_are_followed_inside_alone(tmp_path):
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (root / "in").symlink_to(root / "real")
    (root / "out").symlink_to(tmp_path / "other")
    (root / "out.txt").symlink_to(tmp_path / "precious.txt")
    assert inside(root, "real/a.txt") == root / "real/a.txt"
    assert inside(root, "in/a.txt") == root / "in/a.txt"
    for path in ("out/a.txt", "out.txt"):
        with pytest.raises(InputError, match=rf"{path}: a link leads out of .*root; "):
            inside(root, path)


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    assert inside(tmp_path / "root", "a.txt") == tmp_path / "root/a.txt"


def test_a_link_to_itself_leads_nowhere(tmp_path):
    (tmp_path / "again").symlink_to("again")
    assert inside(tmp_path, "again") == tmp_path / "again"
    assert followed(tmp_path / "again/b") == followed(tmp_path) / "again/b"


def test_only_a_file_of_its_own_is_written_on(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    (tmp_path / "log.jsonl").symlink_to("precious.txt")
    with pytest.raises(InputError, match=r"log\.jsonl: is a link to another file; remove the link"):
        own_file(tmp_path / "log.jsonl")
    for name in ("precious.txt", "new.txt"):
        assert own_file(tmp_path / name) == tmp_path / name
