"""GridWaveNet: a compact U-Net that labels every pixel of an ECG page as background, grid or waveform.

Traces are two pixels wide and grid lines one, so the network must keep the full resolution; but a convolution of few
channels at full resolution uses matrix units badly. The image is therefore folded into blocks of BLOCK x BLOCK pixels,
whose pixels become channels, and the logits are unfolded from such blocks (space to depth, and sub-pixel convolution:
Shi et al., 2016). The first two levels work on blocks, the first with one convolution on the way down and one on the
way up. Each level below has half the resolution of the one above, and two convolutions each way; they tell a trace from
text by what is around it. Shapes depend on the input alone, there is no dropout, and up-sampling is a transposed
convolution, whose gradient every XLA backend has. The network normalises the image itself, with statistics that are
part of its weights file.
"""

import itertools

import torch
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from experiment.config import ModelConfig

BLOCK = 2  # Side, in pixels, of the blocks that the first two levels work on


class ConvBlock(nn.Sequential):
    """3x3 convolution, GroupNorm, ReLU: (N, inputs, H, W) to (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, groups: int):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(groups, outputs),
            nn.ReLU(inplace=True),
        )


class GridWaveNet(nn.Module):
    """U-Net with `config.widths` channels per level; the sides of its input are multiples of `config.stride`.

    `image_mean` and `image_std` are those of the training pages (RGB, from 0 to 1).
    """

    def __init__(self, config: ModelConfig, image_mean=(0.5, 0.5, 0.5), image_std=(0.25, 0.25, 0.25)):
        super().__init__()
        self.config, self.multiple = config, config.stride
        widths, groups = config.widths, config.norm_groups
        self.register_buffer("image_mean", torch.tensor(image_mean).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(image_std).view(1, 3, 1, 1))
        self.encoders = nn.ModuleList()
        self.downs = nn.ModuleList()
        self.ups = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for level, width in enumerate(widths):
            self.encoders.append(_convolutions(width if level else 3 * BLOCK**2, width, groups, level))
        for level, (width, below) in enumerate(itertools.pairwise(widths)):
            step = 2 if level else 1
            self.downs.append(nn.Conv2d(width, below, step, stride=step))
            self.ups.append(nn.ConvTranspose2d(below, width, step, stride=step))
            self.decoders.append(_convolutions(2 * width, width, groups, level))
        self.head = nn.Conv2d(widths[0], len(CLASS_NAMES) * BLOCK**2, 1)
        self.apply(_initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes, H, W) of RGB images (N, 3, H, W) with values from 0 to 255, uint8 or float."""
        x = pixel_unshuffle((image.float() / 255 - self.image_mean) / self.image_std, BLOCK)
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
        return pixel_shuffle(self.head(x), BLOCK)


def _convolutions(inputs: int, outputs: int, groups: int, level: int) -> nn.Sequential:
    """One ConvBlock on the first level, two on each level below."""
    first = ConvBlock(inputs, outputs, groups)
    return nn.Sequential(first, ConvBlock(outputs, outputs, groups)) if level else nn.Sequential(first)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def count_parameters(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
