"""The training loop: the same for every device and every number of them.

One epoch: all training steps, validation, learning rate, sample pictures, checkpoint. Nothing is read back
from the device but every `run.log_every` steps and at an epoch's end.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ecg_generator_with_train_src.dataset_format import CLASS_NAMES, DatasetInfo, read_dataset_info
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from experiment.backends import Backend
from experiment.checkpoints import TrainingState, save_checkpoint
from experiment.config import Config
from experiment.data import Batch, DataSource
from experiment.losses import loss_per_image, weights_for
from experiment.metrics import confusion_matrix, mean_foreground_dice, scores
from experiment.model import GridWaveNet, count_parameters
from experiment.optimizer import GuardedAdamW
from experiment.overlays import side_by_side
from experiment.run_folder import RunFolder

EXIT_NOT_FINITE = 3


class NotFiniteError(Exception):
    """The loss or the gradients stopped being finite; the last checkpoint is whole."""


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
        self.matrix = self.matrix + confusion_matrix(logits.argmax(dim=1), labels, len(CLASS_NAMES))

    def result(self, backend: Backend) -> dict[str, Any]:
        """Mean loss, Dice and IoU per class over all ranks; the same on each."""
        sums = torch.stack([self.loss, self.images])
        loss, images = backend.all_reduce(sums).tolist()
        matrix = backend.all_reduce(self.matrix).cpu()
        return {"loss": loss / max(images, 1.0), **scores(matrix)}


class Trainer:
    """A run on one rank: the network, its optimizer, and where it stands."""

    def __init__(self, backend: Backend, config: Config, info: DatasetInfo):
        self.backend, self.config, self.info = backend, config, info
        self.source = DataSource(
            config, backend.rank, backend.world_size, backend.ranks_here, backend.devices
        )
        backend.seed(config.run.seed)
        self.model = backend.prepare(GridWaveNet(config.model, info.image_mean, info.image_std))
        self.optimizer = GuardedAdamW(self.model, config.optimizer)
        self.scheduler = ReduceLROnPlateau(self.optimizer, **config.scheduler.model_dump())
        self.class_weights = torch.tensor(
            weights_for(config.loss, info.class_frequencies), device=backend.device
        )
        self.folder = RunFolder(config.run.folder)
        self.epoch = self.step = 0
        self.best: dict[str, float] | None = None
        self.clock = Clock()
        self.writer: SummaryWriter | None = None

    def train(self) -> None:
        """Train from where the run stands to its last epoch. Raises NotFiniteError if it cannot go on."""
        if self.backend.is_main:
            self.folder.begin(self.config, self.backend, self.info, self.step)
            self.writer = SummaryWriter(str(self.folder.root), purge_step=self.step + 1)
        while self.epoch < self.config.run.epochs:
            self.train_epoch(self.epoch + 1)
            result = self.validate()
            self.epoch += 1
            self.end_epoch(result)
            self.backend.end_epoch()
        if self.writer is not None:
            self.writer.close()

    def train_epoch(self, epoch: int) -> None:
        """All steps of one epoch, logged every `run.log_every` steps and at the end."""
        self.model.train()
        meter = self.new_meter()
        last_step = self.step + self.source.steps
        loader = self.backend.wrap_loader(self.source.train_batches(epoch), self.source.steps)
        with contextlib.closing(loader) as batches:
            for batch in batches:
                self.train_step(batch, meter)
                self.step += 1
                self.clock.count_step(self.backend)
                if self.step % self.config.run.log_every == 0 or self.step == last_step:
                    self.report_training(epoch, meter)
                    meter = self.new_meter()
        self.clock.pause()

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
        losses = loss_per_image(logits, batch["label"], self.class_weights, self.config.loss)
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
        for batch in self.backend.wrap_loader(self.source.val_batches(), self.source.val_steps):
            with self.backend.autocast():
                logits = self.model(batch["image"])
            losses = loss_per_image(logits, batch["label"], self.class_weights, self.config.loss)
            meter.add(losses, batch["real"].float(), logits, batch["label"])
            self.backend.step()
        result = meter.result(self.backend)
        self.clock.validation_s = time.perf_counter() - started
        return result

    def end_epoch(self, result: dict[str, Any]) -> None:
        """Learning rate, log, pictures and checkpoint after a validation."""
        if not np.isfinite(result["loss"]):
            raise NotFiniteError(f"the validation loss of epoch {self.epoch} is not finite")
        self.scheduler.step(result["loss"])
        line = {"kind": "val", "step": self.step, "epoch": self.epoch, **result, "lr": self.optimizer.lr}
        is_best = self.note_best(result)
        picture = self.sample_picture() if self.config.run.sample_tiles else None
        self.backend.sync()
        state = self.state(result)
        if not self.backend.is_main:
            return
        print(
            f"epoch {self.epoch}/{self.config.run.epochs} validated: {_summary(line)}{' best' * is_best}",
            flush=True,
        )
        self.log(line)
        if picture is not None:
            self.folder.save_sample(self.epoch, picture)
        self.folder.draw_curves()
        # best before last: broken off between the two, the run repeats this epoch and writes both again
        for name in ["best"] * is_best + ["last"]:
            save_checkpoint(self.folder.checkpoints, name, state, self.config)

    def note_best(self, result: dict[str, Any]) -> bool:
        """Whether this is the best epoch so far: by mean Dice of grid and waveform, then by loss."""
        now = {"epoch": self.epoch, "mean_dice": mean_foreground_dice(result["dice"]), "loss": result["loss"]}
        old = self.best
        is_best = old is None or (now["mean_dice"], -now["loss"]) > (old["mean_dice"], -old["loss"])
        if is_best:
            self.best = now
        return is_best

    def report_training(self, epoch: int, meter: Meter) -> None:
        """Print and log the steps since the last report. Raises NotFiniteError after too many bad steps."""
        result = meter.result(self.backend)  # waits for the device
        self.clock.waited()
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
        predicted = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        images = batch["image"].numpy().transpose(0, 2, 3, 1)
        rows = list(zip(images, batch["label"].numpy(), predicted, strict=True))
        return np.concatenate([side_by_side(*row) for row in rows[: self.config.run.sample_tiles]])

    def state(self, result: dict[str, Any]) -> TrainingState:
        """All that is needed to go on from here, in CPU memory."""
        record = {
            "epoch": self.epoch,
            "step": self.step,
            "dataset_sha256": self.info.manifest_sha256,
            "precision": self.backend.precision,
            "lr": self.optimizer.lr,
            "scheduler": {key: self.scheduler.state_dict()[key] for key in _SCHEDULER_KEYS},
            "best": self.best,
            "scores": result,
        }
        weights = self.backend.to_host(self.model.state_dict())
        return TrainingState(weights, self.backend.to_host(self.optimizer.tensors()), record)

    def load(self, state: TrainingState) -> None:
        """Stand where `state` was saved."""
        self.model.load_state_dict(state.weights)
        self.optimizer.load_tensors(state.optimizer)
        self.optimizer.lr = state.record["lr"]
        self.scheduler.load_state_dict(self.scheduler.state_dict() | state.record["scheduler"])
        self.epoch, self.step, self.best = (state.record[key] for key in ("epoch", "step", "best"))
        self.backend.step()


_SCHEDULER_KEYS = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


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
    state = None
    if resume == "auto":
        state = folder.find_state(config, info)
    elif backend.is_main:
        folder.move_aside()
    if state is not None and state.record["epoch"] >= config.run.epochs:
        print(_finished(folder, state.record))
        return 0
    trainer = Trainer(backend, config, info)
    if state is not None:
        trainer.load(state)
    if backend.is_main:
        print(f"network: {count_parameters(trainer.model):,} parameters, widths {list(config.model.widths)}")
        print(trainer.source.describe())
        if state is not None:
            print(f"going on after epoch {trainer.epoch}, step {trainer.step}, of {folder.root}", flush=True)
    return _train_to_the_end(trainer)


def _train_to_the_end(trainer: Trainer) -> int:
    started = time.perf_counter()
    folder, config = trainer.folder, trainer.config
    try:
        trainer.train()
    except NotFiniteError as error:
        kept = folder.checkpoints / "last.safetensors"
        rest = f"the last good checkpoint is {kept}" if kept.is_file() else "no checkpoint was made yet"
        print(f"stopped: {error}; {rest}; try a smaller optimizer.lr or precision=fp32")
        return EXIT_NOT_FINITE
    if trainer.backend.is_main:
        images = trainer.clock.steps_per_s() * config.data.batch_size * trainer.backend.all_devices
        seconds = time.perf_counter() - started
        best = trainer.best
        if line := trainer.backend.compilation_report():
            print(line)
        print(
            f"trained {trainer.epoch} epochs ({trainer.step} steps) in {seconds:.0f} s, {images:.1f} images/s; "
            f"best epoch {best['epoch']}: mean Dice {best['mean_dice']:.4f}; "
            f"weights in {folder.checkpoints}/best.safetensors"
        )
    return 0


def _finished(folder: RunFolder, record: dict[str, Any]) -> str:
    return (
        f"{folder.root} is finished: {record['epoch']} epochs, best mean Dice {record['best']['mean_dice']:.4f}, "
        f"weights in {folder.checkpoints}/best.safetensors; a larger run.epochs goes on, --resume none starts afresh"
    )
