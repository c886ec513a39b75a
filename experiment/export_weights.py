"""python experiment/export_weights.py --checkpoint runs/pretrained_run/checkpoints/best.safetensors \\
    --output runs/pretrained/grid_wave_net.safetensors

Store a trained network for others: its weights in half precision, as predict.py and digitize.py read them, and its
configuration beside them as config.yaml. Several checkpoints of a run, or of runs that went on from each other, become
one network of their mean weights, which is often better than each (Izmailov et al., Averaging Weights Leads to Wider
Optima, 2018).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from safetensors.torch import save

from ecg_generator_with_train_src.common.command_line import EXIT_DONE, make_parser, run
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_text
from experiment.network.checkpoints import load_model, read_safetensors
from experiment.network.model import count_parameters


def main(argv: list[str] | None = None) -> int:
    """Export; returns the exit code."""
    arguments = _parse(argv)
    *_, newest = arguments.checkpoint
    model, config = load_model(newest)
    weights, headers = zip(*map(read_safetensors, arguments.checkpoint), strict=True)
    header = headers[-1]
    data = save(_halved(_mean(weights, arguments.checkpoint), newest), metadata=header)
    write_bytes(arguments.output, data)
    write_text(arguments.output.with_name("config.yaml"), yaml.safe_dump(config, sort_keys=False))
    averaged = f", mean of {len(arguments.checkpoint)} checkpoints," if len(arguments.checkpoint) > 1 else ""
    print(
        f"exported {count_parameters(model):,} parameters{averaged} of step {header['step']} -> {arguments.output} "
        f"({len(data) / 1e6:.1f} MB)"
    )
    return EXIT_DONE


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", required=True, help="weights of train_tpu.py, the newest last"
    )
    parser.add_argument("--output", type=Path, required=True, help="where the half-precision weights go")
    return parser.parse_args(argv)


def _mean(weights: Sequence[dict[str, torch.Tensor]], paths: list[Path]) -> dict[str, torch.Tensor]:
    """Mean weights of several checkpoints, float64. Raises InputError naming one whose network is of another shape."""
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in weights]
    for path, shape in zip(paths, shapes, strict=True):
        if shape != shapes[-1]:
            raise InputError(
                f"{path}: is a network of another shape than {paths[-1]}; give checkpoints of one"
            )
    return {
        name: torch.stack([tensors[name].double() for tensors in weights]).mean(dim=0) for name in shapes[-1]
    }


def _halved(tensors: dict[str, torch.Tensor], source: Path) -> dict[str, torch.Tensor]:
    """In float16. Raises InputError if a weight is too large for it."""
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"{source}: {name} holds values that half precision cannot; train on, or use it as it is"
            )
    return halves


if __name__ == "__main__":
    run(main)
