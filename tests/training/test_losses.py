"""The loss: worked by hand, and independent of how a batch is shared out."""

import math

import pytest
import torch

from experiment.config import LossConfig
from experiment.training.losses import (
    class_shares,
    class_weights,
    cross_entropy_per_image,
    dice_loss_per_image,
    loss_per_image,
    weights_for,
)

WEIGHTS = torch.tensor([0.5, 1.0, 4.0])
CONFIG = LossConfig()


def batch_of(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """A batch whose traces cover some of each pixel, more than half where the label says so."""
    generator = torch.Generator().manual_seed(4)
    share = torch.randint(0, 128, labels.shape, generator=generator)
    return {"label": labels, "coverage": (share + 128 * (labels == 2)).to(torch.uint8)}


def random_batch(number: int = 6, size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(number, 3, size, size, generator=generator)
    labels = torch.randint(0, 3, (number, size, size), generator=generator).to(torch.uint8)
    labels[0, :5] = 255  # images of one batch have different numbers of labelled pixels and classes
    labels[1, :, 3:] = 255
    labels[2] = 0
    return logits, labels


@pytest.mark.parametrize("shards", [2, 3, 6])
def test_mean_over_equal_shards_is_the_loss_of_the_batch(shards):
    logits, labels = random_batch()
    logits = logits.double().requires_grad_()
    batch = batch_of(labels)
    whole = loss_per_image(logits, batch, WEIGHTS, CONFIG).mean()
    parts = [
        loss_per_image(part, {"label": label, "coverage": coverage}, WEIGHTS, CONFIG).mean()
        for part, label, coverage in zip(
            logits.chunk(shards), labels.chunk(shards), batch["coverage"].chunk(shards), strict=True
        )
    ]
    shared = torch.stack(parts).mean()
    assert shared.item() == pytest.approx(whole.item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(whole, logits)
    (shared_gradient,) = torch.autograd.grad(shared, logits)
    torch.testing.assert_close(shared_gradient, gradient, rtol=1e-5, atol=1e-9)


def test_cross_entropy_by_hand():
    # one 1x4 image: probabilities 1/2 (class 0), 1/4 (class 1), uniform (class 2), ignored
    logits = torch.log(
        torch.tensor([[0.5, 0.5, 1 / 3, 0.2], [0.25, 0.25, 1 / 3, 0.2], [0.25, 0.25, 1 / 3, 0.6]])
    )
    labels = torch.tensor([[[0, 1, 2, 255]]])
    found = cross_entropy_per_image(logits.reshape(1, 3, 1, 4), class_shares(labels, 3), WEIGHTS)
    by_hand = (
        0.5 * math.log(2) + 1.0 * math.log(4) + 4.0 * math.log(3)
    ) / 4  # four pixels, the ignored one too
    assert found.item() == pytest.approx(by_hand, rel=1e-6)


def test_dice_by_hand():
    # 1x2 image, third pixel ignored: class 0 with p = 0.75, class 1 with p = 0.25
    logits = torch.log(torch.tensor([[0.75, 0.75, 0.1], [0.25, 0.25, 0.1], [1e-9, 1e-9, 0.8]])).reshape(
        1, 3, 1, 3
    )
    labels = torch.tensor([[[0, 1, 255]]])
    class0 = (2 * 0.75 + 1) / (2 * 0.75**2 + 1 + 1)
    class1 = (2 * 0.25 + 1) / (2 * 0.25**2 + 1 + 1)
    class2 = 1.0  # absent and not predicted
    found = dice_loss_per_image(logits, class_shares(labels, 3), smooth_px=1.0)
    assert found.item() == pytest.approx(1 - (class0 + class1 + class2) / 3, rel=1e-5)


def test_ignored_pixels_give_no_gradient():
    logits, labels = random_batch()
    logits.requires_grad_()
    loss_per_image(logits, batch_of(labels), WEIGHTS, CONFIG).sum().backward()
    ignored = (labels == 255).unsqueeze(1).expand_as(logits)
    assert torch.all(logits.grad[ignored] == 0)
    assert torch.all(logits.grad[~ignored] != 0)


def test_a_wholly_ignored_image_costs_nothing():
    loss = loss_per_image(torch.randn(1, 3, 8, 8), batch_of(torch.full((1, 8, 8), 255)), WEIGHTS, CONFIG)
    assert loss.item() == 0


def test_the_right_answer_costs_nothing_and_half_precision_is_summed_in_full():
    labels = torch.randint(0, 3, (2, 64, 64))
    logits = 30.0 * torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2)
    for dtype in (torch.float32, torch.bfloat16):
        loss = loss_per_image(logits.to(dtype), batch_of(labels), WEIGHTS, LossConfig(waveform_target="mask"))
        assert loss.dtype == torch.float32
        assert torch.all(loss < 1e-5)


def test_class_weights_follow_the_formula():
    frequencies = (0.81, 0.16, 0.03)
    weights = class_weights(frequencies, 0.5)
    assert weights[1] / weights[0] == pytest.approx((0.81 / 0.16) ** 0.5)
    assert sum(f * w for f, w in zip(frequencies, weights, strict=True)) == pytest.approx(1)
    assert class_weights(frequencies, 0.0) == pytest.approx((1, 1, 1))
    assert class_weights((0.5, 0.5, 0.0), 1.0) == pytest.approx((1, 1, 0))
    assert weights_for(LossConfig(class_weights=(1.0, 2.0, 3.0)), frequencies) == (1.0, 2.0, 3.0)
    assert weights_for(LossConfig(class_weight_power=0.5), frequencies) == weights


def test_a_covered_pixel_is_shared_between_waveform_and_what_lies_beside():
    labels = torch.tensor([[[0, 1, 2, 255]]])
    coverage = torch.tensor([[[51, 102, 204, 204]]], dtype=torch.uint8)
    by_hand = torch.tensor([[0.8, 0.0, 0.2, 0.0], [0.0, 0.6, 0.0, 0.0], [0.2, 0.4, 0.8, 0.0]])
    torch.testing.assert_close(class_shares(labels, 3, coverage)[0, :, 0], by_hand)
    assert class_shares(labels, 3)[0, :, 0].T.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    "loss", [cross_entropy_per_image, lambda *given: dice_loss_per_image(*given[:2], 1.0)]
)
def test_the_best_probability_of_a_pixel_is_its_share(loss):
    shares = class_shares(torch.tensor([[[0, 2, 1]]]), 3, torch.tensor([[[51, 204, 0]]], dtype=torch.uint8))
    best = shares.clamp(1e-6).log()
    even = torch.ones(3)
    for change in (torch.tensor([0.3, 0, 0]), torch.tensor([0, 0, 0.3]), torch.tensor([0, 0, -0.3])):
        assert loss(best + change.view(1, 3, 1, 1), shares, even) > loss(best, shares, even)
