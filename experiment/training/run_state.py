"""Where a run stands: the network, its optimizer and scheduler, and what was counted; saved in checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import DatasetInfo
from experiment.backend.backend import Backend
from experiment.config import SHIPPED, Config
from experiment.network.checkpoints import START_AFRESH, TrainingState, load_model, save_checkpoint
from experiment.network.model import GridWaveNet
from experiment.network.shipped import LABELS, shipped
from experiment.scoring.dice import mean_foreground_dice
from experiment.training.meters import Meter
from experiment.training.optimizer import GuardedAdamW

# What makes an epoch the best so far, by the name of its checkpoint: the one with the largest value is the best.
_VALUE = {
    "best": lambda epoch: (epoch["mean_dice"], -epoch["loss"]),
    "best_loss": lambda epoch: -epoch["loss"],
}
_SCHEDULER_KEYS = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


class RunState:
    """A run on one rank, as far as checkpoints keep it. An epoch has `epoch_steps` steps.

    `epoch` and `step` count whole epochs and all steps; `epoch_step` counts the steps of the current epoch.
    """

    def __init__(self, backend: Backend, config: Config, info: DatasetInfo, epoch_steps: int):
        self.backend, self.config, self.info, self.epoch_steps = backend, config, info, epoch_steps
        self.model = backend.prepare(first_network(config, info))
        self.optimizer = GuardedAdamW(self.model, config.optimizer)
        self.scheduler = ReduceLROnPlateau(self.optimizer, **config.scheduler.model_dump())
        self.epoch = self.step = self.epoch_step = 0
        self.best_epochs: dict[str, dict[str, float]] = {}
        self.scores: dict[str, Any] = {}  # the result of the last validation
        self.retries: list[dict[str, Any]] = []
        self.bf16_off = False
        self.meter = self.new_meter()  # sums over the steps since the last line of the log

    def new_meter(self) -> Meter:
        """An empty meter. Its zeros are made here, so that XLA compiles the same program for every step after it."""
        meter = Meter(self.backend.device)
        self.backend.step()
        return meter

    def note_best(self, result: dict[str, Any]) -> list[str]:
        """Note the result of an epoch; return the names of the checkpoints for which it is the best so far.

        `best` has the highest mean Dice of grid and waveform, and of equals the lowest loss. `best_loss` has the
        lowest loss.
        """
        now = {"epoch": self.epoch, "mean_dice": mean_foreground_dice(result["dice"]), "loss": result["loss"]}
        better = [
            name
            for name, value in _VALUE.items()
            if name not in self.best_epochs or value(now) > value(self.best_epochs[name])
        ]
        self.best_epochs = self.best_epochs | dict.fromkeys(better, now)
        return better

    def turn_bf16_off(self) -> None:
        """Go on in fp32, also after the run is resumed."""
        self.bf16_off, self.backend.precision = True, "fp32"

    def save(self, folder: Path, names: list[str]) -> None:
        """Write this state to `folder` as the checkpoints `names`. All ranks do so together."""
        self.backend.sync()
        record = self.record()
        if self.epoch_step:
            record["meter"] = self.meter.sums(self.backend)
        weights = self.backend.to_host(self.model.state_dict())
        state = TrainingState(weights, self.backend.to_host(self.optimizer.tensors()), record)
        for name in names if self.backend.is_main else ():
            save_checkpoint(folder, name, state, self.config)

    def record(self) -> dict[str, Any]:
        """All that is needed to go on from here, except the tensors and the meter."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "epoch_step": self.epoch_step,
            "epoch_steps": self.epoch_steps,
            "dataset_sha256": self.info.manifest_sha256,
            "precision": self.backend.precision,
            "bf16_off": self.bf16_off,
            "lr": self.optimizer.lr,
            "scheduler": self._scheduler_record(),
            "best_epochs": self.best_epochs,
            "scores": self.scores,
            "retries": self.retries,
        }

    def load(self, state: TrainingState) -> None:
        """Go on where `state` was saved. Raises InputError if its tensors are those of another network."""
        record = state.record
        try:
            self.model.load_state_dict(state.weights)
            self.optimizer.load_tensors(state.optimizer)
        except (RuntimeError, ValueError) as error:
            problem = f"the tensors of its checkpoint do not fit ({' '.join(str(error).split())[:200]})"
            raise InputError(f"{self.config.run.folder}: {problem}; {START_AFRESH}") from error
        self.optimizer.lr = record["lr"]
        self._load_scheduler(record["scheduler"])
        self.epoch, self.step, self.best_epochs = record["epoch"], record["step"], record["best_epochs"]
        self.scores, self.retries = record["scores"], record["retries"]
        # An epoch has more steps, or fewer, with another number of devices.
        self.epoch_step = record["epoch_step"] * self.epoch_steps // record["epoch_steps"]
        if record["bf16_off"]:
            self.turn_bf16_off()
        self.meter = self.new_meter()
        if "meter" in record and self.backend.is_main:
            self.meter.resume(record["meter"])
        self.backend.step()

    def _scheduler_record(self) -> dict[str, Any]:
        """What the scheduler counts. Before the first validation its best loss is infinite, stored as None."""
        values = {key: self.scheduler.state_dict()[key] for key in _SCHEDULER_KEYS}
        return values | {"best": values["best"] if np.isfinite(values["best"]) else None}

    def _load_scheduler(self, values: dict[str, Any]) -> None:
        best = float("inf") if values["best"] is None else values["best"]
        self.scheduler.load_state_dict(self.scheduler.state_dict() | values | {"best": best})


def first_network(config: Config, info: DatasetInfo) -> GridWaveNet:
    """The network that a run starts with: random, or that of `run.initial_weights` with its image statistics.

    Raises InputError if the given weights are not of the configured shape.
    """
    if config.run.initial_weights is None:
        return GridWaveNet(config.model, info.image_mean, info.image_std)
    given = config.run.initial_weights
    model, _ = load_model(shipped(LABELS) if given == SHIPPED else Path(given))
    if model.config != config.model:
        raise InputError(
            f"{config.run.initial_weights}: is a network of model.widths {list(model.config.widths)} and "
            f"model.norm_groups {model.config.norm_groups}; set the same, or run.initial_weights=null"
        )
    return model
