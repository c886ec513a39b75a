"""experiment/fuzzing/mutate_trees.py."""

import json

import numpy as np
import pytest

from experiment.fuzzing.mutate_trees import (
    HOSTILE_JSON,
    JSON_LINES_MUTATIONS,
    JSON_MUTATIONS,
    YAML_MUTATIONS,
    doubled_key,
    hostile_value,
    lost_or_renamed_key,
    one_line,
    scaled_number,
    yaml_value,
)

TREE = {"a": 7, "b": [0.5, {"c": "text"}], "d": None}
DATA = json.dumps(TREE).encode()
LINES = DATA + b"\n" + DATA + b"\n"


@pytest.mark.parametrize("mutate", {*JSON_MUTATIONS, *JSON_LINES_MUTATIONS, *YAML_MUTATIONS})
@pytest.mark.parametrize("data", [DATA, LINES, b"", b"7", b"\xff", b"{", b"[]"])
def test_the_same_stream_gives_the_same_damage_whatever_the_file_holds(mutate, data):
    assert mutate(data, np.random.default_rng(5)) == mutate(data, np.random.default_rng(5))


def test_every_hostile_value_comes_up_in_the_place_of_a_value():
    """Each of the trees' six values is met as well."""
    rng = np.random.default_rng(0)
    found = {hostile_value(DATA, rng) for _ in range(2000)}
    expected = json.dumps({"a": 7, "b": [0.5, {"c": "@"}], "d": None})
    assert {expected.replace('"@"', value).encode() for value in HOSTILE_JSON} <= found
    assert {json.dumps({**TREE, "a": None}).encode(), json.dumps({**TREE, "b": None}).encode()} <= found


def test_a_scaled_number_keeps_its_type():
    found = {scaled_number(DATA, np.random.default_rng(seed)) for seed in range(60)}
    assert json.dumps({**TREE, "a": 7000}).encode() in found
    assert json.dumps({**TREE, "b": [-0.5, {"c": "text"}]}).encode() in found


def test_keys_are_lost_renamed_and_doubled():
    found = {lost_or_renamed_key(DATA, np.random.default_rng(seed)) for seed in range(60)}
    assert json.dumps({"b": TREE["b"], "d": None}).encode() in found
    assert json.dumps({"b": TREE["b"], "d": None, "as": 7}).encode() in found
    assert b'{"a": null, "a": 7' in {
        doubled_key(DATA, np.random.default_rng(seed))[:18] for seed in range(60)
    }


def test_one_line_of_several_is_damaged_and_the_other_stays():
    for seed in range(20):
        assert DATA in one_line(LINES, np.random.default_rng(seed)).split(b"\n")


def test_yaml_is_read_as_such_before_a_value_is_changed():
    found = {yaml_value(b"a: 7\nb: [x]\n", np.random.default_rng(seed)) for seed in range(60)}
    assert b'{"b": ["x"], "as": 7}' in found
