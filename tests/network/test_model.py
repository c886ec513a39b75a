"""GridWaveNet: shapes, size, and what it may be made of."""

import pytest
import torch

from experiment.config import ModelConfig, load_config
from experiment.network.model import GridWaveNet, count_parameters

from conftest import REPOSITORY

SMALL = ModelConfig(widths=(8, 16, 24), norm_groups=4)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 32), (4, 12)])
def test_logits_have_the_size_of_the_image(height, width):
    image = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    assert GridWaveNet(SMALL)(image).shape == (2, 3, height, width)


def test_the_main_network_is_small_enough():
    config = load_config(REPOSITORY / "experiment/configs/grid_wave_net.yaml")
    assert count_parameters(GridWaveNet(config.model)) <= 4_800_000


def test_nothing_depends_on_the_other_images_of_a_batch_or_on_chance():
    model = GridWaveNet(SMALL)
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    together = model(images)
    for number in range(3):
        torch.testing.assert_close(model(images[number : number + 1])[0], together[number])
    model.train()
    torch.testing.assert_close(model(images), together)


def test_normalisation_is_part_of_the_network():
    torch.manual_seed(0)
    model = GridWaveNet(SMALL, (0.25, 0.5, 0.75), (0.1, 0.2, 0.3))
    torch.manual_seed(0)
    plain = GridWaveNet(SMALL, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    image = torch.randint(0, 256, (1, 3, 16, 16)).float()
    mean, std = torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0.1, 0.2, 0.3])
    normalised = (image / 255 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    torch.testing.assert_close(model(image), plain(normalised * 255))
    assert {"image_mean", "image_std"} <= model.state_dict().keys()


def test_every_parameter_learns():
    model = GridWaveNet(SMALL)
    model(torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_torch_compile_sees_one_graph():
    model = GridWaveNet(SMALL)
    image = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    expected = model(image)
    model.compile(fullgraph=True, backend="eager")  # raises where the graph would break
    torch.testing.assert_close(model(image), expected)
