"""The kinds of network that read a page, each by the function that reads its weights. A new one is an entry here.

A kind's shipped weights are experiment/pretrained/<kind>.safetensors. A network has an attribute `multiple`: what the
sides of its images are multiples of.
"""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from experiment.network.checkpoints import load_model
from experiment.network.print_net import load_print_net
from experiment.network.shipped import LABELS, PRINT


def load_grid_wave_net(path: Path) -> nn.Module:
    """The GridWaveNet of a file. Raises InputError if it is missing, damaged or of another network."""
    return load_model(path)[0]


LOADERS: dict[str, Callable[[Path], nn.Module]] = {
    LABELS: load_grid_wave_net,
    PRINT: load_print_net,
}
