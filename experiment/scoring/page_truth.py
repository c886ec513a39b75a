"""The truth of a page, from a dataset, from masks, or from the record that a real page shows.

dataset   <root>/manifest.jsonl lists masks and ideal traces; pages have the names of its samples
masks     <root>/masks/<name>.png or <root>/<name>.png, the name with its folders if it has some, hold the classes alone
records   <root>/<id>/<id>.csv, <root>/<id>.csv or WFDB; the page `<id>-<type>` is found in its image and labelled
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.classes import CLASS_NAMES, IGNORED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of, sha256_of_file
from ecg_generator_with_train_src.common.image_files import read_classes
from ecg_generator_with_train_src.dataset.format import Sample, read_manifest
from ecg_generator_with_train_src.dataset.page_names import parse_page_name
from ecg_generator_with_train_src.dataset.truth_file import read_truth_file
from ecg_generator_with_train_src.page.page import TracePoints
from ecg_generator_with_train_src.page.records import (
    RecordTable,
    files_of_record,
    find_records,
    holds_records,
    read_record,
    read_record_table,
)
from ecg_generator_with_train_src.register.registration import label_page, register_page

CURVE_STEP_PX = 0.5
_SAME_SAMPLE_STEPS = 1.5  # a step in time that is longer than so many usual ones is a gap


@dataclass(frozen=True)
class PageTruth:
    """The truth of one image.

    `curve` (N, 2) float64 are canvas points x, y along the ideal traces, at most CURVE_STEP_PX apart; if only a mask is
    known, they are the centres of its waveform pixels. If the labels were transferred to a real page, `offset_px` tells
    how exact they are: the median distance of the warped trace from the darkest place across it.
    """

    kind: str  # the profile of a sample, or the type of a real page; "" for a mask
    classes: np.ndarray  # (H, W) uint8, 255 where the class is not known
    curve: np.ndarray
    offset_px: float | None = None


@dataclass(frozen=True)
class ReadTruth:
    """How to read the truth of a page from some files; call it with the page's image (H, W, 3)."""

    files: tuple[Path, ...]
    read: Callable[[np.ndarray], PageTruth]

    def __call__(self, image: np.ndarray) -> PageTruth:
        """The truth of the page. Raises InputError that names the file at fault."""
        return self.read(image)

    def sha256(self) -> str:
        """A digest of the files; those that are missing count too."""
        digests = (sha256_of_file(path) if path.is_file() else "missing" for path in self.files)
        return sha256_of(" ".join(digests).encode())


def find_truth(root: Path) -> Callable[[str], ReadTruth | None]:
    """Return a function that tells, by the name of a page, how to read its truth, or None if it has none.

    Raises InputError if `root` is neither a dataset nor a folder of masks or of records.
    """
    if not root.is_dir():
        raise InputError(f"{root}: not found; --truth-root is a dataset, or a folder of masks or of records")
    if (root / "manifest.jsonl").is_file():
        samples = {Path(sample.image).stem: sample for sample in read_manifest(root)}
        return lambda name: _of_sample(root, samples.get(name.rpartition("/")[2]))
    folder = root / "masks" if (root / "masks").is_dir() else root
    if holds_records(root):
        records, table = find_records(root), read_record_table(root)
        return lambda name: _of_real_page(name, records, table)
    masks = {_name_of_mask(path.relative_to(folder)): path for path in sorted(folder.rglob("*.png"))}
    if not masks:
        raise InputError(f"{root}: holds neither a dataset, nor masks (*.png), nor records (*.csv, *.hea)")
    return lambda name: _of_mask(masks.get(name))


def _name_of_mask(path: Path) -> str:
    return path.with_name(path.stem.removesuffix("_mask")).as_posix()


def _of_sample(root: Path, sample: Sample | None) -> ReadTruth | None:
    if sample is None:
        return None
    files = root / sample.mask, root / sample.truth
    return ReadTruth(files, functools.partial(_truth_of_sample, sample.profile, *files))


def _truth_of_sample(profile: str, mask: Path, truth: Path, image: np.ndarray) -> PageTruth:
    classes = _read_classes(mask, image.shape[:2])
    return PageTruth(profile, classes, _inside(curve_of(read_truth_file(truth)), classes))


def _of_mask(path: Path | None) -> ReadTruth | None:
    return None if path is None else ReadTruth((path,), functools.partial(_truth_of_mask, path))


def _truth_of_mask(path: Path, image: np.ndarray) -> PageTruth:
    classes = _read_classes(path, image.shape[:2])
    rows, columns = np.nonzero(classes == CLASS_NAMES.index("waveform"))
    return PageTruth("", classes, np.stack([columns, rows], axis=1) + 0.5)


def _of_real_page(name: str, records: dict[str, Path], table: RecordTable) -> ReadTruth | None:
    page = parse_page_name(name, records)
    if not page.is_known or page.layout or not page.kind:
        return None
    path = records[page.record]

    def read(image: np.ndarray) -> PageTruth:
        record = read_record(path, table.fs_hz.get(page.record))
        registration = register_page(image, record)
        labels = label_page(registration, record)
        curve = _inside(curve_of(labels.points), labels.classes)
        return PageTruth(page.kind, labels.classes, curve, registration.quality.offset_median_px)

    return ReadTruth((*files_of_record(path), *filter(None, [table.path])), read)


def _read_classes(path: Path, shape: tuple[int, int]) -> np.ndarray:
    classes = read_classes(path)
    if classes.shape != shape:
        size = "x".join(map(str, classes.shape[::-1]))
        raise InputError(f"{path}: is {size} pixels, but its image is {shape[1]}x{shape[0]}")
    return classes


def curve_of(points: TracePoints) -> np.ndarray:
    """Points (N, 2) x, y along the lines that join the samples of each lead and row; gaps are left out."""
    place = np.stack([points.x_px, points.y_px], axis=1).astype(float)
    step_s = np.diff(points.time_s)
    usual_s = np.median(step_s[step_s > 0]) if (step_s > 0).any() else 0.0
    joined = (np.diff(points.lead) == 0) & (np.diff(points.row) == 0)
    joined &= (step_s > 0) & (step_s < _SAME_SAMPLE_STEPS * usual_s)
    start, step = place[:-1][joined], np.diff(place, axis=0)[joined]
    parts = np.ceil(np.hypot(*step.T) / CURVE_STEP_PX).astype(int).clip(min=1)
    segment = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(segment)) - np.repeat(np.cumsum(parts) - parts, parts)
    return start[segment] + step[segment] * (number / parts[segment])[:, None]


def _inside(curve: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The points that lie within the image, where its classes are known."""
    column, row = np.floor(curve).astype(int).T
    within = (column >= 0) & (column < classes.shape[1]) & (row >= 0) & (row < classes.shape[0])
    within[within] = classes[row[within], column[within]] != IGNORED
    return curve[within]
