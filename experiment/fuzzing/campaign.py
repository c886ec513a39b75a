"""Many damaged inputs, each with the command that reads it in a folder of its own, and a table of how they ended."""

import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ecg_generator_with_train_src.common.command_line import EXIT_NOT_FINITE
from ecg_generator_with_train_src.common.files import sha256_of
from ecg_generator_with_train_src.common.random_stream import random_stream
from experiment.fuzzing.children import LOOK_S, STDERR, STDOUT, Child, Ended, Limits, command
from experiment.fuzzing.mutate_bytes import BYTE_MUTATIONS
from experiment.fuzzing.mutate_places import PLACE_MUTATIONS
from experiment.fuzzing.mutate_trees import ABSOLUTE_PRECIOUS
from experiment.fuzzing.targets import MUTATIONS, TARGETS, Target
from experiment.fuzzing.working_folder import CASES, MATERIAL

PLACE_SHARE, BYTES_SHARE = 0.12, 0.25  # the others are damaged as befits their kind
HASHED_BYTES = 10**6  # of larger files, size and time tell whether they changed
PRECIOUS = b"no command may touch this\n"
COLUMNS = (
    "tried",
    "traceback",
    "over time",
    "over memory",
    "outside",
    "item faults",
    "refused",
    "skipped",
    "done",
)
Contents = dict[str, tuple]  # what a folder holds, by path


@dataclass(frozen=True)
class Damaged:
    """One input: what was damaged, and how."""

    number: int
    target: Target
    victim: str
    mutations: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """What became of an input; `outside` are the paths that were written or deleted outside of the output."""

    damaged: Damaged
    ended: Ended
    traceback: bool
    item_fault: bool
    outside: tuple[str, ...]

    @property
    def is_bad(self) -> bool:
        """Whether the command did what no input may make it do."""
        return bool(self.traceback or self.ended.over_time or self.ended.over_memory or self.outside)

    @property
    def counts(self) -> dict[str, int]:
        """This input's part of the table."""
        code = self.ended.code
        found = (
            1,
            self.traceback,
            self.ended.over_time,
            self.ended.over_memory,
            bool(self.outside),
            self.item_fault,
        )
        return dict(
            zip(COLUMNS, (*map(int, found), int(code == 2), int(code == 1), int(code == 0)), strict=True)
        )


class Case:
    """The folder of one input: `a/b/work` is where the command runs, and nothing around its output may change."""

    def __init__(self, root: Path, material: Path, number: int, seed: int):
        self.root, self.work = root, root / "a/b/work"
        rng = random_stream(seed, "fuzz", number)
        kind = sorted(MUTATIONS)[int(rng.integers(len(MUTATIONS)))]
        of_kind = [target for target in TARGETS if target.kind == kind]
        self.target = of_kind[int(rng.integers(len(of_kind)))]
        self._fill(material)
        victims = sorted(path for path in self.work.glob(self.target.victims) if path.is_file())
        victim = victims[int(rng.integers(len(victims)))]
        done = damage(victim, kind, rng)
        self.damaged = Damaged(number, self.target, str(victim.relative_to(self.work)), done)
        self._before = contents(root, self.work)

    def _fill(self, material: Path) -> None:
        (self.work / "tmp").mkdir(parents=True)
        for need in self.target.reader.needs.split():
            name, _, other = need.partition(":")
            source, goal = material / name, self.work / (other or name)
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, goal) if source.is_dir() else shutil.copy(source, goal)
        for folder in (self.root, self.root / "a", self.root / "a/b"):
            (folder / "precious.txt").write_bytes(PRECIOUS)

    def start(self, limits: Limits) -> Child:
        """Run the command."""
        reader = self.target.reader
        return Child(command(reader.script, reader.arguments(self.damaged.victim)), self.work, limits)

    def judge(self, ended: Ended) -> Judged:
        """What the command did."""
        said = (self.work.parent / STDERR).read_text(errors="replace")
        crashed = ended.code not in range(EXIT_NOT_FINITE + 1) and not (ended.over_time or ended.over_memory)
        after = contents(self.root, self.work)
        outside = {
            path for path in self._before.keys() | after.keys() if self._before.get(path) != after.get(path)
        }
        outside |= {ABSOLUTE_PRECIOUS} if touched_absolute() else set()
        return Judged(
            self.damaged,
            ended,
            traceback=crashed or "Traceback (most recent call last)" in said,
            item_fault="stack trace in" in said,
            outside=tuple(sorted(outside)),
        )


def damage(victim: Path, kind: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Damage a file in one way or two; returns what was done."""
    chance = rng.random()
    if chance < PLACE_SHARE:
        mutate = PLACE_MUTATIONS[int(rng.integers(len(PLACE_MUTATIONS)))]
        mutate(victim, rng)
        return (mutate.__name__,)
    data, done = victim.read_bytes(), []
    for _ in range(1 + (rng.random() < 0.15)):
        options = BYTE_MUTATIONS if chance < PLACE_SHARE + BYTES_SHARE else MUTATIONS[kind]
        mutate = options[int(rng.integers(len(options)))]
        try:
            data = mutate(data, rng)
        except Exception:  # the file is damaged too much already to be damaged in this way
            data, mutate = BYTE_MUTATIONS[0](data, rng), BYTE_MUTATIONS[0]
        done.append(mutate.__name__)
    victim.write_bytes(data)
    return tuple(done)


def contents(root: Path, work: Path) -> Contents:
    """Kind, size, time and, where it is small, digest of all below `root` but the command's output and what it says."""
    free = {work / "out", work / "tmp", work.parent / STDOUT, work.parent / STDERR}
    found: Contents = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if Path(folder, name) not in free]
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path not in free:
                found[str(path.relative_to(root))] = _state_of(path)
    return found


def _state_of(path: Path) -> tuple:
    if path.is_symlink():
        return "link", str(path.readlink())
    if not path.is_file():
        return ("folder",) if path.is_dir() else ("neither",)
    status = path.stat()
    if status.st_size > HASHED_BYTES:
        return "file", status.st_size, status.st_mtime_ns
    return "file", status.st_size, sha256_of(path.read_bytes())


def touched_absolute() -> bool:
    """Whether the file at ABSOLUTE_PRECIOUS is no longer as it was; it is put back."""
    path = Path(ABSOLUTE_PRECIOUS)
    touched = not path.is_file() or path.read_bytes() != PRECIOUS
    if touched:
        path.unlink(missing_ok=True)
        path.write_bytes(PRECIOUS)
    return touched


def run_inputs(
    numbers: Iterable[int], seed: int, folder: Path, limits: Limits, at_once: int
) -> Iterator[Judged]:
    """Damage and run the inputs of these numbers, some at a time, on the material in `folder`/material/work.

    The folders of inputs that did no harm are removed.
    """
    waiting, running = iter(numbers), []
    touched_absolute()
    try:
        while True:
            while len(running) < at_once and (number := next(waiting, None)) is not None:
                case = Case(folder / CASES / str(number), folder / MATERIAL / "work", number, seed)
                running.append((case, case.start(limits)))
            if not running:
                return
            for case, child in list(running):
                if (ended := child.poll()) is not None:
                    running.remove((case, child))
                    verdict = case.judge(ended)
                    if not verdict.is_bad:
                        shutil.rmtree(case.root)
                    yield verdict
            time.sleep(LOOK_S)
    finally:
        for _, child in running:
            child.kill()


def fuzz(numbers: range | list[int], seed: int, folder: Path, limits: Limits, at_once: int) -> list[Judged]:
    """Run inputs with progress on a terminal; each that did harm is named at once on stderr."""
    verdicts = []
    outcomes = run_inputs(numbers, seed, folder, limits, at_once)
    for verdict in tqdm(outcomes, total=len(numbers), desc="fuzz", unit="input", disable=None):
        verdicts.append(verdict)
        if verdict.is_bad:
            tqdm.write(describe(verdict, folder), file=sys.stderr)
    return verdicts


def describe(verdict: Judged, folder: Path) -> str:
    """One line on an input that did harm."""
    damaged, ended = verdict.damaged, verdict.ended
    said = (folder / CASES / str(damaged.number) / "a/b" / STDERR).read_text(errors="replace").strip()
    problems = [
        *(["over time"] * ended.over_time),
        *(["over memory"] * ended.over_memory),
        *(f"outside: {path!r}" for path in verdict.outside),
        *([f"code {ended.code}, {_last_problem(said)}"] * verdict.traceback),
    ]
    how = f"{damaged.victim!r} {'+'.join(damaged.mutations)} -> {damaged.target.reader.script}"
    return f"input {damaged.number}: {how}: {'; '.join(problems)} ({ended.cpu_s:.1f} s, {ended.peak_mib:.0f} MiB)"


def _last_problem(said: str) -> str:
    lines = [line for line in said.splitlines() if line and not line.startswith((" ", "error: a fault"))]
    return lines[-1][:200] if lines else "said nothing"


def harm_table(verdicts: list[Judged]) -> list[str]:
    """Lines of a table: a row for each kind of file, and one for all."""
    rows: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COLUMNS, 0))
    for verdict in verdicts:
        for kind in (verdict.damaged.target.kind, "all"):
            for column, count in verdict.counts.items():
                rows[kind][column] += count
    cells = [["", *COLUMNS]]
    cells += [
        [kind, *map(str, rows[kind].values())]
        for kind in sorted(rows, key=lambda kind: (kind == "all", kind))
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
