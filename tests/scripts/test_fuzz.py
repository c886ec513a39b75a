"""scripts/fuzz.py, with the material that it makes."""

import re

import pytest

from experiment.fuzzing.targets import TARGETS

from conftest import run_script
from helpers import linux_only

pytestmark = linux_only
NUMBERS = ("3", "8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two inputs, and its folder."""
    folder = tmp_path_factory.mktemp("fuzz") / "work"
    flags = ("--only", *NUMBERS, "--seed", 0, "--output-dir", folder, "--num-workers", 1)
    return run_script("scripts/fuzz.py", *flags), folder


def test_it_ends_with_a_table_and_a_line(run):
    result, folder = run
    *table, last = result.stdout.splitlines()
    assert result.returncode in (0, 1), result.stdout + result.stderr
    assert table[-1].split()[:2] == ["all", "2"]
    bad = int(re.fullmatch(rf"tried 2 inputs, (\d+) did harm -> {folder}/cases in \d+ s", last)[1])
    assert result.returncode == (bad > 0)
    assert len(list((folder / "cases").iterdir())) == bad


def test_every_command_finds_what_it_needs_in_the_material(run):
    """`name:other` is how a command finds what is called `name` in the material."""
    work = run[1] / "material/work"
    for target in TARGETS:
        places = dict(
            reversed((need + f":{need}" * (":" not in need)).split(":"))
            for need in target.reader.needs.split()
        )
        goal = max((place for place in places if target.victims.startswith(place)), key=len, default=None)
        assert goal is not None, target
        assert all((work / source).exists() for source in places.values()), target
        behind = target.victims.removeprefix(goal).lstrip("/")
        source = work / places[goal]
        assert list(source.glob(behind)) if behind else source.is_file(), target
