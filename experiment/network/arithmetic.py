"""The arithmetic of a training step, counted from the shapes of the network."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiment.config import ModelConfig
from experiment.network.model import GridWaveNet


def step_flop(config: ModelConfig, images: int, side_px: int) -> int:
    """Floating-point operations of the convolutions in one training step, forward and backward.

    The step sees so many square images of this side. A multiplication and its addition are two operations. Nothing is
    computed: tensors of torch's meta device have shapes alone.
    """
    with torch.device("meta"):
        model = GridWaveNet(config)
        image = torch.empty(images, 3, side_px, side_px, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        model(image).sum().backward()
    return counter.get_total_flops()
