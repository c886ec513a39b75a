"""What a run measures of itself: losses and scores over some steps, the speed, and how both are printed."""

import time
from typing import Any

import torch

from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from experiment.backend.backend import Backend
from experiment.scoring.dice import scores
from experiment.training.confusion import confusion_matrix, likeliest


class Meter:
    """Sums over some steps, kept on the device: the losses that are finite, and the confusion matrix."""

    def __init__(self, device: torch.device):
        self.loss = torch.zeros((), device=device)
        self.images = torch.zeros((), device=device)
        self.matrix = torch.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), dtype=torch.int64, device=device)

    def add(
        self, losses: torch.Tensor, counted: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor
    ) -> None:
        """Add a batch; the losses (N,) of images whose `counted` (N,) is 0 are left out."""
        self.loss = self.loss + torch.where(counted > 0, losses, torch.zeros_like(losses)).sum()
        self.images = self.images + counted.sum()
        self.matrix = self.matrix + confusion_matrix(likeliest(logits), labels, len(CLASS_NAMES))

    def result(self, backend: Backend) -> dict[str, Any]:
        """Mean loss, and Dice and IoU per class, over all ranks; the same on each rank."""
        sums = torch.stack([self.loss, self.images])
        loss, images = backend.all_reduce(sums).tolist()
        matrix = backend.all_reduce(self.matrix).cpu()
        return {"loss": loss / max(images, 1.0), **scores(matrix)}

    def sums(self, backend: Backend) -> dict[str, Any]:
        """The sums over all ranks as plain values, for `resume`."""
        loss, images = backend.all_reduce(torch.stack([self.loss, self.images])).tolist()
        return {"loss": loss, "images": images, "matrix": backend.all_reduce(self.matrix).tolist()}

    def resume(self, sums: dict[str, Any]) -> None:
        """Go on with what `sums` gave; only one rank may do so."""
        device = self.loss.device
        self.loss = torch.tensor(sums["loss"], device=device)
        self.images = torch.tensor(sums["images"], device=device)
        self.matrix = torch.tensor(sums["matrix"], dtype=torch.int64, device=device)


class Clock:
    """Training speed. Validation is left out, and so is every step in which something was compiled."""

    def __init__(self):
        self.steps, self.seconds = 0, 0.0
        self.validation_s = 0.0
        self._since: float | None = None
        self._warm = False
        self._compilations = 0

    def count_step(self, backend: Backend) -> None:
        """Note that one more step was handed to the device."""
        if not self._warm or backend.compilations() != self._compilations:
            backend.sync()
            self._warm, self._compilations = True, backend.compilations()
        elif self._since is not None:
            self.steps += 1
            self.seconds += time.perf_counter() - self._since
        self._since = time.perf_counter()

    def waited(self) -> None:
        """Note that the device, which may lag behind, has finished the steps counted so far."""
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = time.perf_counter()

    def pause(self) -> None:
        """Note that what follows is not training."""
        self._since = None

    def steps_per_s(self) -> float:
        """Mean speed so far; 0 before the second step."""
        return self.steps / self.seconds if self.seconds else 0.0

    def time_left_s(self, steps: int, validations: int) -> float:
        """Estimated time for this many steps and validations."""
        return steps / (self.steps_per_s() or float("inf")) + validations * self.validation_s


def summary(line: dict[str, Any]) -> str:
    """Loss, Dice and learning rate of a line of the log, as they are printed."""
    dice = " ".join(f"{name} {value:.4f}" for name, value in line["dice"].items())
    return f"loss {line['loss']:.4f} dice {dice} lr {line['lr']:.2g}"


def clock_time(seconds: float) -> str:
    """A duration as m:ss, or as h:mm:ss from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours = minutes // 60
    return f"{hours}:{minutes % 60:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
