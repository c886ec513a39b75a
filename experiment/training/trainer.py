"""The training loop: the same for every device and every number of them.

An epoch is all training steps, then validation, learning rate, sample pictures and checkpoints. Reading a value back
waits for the device, so it is done only every `run.log_every` steps and at an epoch's end. Whether to go back to a
checkpoint or to stop follows from values that are summed over all ranks, so that all ranks decide alike.
"""

import contextlib
import time
from typing import Any

import numpy as np
import torch

from ecg_generator_with_train_src.dataset.format import DatasetInfo
from experiment.backend.backend import Backend
from experiment.config import Config
from experiment.labelling.overlays import side_by_side
from experiment.network.checkpoints import TrainingState, from_rank_0, newest_whole
from experiment.training import supervisor
from experiment.training.confusion import likeliest
from experiment.training.crops import Batch
from experiment.training.loaders import DataSource
from experiment.training.losses import loss_per_image, weights_for
from experiment.training.meters import Meter, summary
from experiment.training.run_folder import RunFolder
from experiment.training.run_log import RunLog
from experiment.training.run_state import RunState
from experiment.training.speed import Clock, clock_time, speed_words, work_of_a_step
from experiment.training.stop_requests import StopRequests

LR_FACTOR = 0.5  # a retry multiplies the learning rate by this


class NotFiniteError(Exception):
    """The loss or the gradients stopped being finite; the last checkpoint is whole."""


class Trainer:
    """A run on one rank: its state, its data, and the loop that trains."""

    def __init__(self, backend: Backend, config: Config, info: DatasetInfo):
        self.backend, self.config, self.info = backend, config, info
        self.source = DataSource(
            config, backend.rank, backend.world_size, backend.ranks_here, backend.devices
        )
        backend.seed(config.run.seed)
        self.state = RunState(backend, config, info, self.source.steps)
        self.class_weights = torch.tensor(
            weights_for(config.loss, info.class_frequencies), device=backend.device
        )
        self.folder = RunFolder(config.run.folder)
        self.log = RunLog(self.folder)
        self.clock = Clock()
        self.stop_requests = StopRequests(backend)

    def begin(self, state: TrainingState | None) -> None:
        """Go on where `state` was saved; without one, save the first weights for a retry to go back to."""
        if self.backend.is_main:
            self.folder.begin(self.config, self.backend, self.info)
        if state is None:
            self.state.save(self.folder.checkpoints, ["last"])
        else:
            self.state.load(state)
        self.work = work_of_a_step(self.config, self.backend)
        self.open_log()

    def open_log(self) -> None:
        """Cut the log to where the run stands, and go on with it."""
        if self.backend.is_main:
            self.log.open(self.state.record())

    def train(self) -> None:
        """Train from where the run stands to its last epoch.

        Raises NotFiniteError if it cannot go on, and StopAskedError after the step in which it was asked to stop.
        """
        supervisor.expect_steps(60 * self.config.run.hang_minutes)
        while self.state.epoch < self.config.run.epochs:
            try:
                self.train_epoch(self.state.epoch + 1)
                self.end_epoch(self.validate())
                self.backend.end_epoch()
            except NotFiniteError as error:
                self.go_back(error)
        supervisor.end_of_steps()
        self.log.close()

    def train_epoch(self, epoch: int) -> None:
        """Train the remaining steps of one epoch; log every `run.log_every` steps and at the end."""
        state = self.state
        state.model.train()
        left = self.source.steps - state.epoch_step
        loader = self.backend.wrap_loader(self.source.train_batches(epoch, state.epoch_step), left)
        with contextlib.closing(loader) as batches:
            for batch in self.clock.watched(batches):
                self.train_step(batch, state.meter)
                state.step += 1
                state.epoch_step += 1
                self.clock.count_step(self.backend)
                if state.step % self.config.run.log_every == 0 or state.epoch_step == self.source.steps:
                    self.report_training(epoch, state.meter)
                    state.meter = state.new_meter()
                self.stop_requests.heed(state.step)
        self.clock.pause()

    def train_step(self, batch: Batch, meter: Meter) -> None:
        """Update the weights once. This does not wait for the device."""
        model, optimizer = self.state.model, self.state.optimizer
        model.zero_grad(set_to_none=True)
        with self.backend.autocast():
            logits = model(batch["image"])
        losses = loss_per_image(logits, batch, self.class_weights, self.config.loss)
        losses.mean().backward()
        mean_loss, gradient = self.reduced(losses.mean().detach(), optimizer.gradient())
        good = optimizer.step(gradient, mean_loss)
        meter.add(losses.detach(), good.expand(losses.shape), logits.detach(), batch["label"])
        self.backend.step()

    def reduced(self, loss: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss () and gradient (P,), averaged over all ranks in one exchange."""
        both = self.backend.all_reduce(torch.cat([loss.reshape(1), gradient])) / self.backend.world_size
        return both[0], both[1:]

    @torch.no_grad()
    def validate(self) -> dict[str, Any]:
        """Mean loss, and Dice and IoU per class, over all validation tiles."""
        model = self.state.model
        model.eval()
        started = time.perf_counter()
        meter = self.state.new_meter()
        loader = self.backend.wrap_loader(self.source.val_batches(), self.source.val_steps)
        with contextlib.closing(loader) as batches:
            for number, batch in enumerate(batches, start=1):
                with self.backend.autocast():
                    logits = model(batch["image"])
                losses = loss_per_image(logits, batch, self.class_weights, self.config.loss)
                meter.add(losses, batch["real"].float(), logits, batch["label"])
                self.backend.step()
                self.stop_requests.heed(number)
        result = meter.result(self.backend)
        self.clock.validation_s = time.perf_counter() - started
        return result

    def end_epoch(self, result: dict[str, Any]) -> None:
        """Set learning rate, log, pictures and checkpoints after a validation.

        Raises NotFiniteError if the validation loss is not finite.
        """
        state = self.state
        if not np.isfinite(result["loss"]):  # the scheduler would count it as an epoch without improvement
            raise NotFiniteError(f"the validation loss of epoch {state.epoch + 1} is not finite")
        state.epoch, state.epoch_step, state.scores = state.epoch + 1, 0, result
        state.scheduler.step(result["loss"])
        line = {"kind": "val", "step": state.step, "epoch": state.epoch, **result, "lr": state.optimizer.lr}
        better = state.note_best(result)
        picture = self.sample_picture() if self.config.run.sample_tiles else None
        if self.backend.is_main:
            where = f"epoch {state.epoch}/{self.config.run.epochs}"
            print(f"{where} validated: {summary(line)}{' best' * ('best' in better)}", flush=True)
            self.log.write(line)
            if picture is not None:
                self.folder.save_sample(state.epoch, picture)
            self.folder.draw_curves()
        # "last" is saved last: a run that is killed between the two repeats this epoch and writes all of it again.
        state.save(self.folder.checkpoints, [*better, "last"])
        supervisor.beat()

    @torch.no_grad()
    def sample_picture(self) -> np.ndarray:
        """Image, truth and prediction of some validation tiles, one tile below the other."""
        batch = self.source.sample_batch()
        with self.backend.autocast():
            logits = self.state.model(self.backend.upload(batch)["image"])
        predicted = likeliest(logits).cpu().numpy()
        images = batch["image"].numpy().transpose(0, 2, 3, 1)
        rows = list(zip(images, batch["label"].numpy(), predicted, strict=True))
        return np.concatenate([side_by_side(*row) for row in rows[: self.config.run.sample_tiles]])

    def report_training(self, epoch: int, meter: Meter) -> None:
        """Print and log the steps since the last report. Raises NotFiniteError after too many bad steps."""
        state = self.state
        result = meter.result(self.backend)  # waits for the device
        self.clock.device_is_done()
        self.stop_requests.agree_when_to_look(self.clock.whole.steps_per_s())
        bad_steps, worst_row = int(state.optimizer.bad_steps), int(state.optimizer.worst_row)
        line = {"kind": "train", "step": state.step, "epoch": epoch, **result, "lr": state.optimizer.lr}
        line |= {"bad_steps": bad_steps, "compilations": self.backend.compilations()}
        line |= self.work.rates(self.clock.lap())
        if self.backend.is_main:
            print(self.progress(line), flush=True)
            self.log.write(line)
        if worst_row >= self.config.nan.max_bad_steps:
            raise NotFiniteError(f"{worst_row} steps in a row were not finite (nan.max_bad_steps)")

    def progress(self, line: dict[str, Any]) -> str:
        """What is printed of a training line of the log: position, loss, scores, speed and time left."""
        epoch, step, epochs = line["epoch"], line["step"], self.config.run.epochs
        total = epochs * self.source.steps
        left = self.clock.time_left_s(total - step, epochs - epoch + 1)
        bad = f" not finite {line['bad_steps']}" if line["bad_steps"] else ""
        where = f"epoch {epoch}/{epochs} step {step}/{total}"
        return f"{where}: {summary(line)} {speed_words(line)} ETA {clock_time(left)}{bad}"

    def go_back(self, error: NotFiniteError) -> None:
        """Return to the last good checkpoint with half the learning rate, and from the second time on without bf16.

        The checkpoint is rewritten at once, so that a run that is killed goes on in the same way. Raises `error` if
        the run has gone back `nan.max_retries` times already.
        """
        state, config = self.state, self.config
        if len(state.retries) >= config.nan.max_retries:
            raise error
        from_step = state.step
        state.load(from_rank_0(self.backend, lambda: newest_whole(self.folder.checkpoints)))
        state.optimizer.lr = max(state.optimizer.lr * LR_FACTOR, config.scheduler.min_lr)
        if len(state.retries) == 1:
            state.turn_bf16_off()
            self.work = work_of_a_step(self.config, self.backend)
        where = {"step": state.step, "epoch": state.epoch, "from_step": from_step, "reason": str(error)}
        how = {"lr": state.optimizer.lr, "precision": self.backend.precision}
        state.retries = [*state.retries, {"kind": "retry", **where, **how}]
        state.save(self.folder.checkpoints, ["last"])
        self.open_log()
        if self.backend.is_main:
            number = f"{len(state.retries)} of {config.nan.max_retries}"
            print(
                f"retry {number}: {error}; back from step {from_step} to step {state.step} "
                f"with lr {state.optimizer.lr:.2g}, precision {self.backend.precision}",
                flush=True,
            )
