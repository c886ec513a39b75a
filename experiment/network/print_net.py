"""PrintNet: a small network that marks the centres of printed lead names and scales on a page.

Blocks of BLOCK x BLOCK pixels become channels; the levels below, each of half the resolution of the one above, see some
25 mm around a point, which a phrase such as "10.0 mm/mV" needs. The maps have a cell every STRIDE pixels: a softmax
over nothing (class 0) and PRINTED_WORDS. All operations are plain ones, so that the network can be exported anywhere.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import pixel_unshuffle

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.print_words import PRINTED_WORDS
from experiment.network.checkpoints import read_safetensors

BLOCK = 4  # side, in pixels, of the blocks that become channels
WIDTHS = (32, 48, 72, 96)


class Convolution(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU: (N, inputs, H, W) to (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class PrintNet(nn.Module):
    """The network; the sides of its input are multiples of `multiple`."""

    multiple = 32

    def __init__(self):
        super().__init__()
        fine, middle, coarse, coarsest = WIDTHS
        self.fine = nn.Sequential(Convolution(3 * BLOCK**2, fine), Convolution(fine, fine))
        self.middle = nn.Sequential(
            nn.Conv2d(fine, middle, 2, stride=2), Convolution(middle, middle), Convolution(middle, middle)
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(middle, coarse, 2, stride=2), Convolution(coarse, coarse), Convolution(coarse, coarse)
        )
        self.coarsest = nn.Sequential(
            nn.Conv2d(coarse, coarsest, 2, stride=2), Convolution(coarsest, coarsest)
        )
        self.up_coarse = nn.ConvTranspose2d(coarsest, coarse, 2, stride=2)
        self.up_middle = nn.ConvTranspose2d(coarse, middle, 2, stride=2)
        self.joined_coarse = Convolution(2 * coarse, coarse)
        self.joined_middle = Convolution(2 * middle, middle)
        self.head = nn.Conv2d(middle, 1 + len(PRINTED_WORDS), 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (N, 1 + words, H / STRIDE, W / STRIDE) of RGB images (N, 3, H, W) from 0 to 255, uint8 or float."""
        middle = self.middle(self.fine(pixel_unshuffle(image.float() / 64 - 2.5, BLOCK)))
        coarse = self.coarse(middle)
        below = self.up_coarse(self.coarsest(coarse))
        coarse = self.joined_coarse(torch.cat([below, coarse], dim=1))
        return self.head(self.joined_middle(torch.cat([self.up_middle(coarse), middle], dim=1)))


def load_print_net(path: Path) -> PrintNet:
    """The network of a weights file. Raises InputError if it is missing, damaged or none of PrintNet."""
    tensors, _ = read_safetensors(path)
    model = PrintNet()
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise InputError(f"{path}: its tensors do not fit the network that reads print") from error
    return model.eval()
