"""What pip installs comes from one list, which names just the packages that reading a page loads."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator

from conftest import REPOSITORY

OWN = ("ecg_generator_with_train_src", "experiment")
LISTS = ("requirements-read.txt", "requirements-data.txt", "requirements-train.txt")
LOADED_LATE = {"openvino"}  # by name, in experiment/runtime/openvino_cpu.py


def packages_of(name: str) -> list[str]:
    """The packages that a list of requirements names, in small letters with dashes."""
    lines = (REPOSITORY / name).read_text().splitlines()
    return [
        re.sub(r"[_.]", "-", found[0].lower())
        for line in lines
        if (found := re.match(r"[A-Za-z][\w.-]*", line))
    ]


def loaded_modules(*modules: str) -> list[str]:
    """The project's own modules that are loaded once these are."""
    code = f"import sys, {', '.join(modules)}; print(*(name for name in sys.modules if name.split('.')[0] in {OWN}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    return done.stdout.split()


def imported_at_once(module: str) -> Iterator[str]:
    """The top-level names that a module imports when it is loaded, what it needs for type checks apart."""
    path = REPOSITORY.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_no_package_stands_in_two_lists_and_the_long_one_holds_the_others():
    for name in LISTS:
        assert f"-r {name}\n" in (REPOSITORY / "requirements.txt").read_text()
    named = [package for name in (*LISTS, "requirements.txt") for package in dict.fromkeys(packages_of(name))]
    assert len(named) == len(set(named)) > 25


def test_what_pip_installs_comes_from_the_lists():
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert 'dynamic = ["dependencies", "optional-dependencies"]' in text
    given = dict(re.findall(r"^(\w+) = \{ file = \[(.*)\] \}$", text, re.MULTILINE))
    read, data, train = (f'"{name}"' for name in LISTS)
    assert given == {"dependencies": read, "data": data, "train": f"{data}, {train}"}
    assert "dependencies = [" not in text.replace("dynamic = [", "")


def test_the_short_list_is_what_reading_loads():
    modules = loaded_modules("experiment.digitize", "experiment.predict", "experiment.read_image")
    assert len(modules) > 50
    names = {name for module in modules for name in imported_at_once(module)}
    names -= {*OWN, *sys.stdlib_module_names}
    packages = importlib.metadata.packages_distributions()
    needed = {re.sub(r"[_.]", "-", packages[name][0].lower()) for name in names | LOADED_LATE}
    assert needed == set(packages_of("requirements-read.txt"))
