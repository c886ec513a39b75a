"""Pages in, batches out: random crops to train on, tiles that cover the pages to validate on.

Both show the page at the network's scale, as prediction does; augmentation changes the scale of some crops.

A crop is drawn from (seed, epoch, visit) alone, where a visit is one page decoded for several crops; the
batches are therefore the same whatever the number of worker processes, and a step's crops are the same
whatever the number of devices that share them. A page smaller than a crop is padded with the colour of its
paper, labelled 255.

A batch is a dict: `image` uint8 (N, 3, H, W), RGB; `label` and `coverage` (of the traces) uint8 (N, H, W); and, in
validation, `real` uint8 (N,), 0 for the tiles that only fill the last batch.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, Dataset, Sampler

from ecg_generator_with_train_src.common.classes import IGNORED
from ecg_generator_with_train_src.common.command_line import available_cores
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import Sample, Split, read_manifest
from experiment.config import Config, DataConfig
from experiment.network.model import scale_for_network
from experiment.training.augmentation import Page, augment, draw_scale, resize_page
from experiment.training.supervisor import begin_worker, start_forkserver

Batch = dict[str, torch.Tensor]
BYTES_PER_PIXEL = 5  # RGB, label and coverage
MEMORY_SHARE = 0.5  # of the free memory that a dataset may fill
WINDOW_DRAWS = 4  # of a window with paper in it


def read_rgb(path: Path) -> np.ndarray:
    """The image as (H, W, 3) uint8, transparency laid on white. Raises InputError naming the file."""
    image = _open_image(path)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return np.array(image.convert("RGB"))


def read_label(path: Path) -> np.ndarray:
    """The mask's classes as (H, W) uint8. Raises InputError naming the file."""
    image = _open_image(path)
    if image.mode not in ("P", "L"):
        raise InputError(f"{path}: is no 8-bit palette mask, but of mode {image.mode}")
    return np.array(image)


def read_coverage(path: Path) -> np.ndarray:
    """The traces' coverage (H, W) uint8. Raises InputError naming the file."""
    image = _open_image(path)
    if image.mode != "L":
        raise InputError(f"{path}: is no 8-bit grey image, but of mode {image.mode}")
    return np.array(image)


def _open_image(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: is no image that can be read") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: damaged image ({error})") from error


def paper_colour(image: np.ndarray) -> np.ndarray:
    """The commonest shade of each channel's middle (3,) uint8 of an image (H, W, 3): the median."""
    return np.median(image[::8, ::8].reshape(-1, 3), axis=0).astype(np.uint8)


def cut(array: np.ndarray, top: int, left: int, size: int, fill) -> np.ndarray:
    """The `size` x `size` window at (top, left) of `array` (H, W, …); what lies outside is `fill`."""
    height, width = array.shape[:2]
    inside = array[max(top, 0) : min(top + size, height), max(left, 0) : min(left + size, width)]
    if inside.shape[:2] == (size, size):
        return inside
    window = np.empty((size, size, *array.shape[2:]), array.dtype)
    window[:] = fill
    row, column = max(-top, 0), max(-left, 0)
    window[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return window


class Pages:
    """The pages of one split by number, from files or from memory.

    In memory they are one shared uint8 tensor, which worker processes read without a copy of their own.
    """

    def __init__(self, root: Path, samples: list[Sample], in_memory: bool):
        self.root, self.samples = root, samples
        self._last: tuple[int, Page] | None = None
        self._store: torch.Tensor | None = None
        if in_memory:
            self._load()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> Page:
        if self._store is not None:
            return self._from_memory(number)
        if self._last is None or self._last[0] != number:
            self._last = (number, self._read(number))
        return self._last[1]

    def scale(self, number: int) -> float:
        """By what the page is enlarged for the network."""
        return scale_for_network(self.samples[number].px_per_mm)

    def _read(self, number: int) -> Page:
        sample = self.samples[number]
        paths = [self.root / path for path in (sample.image, sample.mask, sample.coverage)]
        page = Page(read_rgb(paths[0]), read_label(paths[1]), read_coverage(paths[2]))
        for path, array in zip(paths, page, strict=True):
            if array.shape[:2] != (sample.height_px, sample.width_px):
                size = f"{array.shape[1]}x{array.shape[0]}"
                raise InputError(f"{path}: is {size}, the manifest says {sample.width_px}x{sample.height_px}")
        return page

    def _load(self) -> None:
        pixels = [sample.width_px * sample.height_px for sample in self.samples]
        self._ends = np.cumsum(pixels) * BYTES_PER_PIXEL
        store = torch.empty(int(sum(pixels)) * BYTES_PER_PIXEL, dtype=torch.uint8).share_memory_()

        def load(number: int) -> None:
            whole = np.concatenate([part.ravel() for part in self._read(number)])
            end = self._ends[number]
            store[end - whole.size : end] = torch.from_numpy(whole)

        with ThreadPoolExecutor(available_cores()) as pool:  # decoding lets other threads run
            for _ in pool.map(load, range(len(pixels))):
                pass
        self._store = store

    def _from_memory(self, number: int) -> Page:
        sample = self.samples[number]
        shape = (sample.height_px, sample.width_px)
        size = sample.width_px * sample.height_px
        whole = self._store[self._ends[number] - size * BYTES_PER_PIXEL : self._ends[number]].numpy()
        image, label, coverage = np.split(whole, [3 * size, 4 * size])
        return Page(image.reshape(*shape, 3), label.reshape(shape), coverage.reshape(shape))


def memory_needed(samples: list[Sample]) -> int:
    """Bytes that Pages takes in memory."""
    return BYTES_PER_PIXEL * sum(sample.width_px * sample.height_px for sample in samples)


def memory_free() -> int:
    """Bytes of memory that are free for a new use; 0 where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)


class CropDataset(Dataset):
    """Random crops. A key is (epoch, visit, page); its item the crops of that visit, stacked."""

    def __init__(self, pages: Pages, config: DataConfig, seed: int):
        self.pages, self.config, self.seed = pages, config, seed

    def __getitem__(self, key: tuple[int, int, int]) -> Batch:
        epoch, visit, number = key
        page, scale = self.pages[number], self.pages.scale(number)
        rng = np.random.default_rng([self.seed, epoch, visit])
        return _stack([self._crop(rng, page, scale) for _ in range(self.config.crops_per_page)])

    def _crop(self, rng: np.random.Generator, page: Page, scale: float) -> Page:
        size = self.config.crop_size
        if not self.config.augment:
            return resize_page(random_window(rng, page, round(size / scale)), size)
        return augment(rng, random_window(rng, page, round(size / (scale * draw_scale(rng)))), size)


def random_window(rng: np.random.Generator, page: Page, size: int) -> Page:
    """A window (size, size) of the page; one that shows mostly what is ignored is drawn again a few times."""
    for _ in range(WINDOW_DRAWS):
        window = _window(page, *random_corner(rng, page.label.shape, size), size)
        if np.mean(window.label[::8, ::8] == IGNORED) < 0.5:
            break
    return window


def random_corner(rng: np.random.Generator, shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Top left corner of a random window in a page (H, W); negative where the page is smaller.

    Windows that would reach over an edge are moved back inside, so that edges, where headers and calibration
    pulses stand, are seen as often as the middle.
    """
    top, left = (_random_start(rng, length, size) for length in shape[:2])
    return top, left


def _random_start(rng: np.random.Generator, length: int, size: int) -> int:
    if length <= size:
        return int(rng.integers(length - size, 1))
    return int(np.clip(rng.integers(-(size // 2), length - size // 2 + 1), 0, length - size))


def _window(page: Page, top: int, left: int, size: int) -> Page:
    small = min(page.label.shape) < size
    return Page(
        cut(page.image, top, left, size, paper_colour(page.image) if small else 0),
        cut(page.label, top, left, size, IGNORED),
        cut(page.coverage, top, left, size, 0),
    )


def _stack(windows: list[Page]) -> Batch:
    images, labels, coverages = (np.stack(planes) for planes in zip(*windows, strict=True))
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return {
        "image": torch.from_numpy(images),
        "label": torch.from_numpy(labels),
        "coverage": torch.from_numpy(coverages),
    }


class VisitSampler(Sampler):
    """The visits of one rank in `epoch` from `first_step` on, which are set before each use.

    Every page comes once before any page comes twice, but for pages of profiles that `data.profile_weights` names,
    which come so many times.
    Step s uses the visits s·V to (s+1)·V - 1 of the epoch, V = visits a step over all ranks; each rank takes an equal
    run of them, for all of the `devices` that it feeds.
    """

    def __init__(self, weights: np.ndarray, config: Config, rank: int, world_size: int, devices: int):
        self.per_rank = devices * config.data.batch_size // config.data.crops_per_page
        self.weights, self.seed, self.epoch, self.first_step = weights, config.run.seed, 1, 0
        self.rank, self.world_size = rank, world_size
        self.steps = steps_per_epoch(config, round(weights.sum()), world_size * devices)

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.per_rank

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        per_step = self.per_rank * self.world_size
        order = page_order(
            self.weights, self.steps * per_step, np.random.default_rng([self.seed, self.epoch])
        )
        for step in range(self.first_step, self.steps):
            start = step * per_step + self.rank * self.per_rank
            for visit in range(start, start + self.per_rank):
                yield self.epoch, visit, int(order[visit])


def page_weights(samples: list[Sample], profile_weights: dict[str, float]) -> np.ndarray:
    """How often each page comes in a round (P,): once, unless its profile is named.

    Raises InputError for a profile that no page has, and if no page is left.
    """
    if unknown := sorted(profile_weights.keys() - {sample.profile for sample in samples}):
        raise InputError(
            f"data.profile_weights.{unknown[0]}: no training page is of this profile; "
            f"known here: {', '.join(sorted({sample.profile for sample in samples}))}; "
            "data.profile_weights={} visits all alike"
        )
    weights = np.array([profile_weights.get(sample.profile, 1.0) for sample in samples])
    if not weights.any():
        raise InputError("data.profile_weights: leaves no training page")
    return weights


def page_order(weights: np.ndarray, visits: int, rng: np.random.Generator) -> np.ndarray:
    """At least so many page numbers, in shuffled rounds; a page of weight 2.3 comes two or three times a round."""
    rounds: list[np.ndarray] = []
    while sum(map(len, rounds)) < visits:
        times = np.floor(weights + rng.random(len(weights))).astype(int)
        rounds.append(rng.permutation(np.repeat(np.arange(len(weights)), times)))
    return np.concatenate(rounds)


def steps_per_epoch(config: Config, num_pages: int, all_devices: int) -> int:
    """Steps of an epoch: as configured, or such that every page is visited about once; at least 1."""
    if config.run.steps_per_epoch != "auto":
        return config.run.steps_per_epoch
    return max(num_pages * config.data.crops_per_page // (config.data.batch_size * all_devices), 1)


@dataclass(frozen=True)
class Tile:
    """A square window of a page; its first `skip_rows` and `skip_columns` belong to its neighbours."""

    page: int
    side: int
    top: int
    left: int
    skip_rows: int
    skip_columns: int


def tiles_of(length: int, size: int) -> list[tuple[int, int]]:
    """(start, skip) of windows that cover `length` pixels, each pixel counted once.

    The last window is moved back inside; `skip` are its pixels that the one before has counted.
    """
    starts = list(range(0, max(length - size, 0) + 1, size))
    windows = [(start, 0) for start in starts]
    covered = starts[-1] + size
    if covered < length:
        windows.append((length - size, covered - (length - size)))
    return windows


def validation_tiles(samples: list[Sample], size: int, max_tiles: int | str) -> list[Tile]:
    """Tiles that cover the pages, `size` pixels a side at the network's scale.

    Of more than `max_tiles`, so many are taken, spread evenly over all pages.
    """
    sides = [round(size / scale_for_network(sample.px_per_mm)) for sample in samples]
    tiles = [
        Tile(page, side, top, left, skip_rows, skip_columns)
        for page, (sample, side) in enumerate(zip(samples, sides, strict=True))
        for top, skip_rows in tiles_of(sample.height_px, side)
        for left, skip_columns in tiles_of(sample.width_px, side)
    ]
    if max_tiles == "all" or max_tiles >= len(tiles):
        return tiles
    return [tiles[(2 * number + 1) * len(tiles) // (2 * max_tiles)] for number in range(max_tiles)]


class TileDataset(Dataset):
    """The validation tiles. A key is a tile's number; -1 is a tile that only fills a batch."""

    def __init__(self, pages: Pages, tiles: list[Tile], size: int):
        self.pages, self.tiles, self.size = pages, tiles, size

    def whole(self, key: int) -> Page:
        """A tile, with what its neighbours count as well."""
        return resize_page(self._window(self.tiles[key]), self.size)

    def __getitem__(self, key: int) -> Batch:
        tile = self.tiles[max(key, 0)]
        whole = self._window(tile)
        label = whole.label.copy()
        label[: tile.skip_rows] = IGNORED
        label[:, : tile.skip_columns] = IGNORED
        if key < 0:
            label[:] = IGNORED
        return _stack([resize_page(whole._replace(label=label), self.size)]) | {
            "real": torch.tensor([int(key >= 0)], dtype=torch.uint8)
        }

    def _window(self, tile: Tile) -> Page:
        return _window(self.pages[tile.page], tile.top, tile.left, tile.side)


class TileSampler(Sampler):
    """Every tile once over all ranks; every rank yields the same number of full batches."""

    def __init__(self, num_tiles: int, batch_size: int, rank: int, world_size: int):
        per_rank = -(-num_tiles // world_size)
        self.length = -(-per_rank // batch_size) * batch_size
        self.keys = list(range(num_tiles))[rank::world_size]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        yield from self.keys
        yield from [-1] * (self.length - len(self.keys))


def join(items: list[Batch]) -> Batch:
    """One batch of several stacks."""
    return {key: torch.cat([item[key] for item in items]) for key in items[0]}


class DataSource:
    """The loaders of a run, for one of `world_size` ranks. Raises InputError if a split has no pages.

    `ranks_here` ranks share this host's memory and cores; `devices` is how many devices each rank feeds: its
    batches are so many times those of the configuration.
    """

    def __init__(
        self, config: Config, rank: int = 0, world_size: int = 1, ranks_here: int = 1, devices: int = 1
    ):
        self.config, self._ranks_here = config, ranks_here
        root = Path(config.data.root)
        manifest = read_manifest(root)
        chosen = {split: _samples_of(manifest, split, root) for split in ("train", "val")}
        self.in_memory = _fits(config.data.in_memory, memory_needed(manifest) * ranks_here)
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
        """The `steps` batches of one epoch (from 1), from step `first_step` (from 0) on.

        Raises InputError for a damaged page.
        """
        self._visits.epoch, self._visits.first_step = epoch, first_step
        return _batches(iter(self._train_loader))

    def val_batches(self) -> Iterator[Batch]:
        """The validation tiles, in `val_steps` full batches. Raises InputError for a damaged page."""
        return _batches(iter(self._val_loader))

    def sample_batch(self) -> Batch:
        """One full batch of tiles to be pictured, of which the first `run.sample_tiles` are spread over all."""
        number = len(self.tiles.tiles)
        wanted = min(max(self.config.run.sample_tiles, 1), number)
        return _stack(
            [
                self.tiles.whole((2 * k + 1) * number // (2 * wanted) % number)
                for k in range(self.val_batch_size)
            ]
        )

    def describe(self) -> str:
        """One line on what is there."""
        place = "held in memory" if self.in_memory else "read page by page"
        return (
            f"data {self.config.data.root}: {len(self.pages['train'])} training and {len(self.pages['val'])} "
            f"validation pages, {place}; {self.steps} steps an epoch, {len(self.tiles.tiles)} validation tiles"
        )

    def _loader(self, dataset: Dataset, sampler: Sampler, batch_size: int) -> DataLoader:
        workers = self._num_workers()
        if workers:
            start_forkserver()
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            collate_fn=join,
            num_workers=workers,
            # Neither a fork of a process that holds a device, nor a spawn that runs the script again.
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
            f"{root / 'manifest.jsonl'}: no sample of the {split} split; build with more recordings"
        )
    return samples


def _fits(in_memory: bool | str, needed_bytes: int) -> bool:
    if in_memory == "auto":
        return needed_bytes < MEMORY_SHARE * memory_free()
    return bool(in_memory)


def _batches(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same. The loader's workers were started with its iterator: not by the thread that draws from it."""
    try:
        yield from batches
    except InputError as error:  # from a worker process it comes wrapped in that process's stack trace
        raise InputError(str(error).strip().rpartition("InputError: ")[2]) from error
