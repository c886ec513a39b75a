"""PrintNet learns from drawn pictures, and goes on where it was broken off."""

import numpy as np
import torch
from safetensors.torch import load_file

from ecg_generator_with_train_src.page.print_crops import CROP_PX, PRINTED_WORDS, PrintCrop
from experiment.network.print_net import STRIDE, PrintNet
from experiment.training.print_training import PrintTraining, focal_loss, heat_of, train_print_net

SIGNALS_MV = [np.sin(np.arange(5000) / 30)[:, None] * np.ones(12)]


def test_heat_is_highest_in_the_cell_of_a_words_centre():
    crop = PrintCrop(np.zeros((CROP_PX, CROP_PX, 3), np.uint8), ((3, 41.0, 90.0), (3, 200.0, 90.0)))
    heat = heat_of(crop)
    assert heat.shape == (len(PRINTED_WORDS), CROP_PX // STRIDE, CROP_PX // STRIDE)
    assert np.argwhere(heat == 1).tolist() == [[3, 22, 10], [3, 22, 50]]
    assert heat[3, 22, 11] == np.float32(np.exp(-0.5))
    assert not np.delete(heat, 3, axis=0).any()


def test_the_loss_is_least_where_maps_are_as_they_should_be():
    heat = torch.zeros(1, 2, 8, 8)
    heat[0, 1, 4, 4] = 1.0
    right = torch.full_like(heat, -9.0)
    right[0, 1, 4, 4] = 9.0
    beside = torch.full_like(heat, -9.0)
    beside[0, 0, 4, 4] = 9.0
    assert focal_loss(right, heat) < 0.01
    assert focal_loss(beside, heat) > 5


def test_maps_have_a_cell_for_every_few_pixels():
    assert PrintNet()(torch.zeros(2, 3, 64, 96)).shape == (2, len(PRINTED_WORDS), 16, 24)


def test_a_training_that_was_broken_off_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("experiment.training.print_training.SAVE_EVERY", 2)
    weights = []
    for name, stops in (("whole", (4,)), ("parts", (2, 4))):
        output = tmp_path / f"{name}.safetensors"
        for steps in stops:
            torch.manual_seed(0)
            # the rate depends on the number of steps in all, so that it is held constant here
            monkeypatch.setattr("experiment.training.print_training._rate", lambda share: 1.0)
            train_print_net(SIGNALS_MV, 500.0, PrintTraining(output, steps, batch_size=2, lr=1e-3, seed=0))
        weights.append(load_file(output))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
