"""The split: recordings and patients stay whole."""

import pytest

from ecg_generator_with_train_src.dataset.split import group_records, split_groups


@pytest.mark.parametrize(
    ("groups", "fraction", "validating"),
    [
        (10, 0.2, 2),
        (10, 0.25, 2),
        (10, 0.34, 3),
        (3, 0.01, 1),
        (2, 0.99, 1),
        (10, 0, 0),
        (1, 0.5, 0),
        (0, 0.5, 0),
    ],
)
def test_the_nearest_count_but_one_on_each_side_where_two_are_there(groups, fraction, validating):
    names = [f"{number:05d}" for number in range(groups)]
    chosen = split_groups(names, fraction, seed=0)
    assert len(chosen) == validating
    assert chosen <= set(names)


def test_repeated_groups_count_once():
    assert len(split_groups(["a", "a", "a", "a", "b", "c", "d"], 0.5, seed=0)) == 2


def test_order_of_the_names_is_of_no_matter_and_the_seed_is():
    names = [f"{number:05d}" for number in range(100)]
    chosen = [split_groups(order, 0.2, seed) for seed in (0, 1, 2) for order in (names, names[::-1])]
    assert chosen[0] == chosen[1]
    assert chosen[2] == chosen[3]
    assert chosen[0] != chosen[2] != chosen[4] != chosen[0]


def test_a_new_recording_moves_few_others():
    names = [f"{number:05d}" for number in range(100)]
    before, after = split_groups(names, 0.2, 0), split_groups([*names, "new"], 0.2, 0)
    assert len(before ^ after) <= 2  # it may validate in another's place, and the count may step by one


def test_two_rates_of_a_recording_are_one_group():
    groups = group_records(["02132_hr", "02132_lr", "02133_hr", "7"], {})
    assert groups["02132_hr"] == groups["02132_lr"]
    assert len(set(groups.values())) == 3


def test_recordings_of_a_patient_are_one_group():
    groups = group_records(["a", "b", "c"], {"a": "p1", "b": "p2", "c": "p1"})
    assert groups["a"] == groups["c"] != groups["b"]


def test_a_patient_stated_for_one_rate_of_a_recording_holds_for_the_other():
    groups = group_records(["02132_hr", "02132_lr", "x"], {"02132_lr": "p1", "x": "p1"})
    assert len(set(groups.values())) == 1


def test_a_patient_is_not_taken_for_a_recording_of_the_same_name():
    groups = group_records(["7", "8"], {"8": "7"})
    assert groups["7"] != groups["8"]
