"""PrintNet learns from drawn pictures, and goes on where it was broken off."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.print_crops import HEIGHT_PX, WIDTH_PX, PrintCrop, print_material
from ecg_generator_with_train_src.page.print_words import PRINTED_WORDS
from experiment.network.print_net import PrintNet
from experiment.network.scales import STRIDE
from experiment.training import print_training, small_networks
from experiment.training.print_training import PrintTraining, batches, loss_of, target_of, train_print_net

V1 = PRINTED_WORDS.index("V1")


@pytest.fixture(scope="module")
def material():
    return print_material([np.sin(np.arange(5000) / 30)[:, None] * np.ones(12)], 500.0)


def test_a_target_belongs_to_the_word_at_its_centre_and_to_nothing_elsewhere():
    target = target_of(
        ((V1, 4.5 * STRIDE, 10.5 * STRIDE), (2, 20.5 * STRIDE, 10.5 * STRIDE)), (HEIGHT_PX, WIDTH_PX)
    )
    assert target.shape == (1 + len(PRINTED_WORDS), HEIGHT_PX // STRIDE, WIDTH_PX // STRIDE)
    np.testing.assert_allclose(target.sum(axis=0), 1, atol=1e-6)
    assert target[1 + V1, 10, 4] == target[3, 10, 20] == 1
    assert target[1 + V1, 10, 5] == pytest.approx(np.exp(-0.5), abs=1e-6)
    assert target[0, 10, 4] == 0 and target[0, 20, 30] == 1


def test_the_loss_is_least_where_maps_are_as_they_should_be():
    target = torch.from_numpy(target_of(((V1, 44.0, 84.0),), (HEIGHT_PX, WIDTH_PX)))[None]
    right, other = (target + 1e-6).log(), (target.roll(1, dims=1) + 1e-6).log()
    assert loss_of(right, target) < 0.1 * loss_of(other, target)
    assert loss_of(right, target) < loss_of(right.roll(1, dims=3), target)


def test_maps_have_a_cell_for_every_few_pixels():
    assert PrintNet()(torch.zeros(2, 3, 64, 96)).shape == (2, 1 + len(PRINTED_WORDS), 8, 12)


def picture_of_v1(_, rng: np.random.Generator, foot: bool = False) -> PrintCrop:
    """A white picture with one name somewhere."""
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8)
    x, y = int(rng.integers(10, WIDTH_PX - 60)), int(rng.integers(40, HEIGHT_PX - 10))
    cv2.putText(image, "V1", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2, cv2.LINE_AA)
    return PrintCrop(image, ((V1, x + 20.0, y - 11.0),))


def test_a_short_training_learns_one_name(tmp_path, material, monkeypatch):
    monkeypatch.setattr(print_training, "draw_print_crop", picture_of_v1)
    output = tmp_path / "w.safetensors"
    train_print_net(material, PrintTraining(output, 120, batch_size=4, lr=5e-3, feet=0.0))
    model = PrintNet().eval()
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(output).items()})
    for seed in range(5):
        crop = picture_of_v1(None, np.random.default_rng(1000 + seed))
        with torch.inference_mode():
            maps = torch.softmax(model(torch.from_numpy(crop.image.transpose(2, 0, 1).copy())[None]), dim=1)[
                0
            ]
        assert maps[1 + V1].max() == maps[1:].max() > 0.4
        row, column = divmod(int(maps[1 + V1].argmax()), maps.shape[2])
        _, x, y = crop.words[0]
        assert np.hypot((column + 0.5) * STRIDE - x, (row + 0.5) * STRIDE - y) < 1.5 * STRIDE


def test_a_training_can_go_on_from_weights_and_learns_from_feet(tmp_path, material):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    train_print_net(material, PrintTraining(first, 1, batch_size=1, feet=1.0))
    train_print_net(material, PrintTraining(second, 1, batch_size=1, lr=1e-9, feet=1.0, start=first))
    start, end = load_file(first), load_file(second)
    torch.testing.assert_close(end["head.weight"], start["head.weight"], atol=1e-3, rtol=0)
    assert {
        len(images) for images, _ in batches(material, PrintTraining(first, 2, batch_size=2, feet=1.0), 0)
    } == {4}


def test_a_training_that_was_broken_off_goes_on(tmp_path, material, capsys, monkeypatch):
    monkeypatch.setattr(small_networks, "LOG_EVERY", 1)
    output = tmp_path / "w.safetensors"
    train_print_net(material, PrintTraining(output, 2, batch_size=2))
    half_way = load_file(output)
    train_print_net(material, PrintTraining(output, 3, batch_size=2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 1/2", "step 2/2", "step 3/3"]
    assert not torch.equal(half_way["head.weight"], load_file(output)["head.weight"])


def test_a_state_that_is_damaged_or_of_something_else_is_named(tmp_path, material):
    output, state = tmp_path / "w.safetensors", tmp_path / "w_state.safetensors"
    state.write_bytes(b"half of a state")
    with pytest.raises(InputError, match=f"{state}: truncated or not a safetensors file"):
        train_print_net(material, PrintTraining(output, 1, batch_size=1))
    save_file({"mean.head.weight": torch.zeros(3)}, state)
    with pytest.raises(
        InputError, match=rf"{state}: no state of this training \(.*; remove it to start anew"
    ):
        train_print_net(material, PrintTraining(output, 1, batch_size=1))
    assert not output.exists()
