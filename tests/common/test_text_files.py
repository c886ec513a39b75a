"""Text, YAML and JSON as others write them: what is read, and the one line for what cannot be."""

import pytest
from pydantic import BaseModel

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.text_files import (
    parse_values,
    parse_yaml,
    read_json,
    read_json_lines,
    read_text,
)


class Known(BaseModel):
    step: int


def refusal(function, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_in_every_encoding_that_says_which_it_is(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("Größe: 1\r\n患者".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "Größe: 1\r\n患者"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("one\nGröße".encode("latin-1"), "line 2: byte 0xF6 is not UTF-8; save it again as UTF-8 text"),
        ("one\ntwo".encode("utf-16-le"), "line 1: holds a NUL character; save it again as UTF-8 text"),
        (b"\0", "line 1: holds a NUL character; save it again as UTF-8 text"),
        (b"\n\0", "line 2: holds a NUL character; save it again as UTF-8 text"),
        (b"one\ntw\0o", "line 2: holds a NUL character; save it again as UTF-8 text"),
        ("x".encode("utf-16") + b"\0", "line 1: byte 0x00 is not UTF-16; save it again as UTF-8 text"),
    ],
)
def test_what_is_no_text_is_named_with_its_line(tmp_path, data, said):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    assert refusal(read_text, path) == f"{path}, {said}"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert refusal(read_text, tmp_path / "none.txt") == f"{tmp_path / 'none.txt'}: no such file"
    assert refusal(read_text, tmp_path) == f"{tmp_path}: is a folder, not a file"
    (tmp_path / "file").write_text("")
    below = tmp_path / "file/a.txt"
    assert refusal(read_text, below) == f"{below}: cannot be read (Not a directory)"


# --- YAML


def test_yaml_gives_plain_values():
    text = "a: {b: [1, -2.5, true, null, text], lr: 3e-4}\nday: 2020-01-01\n"
    assert parse_yaml(text, "c.yaml") == {
        "a": {"b": [1, -2.5, True, None, "text"], "lr": 3e-4},
        "day": "2020-01-01",
    }


def test_the_largest_number_and_merged_sections_are_plain_values():
    assert parse_yaml("<<: {a: 1}\nb: 9223372036854775807", "c.yaml") == {"a": 1, "b": 2**63 - 1}


DOUBLED = "\n".join(
    ["a0: &a0 [x, x, x, x]", *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 20))]
)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (DOUBLED, 2, "alias *a0: write the value itself instead"),
        ("a: &a [*a]\n", 1, "alias *a: write the value itself instead"),
        ("a: 1\nb: " + "[" * 5000, 2, "nested too deeply"),
        ("a: 1\nb: " + "{a: " * 5000, 2, "nested too deeply"),
        ("a: 1\nb: 9223372036854775808", 2, "a number of more than 64 bits"),
        ("b: 0x" + "f" * 99, 1, "a number of more than 64 bits"),
        ("a: 1\nb: !!int x", 2, "no value of the type int (invalid literal for int() with base 10: 'x')"),
        ("a: 0b_", 1, "no value of the type int (invalid literal for int() with base 2: '')"),
        ("a: 1\n\nb: !!set {c}", 3, "tag !!set: write a plain value instead"),
        ("a: !!python/name:os.system x", 1, "tag !!python/name:os.system: write a plain value instead"),
        ("a: 1\n2: 3", 2, "a key that is no text: put it in quotes"),
        ("a: 1\n? [b]\n: 3", 2, "a key that is no text: put it in quotes"),
        ("a: 1\nb: {c: 1, c: 2}", 2, "key 'c' is given twice"),
        ("a: 1\nb: \x07", 2, "character 0x7 is not allowed"),
        ('a: 1\nb: "\\0"', 2, "a character that stands for nothing in text"),
        ('a: 1\nb: "\\ud800"', 2, "a character that stands for nothing in text"),
        ('a: 1\nb: "\\U00110000"', 2, "chr() arg not in range(0x110000)"),
        ("a: 1\nb: [1", 2, "expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_yaml_that_is_not_plain_is_refused_with_its_line(text, line, said):
    assert (
        refusal(parse_yaml, text, "c.yaml") == f"c.yaml, line {line}: not valid YAML: {said}; mend this line"
    )


def test_a_number_of_any_length_is_refused():
    assert "c.yaml, line 1: not valid YAML: " in refusal(parse_yaml, "a: " + "9" * 5000, "c.yaml")


def test_tens_of_thousands_of_keys_are_looked_at_once_each(monkeypatch):
    looks = []
    monkeypatch.setattr(
        "ecg_generator_with_train_src.common.text_files._text_key",
        lambda pair: looks.append(pair) or pair[0].value,
    )
    assert len(parse_yaml("\n".join(f"k{k}: {k}" for k in range(3000)), "c.yaml")) == 3000
    assert len(looks) == 3000


# --- JSON


def test_json_comes_as_its_model_or_its_first_bad_field_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"step": 7}')
    assert read_json(path, Known, "begin again") == Known(step=7)
    for text, said in (
        ('{"step": "x"}', "step: Input should be a valid integer"),
        ("{}", "step: Field required"),
        ("[" * 100_000, "file: Invalid JSON: recursion limit exceeded"),
        ('{"step": ' + "9" * 5000 + "}", "file: Invalid JSON: number out of range"),
        ("", "file: Invalid JSON"),
    ):
        path.write_text(text)
        assert refusal(read_json, path, Known, "begin again").startswith(f"{path}: {said}")
        assert refusal(read_json, path, Known, "begin again").endswith("; begin again")
    path.write_bytes(b'{"step": "\xff"}')
    assert "Invalid JSON: invalid unicode code point" in refusal(read_json, path, Known, "begin again")
    path.unlink()
    assert refusal(read_json, path, Known, "begin again") == f"{path}: not found; begin again"


def test_of_json_lines_the_bad_one_is_numbered(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"stop": 3}\n')
    lines = read_json_lines(path, Known, "begin again")
    assert [next(lines), next(lines)] == [Known(step=1), Known(step=2)]
    assert refusal(next, lines) == f"{path}, line 3: step: Field required; begin again"
    path.unlink()
    lines = read_json_lines(path, Known, "begin again")
    assert refusal(next, lines) == f"{path}: not found; begin again"


def test_values_that_no_model_describes_are_plain_or_refused():
    assert parse_values('{"a": [1, null]}', "x") == {"a": [1, None]}
    assert refusal(parse_values, "[1", "a.json, header").startswith("a.json, header: not valid JSON (")
    assert "a.json: not valid JSON (" in refusal(parse_values, "[" * 100_000, "a.json")
