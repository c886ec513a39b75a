"""experiment/fuzzing/mutate_tables.py."""

import numpy as np
import pytest

from experiment.fuzzing.mutate_tables import (
    CSV_MUTATIONS,
    HOSTILE_CELLS,
    hostile_cells,
    hostile_column,
    other_columns,
    other_rows,
)

TABLE = b"a,b\n1,2\n3,4"


@pytest.mark.parametrize("mutate", set(CSV_MUTATIONS))
@pytest.mark.parametrize("data", [TABLE, b"", b"\n", b"\xff\xfe,1"])
def test_the_same_stream_gives_the_same_damage_whatever_the_file_holds(mutate, data):
    assert mutate(data, np.random.default_rng(2)) == mutate(data, np.random.default_rng(2))


def test_every_hostile_cell_comes_up():
    rng = np.random.default_rng(0)
    found = {hostile_cells(TABLE, rng) for _ in range(3000)}
    assert {b"a,b\n1,%b\n3,4" % cell.encode() for cell in HOSTILE_CELLS} <= found


def test_a_hostile_column_keeps_its_name():
    found = {hostile_column(TABLE, np.random.default_rng(seed)) for seed in range(200)}
    assert b"a,b\nnan,2\nnan,4" in found


def test_columns_are_lost_and_doubled_and_rows_too():
    columns = {other_columns(TABLE, np.random.default_rng(seed)) for seed in range(60)}
    assert {b"b\n2\n4", b"a,a,b\n1,1,2\n3,3,4"} <= columns
    rows = {other_rows(TABLE, np.random.default_rng(seed)) for seed in range(100)}
    assert {b"a,b", b"1,2\n3,4", b"a,b\n1,2\n3,4\n1,2\n3,4", b"a\n1\n3"} <= rows
