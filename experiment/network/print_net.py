"""PrintNet: a small network that finds words of a known list on a page, as one map of heat for each word.

A word's map is hot at the word's centre. Print is larger than traces are thick, so that the network works on a quarter
of the resolution from its third convolution on; dilated convolutions there see as far as the longest word reaches. It
has no normalisation and only plain operations.
"""

import torch
from torch import nn

from ecg_generator_with_train_src.page.print_crops import PRINTED_WORDS

STRIDE = 4  # pixels a cell of the maps
WIDTHS = (16, 24, 48)
DILATIONS = (1, 2, 4, 8, 1)  # with the stem, a cell sees some 80 pixels to each side
RARE = -4.0  # the first guess of all maps, in logits: words are rare


class PrintNet(nn.Module):
    """Logits (N, words, H / 4, W / 4) of RGB images (N, 3, H, W) with values from 0 to 255."""

    def __init__(self):
        super().__init__()
        first, second, width = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)
            )
            for dilation in DILATIONS
        )
        self.head = nn.Conv2d(width, len(PRINTED_WORDS), 1)
        nn.init.constant_(self.head.bias, RARE)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of every word's map."""
        x = self.stem(image.float() / 128 - 1)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)
