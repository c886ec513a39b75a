"""The optimizer: AdamW where steps are good, nothing at all where they are not."""

import pytest
import torch

from experiment.config import ModelConfig, OptimizerConfig
from experiment.network.model import GridWaveNet
from experiment.training.optimizer import GuardedAdamW


def small_model() -> GridWaveNet:
    torch.manual_seed(1)
    return GridWaveNet(ModelConfig(widths=(8, 16)))


def test_good_steps_are_adamw():
    ours, theirs = small_model(), small_model()
    guarded = GuardedAdamW(ours, OptimizerConfig(lr=0.01, weight_decay=0.1, warmup_steps=0, clip_norm=1e9))
    decaying = [p for p in theirs.parameters() if p.dim() > 1]
    others = [p for p in theirs.parameters() if p.dim() == 1]
    groups = [{"params": decaying, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99))
    for seed in range(5):
        torch.manual_seed(seed)
        image = torch.randint(0, 256, (1, 3, 16, 16))
        for model in (ours, theirs):
            model.zero_grad()
            model(image).square().mean().backward()
        assert guarded.step(guarded.gradient(), torch.tensor(1.0))
        reference.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)


def test_clipping_and_warm_up_bound_the_step():
    model = small_model()
    optimizer = GuardedAdamW(model, OptimizerConfig(lr=0.5, weight_decay=0.0, warmup_steps=10, clip_norm=1.0))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer.step(torch.full_like(optimizer.first, 1e6), torch.tensor(1.0))
    assert torch.linalg.vector_norm(optimizer.first) == pytest.approx(
        1 - 0.9, rel=1e-4
    )  # of a gradient of norm 1
    largest = max((p - b).abs().max() for p, b in zip(model.parameters(), before, strict=True))
    assert largest.item() == pytest.approx(0.5 / 10, rel=1e-3)


@pytest.mark.parametrize("poison", ["gradient", "loss", "infinite gradient"])
def test_a_bad_step_leaves_everything_as_it_was(poison):
    model = small_model()
    optimizer = GuardedAdamW(model, OptimizerConfig())
    good = torch.ones_like(optimizer.first)
    optimizer.step(good, torch.tensor(1.0))
    kept = {key: value.clone() for key, value in {**model.state_dict(), **optimizer.tensors()}.items()}
    bad = good.clone()
    bad[7] = {"gradient": torch.nan, "infinite gradient": torch.inf}.get(poison, 1.0)
    for _ in range(3):
        assert not optimizer.step(bad, torch.tensor(torch.nan if poison == "loss" else 1.0))
    now = {**model.state_dict(), **optimizer.tensors()}
    counters = {"bad_steps", "bad_in_a_row", "worst_row"}
    for name in now.keys() - counters:
        assert torch.equal(now[name], kept[name]), name
    assert [int(now[name]) for name in sorted(counters)] == [3, 3, 3]
    optimizer.step(good, torch.tensor(1.0))
    assert [int(optimizer.tensors()[name]) for name in sorted(counters)] == [0, 3, 3]
    assert not torch.equal(model.state_dict()["head.weight"], kept["head.weight"])
