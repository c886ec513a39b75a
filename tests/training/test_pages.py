"""Decoded pages: the same from files and from memory, refused if they are not as the manifest says."""

import numpy as np
import pytest
from PIL import Image

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes
from ecg_generator_with_train_src.common.image_files import encode_classes, encode_grey, read_classes
from ecg_generator_with_train_src.dataset.format import read_manifest
from experiment.training.loaders import DataSource
from experiment.training.pages import Pages, fits_in_memory, memory_free, memory_needed

from small_runs import config_for, linked_copy


def test_pages_in_memory_are_those_of_the_files(tiny_dataset):
    samples = read_manifest(tiny_dataset)[:2]
    from_files, from_memory = (Pages(tiny_dataset, samples, in_memory) for in_memory in (False, True))
    for number in range(2):
        for plane, same in zip(from_files[number], from_memory[number], strict=True):
            np.testing.assert_array_equal(plane, same)
    assert memory_needed(samples) == sum(plane.nbytes for number in range(2) for plane in from_files[number])


def test_pages_are_held_in_memory_if_they_fit_or_as_configured():
    assert fits_in_memory("auto", 0) == (memory_free() > 0)
    assert not fits_in_memory("auto", 10**15)
    assert fits_in_memory(True, 10**15) and not fits_in_memory(False, 0)


def test_a_mask_of_another_size_is_refused(tmp_path, tiny_dataset):
    root = linked_copy(tiny_dataset, tmp_path)
    victim = sorted((root / "train/masks").iterdir())[0]
    victim.unlink()
    Image.new("P", (40, 30)).save(victim)
    with pytest.raises(InputError, match=r"is 40x30, the manifest says 2200x1700"):
        DataSource(config_for(root, in_memory=True))


def test_a_mask_that_was_changed_since_the_dataset_was_built_is_refused(tmp_path, tiny_dataset):
    root = linked_copy(tiny_dataset, tmp_path)
    victim = sorted((root / "train/masks").iterdir())[0]
    classes = read_classes(victim)
    victim.unlink()
    write_bytes(victim, encode_classes(classes[::-1]))
    with pytest.raises(InputError, match=f"{victim}: was changed since the dataset was built"):
        DataSource(config_for(root, in_memory=True))
    write_bytes(victim, encode_grey(np.full_like(classes, 77)))
    with pytest.raises(InputError, match=f"{victim}: has values other than 0, 1, 2, 255"):
        DataSource(config_for(root, in_memory=True))


def test_a_manifest_that_was_changed_since_the_dataset_was_built_is_refused(tmp_path, tiny_dataset):
    root = linked_copy(tiny_dataset, tmp_path)
    lines = (root / "manifest.jsonl").read_text().splitlines()
    (root / "manifest.jsonl").unlink()
    (root / "manifest.jsonl").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(
        InputError, match=r"manifest\.jsonl: was changed since the dataset was built .*--overwrite"
    ):
        DataSource(config_for(root))
