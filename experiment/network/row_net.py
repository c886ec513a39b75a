"""RowNet: a small network that runs along a decoded trace and says how far the true trace lies aside.

Its input is what `experiment.reading.second_look` is told of each point of a trace; the reading runs the trained
network without torch. Convolutions along the trace, over more and more points, see some 4 mm of it.
"""

import torch
from torch import nn
from torch.nn.functional import relu

from experiment.reading.second_look import DILATIONS, DISTANCES_PX, FEATURES

WIDTH = 96
KERNEL = 5
FIRST_SPREAD_PX = 0.4


class Along(nn.Module):
    """What a convolution along the trace adds: (N, points, WIDTH) to the same shape. It adds nothing at first."""

    def __init__(self, dilation: int):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.along = nn.Conv1d(WIDTH, WIDTH, KERNEL, padding=dilation * (KERNEL // 2), dilation=dilation)
        self.mixed = nn.Linear(WIDTH, WIDTH)
        nn.init.zeros_(self.mixed.weight)
        nn.init.zeros_(self.mixed.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input and what is added."""
        return x + self.mixed(relu(self.along(self.norm(x).transpose(1, 2))).transpose(1, 2))


class RowNet(nn.Module):
    """The network; `mean` and `std` (FEATURES,) are those of the points that it is trained on."""

    def __init__(self, mean: torch.Tensor | None = None, std: torch.Tensor | None = None):
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES) if mean is None else mean)
        self.register_buffer("std", torch.ones(FEATURES) if std is None else std)
        self.points = nn.Linear(FEATURES, WIDTH)
        self.mixed = nn.Linear(WIDTH, WIDTH)
        self.trace = nn.ModuleList(map(Along, DILATIONS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(DISTANCES_PX))
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():  # at first the trace is about where it was found
            self.head.bias.copy_(torch.from_numpy(-((DISTANCES_PX / FIRST_SPREAD_PX) ** 2) / 2))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Logits (N, points, distances) of features (N, points, FEATURES)."""
        x = relu(self.points((points - self.mean) / self.std))
        x = self.mixed(x)
        for along in self.trace:
            x = along(x)
        return self.head(self.norm(x))
