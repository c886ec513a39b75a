"""experiment/fuzzing/mutate_places.py."""

import os

import numpy as np
import pytest

from experiment.fuzzing.mutate_places import (
    HOSTILE_STEMS,
    PLACE_MUTATIONS,
    SPARSE_BYTES,
    becomes_folder,
    becomes_link,
    becomes_pipe,
    becomes_sparse,
    gets_hostile_name,
)


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "page.csv"
    path.write_text("I,II\n")
    return path


def test_pipes_folders_and_large_files_stand_in_the_files_place(victim):
    rng = np.random.default_rng(0)
    becomes_sparse(victim, rng)
    assert victim.stat().st_size == SPARSE_BYTES
    assert victim.stat().st_blocks < 100
    becomes_pipe(victim, rng)
    assert victim.is_fifo()
    victim.unlink()
    victim.touch()
    becomes_folder(victim, rng)
    assert victim.is_dir()


def test_links_lead_to_nothing_to_themselves_to_devices_and_outside(victim):
    found = set()
    for seed in range(60):
        becomes_link(victim, np.random.default_rng(seed))
        found.add(str(victim.readlink()))
    assert {"nowhere", "page.csv", "/dev/zero", "../precious.txt"} <= found


def test_every_hostile_name_comes_up_and_keeps_the_suffix(tmp_path):
    for seed in range(300):
        path = tmp_path / "page.csv"
        path.touch()
        gets_hostile_name(path, np.random.default_rng(seed))
    assert {os.fsencode(path.name) for path in tmp_path.iterdir()} == {
        stem + b".csv" for stem in HOSTILE_STEMS
    }


def test_what_stands_there_is_another_thing_each_time(tmp_path):
    for number, mutate in enumerate(PLACE_MUTATIONS):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "page.csv").write_text("I,II\n")
        mutate(folder / "page.csv", np.random.default_rng(1))
        left = folder / "page.csv"
        assert not left.is_file() or left.is_symlink() or left.stat().st_size == SPARSE_BYTES, mutate.__name__
