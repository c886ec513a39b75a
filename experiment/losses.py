"""The loss: class-weighted cross-entropy plus soft Dice, one value an image.

Every image is divided by constants (its number of pixels, the number of classes) and by nothing that the
other images of the batch decide. The mean over a batch is therefore exactly the mean of the means over its
equal shards, however many devices share it.
"""

import torch
import torch.nn.functional as F
from ecg_generator_with_train_src.dataset_format import IGNORED

from experiment.config import LossConfig


def class_weights(frequencies: tuple[float, ...], power: float) -> tuple[float, ...]:
    """Weights w = f ** -power, scaled so that the mean weight of a pixel, sum(f * w), is 1.

    Power 0 weighs all pixels alike, power 1 all classes alike. A class that never occurs gets weight 0.
    """
    raw = [frequency**-power if frequency > 0 else 0.0 for frequency in frequencies]
    mean = sum(frequency * weight for frequency, weight in zip(frequencies, raw, strict=True))
    return tuple(weight / mean for weight in raw)


def weights_for(config: LossConfig, frequencies: tuple[float, ...]) -> tuple[float, ...]:
    """The class weights of a configuration: as given, or from the dataset's class frequencies."""
    if config.class_weights == "auto":
        return class_weights(frequencies, config.class_weight_power)
    return config.class_weights


def cross_entropy_per_image(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Weighted cross-entropy (N,): the sum over the labelled pixels divided by all pixels of the image.

    logits (N, C, H, W) float32, labels (N, H, W) integer with 255 ignored, weights (C,).
    """
    one_hot = _one_hot(labels, logits.shape[1])
    surprise = -(F.log_softmax(logits, dim=1) * one_hot)
    return (surprise * weights.view(1, -1, 1, 1)).sum(dim=(1, 2, 3)) / labels[0].numel()


def dice_loss_per_image(logits: torch.Tensor, labels: torch.Tensor, smooth_px: float) -> torch.Tensor:
    """1 - mean soft Dice over the classes (N,), over the labelled pixels.

    `smooth_px` is added above and below: a class that is absent, and rightly not predicted, costs nothing.
    """
    one_hot = _one_hot(labels, logits.shape[1])
    known = (labels != IGNORED).unsqueeze(1).to(logits.dtype)
    probability = torch.softmax(logits, dim=1) * known
    both = (probability * one_hot).sum(dim=(2, 3))
    total = probability.sum(dim=(2, 3)) + one_hot.sum(dim=(2, 3))
    return 1 - ((2 * both + smooth_px) / (total + smooth_px)).mean(dim=1)


def loss_per_image(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, config: LossConfig
) -> torch.Tensor:
    """The loss of each image (N,), in float32 whatever the precision of the logits."""
    logits = logits.float()
    loss = config.cross_entropy_weight * cross_entropy_per_image(logits, labels, weights)
    return loss + config.dice_weight * dice_loss_per_image(logits, labels, config.dice_smooth_px)


def _one_hot(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """(N, C, H, W) float32; an ignored pixel has no class."""
    classes = torch.arange(num_classes, device=labels.device).view(1, -1, 1, 1)
    return (labels.unsqueeze(1) == classes).float()
