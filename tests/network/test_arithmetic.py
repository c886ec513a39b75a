"""The operations of a training step, worked out by hand for a small network."""

from experiment.config import ModelConfig
from experiment.network.arithmetic import step_flop


def test_a_small_networks_operations():
    # An image of 4x4 pixels is 2x2 blocks of 12 channels; both levels work on blocks. Two operations for each weight:
    first = 2 * 12 * 8 * 9 * 4  # 3x3 convolutions, 12 channels to 8
    others = [
        2 * 8 * 16 * 4,  # to the second level
        2 * (2 * 16 * 16 * 9 * 4),  # two convolutions there
        2 * 16 * 8 * 4,  # back
        2 * 16 * 8 * 9 * 4,  # 8 channels and the 8 that were kept
        2 * 8 * 12 * 4,  # 3 classes of 4 pixels a block
    ]
    # Backward, each has the gradient of its weights and of its input; the image needs none
    config = ModelConfig(widths=(8, 16), norm_groups=2)
    assert step_flop(config, 1, 4) == 2 * first + 3 * sum(others)
    assert step_flop(config, 2, 8) == 8 * step_flop(config, 1, 4)
