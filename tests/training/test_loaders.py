"""Loaders: the same crops whatever the workers and ranks, at the network's scale; damaged pages end them."""

import cv2
import numpy as np
import pytest
import torch

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import read_rgb
from ecg_generator_with_train_src.dataset.format import read_manifest
from experiment.training.loaders import DataSource

from small_runs import config_for, damaged_copy, linked_copy


def all_batches(source: DataSource, epoch: int) -> dict[str, torch.Tensor]:
    batches = list(source.train_batches(epoch))
    assert len(batches) == source.steps
    return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}


@pytest.mark.parametrize("augment", [False, True])
def test_crops_are_the_same_whatever_the_workers_and_the_memory(tiny_dataset, augment):
    reference = None
    for settings in (
        {"num_workers": 0},
        {"num_workers": 1},
        {"num_workers": 2},
        {"in_memory": True, "num_workers": 2},
    ):
        source = DataSource(config_for(tiny_dataset, augment=augment, **({"in_memory": False} | settings)))
        found = [all_batches(source, epoch) for epoch in (1, 2)]
        reference = reference or found
        for epoch in (0, 1):
            for key in ("image", "label", "coverage"):
                assert torch.equal(found[epoch][key], reference[epoch][key]), settings
    assert not torch.equal(reference[0]["image"], reference[1]["image"])  # epochs differ


def test_ranks_share_out_the_crops_of_one_device(tiny_dataset):
    alone = list(DataSource(config_for(tiny_dataset, batch_size=4)).train_batches(3))
    ranks = [
        list(DataSource(config_for(tiny_dataset, batch_size=2), rank, world_size=2).train_batches(3))
        for rank in (0, 1)
    ]
    assert len(alone) == len(ranks[0]) == len(ranks[1])
    for step, batch in enumerate(alone):
        shared = torch.cat([ranks[0][step]["image"], ranks[1][step]["image"]])
        assert torch.equal(shared, batch["image"])


def test_crops_and_tiles_show_a_page_at_the_networks_scale(tmp_path, tiny_dataset):
    root = linked_copy(tiny_dataset, tmp_path)
    halved = [sample.model_copy(update={"px_per_mm": 3.937}) for sample in read_manifest(root)]
    (root / "manifest.jsonl").unlink()
    (root / "dataset.json").unlink()  # it has the digest of the manifest
    (root / "manifest.jsonl").write_text("".join(f"{sample.model_dump_json()}\n" for sample in halved))
    source = DataSource(config_for(root, crop_size=256, val_max_tiles="all"))
    samples = [sample for sample in read_manifest(root) if sample.split == "val"]
    assert len(source.tiles.tiles) == len(samples) * 14 * 18  # of 128 pixels a side
    number = len(source.tiles.tiles) // 2
    tile, shown = source.tiles.tiles[number], source.tiles.whole(number)
    page = read_rgb(root / samples[tile.page].image)[tile.top : tile.top + 128, tile.left : tile.left + 128]
    assert np.array_equal(shown.image, cv2.resize(page, (256, 256), interpolation=cv2.INTER_CUBIC))
    whole_pages = [read_rgb(root / sample.image) for sample in read_manifest(root) if sample.split == "train"]
    crop = next(source.train_batches(1))["image"][0].numpy().transpose(1, 2, 0)
    assert any(_enlarged_within(page, crop) for page in whole_pages)


def _enlarged_within(page: np.ndarray, crop: np.ndarray) -> bool:
    """Whether a crop is a part of the page at twice its size."""
    small = cv2.resize(crop, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    _, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(page, small, cv2.TM_SQDIFF))
    window = page[top : top + len(small), left : left + len(small)]
    return np.array_equal(cv2.resize(window, crop.shape[:2], interpolation=cv2.INTER_CUBIC), crop)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_page_ends_the_epoch_with_one_line(tmp_path, tiny_dataset, workers):
    root = damaged_copy(tiny_dataset, tmp_path)
    source = DataSource(config_for(root, in_memory=False, num_workers=workers))
    with pytest.raises(InputError) as caught:
        list(source.train_batches(1))
    assert str(caught.value).startswith(f"{root}/train/images/")
    assert "\n" not in str(caught.value)


def test_a_split_without_pages_is_refused(tmp_path, tiny_dataset):
    root = linked_copy(tiny_dataset, tmp_path)
    lines = (tiny_dataset / "manifest.jsonl").read_text().splitlines()
    kept = [line for line in lines if '"split":"train"' in line.replace(": ", ":")]
    (root / "manifest.jsonl").unlink()
    (root / "dataset.json").unlink()  # it has the digest of the manifest
    (root / "manifest.jsonl").write_text("\n".join(kept) + "\n")
    with pytest.raises(InputError, match="no sample of the val split"):
        DataSource(config_for(root))
