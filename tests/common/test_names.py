"""Names of any bytes in lines and tables."""

import os

import pytest

from ecg_generator_with_train_src.common.names import is_text, name_in_cell, shown, table_cell


@pytest.mark.parametrize("name", ["a b", "Größe", "患者-1", "a,b", 'a"b', "<b>", "a\\b", "é"])
def test_text_is_shown_as_it_is(name):
    assert is_text(name)
    assert shown(name) == table_cell(name) == name_in_cell(name) == name


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        (b"a\xffb", r"a\xffb"),
        (b"a\tb", r"a\tb"),
        (b"a\nb\r", r"a\nb\r"),
        (b"\x1b[31m", r"\x1b[31m"),
        ("a\u202eb".encode(), r"a\u202eb"),
        ("a\u2028b".encode(), r"a\u2028b"),
    ],
)
def test_what_is_no_text_is_escaped(name, escaped):
    assert not is_text(os.fsdecode(name))
    assert shown(os.fsdecode(name)) == escaped
    assert shown(escaped) == escaped


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x"])
def test_a_cell_is_no_formula_and_gives_its_name_back(name):
    assert table_cell(name) == f"'{name}"
    assert name_in_cell(table_cell(name)) == name
    assert shown(name) == name
