"""The training loop: the same for every device and every number of them.

One epoch: all training steps, validation, learning rate, sample pictures, checkpoint. Nothing is read back
from the device but every `run.log_every` steps and at an epoch's end. Whether to go back to a checkpoint or to
stop follows from values that are reduced over all ranks: all decide alike.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import DatasetInfo, read_dataset_info
from experiment.backend.launch import Backend
from experiment.config import Config
from experiment.labelling.overlays import side_by_side
from experiment.network.checkpoints import (
    TrainingState,
    from_rank_0,
    load_model,
    newest_whole,
    save_checkpoint,
)
from experiment.network.model import GridWaveNet, count_parameters
from experiment.scoring.dice import confusion_matrix, likeliest, mean_foreground_dice, scores
from experiment.training import supervisor
from experiment.training.loaders import Batch, DataSource
from experiment.training.losses import loss_per_image, weights_for
from experiment.training.optimizer import GuardedAdamW
from experiment.training.run_folder import RunFolder

EXIT_NOT_FINITE = 3
LR_FACTOR = 0.5  # of a retry
STOP_LOOK_S = 5.0  # between two looks of several ranks whether one of them was asked to stop


class NotFiniteError(Exception):
    """The loss or the gradients stopped being finite; the last checkpoint is whole."""


class StopAskedError(Exception):
    """This run was asked to stop after the current step."""


class Meter:
    """Sums over some steps, kept on the device: losses that are finite, and the confusion matrix."""

    def __init__(self, device: torch.device):
        self.loss = torch.zeros((), device=device)
        self.images = torch.zeros((), device=device)
        self.matrix = torch.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), dtype=torch.int64, device=device)

    def add(
        self, losses: torch.Tensor, counted: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor
    ) -> None:
        """Count images whose `counted` (N,) is 1, by their losses (N,)."""
        self.loss = self.loss + torch.where(counted > 0, losses, torch.zeros_like(losses)).sum()
        self.images = self.images + counted.sum()
        self.matrix = self.matrix + confusion_matrix(likeliest(logits), labels, len(CLASS_NAMES))

    def result(self, backend: Backend) -> dict[str, Any]:
        """Mean loss, Dice and IoU per class over all ranks; the same on each."""
        sums = torch.stack([self.loss, self.images])
        loss, images = backend.all_reduce(sums).tolist()
        matrix = backend.all_reduce(self.matrix).cpu()
        return {"loss": loss / max(images, 1.0), **scores(matrix)}

    def sums(self, backend: Backend) -> dict[str, Any]:
        """The sums over all ranks as plain values, for `resume`."""
        loss, images = backend.all_reduce(torch.stack([self.loss, self.images])).tolist()
        return {"loss": loss, "images": images, "matrix": backend.all_reduce(self.matrix).tolist()}

    def resume(self, sums: dict[str, Any]) -> None:
        """Take up what `sums` gave; for one rank."""
        device = self.loss.device
        self.loss = torch.tensor(sums["loss"], device=device)
        self.images = torch.tensor(sums["images"], device=device)
        self.matrix = torch.tensor(sums["matrix"], dtype=torch.int64, device=device)


class Trainer:
    """A run on one rank: the network, its optimizer, and where it stands."""

    def __init__(self, backend: Backend, config: Config, info: DatasetInfo):
        self.backend, self.config, self.info = backend, config, info
        self.source = DataSource(
            config, backend.rank, backend.world_size, backend.ranks_here, backend.devices
        )
        backend.seed(config.run.seed)
        self.model = backend.prepare(first_network(config, info))
        self.optimizer = GuardedAdamW(self.model, config.optimizer)
        self.scheduler = ReduceLROnPlateau(self.optimizer, **config.scheduler.model_dump())
        self.class_weights = torch.tensor(
            weights_for(config.loss, info.class_frequencies), device=backend.device
        )
        self.folder = RunFolder(config.run.folder)
        self.epoch = self.step = self.epoch_step = (
            0  # whole epochs, all steps, and those of the current epoch
        )
        self.best_epochs: dict[str, dict[str, float]] = {}
        self.scores: dict[str, Any] = {}  # of the last validation
        self.retries: list[dict[str, Any]] = []
        self.bf16_off = False
        self.meter = self.new_meter()
        self.clock = Clock()
        self.writer: SummaryWriter | None = None
        self._stop_every = 1

    def begin(self, state: TrainingState | None) -> None:
        """Stand where `state` was saved; without one, save the first weights as what a retry goes back to."""
        if self.backend.is_main:
            self.folder.begin(self.config, self.backend, self.info)
        if state is None:
            self.save(["last"])
        else:
            self.load(state)
        self.open_log()

    def train(self) -> None:
        """Train from where the run stands to its last epoch.

        Raises NotFiniteError if it cannot go on, and StopAskedError after the step in which it was asked to stop.
        """
        supervisor.expect_steps(60 * self.config.run.hang_minutes)
        while self.epoch < self.config.run.epochs:
            try:
                self.train_epoch(self.epoch + 1)
                self.end_epoch(self.validate())
                self.backend.end_epoch()
            except NotFiniteError as error:
                self.go_back(error)
        supervisor.end_of_steps()
        self.close_log()

    def open_log(self) -> None:
        """Cut the log to where the run stands, and go on with it."""
        if self.backend.is_main:
            self.close_log()
            self.folder.cut(self.record())
            self.writer = SummaryWriter(str(self.folder.root))

    def close_log(self) -> None:
        """Write out the TensorBoard events."""
        if self.writer is not None:
            self.writer.close()

    def train_epoch(self, epoch: int) -> None:
        """The steps that are left of one epoch, logged every `run.log_every` steps and at the end."""
        self.model.train()
        left = self.source.steps - self.epoch_step
        loader = self.backend.wrap_loader(self.source.train_batches(epoch, self.epoch_step), left)
        with contextlib.closing(loader) as batches:
            for batch in batches:
                self.train_step(batch, self.meter)
                self.step += 1
                self.epoch_step += 1
                self.clock.count_step(self.backend)
                if self.step % self.config.run.log_every == 0 or self.epoch_step == self.source.steps:
                    self.report_training(epoch, self.meter)
                    self.meter = self.new_meter()
                self.heed_stop(self.step)
        self.clock.pause()

    def heed_stop(self, step: int) -> None:
        """After a step: raise StopAskedError on all ranks if one was asked to stop, which they look at together."""
        supervisor.beat()
        if step % self._stop_every:
            return
        asked = supervisor.stop_asked()
        if self.backend.world_size > 1:
            asked = self.backend.all_reduce(torch.tensor([float(asked)]).to(self.backend.device)).item() > 0
        if asked:
            raise StopAskedError

    def new_meter(self) -> Meter:
        """An empty meter; its zeros are made before the next step, which stays the same program for XLA."""
        meter = Meter(self.backend.device)
        self.backend.step()
        return meter

    def train_step(self, batch: Batch, meter: Meter) -> None:
        """One update of the weights; nothing is waited for."""
        self.model.zero_grad(set_to_none=True)
        with self.backend.autocast():
            logits = self.model(batch["image"])
        losses = loss_per_image(logits, batch, self.class_weights, self.config.loss)
        losses.mean().backward()
        mean_loss, gradient = self.reduced(losses.mean().detach(), self.optimizer.gradient())
        good = self.optimizer.step(gradient, mean_loss)
        meter.add(losses.detach(), good.expand(losses.shape), logits.detach(), batch["label"])
        self.backend.step()

    def reduced(self, loss: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss () and gradient (P,), averaged over all ranks in one exchange."""
        both = self.backend.all_reduce(torch.cat([loss.reshape(1), gradient])) / self.backend.world_size
        return both[0], both[1:]

    @torch.no_grad()
    def validate(self) -> dict[str, Any]:
        """Mean loss, Dice and IoU per class over all validation tiles."""
        self.model.eval()
        started = time.perf_counter()
        meter = self.new_meter()
        loader = self.backend.wrap_loader(self.source.val_batches(), self.source.val_steps)
        with contextlib.closing(loader) as batches:
            for number, batch in enumerate(batches, start=1):
                with self.backend.autocast():
                    logits = self.model(batch["image"])
                losses = loss_per_image(logits, batch, self.class_weights, self.config.loss)
                meter.add(losses, batch["real"].float(), logits, batch["label"])
                self.backend.step()
                self.heed_stop(number)
        result = meter.result(self.backend)
        self.clock.validation_s = time.perf_counter() - started
        return result

    def end_epoch(self, result: dict[str, Any]) -> None:
        """Learning rate, log, pictures and checkpoint after a validation. Raises NotFiniteError for a bad loss."""
        if not np.isfinite(result["loss"]):  # the scheduler would count it as an epoch without improvement
            raise NotFiniteError(f"the validation loss of epoch {self.epoch + 1} is not finite")
        self.epoch, self.epoch_step, self.scores = self.epoch + 1, 0, result
        self.scheduler.step(result["loss"])
        line = {"kind": "val", "step": self.step, "epoch": self.epoch, **result, "lr": self.optimizer.lr}
        better = self.note_best(result)
        picture = self.sample_picture() if self.config.run.sample_tiles else None
        if self.backend.is_main:
            print(
                f"epoch {self.epoch}/{self.config.run.epochs} validated: {_summary(line)}"
                f"{' best' * ('best' in better)}",
                flush=True,
            )
            self.log(line)
            if picture is not None:
                self.folder.save_sample(self.epoch, picture)
            self.folder.draw_curves()
        # last comes last: broken off between them, the run repeats this epoch and writes all again
        self.save([*better, "last"])
        supervisor.beat()

    def note_best(self, result: dict[str, Any]) -> list[str]:
        """Of which checkpoints this is the best epoch so far.

        `best` has the highest mean Dice of grid and waveform, and of equals the lowest loss; `best_loss` the
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

    def go_back(self, error: NotFiniteError) -> None:
        """Return to the last good checkpoint with half the rate, the second time without bf16.

        The checkpoint learns of it at once, so that a run that is killed goes on in the same way. Raises `error`
        after `nan.max_retries`.
        """
        if len(self.retries) >= self.config.nan.max_retries:
            raise error
        from_step = self.step
        self.load(from_rank_0(self.backend, lambda: newest_whole(self.folder.checkpoints)))
        self.optimizer.lr = max(self.optimizer.lr * LR_FACTOR, self.config.scheduler.min_lr)
        if len(self.retries) == 1:
            self.turn_bf16_off()
        where = {"step": self.step, "epoch": self.epoch, "from_step": from_step, "reason": str(error)}
        how = {"lr": self.optimizer.lr, "precision": self.backend.precision}
        self.retries = [*self.retries, {"kind": "retry", **where, **how}]
        self.save(["last"])
        self.open_log()
        if self.backend.is_main:
            number = f"{len(self.retries)} of {self.config.nan.max_retries}"
            print(
                f"retry {number}: {error}; back from step {from_step} to step {self.step} "
                f"with lr {self.optimizer.lr:.2g}, precision {self.backend.precision}",
                flush=True,
            )

    def turn_bf16_off(self) -> None:
        """Go on in fp32, now and whenever the run is resumed."""
        self.bf16_off, self.backend.precision = True, "fp32"

    def save_and_stop(self) -> str:
        """Save where the run stands, if that is good, and say how it goes on."""
        supervisor.end_of_steps()
        kept = "saved"
        if int(self.optimizer.worst_row) >= self.config.nan.max_bad_steps:
            kept = "too many steps were not finite to save it: the last checkpoint stands"
        else:
            self.save(["last"])
        self.close_log()
        step = f"step {self.step}, in epoch {self.epoch + 1}"
        return f"stopped after {step}, {kept}; resume with {supervisor.resume_command()}"

    def report_training(self, epoch: int, meter: Meter) -> None:
        """Print and log the steps since the last report. Raises NotFiniteError after too many bad steps."""
        result = meter.result(self.backend)  # waits for the device
        self.clock.waited()
        self.agree_when_to_look()
        bad_steps, worst_row = int(self.optimizer.bad_steps), int(self.optimizer.worst_row)
        images = self.config.data.batch_size * self.backend.all_devices
        line = {"kind": "train", "step": self.step, "epoch": epoch, **result, "lr": self.optimizer.lr}
        line |= {"bad_steps": bad_steps, "images_per_s": round(images * self.clock.steps_per_s(), 2)}
        if self.backend.is_main:
            total = self.config.run.epochs * self.source.steps
            left = self.clock.time_left_s(total - self.step, self.config.run.epochs - epoch + 1)
            where = f"epoch {epoch}/{self.config.run.epochs} step {self.step}/{total}"
            bad = f" not finite {bad_steps}" if bad_steps else ""
            speed = f"{line['images_per_s']:.1f} images/s ETA {_clock_time(left)}"
            print(f"{where}: {_summary(line)} {speed}{bad}", flush=True)
            self.log(line)
        if worst_row >= self.config.nan.max_bad_steps:
            raise NotFiniteError(f"{worst_row} steps in a row were not finite (nan.max_bad_steps)")

    def agree_when_to_look(self) -> None:
        """Let several ranks look for a stop every so many steps, the same number on each."""
        if self.backend.world_size > 1:
            speeds = torch.tensor([self.clock.steps_per_s()]).to(self.backend.device)
            speed = self.backend.all_reduce(speeds).item() / self.backend.world_size
            self._stop_every = max(int(STOP_LOOK_S * speed), 1)

    def log(self, line: dict[str, Any]) -> None:
        """One line of metrics.jsonl, and the same as TensorBoard scalars."""
        self.folder.log(line)
        for key, value in line.items():
            if isinstance(value, dict):
                for name, part in value.items():
                    self.writer.add_scalar(f"{line['kind']}/{key}/{name}", part, self.step)
            elif key not in ("kind", "step"):
                self.writer.add_scalar(f"{line['kind']}/{key}", value, self.step)
        self.writer.flush()

    @torch.no_grad()
    def sample_picture(self) -> np.ndarray:
        """Crop, truth and prediction of some validation tiles, one below the other."""
        batch = self.source.sample_batch()
        with self.backend.autocast():
            logits = self.model(self.backend.upload(batch)["image"])
        predicted = likeliest(logits).cpu().numpy()
        images = batch["image"].numpy().transpose(0, 2, 3, 1)
        rows = list(zip(images, batch["label"].numpy(), predicted, strict=True))
        return np.concatenate([side_by_side(*row) for row in rows[: self.config.run.sample_tiles]])

    def save(self, names: list[str]) -> None:
        """Write where the run stands as these checkpoints; for all ranks together."""
        self.backend.sync()
        record = self.record()
        if self.epoch_step:
            record["meter"] = self.meter.sums(self.backend)
        weights = self.backend.to_host(self.model.state_dict())
        state = TrainingState(weights, self.backend.to_host(self.optimizer.tensors()), record)
        for name in names if self.backend.is_main else ():
            save_checkpoint(self.folder.checkpoints, name, state, self.config)

    def record(self) -> dict[str, Any]:
        """All but the tensors that is needed to go on from here."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "epoch_step": self.epoch_step,
            "epoch_steps": self.source.steps,
            "dataset_sha256": self.info.manifest_sha256,
            "precision": self.backend.precision,
            "bf16_off": self.bf16_off,
            "lr": self.optimizer.lr,
            "scheduler": self.scheduler_record(),
            "best_epochs": self.best_epochs,
            "scores": self.scores,
            "retries": self.retries,
        }

    def load(self, state: TrainingState) -> None:
        """Stand where `state` was saved."""
        record = state.record
        self.model.load_state_dict(state.weights)
        self.optimizer.load_tensors(state.optimizer)
        self.optimizer.lr = record["lr"]
        self.load_scheduler(record["scheduler"])
        self.epoch, self.step, self.best_epochs = record["epoch"], record["step"], record["best_epochs"]
        self.scores, self.retries = record["scores"], record["retries"]
        # With another number of devices, an epoch has more steps or fewer.
        self.epoch_step = record["epoch_step"] * self.source.steps // record["epoch_steps"]
        if record["bf16_off"]:
            self.turn_bf16_off()
        self.meter = self.new_meter()
        if "meter" in record and self.backend.is_main:
            self.meter.resume(record["meter"])
        self.backend.step()

    def scheduler_record(self) -> dict[str, Any]:
        """What the scheduler counts; without a validation it has no best loss, where it holds infinity."""
        values = {key: self.scheduler.state_dict()[key] for key in _SCHEDULER_KEYS}
        return values | {"best": values["best"] if np.isfinite(values["best"]) else None}

    def load_scheduler(self, values: dict[str, Any]) -> None:
        """Take up what `scheduler_record` gave."""
        best = float("inf") if values["best"] is None else values["best"]
        self.scheduler.load_state_dict(self.scheduler.state_dict() | values | {"best": best})


_VALUE = {
    "best": lambda epoch: (epoch["mean_dice"], -epoch["loss"]),
    "best_loss": lambda epoch: -epoch["loss"],
}
_SCHEDULER_KEYS = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


def first_network(config: Config, info: DatasetInfo) -> GridWaveNet:
    """The network that a run starts with: random, or of `run.initial_weights`, whose image statistics it keeps.

    Raises InputError if those are not of the configured shape.
    """
    if config.run.initial_weights is None:
        return GridWaveNet(config.model, info.image_mean, info.image_std)
    model, _ = load_model(Path(config.run.initial_weights))
    if model.config != config.model:
        raise InputError(
            f"{config.run.initial_weights}: is a network of model.widths {list(model.config.widths)} and "
            f"model.norm_groups {model.config.norm_groups}; set the same, or run.initial_weights=null"
        )
    return model


class Clock:
    """Training speed, with validation left out, and every step in which something was compiled."""

    def __init__(self):
        self.steps, self.seconds = 0, 0.0
        self.validation_s = 0.0
        self._since: float | None = None
        self._warm = False
        self._compilations = 0

    def count_step(self, backend: Backend) -> None:
        """One more step was handed to the device."""
        if not self._warm or backend.compilations() != self._compilations:
            backend.sync()
            self._warm, self._compilations = True, backend.compilations()
        elif self._since is not None:
            self.steps += 1
            self.seconds += time.perf_counter() - self._since
        self._since = time.perf_counter()

    def waited(self) -> None:
        """The device, which may be behind, has finished the steps counted so far."""
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = time.perf_counter()

    def pause(self) -> None:
        """What follows is no training."""
        self._since = None

    def steps_per_s(self) -> float:
        """Mean speed so far; 0 before the second step."""
        return self.steps / self.seconds if self.seconds else 0.0

    def time_left_s(self, steps: int, validations: int) -> float:
        """Estimated time for so many steps and validations."""
        return steps / (self.steps_per_s() or float("inf")) + validations * self.validation_s


def _summary(line: dict[str, Any]) -> str:
    dice = " ".join(f"{name} {value:.4f}" for name, value in line["dice"].items())
    return f"loss {line['loss']:.4f} dice {dice} lr {line['lr']:.2g}"


def _clock_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
    )


def run_training(backend: Backend, config: Config, resume: str) -> int:
    """Train as configured, or go on with the run; returns the exit code."""
    info = read_dataset_info(Path(config.data.root))
    folder = RunFolder(config.run.folder)
    if resume == "none" and backend.is_main:
        folder.move_aside()
    state = from_rank_0(backend, lambda: folder.find_state(config, info))
    if state is not None and state.record["epoch"] >= config.run.epochs:
        if backend.is_main:
            print(_finished(folder, state.record))
        return 0
    trainer = Trainer(backend, config, info)
    if backend.is_main:
        print(f"network: {count_parameters(trainer.model):,} parameters, widths {list(config.model.widths)}")
        print(trainer.source.describe(), flush=True)
    trainer.begin(state)
    if backend.is_main and state is not None:
        print(_going_on(trainer), flush=True)
    return _train_to_the_end(trainer)


def _going_on(trainer: Trainer) -> str:
    precision = "; fp32, since a retry turned bf16 off" if trainer.bf16_off else ""
    return f"going on after epoch {trainer.epoch}, step {trainer.step}, of {trainer.folder.root}{precision}"


def _train_to_the_end(trainer: Trainer) -> int:
    started = time.perf_counter()
    folder, config = trainer.folder, trainer.config
    code, line = 0, ""
    try:
        trainer.train()
    except StopAskedError:
        line = trainer.save_and_stop()
    except NotFiniteError as error:
        code, line = EXIT_NOT_FINITE, _given_up(trainer, error)
    else:
        images = trainer.clock.steps_per_s() * config.data.batch_size * trainer.backend.all_devices
        seconds = time.perf_counter() - started
        best = trainer.best_epochs["best"]
        if trainer.backend.is_main and (report := trainer.backend.compilation_report()):
            print(report)
        line = (
            f"trained {trainer.epoch} epochs ({trainer.step} steps) in {seconds:.0f} s, {images:.1f} images/s; "
            f"best epoch {best['epoch']}: mean Dice {best['mean_dice']:.4f}; "
            f"weights in {folder.checkpoints}/best.safetensors"
        )
    if trainer.backend.is_main:
        print(line, flush=True)
    return code


def _given_up(trainer: Trainer, error: NotFiniteError) -> str:
    trainer.close_log()
    return (
        f"stopped: {error}, after {len(trainer.retries)} retries (nan.max_retries); the last good checkpoint is "
        f"{trainer.folder.checkpoints}/last.safetensors; try a smaller optimizer.lr or precision=fp32"
    )


def _finished(folder: RunFolder, record: dict[str, Any]) -> str:
    return (
        f"{folder.root} is finished: {record['epoch']} epochs, "
        f"best mean Dice {record['best_epochs']['best']['mean_dice']:.4f}, "
        f"weights in {folder.checkpoints}/best.safetensors; a larger run.epochs goes on, --resume none starts afresh"
    )
