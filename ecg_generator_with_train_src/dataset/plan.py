"""Which samples a dataset is to have: pages are paired with their records, and each page with what it goes through."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.notes import shorten
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.dataset.format import Sample
from ecg_generator_with_train_src.dataset.real_pages import RealPage, choose_real_pages
from ecg_generator_with_train_src.dataset.split import group_records, split_groups
from ecg_generator_with_train_src.page.page import read_page_description
from ecg_generator_with_train_src.page.records import find_records, read_record_table, recording_of


@dataclass(frozen=True)
class PageOfRecord:
    """A rendered page and the record that it shows."""

    description_path: Path
    csv_path: Path
    record: str

    @property
    def name(self) -> str:
        """The page's name, without the suffix of its description."""
        return self.description_path.name.removesuffix(".page.json")


@dataclass(frozen=True)
class PlanOptions:
    """Which samples are made of the pages, and how they are split."""

    profiles: tuple[str, ...]  # in the order of the table of profiles
    draw_profiles: int | None  # how many of them each page goes through, drawn at random; None: all
    variants: int  # samples of each page and profile
    real_pages: int | None  # how many of each record are taken; None: all
    val_fraction: float
    seed: int


@dataclass(frozen=True)
class BuildTask:
    """One sample to make; `known` is what an earlier run noted about it."""

    name: str  # of the sample
    description_path: Path
    csv_path: Path
    recording: str
    split: str
    profile: str
    variant: int
    known: Sample | None
    real_page: RealPage | None = None


def pair_pages_with_records(wave_root: Path, input_root: Path, skipped: SkipReport) -> list[PageOfRecord]:
    """Every page below `wave_root` whose record is below `input_root`; prints which pages and records are left out.

    A page description that cannot be read is added to `skipped`. Raises InputError if there is no page, or none with
    a record.
    """
    if not wave_root.is_dir():
        raise InputError(f"{wave_root}: no such folder; make it with scripts/batch_render_waveforms.py")
    descriptions = sorted(wave_root.glob("*.page.json"))
    if not descriptions:
        raise InputError(
            f"{wave_root}: no pages (*.page.json); make them with scripts/batch_render_waveforms.py"
        )
    records = find_records(input_root)
    record_of: dict[Path, str] = {}
    for path in descriptions:
        page = outcome_of(read_page_description, path)
        if isinstance(page, InputError):
            skipped.add(path.name, str(page), page.trace)
        else:
            record_of[path] = page.record
    drawn = set(record_of.values())
    _print_unpaired(f"records drawn in {wave_root} without a CSV in {input_root}", drawn - set(records))
    _print_unpaired(f"records in {input_root} without a page in {wave_root}", set(records) - drawn)
    pages = [
        PageOfRecord(path, records[record], record) for path, record in record_of.items() if record in records
    ]
    if not pages:
        raise InputError(f"{input_root}: none of its records is drawn in {wave_root}")
    return pages


def _print_unpaired(what: str, names: set[str]) -> None:
    if names:
        print(f"left out: {len(names)} {what}: {shorten(sorted(names), ', ')}")


def plan_samples(
    pages: list[PageOfRecord], input_root: Path, options: PlanOptions, known: Mapping[str, Sample]
) -> list[BuildTask]:
    """One task for each sample; `known` has the samples of an earlier run by name.

    Each recording (or patient, where known) is wholly on one side of the split.
    """
    patients = read_record_table(input_root).patients
    group_of = group_records([page.record for page in pages], patients)
    validating = split_groups(list(group_of.values()), options.val_fraction, options.seed)

    def task(
        page: PageOfRecord, name: str, profile: str, variant: int, real_page: RealPage | None = None
    ) -> BuildTask:
        split = "val" if group_of[page.record] in validating else "train"
        recording = recording_of(page.record)
        files = page.description_path, page.csv_path
        return BuildTask(name, *files, recording, split, profile, variant, known.get(name), real_page)

    rendered = [
        task(page, f"{page.name}-{profile}-{variant}", profile, variant)
        for page in pages
        for profile in profiles_of_page(options, page)
        for variant in range(options.variants)
    ]
    first_page = {page.record: page for page in reversed(pages)}
    csv_paths = {record: page.csv_path for record, page in first_page.items()}
    real = [
        task(first_page[page.record], page.sample_name, page.profile, page.number, page)
        for page in choose_real_pages(csv_paths, options.real_pages, options.seed)
    ]
    return rendered + real


def profiles_of_page(options: PlanOptions, page: PageOfRecord) -> tuple[str, ...]:
    """The profiles that a page goes through, in the table's order: all, or some that are drawn for this page."""
    if not options.draw_profiles:
        return options.profiles
    rng = random_stream(options.seed, page.description_path.name, "profiles")
    drawn = rng.permutation(len(options.profiles))[: options.draw_profiles]
    return tuple(options.profiles[number] for number in sorted(drawn))
