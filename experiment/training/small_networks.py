"""What the trainings of small networks share: the loop, the learning rate, the running mean of the weights, the kept
state."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes
from experiment.network.checkpoints import read_safetensors

# Share of the steps in which the rate rises, and share of it that is left at the end
WARM_UP, LAST_SHARE = 0.05, 0.01
SAVE_EVERY, LOG_EVERY = 100, 50
AVERAGED = 0.995  # how much of the running mean of the weights, which is what is kept, each step leaves


class SmallTraining(Protocol):
    """What the loop asks of a training's options."""

    output: Path  # the weights; the state of the training is kept beside them
    steps: int
    batch_size: int
    lr: float


def train_small_network(
    model: nn.Module,
    mean: nn.Module,
    options: SmallTraining,
    batches_from: Callable[[int], Iterator[tuple[torch.Tensor, ...]]],
    loss_of: Callable[..., torch.Tensor],
    weight_decay: float,
    clip_norm: float,
) -> None:
    """Train to the last step, from where an earlier run of the same output stands, and write the weights.

    `mean` is a network of the same shape for the running mean. `batches_from` a step gives what the network takes and
    what `loss_of` takes behind its logits.
    """
    mean.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=weight_decay)
    state_path = state_beside(options.output)
    first = resume(model, mean, optimizer, state_path)
    started, losses = time.perf_counter(), []
    for step, (taken, *targets) in enumerate(batches_from(first), start=first + 1):
        for group in optimizer.param_groups:
            group["lr"] = options.lr * rate(step / options.steps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(taken)
        loss = loss_of(logits, *targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        follow(mean, model, min(AVERAGED, step / (step + 10)))
        losses.append(loss.item())
        if step % LOG_EVERY == 0:
            speed = (step - first) * options.batch_size / (time.perf_counter() - started)
            print(
                f"step {step}/{options.steps}: loss {np.mean(losses[-LOG_EVERY:]):.4f}, {speed:.0f} pieces/s",
                flush=True,
            )
        if step % SAVE_EVERY == 0 or step == options.steps:
            save_state(model, mean, optimizer, state_path, step)
            save_halved(mean, options.output)


def rate(share: float) -> float:
    """The learning rate, relative to its highest, after a share of all steps: a short rise, then half a cosine."""
    return min(share / WARM_UP, 1.0) * (LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * share)) / 2)


@torch.no_grad()
def follow(mean: nn.Module, model: nn.Module, kept: float) -> None:
    """Move the running mean of a network's weights towards them; `kept` is how much of it stays."""
    for old, new in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - kept)


def state_beside(output: Path) -> Path:
    """The file of a training's state, which stands beside the weights that it writes."""
    return output.with_name(output.stem + "_state.safetensors")


def save_state(
    model: nn.Module, mean: nn.Module, optimizer: torch.optim.Optimizer, path: Path, step: int
) -> None:
    """Write what `resume` needs to go on."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"mean.{name}": tensor for name, tensor in mean.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    write_bytes(path, save(tensors | {"step": torch.tensor(step)}))


def save_halved(mean: nn.Module, output: Path) -> None:
    """Write the weights of a network in half precision."""
    write_bytes(output, save({name: tensor.half() for name, tensor in mean.state_dict().items()}))


def resume(model: nn.Module, mean: nn.Module, optimizer: torch.optim.Optimizer, path: Path) -> int:
    """Load the state of an earlier run, if there is one; returns the steps that it has made.

    Raises InputError naming the file if it is damaged or of another network.
    """
    if not path.is_file():
        return 0
    tensors, _ = read_safetensors(path)
    try:
        for prefix, network in (("model.", model), ("mean.", mean)):
            network.load_state_dict(
                {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            )
        state = optimizer.state_dict()
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, what = name.split(".")
                state["state"].setdefault(int(number), {})[what] = tensor
        optimizer.load_state_dict(state)
        return int(tensors["step"])
    except (LookupError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: no state of this training ({why}); remove it to start anew") from error
