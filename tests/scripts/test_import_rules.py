"""The walls of the house: ruff refuses imports that go the wrong way, and the generator runs without torch."""

import re
import subprocess
import sys

import pytest

from conftest import REPOSITORY


def modules_of(package: str) -> list[str]:
    """The dotted names of all modules of a package, subfolders included."""
    paths = sorted((REPOSITORY / package).rglob("[a-z]*.py"))
    return [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in paths]


def refused(file: str, code: str) -> bool:
    """Whether ruff reports a banned import in this code, were it in this file."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--select",
        "TID251",
        "--output-format",
        "concise",
    ]
    result = subprocess.run(
        [*command, "--stdin-filename", file, "-"], input=code, capture_output=True, text=True, cwd=REPOSITORY
    )
    assert result.returncode in (0, 1), result.stderr
    assert ("TID251" in result.stdout) == (result.returncode == 1), result.stdout
    return result.returncode == 1


GENERATOR, EXPERIMENT = "ecg_generator_with_train_src/new.py", "experiment/new.py"


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (GENERATOR, "import torch\n"),
        (GENERATOR, "from torch import nn\n"),
        (GENERATOR, "import torch.nn.functional as F\n"),
        (GENERATOR, "import torchvision\n"),
        (GENERATOR, "def late():\n    import torch_xla.core.xla_model as xm\n"),
        (GENERATOR, "from experiment.network.model import GridWaveNet\n"),
        (GENERATOR, "import scripts.build_dataset\n"),
        (EXPERIMENT, "from scripts import build_dataset\n"),
        (EXPERIMENT, "import torch_xla\n"),
        (EXPERIMENT, "from torch_xla.core import xla_model\n"),
        (EXPERIMENT, "import torch.distributed as dist\n"),
        (EXPERIMENT, "from torch import distributed\n"),
        ("experiment/backend/launch.py", "import torch_xla\n"),
        ("ecg_generator_with_train_src/page/new.py", "import torch\n"),
        ("ecg_generator_with_train_src/page/new.py", "from experiment.network.model import GridWaveNet\n"),
        ("experiment/training/new.py", "import torch_xla\n"),
        ("experiment/training/new.py", "import torch.distributed as dist\n"),
        ("experiment/reading/new.py", "import torch\n"),
        ("experiment/reading/new.py", "from torch import nn\n"),
        (EXPERIMENT, "def late():\n    from torch.distributed import all_reduce\n"),
        ("scripts/new.py", "import scripts.build_dataset\n"),
        ("scripts/new.py", "from scripts.build_dataset import main\n"),
    ],
)
def test_an_import_through_a_wall_is_refused(file, code):
    assert refused(file, code)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (GENERATOR, "import numpy\nfrom .records import Record\n"),
        (EXPERIMENT, "import torch\nfrom ecg_generator_with_train_src.page.records import Record\n"),
        ("experiment/backend/plain_torch.py", "import torch.distributed\n"),
        ("experiment/backend/xla.py", "import torch_xla\n"),
        ("scripts/new.py", "from ecg_generator_with_train_src import batch\nfrom experiment import config\n"),
        ("tests/test_new.py", "import torch\nimport torch_xla\nfrom scripts import build_dataset\n"),
    ],
)
def test_an_import_through_a_door_is_not(file, code):
    assert not refused(file, code)


def test_the_tree_keeps_its_own_rules():
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251"]
    result = subprocess.run([*command, "."], capture_output=True, text=True, cwd=REPOSITORY)
    assert result.returncode == 0, result.stdout


def loaded_by(modules: list[str], walled: set[str]) -> str:
    """Which of the walled packages are loaded once all of these modules are."""
    code = "\n".join(
        [
            "import sys",
            *(f"import {name}" for name in modules),
            f"print(sorted({walled!r} & {{name.split('.')[0] for name in sys.modules}}))",
        ]
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_reading_and_what_finds_the_grid_never_load_torch():
    modules = [*modules_of("experiment/reading"), "experiment.labelling.grid_scale"]
    modules += ["experiment.labelling.orientation", "experiment.labelling.page_probability"]
    assert len(modules) > 10
    assert loaded_by(modules, {"torch", "torchvision", "torch_xla"}) == "[]"


def test_reading_a_page_loads_neither_torch_nor_pandas():
    modules = ["experiment.predict", "experiment.digitize", "experiment.read_image"]
    assert loaded_by(modules, {"torch", "torchvision", "torch_xla", "pandas", "safetensors", "onnx"}) == "[]"


def test_predicting_does_not_load_the_training():
    modules = ["experiment.predict", "experiment.digitize"]
    code = f"import sys, {', '.join(modules)}; print([m for m in sys.modules if m.startswith('experiment.training')])"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


COMMANDS = sorted(path.stem for path in (REPOSITORY / "experiment").glob("*.py") if path.stem != "__init__")
NO_COMMANDS = {"config", "console", "read_image"}


def test_no_command_imports_another():
    commands = set(COMMANDS) - NO_COMMANDS
    assert {
        "predict",
        "digitize",
        "score",
        "train_tpu",
        "export_weights",
        "train_print_reader",
        "train_row_reader",
    } == commands
    for path in (REPOSITORY / "experiment").rglob("*.py"):
        imported = set(re.findall(r"^\s*from experiment\.(\w+) import", path.read_text(), re.MULTILINE))
        assert not imported & commands, path


def test_the_generator_and_the_batch_scripts_never_load_torch():
    modules = modules_of("ecg_generator_with_train_src")
    scripts = ("batch_render_waveforms", "build_dataset", "make_sample_records")
    code = "\n".join(
        [
            "import importlib.util, sys",
            *(f"import {name}" for name in modules),
            *(
                f"importlib.util.spec_from_file_location('{name}', 'scripts/{name}.py').loader.load_module('{name}')"
                for name in scripts
            ),
            "walled = {'torch', 'torchvision', 'torch_xla', 'experiment'}",
            "print(sorted(walled & {name.split('.')[0] for name in sys.modules}))",
        ]
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert result.stdout == "[]\n", result.stdout + result.stderr
