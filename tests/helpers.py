"""What several tests need: records with known values, folders as bytes, and the one line of an error."""

import importlib.util
import io
import itertools
import runpy
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.degrade.draw_strengths import Degradation
from ecg_generator_with_train_src.page.records import LEADS, Record

from conftest import GRID, MASK, REPOSITORY, run_script

linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")


class PowerCut(BaseException):
    """Ends what it is raised in without any of its own code: nothing catches it, as nothing catches kill -9."""


def waves_mv(fs_hz: float, **leads_mv) -> pd.DataFrame:
    """10 s of twelve leads: quiet sines of 0.2 mV that differ from lead to lead, or what is given for a lead."""
    time_s = np.arange(round(10 * fs_hz)) / fs_hz
    table = {lead: 0.2 * np.sin(2 * np.pi * (1 + k / 7) * time_s + k) for k, lead in enumerate(LEADS)}
    return pd.DataFrame({**table, **leads_mv})


def record_of(table: pd.DataFrame, fs_hz: float) -> Record:
    """The record that a CSV of this table would be."""
    return Record("known", fs_hz, table[list(LEADS)].to_numpy(float))


def write_csv(path: Path, table: pd.DataFrame) -> Path:
    """Write a record as the competition does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6f")
    return path


def evenly_fed(degradation: Degradation) -> Degradation:
    """The same without a scanner's skips, which are sharper than what a registered page's bends can follow."""
    page_map = degradation.page_map.model_copy(update={"feed": None})
    return degradation.model_copy(update={"page_map": page_map})


def competition_gaps(table: pd.DataFrame, quarters: tuple[int, int, int, int, int]) -> pd.DataFrame:
    """Keep lead II whole, and of the other leads the quarter that the competition gives."""
    shown = table.copy()
    for column, leads in enumerate(
        (("I", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
    ):
        rows = np.arange(len(table))
        outside = (rows < quarters[column]) | (rows >= quarters[column + 1])
        shown.loc[outside, list(leads)] = np.nan
    return shown


def files_below(root: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, with its bytes."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def run_here(script: str, *arguments) -> subprocess.CompletedProcess:
    """What run_script gives, without the seconds of starting a Python: the script's __main__ in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv = [script, *map(str, arguments)]
    with mock.patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(str(REPOSITORY / script), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


def load_script(name: str) -> ModuleType:
    """A script of the repository as a module of its name, to call its functions."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def help_and_loaded(script: str, *modules: str) -> tuple[str, list[str]]:
    """What a script's --help says, and which of the modules it loads for that."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{str(REPOSITORY / script)!r}, '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: pass\n"
        f"print(*(name for name in {modules} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, loaded = done.stdout.removesuffix("\n").rpartition("\n")
    return text, loaded.split()


def run_batch_script(script: str, *arguments) -> subprocess.CompletedProcess:
    """A script with one worker runs here; with more, or as many as there are cores, as a user runs it."""
    one_worker = any(pair == ("--num-workers", 1) for pair in itertools.pairwise(arguments))
    return run_here(script, *arguments) if one_worker else run_script(script, *arguments)


def render(csv_root: Path, output: Path, *arguments, grid: Path = GRID) -> subprocess.CompletedProcess:
    """Render records to output/wave_images and output/wave_masks."""
    return run_batch_script(
        "scripts/batch_render_waveforms.py",
        *("--csv-root", csv_root, "--grid", grid),
        *("--image-dir", output / "wave_images", "--mask-dir", output / "wave_masks", *arguments),
    )


def build(
    input_root: Path, wave_root: Path, output: Path, *arguments, mask: Path = MASK
) -> subprocess.CompletedProcess:
    """Build a dataset."""
    return run_batch_script(
        "scripts/build_dataset.py",
        *("--input-root", input_root, "--mask", mask, "--wave-root", wave_root),
        *("--output-root", output, *arguments),
    )


def refusal(result: subprocess.CompletedProcess, code: int = 2) -> str:
    """The one line that a command said on stderr before it gave up."""
    assert result.returncode == code, result.stdout + result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.strip()


def said_of_skipped(result: subprocess.CompletedProcess) -> dict[str, str]:
    """What a batch that left something out said of each item; nothing else but the count is on stderr."""
    assert result.returncode == 1, result.stdout + result.stderr
    *lines, total = result.stderr.splitlines()
    said = dict(line.removeprefix("skipped ").split(": ", 1) for line in lines)
    assert total.startswith(f"skipped {len(said)} "), result.stderr
    return said


def wait_for(condition, timeout_s: float = 60):
    """Poll until the condition holds and return what it gave."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
    return value


def in_session(session: int) -> set[int]:
    """The living processes of a session, zombies aside."""
    living = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            living.add(int(stat.parent.name))
    return living
