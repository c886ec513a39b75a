"""python experiment/export_weights.py --checkpoint runs/pretrained_run/checkpoints/best.safetensors \\
    --output runs/pretrained/grid_wave_net.safetensors

Store a trained network for others: its weights in half precision, as predict.py and digitize.py read them, and its
configuration beside them as config.yaml.
"""

import argparse
from pathlib import Path

import torch
from ecg_generator_with_train_src.batch import write_bytes, write_text
from ecg_generator_with_train_src.command_line import EXIT_DONE, make_parser, run
from ecg_generator_with_train_src.errors import InputError
from safetensors.torch import save

from experiment.checkpoints import load_model, read_safetensors
from experiment.config import dump_config
from experiment.model import count_parameters


def main(argv: list[str] | None = None) -> int:
    """Export; returns the exit code."""
    arguments = _parse(argv)
    model, config = load_model(arguments.checkpoint)
    tensors, header = read_safetensors(arguments.checkpoint)
    data = save(_halved(tensors, arguments.checkpoint), metadata=header)
    write_bytes(arguments.output, data)
    write_text(arguments.output.with_name("config.yaml"), dump_config(config))
    print(
        f"exported {count_parameters(model):,} parameters of step {header['step']} -> {arguments.output} "
        f"({len(data) / 1e6:.1f} MB)"
    )
    return EXIT_DONE


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="weights of train_tpu.py")
    parser.add_argument("--output", type=Path, required=True, help="where the half-precision weights go")
    return parser.parse_args(argv)


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
