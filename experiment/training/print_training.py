"""Training PrintNet on pieces of pages that are drawn as they are needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ecg_generator_with_train_src.page.print_crops import (
    PrintCrop,
    PrintMaterial,
    draw_print_crop,
)
from ecg_generator_with_train_src.page.print_words import PRINTED_WORDS
from experiment.network.print_net import PrintNet, load_print_net
from experiment.network.scales import STRIDE
from experiment.training.small_networks import train_small_network

SPREAD_CELLS = 1.0  # standard deviation of a word's target about its centre
WORD_WEIGHT = 3.0  # of a cell at a word's centre in the loss, beside one where nothing is
FEET_A_PIECE = 2  # a batch has so many times as many low pieces


@dataclass(frozen=True)
class PrintTraining:
    """How PrintNet is trained."""

    output: Path  # the weights; the state of the training is kept beside them
    steps: int = 8000
    batch_size: int = 8
    new_crops: int = 3  # of a batch are drawn afresh, the others again from the pool of the latest ones
    pool: int = 1200
    lr: float = 2e-3
    seed: int = 0
    feet: float = 0.7  # share of the steps that learn from the feet of pages
    start: Path | None = None  # weights to begin with


def target_of(words: tuple[tuple[int, float, float], ...], shape_px: tuple[int, int]) -> np.ndarray:
    """What the network should say of a piece of a height and width: (1 + words, rows, columns), which sums to 1 over
    the first axis.

    A cell at a word's centre belongs to the word, and less so a few cells away; what is left is class 0.
    """
    rows, columns = (side // STRIDE for side in shape_px)
    target = np.zeros((1 + len(PRINTED_WORDS), rows, columns), np.float32)
    x, y = (np.arange(columns) + 0.5) * STRIDE, (np.arange(rows) + 0.5) * STRIDE
    for word, x_px, y_px in words:
        across, down = (
            np.exp(-np.square((p - at) / (SPREAD_CELLS * STRIDE)) / 2) for p, at in ((x, x_px), (y, y_px))
        )
        target[1 + word] = np.maximum(target[1 + word], down[:, None] * across)
    target[1:] /= np.maximum(target[1:].sum(axis=0), 1)
    target[0] = 1 - target[1:].sum(axis=0)
    return target


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with soft targets, words weighing more than nothing; the mean over all cells."""
    weight = 1 + WORD_WEIGHT * (1 - target[:, 0])
    entropy = -(target * torch.log_softmax(logits.float(), dim=1)).sum(dim=1)
    return (weight * entropy).mean()


def batches(
    material: PrintMaterial, options: PrintTraining, first_step: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images (N, 3, H, W) uint8 and targets, whole pieces or low ones of a page's foot. Drawing a piece takes longer
    than learning from it: each is used again."""
    pools: dict[bool, list[PrintCrop]] = {False: [], True: []}
    for step in range(first_step, options.steps):
        rng = np.random.default_rng([options.seed, step])
        foot = bool(rng.random() < options.feet)
        pool, size = pools[foot], options.batch_size * (FEET_A_PIECE if foot else 1)
        new = min(options.new_crops * (FEET_A_PIECE if foot else 1), size) if len(pool) >= size else size
        again = [pool[k] for k in rng.integers(0, max(len(pool), 1), size - new)]
        crops = [draw_print_crop(material, rng, foot) for _ in range(new)]
        pools[foot] = [*pool, *crops][-options.pool :]
        crops += again
        images = np.stack([_tinted(crop.image, rng) for crop in crops])
        targets = np.stack([target_of(crop.words, crop.image.shape[:2]) for crop in crops])
        yield torch.from_numpy(images.transpose(0, 3, 1, 2)), torch.from_numpy(targets)


def _tinted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another brightness and order of colours, so that no piece is seen twice alike."""
    lighter = np.clip(np.arange(256) * rng.uniform(0.8, 1.15) + rng.uniform(-15, 15), 0, 255).astype(np.uint8)
    return lighter[image[..., rng.permutation(3)] if rng.random() < 0.5 else image]


def train_print_net(material: PrintMaterial, options: PrintTraining) -> None:
    """Train to the last step, from where an earlier run of the same output stands, and write the weights."""
    torch.manual_seed(options.seed)
    model = load_print_net(options.start) if options.start else PrintNet()
    model.train()
    train_small_network(
        model, PrintNet(), options, partial(batches, material, options), loss_of, 1e-2, clip_norm=2.0
    )
