"""The commands that pip installs (project.scripts in pyproject.toml): ecg-render, ecg-build, ecg-train and so on.

Each is the command of the README, which works in any folder. Its module is loaded when it runs, so that a command whose
packages are not installed names the extra that brings them.
"""

import importlib
from collections.abc import Callable

from ecg_generator_with_train_src.common.command_line import run


def _command(module: str, start: Callable[[Callable[[], int | None]], None] = run) -> Callable[[], None]:
    return lambda: start(lambda: importlib.import_module(module).main())


def train() -> None:
    """Train under a supervisor, as train_tpu.py does."""
    from experiment.training.supervisor import run_supervised

    _command("experiment.train_tpu", run_supervised)()


render = _command("ecg_generator_with_train_src.batch_render_waveforms")
build = _command("ecg_generator_with_train_src.build_dataset")
predict = _command("experiment.predict")
digitize = _command("experiment.digitize")
score = _command("experiment.score")
