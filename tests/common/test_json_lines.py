"""Logs that grow by a line: what a kill tears is left out, and the next line stands by itself."""

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.json_lines import append_line, read_lines, write_lines


def test_lines_are_read_as_they_were_written_and_appended(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    assert read_lines(path) == []
    append_line(path, {"name": "a", "x": 0.1})
    append_line(path, {"name": "ü"})
    assert read_lines(path) == [{"name": "a", "x": 0.1}, {"name": "ü"}]
    write_lines(path, [{"name": "b"}])
    assert path.read_bytes() == b'{"name": "b"}\n'


@pytest.mark.parametrize(
    "torn", [b'{"name": "c', b'{"name": "c"', b"\xff\xfe", b"[" * 100_000, b"5", b'{"x": 1}']
)
def test_a_torn_line_is_left_out_and_the_next_is_not_joined_to_it(tmp_path, torn):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"name": "a"}\n' + torn)
    assert read_lines(path) == [{"name": "a"}]
    append_line(path, {"name": "b"})
    assert read_lines(path) == [{"name": "a"}, {"name": "b"}]


def test_a_full_disk_names_the_log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(OSError, match="No space left") as refused:
        append_line(path, {"name": "a"})
    assert refused.value.filename == str(path)


def test_no_line_is_appended_to_what_a_link_leads_to(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    (tmp_path / "log.jsonl").symlink_to("precious.txt")
    with pytest.raises(InputError, match="is a link to another file"):
        append_line(tmp_path / "log.jsonl", {"name": "a"})
    assert (tmp_path / "precious.txt").read_text() == "mine"
