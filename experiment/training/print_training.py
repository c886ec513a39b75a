"""Training PrintNet on pictures that are drawn as they are needed."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch.utils.data import DataLoader, IterableDataset

from ecg_generator_with_train_src.common.files import write_bytes
from ecg_generator_with_train_src.page.print_crops import CROP_PX, PRINTED_WORDS, PrintCrop, draw_print_crop
from experiment.network.print_net import STRIDE, PrintNet

SPREAD_CELLS = 1.0  # standard deviation of the heat about a word's centre
FOCUS = (
    2.0  # exponents of the focal loss (Lin et al., 2017), and of its weight near a centre (Zhou et al., 2019)
)
NEAR_CENTRE = 4.0
SAVE_EVERY, LOG_EVERY = 200, 50
LAST_SHARE = 0.02  # the learning rate ends at this share of its highest


@dataclass(frozen=True)
class PrintTraining:
    """How PrintNet is trained."""

    output: Path  # the weights; the state of the training is kept beside them
    steps: int
    batch_size: int
    lr: float
    seed: int


class PrintCrops(IterableDataset):
    """Batches from a step on: the same for a seed, wherever the training was broken off."""

    def __init__(
        self, signals_mv: Sequence[np.ndarray], fs_hz: float, options: PrintTraining, first_step: int
    ):
        self.signals_mv, self.fs_hz = signals_mv, fs_hz
        self.options, self.first_step = options, first_step

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for step in range(self.first_step, self.options.steps):
            rng = np.random.default_rng([self.options.seed, step])
            crops = [
                draw_print_crop(rng, self.signals_mv, self.fs_hz) for _ in range(self.options.batch_size)
            ]
            images = np.stack([crop.image.transpose(2, 0, 1) for crop in crops])
            yield torch.from_numpy(images), torch.from_numpy(np.stack([heat_of(crop) for crop in crops]))


def heat_of(crop: PrintCrop) -> np.ndarray:
    """The maps (words, cells, cells) that a network should see on a picture: 1 at a word's centre, less around it."""
    cells = CROP_PX // STRIDE
    heat = np.zeros((len(PRINTED_WORDS), cells, cells), np.float32)
    y, x = np.indices((cells, cells))
    for index, x_px, y_px in crop.words:
        centre_x, centre_y = int(x_px / STRIDE), int(y_px / STRIDE)
        around = np.exp(-(np.square(x - centre_x) + np.square(y - centre_y)) / (2 * SPREAD_CELLS**2))
        heat[index] = np.maximum(heat[index], around)
    return heat


def focal_loss(logits: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    """The focal loss of maps of heat, per word in the batch (Zhou et al., Objects as Points, 2019)."""
    probability = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    centre = heat == 1
    found = -((1 - probability) ** FOCUS) * probability.log()
    rest = -((1 - heat) ** NEAR_CENTRE) * probability**FOCUS * (1 - probability).log()
    return torch.where(centre, found, rest).sum() / centre.sum().clamp(min=1)


def train_print_net(signals_mv: Sequence[np.ndarray], fs_hz: float, options: PrintTraining) -> None:
    """Train to the last step, from where an earlier run of the same output stands, and write the weights."""
    model = PrintNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    state_path = options.output.with_suffix(".state.pt.safetensors")
    first = _resume(model, optimizer, state_path)
    batches = DataLoader(PrintCrops(signals_mv, fs_hz, options, first), batch_size=None, num_workers=0)
    started, losses = time.perf_counter(), []
    for step, (images, heat) in enumerate(batches, start=first + 1):
        for group in optimizer.param_groups:
            group["lr"] = options.lr * _rate(step / options.steps)
        loss = focal_loss(model(images), heat)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % LOG_EVERY == 0:
            speed = (step - first) * options.batch_size / (time.perf_counter() - started)
            print(
                f"step {step}/{options.steps}: loss {np.mean(losses[-LOG_EVERY:]):.3f}, {speed:.0f} pictures/s",
                flush=True,
            )
        if step % SAVE_EVERY == 0 or step == options.steps:
            _save(model, optimizer, state_path, step)
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    write_bytes(options.output, save(half))


def _rate(share: float) -> float:
    """The learning rate, relative to its highest, after a share of all steps: a short rise, then half a cosine."""
    rise = min(share / 0.03, 1.0)
    return rise * (LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * share)) / 2)


def _save(model: PrintNet, optimizer: torch.optim.AdamW, path: Path, step: int) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    tensors["step"] = torch.tensor(step)
    write_bytes(path, save(tensors))


def _resume(model: PrintNet, optimizer: torch.optim.AdamW, path: Path) -> int:
    """Load the state of an earlier run, if there is one; returns the steps that it has made."""
    if not path.is_file():
        return 0
    tensors = load_file(path)
    model.load_state_dict(
        {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    )
    state = optimizer.state_dict()
    state["state"] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, what = name.split(".")
            state["state"].setdefault(int(number), {})[what] = tensor
    optimizer.load_state_dict(state)
    return int(tensors["step"])
