"""The dataset on disk: what build_dataset.py writes and the trainer reads.

    <root>/dataset.json                  DatasetInfo
    <root>/manifest.jsonl                one Sample a line, sorted by name
    <root>/{train,val}/images/<name>.png     the page, RGB; .jpg where the profile ends in a JPEG
    <root>/{train,val}/masks/<name>.png      8-bit palette: 0 background, 1 grid, 2 waveform, 255 ignored
    <root>/{train,val}/coverage/<name>.png   8-bit coverage of the traces, 255 = wholly covered
    <root>/{train,val}/truth/<name>.npz      ideal trace: lead, time_s, x_px, y_px, one entry a record sample

Truth points are canvas coordinates of the image (pixel index = canvas - 0.5).
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from ecg_generator_with_train_src.common.bounds import MOST_PIXELS, MOST_SIDE_PX
from ecg_generator_with_train_src.common.classes import CLASS_NAMES, IGNORED
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of_file
from ecg_generator_with_train_src.common.inner_paths import InnerPath
from ecg_generator_with_train_src.common.text_files import read_json, read_json_lines
from ecg_generator_with_train_src.page.geometry import PxPerMm

BUILD_IT = "build the dataset with scripts/build_dataset.py --overwrite"
REAL_PREFIX = "real-"  # begins the profile of a real page; the page's type follows

FILE_FOLDERS = ("images", "masks", "coverage", "truth")  # in each split
Share = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**53)]  # sums of them stay exact
PictureSidePx = Annotated[int, Field(gt=0, le=MOST_SIDE_PX)]
FileKind = Literal["image", "mask", "coverage", "truth"]
Split = Literal["train", "val"]


class Sample(BaseModel):
    """One line of the manifest. Paths are relative to the dataset's root."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    split: Split
    record: str
    recording: str
    profile: str
    seed: int
    image: InnerPath
    mask: InnerPath
    coverage: InnerPath
    truth: InnerPath
    width_px: PictureSidePx
    height_px: PictureSidePx
    px_per_mm: PxPerMm
    page_to_image: dict[str, Any]  # a page_map.PageMap
    degradation: dict[str, Any] | None = None  # a draw_strengths.Degradation without its page map
    registration: dict[str, Any] | None = None  # a register.check.Quality; real pages alone have it
    style: dict[str, Any]
    digests: dict[FileKind, str]  # SHA-256
    inputs_sha256: str  # digest of everything that the sample was made from
    class_pixels: tuple[Count, Count, Count]
    rgb_sum: tuple[Count, Count, Count]  # over all pixels, each channel from 0 to 255
    rgb_square_sum: tuple[Count, Count, Count]

    @model_validator(mode="after")
    def _has_not_too_many_pixels(self) -> "Sample":
        if self.width_px * self.height_px > MOST_PIXELS:
            raise ValueError(
                f"{self.width_px}x{self.height_px} are more than {MOST_PIXELS / 1e6:g} megapixels"
            )
        return self

    @model_validator(mode="after")
    def _files_bear_its_name(self) -> "Sample":
        """A manifest decides which files are removed: they are those of its samples and no others."""
        for kind, path in zip(FILE_FOLDERS, self.files, strict=True):
            place = PurePosixPath(path)
            if place.parent != PurePosixPath(self.split, kind) or place.stem != self.name:
                raise ValueError(f"{path!r} is no file of {self.split}/{kind} called {self.name}")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_what_it_lacks(self, serialize: Callable[["Sample"], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    @property
    def files(self) -> tuple[str, str, str, str]:
        """The sample's files, relative to the dataset's root."""
        return self.image, self.mask, self.coverage, self.truth


class DatasetInfo(BaseModel):
    """dataset.json. Frequencies and statistics are of the training split alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    classes: tuple[str, ...] = CLASS_NAMES
    ignored: int = IGNORED
    class_frequencies: tuple[Share, Share, Share]  # of the pixels that are not ignored; they sum to 1
    image_mean: tuple[Share, Share, Share]  # RGB, each from 0 to 1
    image_std: tuple[Deviation, Deviation, Deviation]
    num_samples: dict[Split, int]
    num_recordings: dict[Split, int]
    seed: int
    generator_version: str
    options: dict[str, Any]  # all options that determine the output
    manifest_sha256: str

    @model_validator(mode="after")
    def _all_pixels_are_of_a_class(self) -> "DatasetInfo":
        if abs(sum(self.class_frequencies) - 1) > 1e-3:
            raise ValueError(f"class_frequencies sum to {sum(self.class_frequencies):g}, not to 1")
        return self


def read_dataset_info(root: Path) -> DatasetInfo:
    """Read `<root>/dataset.json`.

    Raises InputError if it is missing (no dataset, or one whose build was broken off) or malformed.
    """
    return read_json(root / "dataset.json", DatasetInfo, BUILD_IT)


def read_manifest(root: Path) -> list[Sample]:
    """Read `<root>/manifest.jsonl`, sorted by name.

    Raises InputError naming the bad line, or if the manifest is not the one that dataset.json was written for.
    """
    path = root / "manifest.jsonl"
    samples = list(read_json_lines(path, Sample, BUILD_IT))
    if (root / "dataset.json").exists() and read_dataset_info(root).manifest_sha256 != sha256_of_file(path):
        raise InputError(
            f"{path}: was changed since the dataset was built (its digest is another); {BUILD_IT}"
        )
    return samples


def check_digest(root: Path, sample: Sample, kind: FileKind) -> None:
    """Raise InputError if one of a sample's files is not the one that was built."""
    path = root / getattr(sample, kind)
    if sha256_of_file(path) != sample.digests.get(kind):
        raise InputError(
            f"{path}: was changed since the dataset was built (its digest is another); {BUILD_IT}"
        )
