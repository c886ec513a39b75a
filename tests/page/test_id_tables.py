"""Tables of text: what is read of them, and what is no table."""

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.id_tables import numbers_in, read_id_table


def test_columns_have_the_headers_names(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes('\ufeffid, fs,note\r\n007, 500 ,"a, b"\r\n\r\n8,1025\r\n'.encode())
    table = read_id_table(path)
    assert table == {"id": ["007", "8"], "fs": ["500", "1025"], "note": ["a, b", ""]}
    assert numbers_in(table, "fs", path) == [500.0, 1025.0]
    path.write_text("id;fs\na,b;250\n")
    assert read_id_table(path) == {"id": ["a,b"], "fs": ["250"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        ("\u2028\n".encode(), "the file is empty"),
        (b"id,fs\na,1,2\n", "the rows have more cells than the header"),
        (bytes(range(256)), "not a CSV file"),
        (None, "no such file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, said):
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_id_table(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_cell_that_is_no_number_is_named(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv: row 2: fs is not a number"):
        numbers_in({"fs": ["1", ""]}, "fs", tmp_path / "t.csv")


def test_a_table_of_very_many_rows_is_refused_unparsed(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"id,fs\n" + b"a,\n" * (6 * 2**20))
    with pytest.raises(InputError, match=r"table\.csv: has more than 12 MiB"):
        read_id_table(path)
