"""The loss: class-weighted cross-entropy plus soft Dice, one value per image.

The targets are the classes' shares of each pixel. With the mask alone, one class has all of a pixel; with the traces'
coverage, waveform shares it with what lies beside the trace. Both parts of the loss are smallest where the network's
probabilities equal these shares.

An image's loss is divided by constants only (its number of pixels, the number of classes), never by anything that
depends on the other images of the batch. The mean over a batch is therefore exactly the mean of the means over its
equal shards, however many devices share the batch.
"""

import torch
import torch.nn.functional as F

from ecg_generator_with_train_src.common.classes import BACKGROUND, IGNORED, WAVEFORM
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


def class_shares(
    labels: torch.Tensor, num_classes: int, coverage: torch.Tensor | None = None
) -> torch.Tensor:
    """The share of each pixel that each class has (N, C, H, W), float32; all are 0 for an ignored pixel (255).

    `labels` is (N, H, W), integer. With the traces' `coverage` (N, H, W), uint8, waveform has that share of the pixel,
    and the rest goes to the pixel's label, or to background if that is waveform.
    """
    classes = torch.arange(num_classes, device=labels.device).view(1, -1, 1, 1)
    if coverage is None:
        return (labels.unsqueeze(1) == classes).float()
    inked = (coverage.float() / 255 * (labels != IGNORED)).unsqueeze(1)
    beside = torch.where(labels == WAVEFORM, BACKGROUND, labels.long()).unsqueeze(1)
    return (beside == classes) * (1 - inked) + (classes == WAVEFORM) * inked


def cross_entropy_per_image(
    logits: torch.Tensor, shares: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Weighted cross-entropy (N,): the sum over the labelled pixels divided by all pixels of the image.

    logits and shares (N, C, H, W) float32, weights (C,).
    """
    surprise = -(F.log_softmax(logits, dim=1) * shares)
    return (surprise * weights.view(1, -1, 1, 1)).sum(dim=(1, 2, 3)) / logits[0, 0].numel()


def dice_loss_per_image(logits: torch.Tensor, shares: torch.Tensor, smooth_px: float) -> torch.Tensor:
    """1 - mean soft Dice of the classes (N,), over the labelled pixels.

    The denominator sums squares (Milletari et al., V-Net, 2016), so that the loss is smallest where probabilities equal
    soft shares too. `smooth_px` is added to numerator and denominator: a class that is absent, and rightly not
    predicted, costs nothing.
    """
    known = (shares.sum(dim=1, keepdim=True) > 0).to(logits.dtype)
    probability = torch.softmax(logits, dim=1) * known
    both = (probability * shares).sum(dim=(2, 3))
    total = probability.square().sum(dim=(2, 3)) + shares.square().sum(dim=(2, 3))
    return 1 - ((2 * both + smooth_px) / (total + smooth_px)).mean(dim=1)


def loss_per_image(
    logits: torch.Tensor, batch: dict[str, torch.Tensor], weights: torch.Tensor, config: LossConfig
) -> torch.Tensor:
    """The loss of each image (N,) of a batch, in float32 whatever the precision of the logits."""
    logits = logits.float()
    coverage = batch["coverage"] if config.waveform_target == "coverage" else None
    shares = class_shares(batch["label"], logits.shape[1], coverage)
    loss = config.cross_entropy_weight * cross_entropy_per_image(logits, shares, weights)
    return loss + config.dice_weight * dice_loss_per_image(logits, shares, config.dice_smooth_px)
