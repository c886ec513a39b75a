"""Real pages beside the records: `<id>-<type>.png` beside `<id>.csv`, and which of them are taken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.dataset.format import REAL_PREFIX

RENDERED = "0001"  # no scan or photo, but the rendered page itself: taken last
PHOTOS = ("0005", "0006", "0009", "0010")
PAGE_TYPES = (RENDERED, "0003", "0004", *PHOTOS, "0011", "0012")
RENDERED_S, SCAN_S, PHOTO_S = 1.0, 5.0, 8.0  # to register one and write its sample, on one core, about

_FILE_NAME = re.compile(rf"(.+)-({'|'.join(PAGE_TYPES)})\.png")


@dataclass(frozen=True)
class RealPage:
    """One image of a record's page."""

    record: str
    type: str
    path: Path

    @property
    def profile(self) -> str:
        """What its sample's profile is called: `real-<type>`."""
        return REAL_PREFIX + self.type

    @property
    def seconds(self) -> float:
        """What it takes to register it, about."""
        if self.type == RENDERED:
            return RENDERED_S
        return PHOTO_S if self.type in PHOTOS else SCAN_S


def choose_real_pages(csv_paths: Mapping[str, Path], count: int | None, seed: int) -> list[RealPage]:
    """Up to `count` pages (None: all) of each record whose CSV lies at `csv_paths[record]`, sorted by record and type.

    Which ones depends on (seed, record) alone; rendered pages come last.
    """
    found: dict[str, list[RealPage]] = {}
    for folder in sorted({path.parent for path in csv_paths.values()}) if count != 0 else []:
        for path in sorted(folder.iterdir()):
            match = _FILE_NAME.fullmatch(path.name)
            if match and match[1] in csv_paths and csv_paths[match[1]].parent == folder:
                found.setdefault(match[1], []).append(RealPage(match[1], match[2], path))
    return [page for record in sorted(found) for page in _drawn(found[record], count, seed)]


def _drawn(pages: list[RealPage], count: int | None, seed: int) -> list[RealPage]:
    order = random_stream(seed, pages[0].record, "real pages").permutation(len(pages))
    shuffled = sorted((pages[number] for number in order), key=lambda page: page.type == RENDERED)
    return sorted(shuffled[:count], key=lambda page: page.type)
