"""experiment/fuzzing/mutate_bytes.py."""

import numpy as np
import pytest

from experiment.fuzzing.mutate_bytes import BYTE_MUTATIONS, cut_off, flip_bits, lose_run, repeat_run

DATA = bytes(range(256)) * 8


@pytest.mark.parametrize("mutate", BYTE_MUTATIONS)
def test_the_same_stream_gives_the_same_damage_and_an_empty_file_is_no_hindrance(mutate):
    first, second = (mutate(DATA, np.random.default_rng(3)) for _ in range(2))
    assert first == second != DATA
    assert isinstance(mutate(b"", np.random.default_rng(3)), bytes)


@pytest.mark.parametrize("seed", range(5))
def test_flipped_bits_are_eight_at_most_and_all_else_stays(seed):
    changed = np.frombuffer(flip_bits(DATA, np.random.default_rng(seed)), np.uint8) ^ np.frombuffer(
        DATA, np.uint8
    )
    assert 1 <= np.unpackbits(changed).sum() <= 8


@pytest.mark.parametrize("seed", range(5))
def test_what_is_cut_off_is_the_end(seed):
    assert DATA.startswith(cut_off(DATA, np.random.default_rng(seed)))


@pytest.mark.parametrize("seed", range(5))
def test_a_lost_run_shortens_the_file_and_a_repeated_one_lengthens_it(seed):
    assert (
        len(lose_run(DATA, np.random.default_rng(seed)))
        < len(DATA)
        < len(repeat_run(DATA, np.random.default_rng(seed)))
    )
