"""Crops and tiles: drawn from the seed alone, covering every pixel once, labelled as the dataset says."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from ecg_generator_with_train_src.common.classes import IGNORED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import read_manifest
from experiment.config import Config, check_config
from experiment.training.loaders import (
    DataSource,
    cut,
    page_order,
    page_weights,
    paper_colour,
    random_corner,
    read_label,
    read_rgb,
    tiles_of,
    validation_tiles,
)


def config_for(root: Path, **data) -> Config:
    values = {
        "root": str(root),
        "crop_size": 64,
        "crops_per_page": 2,
        "batch_size": 4,
        "val_batch_size": 8,
        "augment": False,
        **data,
    }
    return check_config({"run": {"name": "t", "seed": 5}, "data": values}, "test")


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


def test_a_crop_is_the_page_and_its_stored_mask(tiny_dataset):
    source = DataSource(config_for(tiny_dataset, crop_size=128))
    pages = [
        (read_rgb(tiny_dataset / sample.image), read_label(tiny_dataset / sample.mask))
        for sample in read_manifest(tiny_dataset)
        if sample.split == "train"
    ]
    batch = next(source.train_batches(1))
    assert batch["image"].dtype == batch["label"].dtype == torch.uint8
    assert batch["image"].shape == (4, 3, 128, 128)
    for image, label in zip(
        batch["image"].numpy().transpose(0, 2, 3, 1), batch["label"].numpy(), strict=True
    ):
        assert any(_contains(page, mask, image, label) for page, mask in pages)


def test_the_mask_of_a_crop_is_where_its_coverage_is_half(tiny_dataset):
    for augment in (False, True):
        batch = next(DataSource(config_for(tiny_dataset, crop_size=128, augment=augment)).train_batches(1))
        known = batch["label"] != IGNORED
        assert ((batch["coverage"] >= 128) == (batch["label"] == 2))[known].all()
        assert (batch["label"] == 2).any()


def test_pages_come_as_often_as_their_profile_weighs(tiny_dataset):
    samples = read_manifest(tiny_dataset)
    samples[1] = samples[1].model_copy(update={"profile": "real-0004"})
    weights = page_weights(samples, {"real-0004": 2.5})
    assert weights.tolist() == [2.5 if number == 1 else 1.0 for number in range(len(samples))]
    rounds = 200
    order = page_order(weights, rounds * round(weights.sum()), np.random.default_rng(0))
    share = np.mean(order == 1) * weights.sum()
    assert share == pytest.approx(2.5, rel=0.1)
    without = page_weights(samples, {"real-0004": 0.0})
    assert len(set(page_order(without, 100, np.random.default_rng(0)))) == len(samples) - 1
    with pytest.raises(InputError, match=r"profile_weights\.cleam: no training page .* known here: clean"):
        page_weights(samples, {"cleam": 2.0})
    with pytest.raises(InputError, match="leaves no training page"):
        page_weights(samples, {"clean": 0.0, "real-0004": 0.0})


def _contains(page, mask, image, label) -> bool:
    first_row = np.lib.stride_tricks.sliding_window_view(mask, label.shape[1], axis=1)
    candidates = np.argwhere((first_row == label[0]).all(axis=2))
    return any(
        np.array_equal(cut(page, top, left, len(label), 0), image)
        and np.array_equal(cut(mask, top, left, len(label), IGNORED), label)
        for top, left in candidates
    )


def test_validation_counts_every_pixel_once(tiny_dataset):
    expected = np.zeros(256, np.int64)
    for sample in read_manifest(tiny_dataset):
        if sample.split == "val":
            expected += np.bincount(read_label(tiny_dataset / sample.mask).ravel(), minlength=256)
    for world_size in (1, 2):
        found = np.zeros(256, np.int64)
        for rank in range(world_size):
            source = DataSource(config_for(tiny_dataset, crop_size=256), rank, world_size)
            for batch in source.val_batches():
                assert len(batch["image"]) == 8
                assert (batch["label"][batch["real"] == 0] == IGNORED).all()
                found += np.bincount(batch["label"].numpy().ravel(), minlength=256)
        assert found[:IGNORED].tolist() == expected[:IGNORED].tolist()


@pytest.mark.parametrize(("length", "size"), [(100, 100), (100, 30), (31, 30), (30, 100), (60, 30)])
def test_tiles_cover_a_side_once(length, size):
    counted = np.zeros(max(length, size), int)
    for start, skip in tiles_of(length, size):
        assert start >= 0 and (start + size <= length or length < size)
        counted[start + skip : start + size] += 1
    assert (counted[:length] == 1).all()


def test_some_tiles_are_spread_over_all_pages(tiny_dataset):
    samples = [sample for sample in read_manifest(tiny_dataset) if sample.split == "val"]
    tiles = validation_tiles(samples, 256, 10)
    assert len(tiles) == 10
    assert {tile.page for tile in tiles} == set(range(len(samples)))
    assert len(validation_tiles(samples, 256, "all")) == len(samples) * 7 * 9


def test_crops_and_tiles_show_a_page_at_the_networks_scale(tmp_path, tiny_dataset):
    root = _linked_copy(tiny_dataset, tmp_path)
    halved = [sample.model_copy(update={"px_per_mm": 3.937}) for sample in read_manifest(root)]
    (root / "manifest.jsonl").unlink()
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


def test_outside_a_page_is_paper_and_ignored():
    image = np.full((20, 30, 3), (250, 240, 230), np.uint8)
    image[5:8] = 0
    assert paper_colour(image).tolist() == [250, 240, 230]
    window = cut(image, -4, 10, 32, paper_colour(image))
    assert window.shape == (32, 32, 3)
    assert (window[:4] == (250, 240, 230)).all() and (window[24:] == (250, 240, 230)).all()
    assert np.array_equal(window[4:24, :20], image[:, 10:])
    label = cut(np.ones((20, 30), np.uint8), -4, 10, 32, IGNORED)
    assert (label == 1).sum() == 20 * 20
    assert (label == IGNORED).sum() == 32 * 32 - 20 * 20


def test_windows_reach_every_edge_and_stay_inside():
    rng = np.random.default_rng(0)
    corners = np.array([random_corner(rng, (100, 300), 32) for _ in range(2000)])
    assert corners.min() == 0
    assert corners.max(axis=0).tolist() == [68, 268]
    assert (corners[:, 1] == 0).mean() > 0.03  # the very edge is no rarity
    small = np.array([random_corner(rng, (20, 300), 32) for _ in range(200)])
    assert small[:, 0].min() == -12 and small[:, 0].max() == 0


def test_transparent_and_deep_images_are_read(tmp_path):
    Image.new("RGBA", (4, 3), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_rgb(tmp_path / "clear.png") == 255).all()
    Image.fromarray(np.full((3, 4), 40000, np.uint16)).save(tmp_path / "deep.png")
    assert (read_rgb(tmp_path / "deep.png") == 40000 >> 8).all()


def test_damaged_files_are_named(tmp_path, tiny_dataset):
    source = next(iter(sorted((tiny_dataset / "train/images").iterdir())))
    for name, data in (
        ("cut.png", source.read_bytes()[:5000]),
        ("text.png", b"no image"),
        ("empty.png", b""),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError, match=name):
            read_rgb(path)
    with pytest.raises(InputError, match=r"nothing\.png: not found"):
        read_rgb(tmp_path / "nothing.png")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_page_ends_the_epoch_with_one_line(tmp_path, tiny_dataset, workers):
    root = _linked_copy(tiny_dataset, tmp_path)
    victim = sorted((root / "train/images").iterdir())[0]
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data[: len(data) // 2])
    source = DataSource(config_for(root, in_memory=False, num_workers=workers))
    with pytest.raises(InputError) as caught:
        list(source.train_batches(1))
    assert str(caught.value).startswith(str(victim))
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_size_is_refused(tmp_path, tiny_dataset):
    root = _linked_copy(tiny_dataset, tmp_path)
    victim = sorted((root / "train/masks").iterdir())[0]
    victim.unlink()
    Image.new("P", (40, 30)).save(victim)
    with pytest.raises(InputError, match=r"is 40x30, the manifest says 2200x1700"):
        DataSource(config_for(root, in_memory=True))


def test_a_split_without_pages_is_refused(tmp_path, tiny_dataset):
    root = _linked_copy(tiny_dataset, tmp_path)
    lines = (tiny_dataset / "manifest.jsonl").read_text().splitlines()
    kept = [line for line in lines if '"split":"train"' in line.replace(": ", ":")]
    (root / "manifest.jsonl").unlink()
    (root / "manifest.jsonl").write_text("\n".join(kept) + "\n")
    with pytest.raises(InputError, match="no sample of the val split"):
        DataSource(config_for(root))


def _linked_copy(dataset: Path, tmp_path: Path) -> Path:
    """The dataset again, its files linked, so that single ones can be replaced."""
    root = tmp_path / "copy"
    for path in dataset.rglob("*"):
        target = root / path.relative_to(dataset)
        if path.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path)
    return root
