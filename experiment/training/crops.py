"""Random crops of pages to train on, and the order in which pages are visited.

A crop is drawn from (seed, epoch, visit) alone, where a visit is one page decoded for several crops. The batches are
therefore the same whatever the number of worker processes, and a step's crops are the same whatever the number of
devices that share them.
"""

import fnmatch
import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ecg_generator_with_train_src.common.classes import IGNORED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import cut, paper_colour
from ecg_generator_with_train_src.dataset.format import Sample
from experiment.config import Config, DataConfig
from experiment.training.augmentation import Page, augment, draw_scale, resize_page
from experiment.training.pages import Pages

Batch = dict[str, torch.Tensor]
LEAST_IN_ROUND, MOST_IN_ROUND = 0.01, 10**7  # pages, by their weights
WINDOW_DRAWS = 4  # how often a window is drawn until one shows enough paper


class CropDataset(Dataset):
    """Random crops. A key is (epoch, visit, page); its item is the batch of that visit's crops."""

    def __init__(self, pages: Pages, config: DataConfig, seed: int):
        self.pages, self.config, self.seed = pages, config, seed

    def __getitem__(self, key: tuple[int, int, int]) -> Batch:
        epoch, visit, number = key
        page, scale = self.pages[number], self.pages.scale(number)
        rng = np.random.default_rng([self.seed, epoch, visit])
        return stack_pages([self._crop(rng, page, scale) for _ in range(self.config.crops_per_page)])

    def _crop(self, rng: np.random.Generator, page: Page, scale: float) -> Page:
        size = self.config.crop_size
        if not self.config.augment:
            return resize_page(random_window(rng, page, round(size / scale)), size)
        return augment(rng, random_window(rng, page, round(size / (scale * draw_scale(rng)))), size)


def random_window(rng: np.random.Generator, page: Page, size: int) -> Page:
    """A random window (size, size) of the page; one that shows mostly ignored pixels is drawn again a few times."""
    for _ in range(WINDOW_DRAWS):
        window = cut_page(page, *random_corner(rng, page.label.shape, size), size)
        if np.mean(window.label[::8, ::8] == IGNORED) < 0.5:
            break
    return window


def random_corner(rng: np.random.Generator, shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Row and column of the top left corner of a random window; negative if the page (H, W) is smaller than it.

    A window that would reach over an edge is moved back inside, so that the edges, where headers and calibration
    pulses stand, are seen as often as the middle.
    """
    top, left = (_random_start(rng, length, size) for length in shape[:2])
    return top, left


def _random_start(rng: np.random.Generator, length: int, size: int) -> int:
    if length <= size:
        return int(rng.integers(length - size, 1))
    return int(np.clip(rng.integers(-(size // 2), length - size // 2 + 1), 0, length - size))


def cut_page(page: Page, top: int, left: int, size: int) -> Page:
    """The window (size, size) of a page at (top, left); what lies outside the page is paper, labelled as ignored."""
    small = min(page.label.shape) < size
    return Page(
        cut(page.image, top, left, (size, size), paper_colour(page.image) if small else 0),
        cut(page.label, top, left, (size, size), IGNORED),
        cut(page.coverage, top, left, (size, size), 0),
    )


def stack_pages(windows: list[Page]) -> Batch:
    """Windows of one size as a batch."""
    images, labels, coverages = (np.stack(planes) for planes in zip(*windows, strict=True))
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return {
        "image": torch.from_numpy(images),
        "label": torch.from_numpy(labels),
        "coverage": torch.from_numpy(coverages),
    }


class VisitSampler(Sampler):
    """The visits of one rank in an epoch. Set `epoch` and `first_step` before each use.

    A page comes as often in a round over all pages as its weight says; see page_order. Step s uses the visits s·V to
    (s+1)·V - 1 of the epoch, where V is the number of visits per step over all ranks. Each rank takes an equal run of
    them, enough for all of the `devices` that it feeds.
    """

    def __init__(self, weights: np.ndarray, config: Config, rank: int, world_size: int, devices: int):
        self.per_rank = devices * config.data.batch_size // config.data.crops_per_page
        self.weights, self.seed, self.epoch, self.first_step = weights, config.run.seed, 1, 0
        self.rank, self.world_size = rank, world_size
        self.steps = steps_per_epoch(config, round(weights.sum()), world_size * devices)

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.per_rank

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        per_step, first = self.per_rank * self.world_size, self.rank * self.per_rank
        order = page_order(self.weights, np.random.default_rng([self.seed, self.epoch]))
        visits = itertools.islice(enumerate(order), self.first_step * per_step, self.steps * per_step)
        for visit, page in visits:
            if first <= visit % per_step < first + self.per_rank:
                yield self.epoch, visit, page


def page_weights(samples: list[Sample], profile_weights: dict[str, float]) -> np.ndarray:
    """How often each page comes in a round over all pages (P,): once, unless `profile_weights` names its profile.

    A name that ends in * stands for all profiles that begin so: `real-*` for all real pages. A profile's own name comes
    before such a pattern. Raises InputError for a name that fits no page, and if no page is left.
    """
    profiles = sorted({sample.profile for sample in samples})
    weight_of = dict.fromkeys(profiles, 1.0)
    for name, weight in sorted(profile_weights.items(), key=lambda item: not item[0].endswith("*")):
        fitting = fnmatch.filter(profiles, name)
        if not fitting:
            raise InputError(
                f"data.profile_weights.{name}: no training page is of this profile; "
                f"known here: {', '.join(profiles)}; data.profile_weights={{}} visits all pages equally often"
            )
        weight_of |= dict.fromkeys(fitting, weight)
    weights = np.array([weight_of[sample.profile] for sample in samples])
    if weights.sum() < LEAST_IN_ROUND:
        raise InputError("data.profile_weights: leaves no training page; give a profile a weight above 0")
    if weights.sum() > MOST_IN_ROUND:
        raise InputError(
            f"data.profile_weights: a round over all pages has {weights.sum():.0f}; give smaller weights"
        )
    return weights


def page_order(weights: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Page numbers without end, in shuffled rounds; a page of weight 2.3 comes two or three times in each."""
    while True:
        times = np.floor(weights + rng.random(len(weights))).astype(int)
        yield from rng.permutation(np.repeat(np.arange(len(weights)), times)).tolist()


def steps_per_epoch(config: Config, num_pages: int, all_devices: int) -> int:
    """Steps of an epoch: as configured, or enough to visit every page about once; at least 1."""
    if config.run.steps_per_epoch != "auto":
        return config.run.steps_per_epoch
    return max(num_pages * config.data.crops_per_page // (config.data.batch_size * all_devices), 1)
