"""Pages in, batches out: random crops to train on, tiles that cover the pages to validate on.

Both show the page at the network's scale, as prediction does; augmentation changes the scale of some crops. A page
smaller than a crop is padded with the colour of its paper; the padding is labelled 255, which the loss ignores.

A batch is a dict: `image` uint8 (N, 3, H, W), RGB; `label` and `coverage` (of the traces) uint8 (N, H, W); and, in
validation, `real` uint8 (N,), 0 for the tiles that only fill the last batch.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ecg_generator_with_train_src.common.command_line import available_cores
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import Sample, Split, read_manifest
from experiment.config import Config
from experiment.training.crops import Batch, CropDataset, VisitSampler, page_weights, stack_pages
from experiment.training.pages import Pages, fits_in_memory, memory_needed
from experiment.training.supervisor import begin_worker, start_forkserver
from experiment.training.tiles import TileDataset, TileSampler, validation_tiles


def join_batches(items: list[Batch]) -> Batch:
    """One batch of several."""
    return {key: torch.cat([item[key] for item in items]) for key in items[0]}


class DataSource:
    """The loaders of a run, for one of `world_size` ranks. Raises InputError if a split has no pages.

    `ranks_here` ranks share this host's memory and cores. `devices` is how many devices each rank feeds; its batches
    are larger than the configured ones by this factor.
    """

    def __init__(
        self, config: Config, rank: int = 0, world_size: int = 1, ranks_here: int = 1, devices: int = 1
    ):
        self.config, self._ranks_here = config, ranks_here
        root = Path(config.data.root)
        manifest = read_manifest(root)
        chosen = {split: _samples_of(manifest, split, root) for split in ("train", "val")}
        self.in_memory = fits_in_memory(config.data.in_memory, memory_needed(manifest) * ranks_here)
        self.pages = {split: Pages(root, samples, self.in_memory) for split, samples in chosen.items()}
        crops = CropDataset(self.pages["train"], config.data, config.run.seed)
        weights = page_weights(chosen["train"], config.data.profile_weights)
        self._visits = VisitSampler(weights, config, rank, world_size, devices)
        self.steps = self._visits.steps
        self._train_loader = self._loader(crops, self._visits, self._visits.per_rank)
        tiles = validation_tiles(chosen["val"], config.data.crop_size, config.data.val_max_tiles)
        self.tiles = TileDataset(self.pages["val"], tiles, config.data.crop_size)
        self.val_batch_size = config.data.val_batch_size * devices
        sampler = TileSampler(len(tiles), self.val_batch_size, rank, world_size)
        self.val_steps = len(sampler) // self.val_batch_size
        self._val_loader = self._loader(self.tiles, sampler, self.val_batch_size)

    def train_batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of epoch `epoch`, counted from 1, without its first `first_step` steps.

        Raises InputError for a damaged page.
        """
        self._visits.epoch, self._visits.first_step = epoch, first_step
        return _batches(iter(self._train_loader))

    def val_batches(self) -> Iterator[Batch]:
        """The validation tiles, in `val_steps` full batches. Raises InputError for a damaged page."""
        return _batches(iter(self._val_loader))

    def sample_batch(self) -> Batch:
        """One full batch of tiles to draw pictures of; its first `run.sample_tiles` are spread over all tiles."""
        number = len(self.tiles.tiles)
        wanted = min(max(self.config.run.sample_tiles, 1), number)
        return stack_pages(
            [
                self.tiles.whole((2 * k + 1) * number // (2 * wanted) % number)
                for k in range(self.val_batch_size)
            ]
        )

    def describe(self) -> str:
        """One line: how many pages, steps and tiles there are, and whether pages are held in memory."""
        place = "held in memory" if self.in_memory else "read page by page"
        return (
            f"data {self.config.data.root}: {len(self.pages['train'])} training and {len(self.pages['val'])} "
            f"validation pages, {place}; {self.steps} steps per epoch, {len(self.tiles.tiles)} validation tiles"
        )

    def _loader(self, dataset: Dataset, sampler: Sampler, batch_size: int) -> DataLoader:
        workers = self._num_workers()
        if workers:
            start_forkserver()
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            collate_fn=join_batches,
            num_workers=workers,
            # A fork would copy a process that holds a device; a spawn would run the script again.
            multiprocessing_context="forkserver" if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=begin_worker,
        )

    def _num_workers(self) -> int:
        if self.config.data.num_workers != "auto":
            return self.config.data.num_workers
        return 0 if self.in_memory else max(available_cores() // self._ranks_here - 1, 1)


def _samples_of(manifest: list[Sample], split: Split, root: Path) -> list[Sample]:
    samples = [sample for sample in manifest if sample.split == split]
    if not samples:
        raise InputError(
            f"{root / 'manifest.jsonl'}: no sample of the {split} split; build the dataset with more recordings"
        )
    return samples


def _batches(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; an error that comes from a worker process loses the stack trace that it is wrapped in.

    Make the iterator first: it starts the workers, which the thread that draws the batches must not do.
    """
    try:
        yield from batches
    except InputError as error:
        raise InputError(str(error).strip().rpartition("InputError: ")[2]) from error
