"""Random streams: from the seed and the parts alone."""

import itertools

from ecg_generator_with_train_src.common.random_stream import random_stream


def draw(*parts) -> tuple[int, ...]:
    return tuple(random_stream(*parts).integers(0, 2**63, 4).tolist())


def test_the_same_seed_and_parts_give_the_same_stream():
    assert draw(0, "00042", 0) == draw(0, "00042", 0)


def test_every_part_and_the_seed_change_the_stream_and_zero_is_a_seed():
    drawn = [draw(*parts) for parts in itertools.product((0, 1, 2**40), ("a", "b", "0"), (0, 1))]
    assert len(set(drawn)) == len(drawn)


def test_parts_do_not_run_into_one_another():
    assert draw(0, "ab", "c") != draw(0, "a", "bc")
    assert draw(0, "1") != draw(0, 1)
    assert draw(1, "2") != draw(12)


def test_the_stream_is_the_same_on_every_machine_and_version():
    """Noted once: whoever changes it changes every page that users have made."""
    assert random_stream(0, "00042", 0).bit_generator.random_raw(2).tolist() == [
        5955908307455040349,
        12796102319041754581,
    ]
