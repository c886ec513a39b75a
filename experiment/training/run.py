"""One run of train_tpu.py from its start to its last line: a new run, or an earlier one that goes on."""

import contextlib
import time
from pathlib import Path
from typing import Any

from ecg_generator_with_train_src.common.command_line import EXIT_DONE, EXIT_NOT_FINITE
from ecg_generator_with_train_src.common.folder_lock import locked
from ecg_generator_with_train_src.dataset.format import DatasetInfo, read_dataset_info
from experiment.backend.backend import Backend
from experiment.config import Config
from experiment.network.checkpoints import TrainingState, from_rank_0
from experiment.network.model import count_parameters
from experiment.training import supervisor
from experiment.training.run_folder import RunFolder
from experiment.training.stop_requests import StopAskedError
from experiment.training.trainer import NotFiniteError, Trainer


def run_training(backend: Backend, config: Config, resume: str) -> int:
    """Train as configured, or resume an earlier run of this name unless `resume` is "none"; returns the exit code.

    Raises InputError if the earlier run had other settings or is damaged.
    """
    info = read_dataset_info(Path(config.data.root))
    folder = RunFolder(config.run.folder)
    with contextlib.ExitStack() as held:
        state = from_rank_0(backend, lambda: _hold_and_find(folder, held, config, info, resume))
        return _train_on(backend, config, info, folder, state)


def _hold_and_find(
    folder: RunFolder, held: contextlib.ExitStack, config: Config, info: DatasetInfo, resume: str
) -> TrainingState | None:
    """Keep other runs out of the folder, and find the state to go on from; an old run is moved aside if asked."""
    held.enter_context(locked(folder.root))
    if resume == "none":
        folder.move_aside()
        if not folder.root.exists():  # the lock went with the old run
            held.enter_context(locked(folder.root))
    return folder.find_state(config, info)


def _train_on(
    backend: Backend, config: Config, info: DatasetInfo, folder: RunFolder, state: TrainingState | None
) -> int:
    """Train from a state on, or from the start; returns the exit code."""
    if state is not None and state.record["epoch"] >= config.run.epochs:
        if backend.is_main:
            print(_finished(folder, state.record))
        return EXIT_DONE
    trainer = Trainer(backend, config, info)
    if backend.is_main:
        parameters = count_parameters(trainer.state.model)
        print(f"network: {parameters:,} parameters, widths {list(config.model.widths)}")
        print(trainer.source.describe(), flush=True)
    trainer.begin(state)
    if backend.is_main:
        print(trainer.work.describe(), flush=True)
        if state is not None:
            print(_going_on(trainer), flush=True)
    return _train_to_the_end(trainer)


def _going_on(trainer: Trainer) -> str:
    state = trainer.state
    precision = "; fp32, since a retry turned bf16 off" if state.bf16_off else ""
    return f"going on after epoch {state.epoch}, step {state.step}, of {trainer.folder.root}{precision}"


def _train_to_the_end(trainer: Trainer) -> int:
    """Train, and print how it ended; returns the exit code."""
    started = time.perf_counter()
    code = EXIT_DONE
    try:
        trainer.train()
    except StopAskedError:
        line = _stopped(trainer)
    except NotFiniteError as error:
        code, line = EXIT_NOT_FINITE, _given_up(trainer, error)
    else:
        if trainer.backend.is_main and (report := trainer.backend.compilation_report()):
            print(report)
        line = _trained(trainer, time.perf_counter() - started)
    if trainer.backend.is_main:
        print(line, flush=True)
    return code


def _trained(trainer: Trainer, seconds: float) -> str:
    state = trainer.state
    crops = trainer.clock.whole.steps_per_s() * trainer.work.crops
    best = state.best_epochs["best"]
    return (
        f"trained {state.epoch} epochs ({state.step} steps) in {seconds:.0f} s, {crops:.1f} crops/s; "
        f"best epoch {best['epoch']}: mean Dice {best['mean_dice']:.4f}; "
        f"weights in {trainer.folder.checkpoints}/best.safetensors"
    )


def _stopped(trainer: Trainer) -> str:
    """Save where the run stands, unless too many steps were not finite; return a line on how to resume it."""
    supervisor.end_of_steps()
    state = trainer.state
    kept = "saved"
    if int(state.optimizer.worst_row) >= trainer.config.nan.max_bad_steps:
        kept = "too many steps were not finite to save it: the last checkpoint stands"
    else:
        state.save(trainer.folder.checkpoints, ["last"])
    trainer.log.close()
    where = f"step {state.step}, in epoch {state.epoch + 1}"
    return f"stopped after {where}, {kept}; resume with {supervisor.resume_command()}"


def _given_up(trainer: Trainer, error: NotFiniteError) -> str:
    trainer.log.close()
    return (
        f"stopped: {error}, after {len(trainer.state.retries)} retries (nan.max_retries); the last good checkpoint is "
        f"{trainer.folder.checkpoints}/last.safetensors; try a smaller optimizer.lr or precision=fp32"
    )


def _finished(folder: RunFolder, record: dict[str, Any]) -> str:
    return (
        f"{folder.root} is finished: {record['epoch']} epochs, "
        f"best mean Dice {record['best_epochs']['best']['mean_dice']:.4f}, "
        f"weights in {folder.checkpoints}/best.safetensors; a larger run.epochs goes on, --resume none starts afresh"
    )
