"""What the trainings of small networks share: the learning rate, the running mean of the weights, the kept state."""

import math
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes
from experiment.network.checkpoints import read_safetensors

# Share of the steps in which the rate rises, and share of it that is left at the end
WARM_UP, LAST_SHARE = 0.05, 0.01


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
