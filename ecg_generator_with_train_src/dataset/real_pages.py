"""Real pages beside the records: scans and photos `<id>-<type>` beside `<id>.csv`, and which of them are taken."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common.page_files import PAGE_SUFFIXES
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.dataset.format import REAL_PREFIX
from ecg_generator_with_train_src.dataset.page_names import PAGE_TYPES, PHOTOS, RENDERED, parse_page_name

# seconds that one core takes, roughly, to register a page and write its sample
RENDERED_S, SCAN_S, PHOTO_S = 1.0, 5.0, 8.0


@dataclass(frozen=True)
class RealPage:
    """One image of a record's page."""

    record: str
    type: str
    number: int  # 0 for the first of this record and type
    path: Path

    @property
    def profile(self) -> str:
        """The profile of its sample: `real-<type>`."""
        return REAL_PREFIX + self.type

    @property
    def sample_name(self) -> str:
        """The name of its sample: `<id>-real-<type>-<k>`."""
        return f"{self.record}-{self.profile}-{self.number}"

    @property
    def seconds(self) -> float:
        """How long one core takes to register it, roughly."""
        if self.type == RENDERED:
            return RENDERED_S
        return PHOTO_S if self.type in PHOTOS else SCAN_S


def choose_real_pages(csv_paths: Mapping[str, Path], count: int | None, seed: int) -> list[RealPage]:
    """Up to `count` pages (None: all) of each record whose CSV lies at `csv_paths[record]`.

    The pages are the files `<id>-<type>` and `<id>-<type>-<k>`, of any format that can be read, in the CSV's folder.
    They come sorted by record, type and number. Which ones are taken depends on the files' names and (seed, record)
    alone; rendered pages are taken last.
    """
    if count == 0:
        return []
    of_record: dict[str, list[tuple[str, int, Path]]] = {}
    for folder in sorted({path.parent for path in csv_paths.values()}):
        for path in sorted(folder.iterdir()):
            name = parse_page_name(path.stem, csv_paths)
            is_page = path.suffix.lower() in PAGE_SUFFIXES and name.kind in PAGE_TYPES and not name.layout
            if is_page and name.is_known and csv_paths[name.record].parent == folder:
                number = -1 if name.number is None else name.number
                of_record.setdefault(name.record, []).append((name.kind, number, path))
    return [
        page
        for record in sorted(of_record)
        for page in _choose(_numbered(record, sorted(of_record[record])), count, seed)
    ]


def _numbered(record: str, found: Iterable[tuple[str, int, Path]]) -> list[RealPage]:
    """The pages of one record; those of the same type are counted from 0."""
    pages: list[RealPage] = []
    for page_type, _, path in found:
        number = sum(page.type == page_type for page in pages)
        pages.append(RealPage(record, page_type, number, path))
    return pages


def _choose(pages: list[RealPage], count: int | None, seed: int) -> list[RealPage]:
    order = random_stream(seed, pages[0].record, "real pages").permutation(len(pages))
    shuffled = sorted((pages[number] for number in order), key=lambda page: page.type == RENDERED)
    return sorted(shuffled[:count], key=lambda page: (page.type, page.number))
