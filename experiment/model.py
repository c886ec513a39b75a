"""GridWaveNet: a compact U-Net that labels every pixel of an ECG page as background, grid or waveform.

Traces are two pixels wide and grid lines one, so the first and the last level work at full resolution, with few
channels and one convolution each: they take most of the time. Each level below has half the resolution and two
convolutions in each direction, which tell a trace from text by what is around it. Shapes are fixed by the input,
there is no dropout, and up-sampling is a transposed convolution, whose gradient every XLA backend has.
Normalisation of the image is part of the network, and so of its weights file.
"""

import itertools

import torch
from ecg_generator_with_train_src.dataset_format import CLASS_NAMES
from torch import nn

from experiment.config import ModelConfig

PX_PER_MM = 7.874  # the scale at which the network sees every page: 200 dpi


class ConvBlock(nn.Sequential):
    """3x3 convolution, GroupNorm, ReLU: (N, inputs, H, W) to (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, groups: int):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(groups, outputs),
            nn.ReLU(inplace=True),
        )


class GridWaveNet(nn.Module):
    """U-Net over `config.widths`; sides of the input are multiples of `config.stride`.

    `image_mean` and `image_std` are those of the training pages (RGB, of 0 to 1).
    """

    def __init__(self, config: ModelConfig, image_mean=(0.5, 0.5, 0.5), image_std=(0.25, 0.25, 0.25)):
        super().__init__()
        widths, groups = config.widths, config.norm_groups
        self.register_buffer("image_mean", torch.tensor(image_mean).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(image_std).view(1, 3, 1, 1))
        self.encoders = nn.ModuleList()
        self.downs = nn.ModuleList()
        self.ups = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for level, width in enumerate(widths):
            self.encoders.append(_convolutions(width if level else 3, width, groups, level))
        for level, (width, below) in enumerate(itertools.pairwise(widths)):
            self.downs.append(nn.Conv2d(width, below, 2, stride=2))
            self.ups.append(nn.ConvTranspose2d(below, width, 2, stride=2))
            self.decoders.append(_convolutions(2 * width, width, groups, level))
        self.head = nn.Conv2d(widths[0], len(CLASS_NAMES), 1)
        self.apply(_initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes, H, W) of RGB images (N, 3, H, W) of 0 to 255, uint8 or float."""
        x = (image.float() / 255 - self.image_mean) / self.image_std
        skips = []
        for level, down in enumerate(self.downs):
            x = self.encoders[level](x)
            skips.append(x)
            x = down(x)
        x = self.encoders[-1](x)
        for up, decoder, skip in zip(
            reversed(self.ups), reversed(self.decoders), reversed(skips), strict=True
        ):
            x = decoder(torch.cat([up(x), skip], dim=1))
        return _each_pixel(self.head, x)


def _each_pixel(head: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """A 1x1 convolution as a matrix product, whose gradient is four times as fast on CPUs."""
    product = head.weight.flatten(1) @ x.flatten(2) + head.bias[:, None]
    return product.unflatten(2, x.shape[2:])


def _convolutions(inputs: int, outputs: int, groups: int, level: int) -> nn.Sequential:
    """One block at full resolution (level 0), two below."""
    first = ConvBlock(inputs, outputs, groups)
    return nn.Sequential(first, ConvBlock(outputs, outputs, groups)) if level else nn.Sequential(first)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())
