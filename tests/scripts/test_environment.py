"""environment.sh, with a stand-in for Python that notes what pip is asked for."""

import os
import subprocess

import pytest

from conftest import REPOSITORY

STAND_IN = """#!/usr/bin/env bash
if [ "$1 $2" = "-m pip" ]; then
    for word in "$@"; do if [ -e "$word" ]; then cat "$word"; fi; done >>"$INSTALLED"
elif [[ "$2" == *"print(sys.prefix)"* ]]; then
    echo "$PREFIX"
fi
"""


@pytest.fixture
def variables(tmp_path):
    """An active environment that has torch."""
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    own = {"PREFIX": str(tmp_path), "INSTALLED": str(tmp_path / "installed.txt")}
    return {**os.environ, **own, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_an_active_environment_keeps_its_torch_and_gets_the_rest_once(variables, tmp_path):
    for _ in range(2):
        command = ["bash", "-euo", "pipefail", str(REPOSITORY / "scripts" / "environment.sh")]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    lines = (tmp_path / "installed.txt").read_text().splitlines()
    assert not [line for line in lines if line.startswith(("torch", "-r"))]
    for package in ("numpy", "tensorboard", "pytest>"):
        assert len([line for line in lines if line.startswith(package)]) == 1, package
