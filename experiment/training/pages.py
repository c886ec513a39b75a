"""The pages of a dataset's split, decoded: read from their files when asked for, or all held in memory."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from ecg_generator_with_train_src.common.command_line import available_cores
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import read_classes, read_coverage, read_rgb
from ecg_generator_with_train_src.dataset.format import Sample, check_digest
from experiment.network.scales import scale_for_network
from experiment.training.augmentation import Page

BYTES_PER_PIXEL = 5  # three colours, label and coverage
MEMORY_SHARE = 0.5  # the share of the free memory that a dataset may fill


class Pages:
    """The pages of one split by number. Raises InputError for a damaged page or one of an unexpected size.

    Pages in memory are one shared uint8 tensor, which worker processes read without a copy of their own.
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
        """The factor by which the page is enlarged for the network."""
        return scale_for_network(self.samples[number].px_per_mm)

    def _read(self, number: int) -> Page:
        sample = self.samples[number]
        paths = [self.root / path for path in (sample.image, sample.mask, sample.coverage)]
        page = Page(read_rgb(paths[0]), read_classes(paths[1]), read_coverage(paths[2]))
        for path, array in zip(paths, page, strict=True):
            if array.shape[:2] != (sample.height_px, sample.width_px):
                size = f"{array.shape[1]}x{array.shape[0]}"
                raise InputError(f"{path}: is {size}, the manifest says {sample.width_px}x{sample.height_px}")
        for kind in ("image", "mask", "coverage"):
            check_digest(self.root, sample, kind)
        return page

    def _load(self) -> None:
        pixels = [sample.width_px * sample.height_px for sample in self.samples]
        self._ends = np.cumsum(pixels) * BYTES_PER_PIXEL
        store = torch.empty(int(sum(pixels)) * BYTES_PER_PIXEL, dtype=torch.uint8).share_memory_()

        def load(number: int) -> None:
            whole = np.concatenate([part.ravel() for part in self._read(number)])
            end = self._ends[number]
            store[end - whole.size : end] = torch.from_numpy(whole)

        with ThreadPoolExecutor(available_cores()) as pool:  # decoding an image lets other threads run
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
    """Bytes that the decoded pages of `samples` take."""
    return BYTES_PER_PIXEL * sum(sample.width_px * sample.height_px for sample in samples)


def fits_in_memory(in_memory: bool | str, needed_bytes: int) -> bool:
    """Whether pages are held in memory: as configured, or with "auto" if they fit into a share of what is free."""
    if in_memory == "auto":
        return needed_bytes < MEMORY_SHARE * memory_free()
    return bool(in_memory)


def memory_free() -> int:
    """Bytes of memory that are free for a new use; 0 if the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)
