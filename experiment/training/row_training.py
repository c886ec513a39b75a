"""Training RowNet on pieces of decoded traces, mirrored at random."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from experiment.network.checkpoints import read_safetensors
from experiment.network.row_net import RowNet
from experiment.reading.second_look import DISTANCES_PX, mirrored
from experiment.training.row_material import RowPage
from experiment.training.small_networks import train_small_network

SPREAD_PX = 0.25  # standard deviation of the target about the true distance across the stroke
FAR = 5.0  # deviations above so many times a page's usual one count by their size, no more by their square
BRIGHTER = 0.03  # what is to be seen is scaled by about this share
EVERY = 37  # one point in so many tells the mean of all


@dataclass(frozen=True)
class RowTraining:
    """How RowNet is trained."""

    output: Path  # the weights; the state of the training is kept beside them
    steps: int = 4000
    batch_size: int = 16
    points: int = 512  # of a piece
    lr: float = 2e-3
    seed: int = 0
    real_visits: float = 3.0  # real pages are visited so many times as often as simulated ones
    start: Path | None = None  # weights to begin with


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def row_batches(pages: Sequence[RowPage], options: RowTraining, first_step: int) -> Iterator[Batch]:
    """Features (N, points, FEATURES), and (N, points) each: steepness, how far the true trace is off, and weights,
    which are 0 where a point does not count and one over the page's noise elsewhere."""
    visits = np.array([options.real_visits if page.is_real else 1.0 for page in pages])
    noise_px2 = np.array([page.noise_px2 for page in pages])
    for step in range(first_step, options.steps):
        rng = np.random.default_rng([options.seed, step])
        chosen = rng.choice(len(pages), options.batch_size, p=visits / visits.sum())
        pieces = [_piece(pages[page], noise_px2[page], options.points, rng) for page in chosen]
        yield tuple(torch.from_numpy(np.stack(values)) for values in zip(*pieces, strict=True))


def _piece(
    page: RowPage, noise_px2: float, points: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.array([len(trace.counts) for trace in page.traces])
    trace = page.traces[rng.choice(len(lengths), p=lengths / lengths.sum())]
    start = int(rng.integers(0, max(len(trace.counts) - points, 0) + 1))
    piece = slice(start, start + points)
    told = trace.features[piece].astype(np.float32)
    told *= np.float32(1 + BRIGHTER * rng.standard_normal())
    along = [trace.steepness[piece], trace.off_px[piece], trace.counts[piece] / noise_px2]
    backwards, upside_down = rng.random(2) < 0.5
    told = mirrored(told, backwards, upside_down)
    along = [values[::-1] for values in along] if backwards else along
    along[1] = -along[1] if upside_down else along[1]
    missing = points - len(told)
    return np.pad(told, ((0, missing), (0, 0))), *(
        np.pad(values, (0, missing)).astype(np.float32) for values in along
    )


def row_loss(
    logits: torch.Tensor, steepness: torch.Tensor, off_px: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """What is left of the noise of each page, as a share of it, and how unlike the chances (N, points, distances) are
    to a narrow peak at the true distance (Jensen and Shannon)."""
    logits, distances = logits.float(), torch.from_numpy(DISTANCES_PX).float()
    counts = (weight > 0).float()
    number = counts.sum().clamp_min(1)
    found_px = torch.softmax(logits, -1) @ distances * steepness
    left = (found_px - off_px).abs() * weight.sqrt()
    noise = torch.where(left < FAR, left.square(), 2 * FAR * left - FAR**2)
    log_chances = torch.log_softmax(logits, -1)
    true_px = (off_px / steepness.clamp_min(1)).clamp(distances[0], distances[-1])
    target = torch.exp(-(((distances - true_px[..., None]) / SPREAD_PX) ** 2) / 2) + 1e-8
    target = target / target.sum(-1, keepdim=True)
    between = torch.log((target + log_chances.exp()) / 2)
    unlike = (target * (target.log() - between) + log_chances.exp() * (log_chances - between)).sum(-1) / 2
    return ((noise + unlike) * counts).sum() / number


def train_row_net(pages: Sequence[RowPage], options: RowTraining) -> None:
    """Train to the last step, from where an earlier run of the same output stands, and write the weights."""
    torch.manual_seed(options.seed)
    model = RowNet(*_mean_and_std(pages))
    if options.start:
        tensors, _ = read_safetensors(options.start)
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    train_small_network(
        model, RowNet(), options, partial(row_batches, pages, options), row_loss, 1e-3, clip_norm=1.0
    )


def _mean_and_std(pages: Sequence[RowPage]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of all features (FEATURES,)."""
    some = np.concatenate([trace.features[::EVERY] for page in pages for trace in page.traces]).astype(
        np.float32
    )
    return torch.from_numpy(some.mean(axis=0)), torch.from_numpy(np.maximum(some.std(axis=0), 0.02))
