"""Random crops: what they show, where they lie, and how often each page is visited."""

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch

from ecg_generator_with_train_src.common.classes import IGNORED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import cut, read_classes, read_rgb
from ecg_generator_with_train_src.dataset.format import read_manifest
from experiment.training.crops import VisitSampler, page_order, page_weights, random_corner
from experiment.training.loaders import DataSource

from small_runs import config_for


def test_a_crop_is_the_page_and_its_stored_mask(tiny_dataset):
    source = DataSource(config_for(tiny_dataset, crop_size=128))
    pages = [
        (read_rgb(tiny_dataset / sample.image), read_classes(tiny_dataset / sample.mask))
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


def _contains(page, mask, image, label) -> bool:
    """Whether a crop of a page and its mask are a window of both, at the same place."""
    _, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(page, image, cv2.TM_SQDIFF))
    return np.array_equal(cut(page, top, left, label.shape, 0), image) and np.array_equal(
        cut(mask, top, left, label.shape, IGNORED), label
    )


def first_of(numbers: Iterator, count: int) -> list:
    return list(itertools.islice(numbers, count))


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
    order = first_of(page_order(weights, np.random.default_rng(0)), rounds * round(weights.sum()))
    share = np.mean(np.array(order) == 1) * weights.sum()
    assert share == pytest.approx(2.5, rel=0.1)
    without = page_weights(samples, {"real-0004": 0.0})
    assert len(set(first_of(page_order(without, np.random.default_rng(0)), 100))) == len(samples) - 1
    photo = samples[2].model_copy(update={"profile": "real-0005"})
    by_pattern = page_weights(
        [*samples[:2], photo, *samples[3:]], {"real-0004": 7.0, "real-*": 3.0}
    )  # a profile's own name comes first
    assert by_pattern.tolist() == [1.0, 7.0, 3.0, *[1.0] * (len(samples) - 3)]
    with pytest.raises(InputError, match=r"profile_weights\.cleam: no training page .* known here: clean"):
        page_weights(samples, {"cleam": 2.0})
    for weight in (0.0, 1e-300):
        with pytest.raises(InputError, match="leaves no training page"):
            page_weights(samples, {"clean": weight, "real-0004": weight})
    with pytest.raises(InputError, match="a round over all pages has 1000000000"):
        page_weights(samples, {"real-0004": 1e10})


def test_an_epoch_of_very_many_steps_begins_at_once(tiny_dataset):
    config = config_for(tiny_dataset)
    config = config.model_copy(update={"run": config.run.model_copy(update={"steps_per_epoch": 10**9})})
    sampler = VisitSampler(np.ones(3), config, rank=1, world_size=2, devices=1)
    visits = first_of(iter(sampler), 2 * sampler.per_rank)
    assert [visit for _, visit, _ in visits] == [
        number
        for step in (0, 1)
        for number in range((2 * step + 1) * sampler.per_rank, (2 * step + 2) * sampler.per_rank)
    ]
    sampler.first_step = 1
    assert first_of(iter(sampler), sampler.per_rank) == visits[sampler.per_rank :]


def test_windows_reach_every_edge_and_stay_inside():
    rng = np.random.default_rng(0)
    corners = np.array([random_corner(rng, (100, 300), 32) for _ in range(2000)])
    assert corners.min() == 0
    assert corners.max(axis=0).tolist() == [68, 268]
    assert (corners[:, 1] == 0).mean() > 0.03  # the very edge is no rarity
    small = np.array([random_corner(rng, (20, 300), 32) for _ in range(200)])
    assert small[:, 0].min() == -12 and small[:, 0].max() == 0
