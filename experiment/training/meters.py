"""What a run measures of itself: losses and scores over some steps, and how they are printed."""

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


def summary(line: dict[str, Any]) -> str:
    """Loss, Dice and learning rate of a line of the log, as they are printed."""
    dice = " ".join(f"{name} {value:.4f}" for name, value in line["dice"].items())
    return f"loss {line['loss']:.4f} dice {dice} lr {line['lr']:.2g}"
