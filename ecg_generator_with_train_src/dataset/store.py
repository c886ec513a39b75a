"""A dataset folder while it is built: what is finished, what is kept, what may be removed.

dataset.json stands for a whole dataset. While a build runs, it is not there, and `manifest.partial.jsonl` lists the
options and every sample found or finished; its last line may be torn by a kill, and the next build goes on from it.
"""

import contextlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO, get_args

from pydantic import TypeAdapter, ValidationError

from ecg_generator_with_train_src.common.bounds import input_lines, naming
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import (
    is_temporary,
    remove_stale_temporaries,
    sha256_of,
    write_text,
)
from ecg_generator_with_train_src.common.inner_paths import inside
from ecg_generator_with_train_src.dataset.format import (
    FILE_FOLDERS,
    DatasetInfo,
    Sample,
    Split,
    read_dataset_info,
    read_manifest,
)

_PARTIAL = "manifest.partial.jsonl"
_INNER = tuple(f"{split}/{kind}" for split, kind in itertools.product(get_args(Split), FILE_FOLDERS))
_Options = TypeAdapter(dict[str, Any])


class DatasetStore:
    """The folder of one dataset, opened for building with `options` (all that determines the output)."""

    def __init__(self, root: Path, options: dict[str, Any], *, overwrite: bool):
        """Open or start a dataset.

        `overwrite` removes what an old, whole dataset lists, nothing else. Raises InputError for a non-empty folder
        that is no dataset, and for a dataset built with other options.
        """
        self.root = root
        self._options = options
        self._listed = self._open(overwrite)
        self.known = {sample.name: sample for sample in self._listed}
        self._journal = self._start_journal()

    def _open(self, overwrite: bool) -> list[Sample]:
        _refuse_foreign_folder(self.root)
        whole = (self.root / "dataset.json").is_file() and not (self.root / _PARTIAL).is_file()
        if overwrite:
            old_options, samples = _read_partial(
                self.root
            )  # of a damaged list, too, what can be read is removed
            if not whole and old_options == self._options:
                return samples
            self._remove_all(samples)
            return []
        old_options, samples = self._read_whole() if whole else _read_partial(self.root)
        if old_options is not None:
            self._refuse_other_options(old_options)
        return samples

    def _refuse_other_options(self, old: dict[str, Any]) -> None:
        for key in {**self._options, **old}:
            if self._options.get(key) != old.get(key):
                raise InputError(
                    f"{self.root}: built with another {key} ({old.get(key)}, now {self._options.get(key)}); "
                    "--overwrite builds it anew, or choose another --output-root"
                )

    def _read_whole(self) -> tuple[dict[str, Any], list[Sample]]:
        return read_dataset_info(self.root).options, read_manifest(self.root)

    def _remove_all(self, samples: list[Sample]) -> None:
        """Remove an old dataset: first what says that it is whole; what lists its files stays until the new journal."""
        (self.root / "dataset.json").unlink(missing_ok=True)
        for sample in samples:
            self.remove(sample)

    def _start_journal(self) -> TextIO:
        """Say that a build is under way before anything is changed, and list what it starts from."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.root, *(self.root / inner for inner in _INNER)):
            remove_stale_temporaries(folder)
        lines = [json.dumps(self._options), *(sample.model_dump_json() for sample in self._listed)]
        write_text(self.root / _PARTIAL, "\n".join(lines) + "\n")
        for name in ("dataset.json", "manifest.jsonl"):
            (self.root / name).unlink(missing_ok=True)
        return (self.root / _PARTIAL).open("a", encoding="utf-8")

    def add(self, sample: Sample) -> None:
        """Note a finished sample; its files are on disk."""
        with naming(self.root / _PARTIAL):
            self._journal.write(sample.model_dump_json() + "\n")
            self._journal.flush()

    def remove(self, sample: Sample) -> None:
        """Remove a sample's files."""
        for path in sample.files:
            (self.root / path).unlink(missing_ok=True)

    def finish(self, samples: Iterable[Sample], **info) -> DatasetInfo:
        """Remove what is listed but no longer wanted; write manifest and dataset.json, which stand for the whole."""
        samples = sorted(samples, key=lambda sample: sample.name)
        wanted = {path for sample in samples for path in sample.files}
        for old in self._listed:
            if not wanted.issuperset(old.files):
                self.remove(old)
        manifest = "".join(sample.model_dump_json() + "\n" for sample in samples)
        summary = DatasetInfo(options=self._options, manifest_sha256=sha256_of(manifest.encode()), **info)
        write_text(self.root / "manifest.jsonl", manifest)
        write_text(self.root / "dataset.json", summary.model_dump_json(indent=2) + "\n")
        self._journal.close()
        (self.root / _PARTIAL).unlink()
        return summary


def _refuse_foreign_folder(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; choose another --output-root")
    ours = ("dataset.json", "manifest.jsonl", _PARTIAL)
    found = root.is_dir() and any(not is_temporary(path) for path in root.iterdir())
    if found and not any((root / name).is_file() for name in ours):
        raise InputError(
            f"{root}: not empty and no dataset; nothing was touched; choose another --output-root"
        )
    for inner in _INNER:
        inside(root, inner)  # what lies behind a link is not ours to write or to remove


def _read_partial(root: Path) -> tuple[dict[str, Any] | None, list[Sample]]:
    """Options and finished samples of a build that was broken off, or of a removal that was."""
    path = next((root / name for name in (_PARTIAL, "manifest.jsonl") if (root / name).is_file()), None)
    if path is None:
        return None, []
    lines = input_lines(path)
    options = _parse_options(next(lines, b"")) if path.name == _PARTIAL else None
    samples = []
    for line in lines:
        with contextlib.suppress(ValidationError):  # torn when the build was killed: its sample is made again
            samples.append(Sample.model_validate_json(line))
    return options, samples


def _parse_options(line: bytes) -> dict[str, Any]:
    """The options that a build began with; none, which are other than any build's, if the line is damaged."""
    try:
        return _Options.validate_json(line)
    except ValidationError:
        return {}
