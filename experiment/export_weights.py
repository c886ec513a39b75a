"""python experiment/export_weights.py --checkpoint runs/pretrained_run/checkpoints/best.safetensors \\
    --output experiment/pretrained/grid_wave_net.safetensors
python experiment/export_weights.py --onnx

Store a trained network for others: its weights in half precision, as predict.py and digitize.py read them, with its
configuration beside them as config.yaml. Several checkpoints of one run, or of runs of which each started with the
weights of the one before, become one network of their mean weights. It is often better than any of them (Izmailov et
al., Averaging Weights Leads to Wider Optima, 2018). With --onnx the network is written as ONNX as well, beside its
weights: predict.py and digitize.py run it without torch. Without a checkpoint, --onnx does so for all shipped networks.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from ecg_generator_with_train_src.common.command_line import EXIT_DONE, make_parser, run
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_text
from experiment.network.checkpoints import load_model, read_safetensors, weights_file
from experiment.network.loaders import LOADERS
from experiment.network.model import count_parameters
from experiment.network.onnx_export import write_onnx
from experiment.network.shipped import LABELS, shipped


def main(argv: list[str] | None = None) -> int:
    """Export; returns the exit code."""
    parser = make_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, nargs="+", help="weights of train_tpu.py, the newest last")
    parser.add_argument("--output", type=Path, help="file for the half-precision weights")
    parser.add_argument(
        "--onnx", action="store_true", help="write ONNX beside the weights, or beside all shipped ones"
    )
    arguments = parser.parse_args(argv)
    if not arguments.onnx or arguments.checkpoint or arguments.output:
        if not (arguments.checkpoint and arguments.output):
            raise InputError("give --checkpoint and --output, or --onnx alone for the shipped networks")
        print(export_weights(arguments.checkpoint, arguments.output))
        networks = {LABELS: arguments.output}
    else:
        networks = {kind: shipped(kind) for kind in LOADERS}
    for kind, weights in networks.items() if arguments.onnx else ():
        path = write_onnx(LOADERS[kind](weights), weights)
        print(f"exported {kind} -> {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return EXIT_DONE


def export_weights(checkpoints: list[Path], output: Path) -> str:
    """Write the mean weights of `checkpoints`, the newest last, to `output`, and config.yaml beside it.

    Returns a line on what was written. Raises InputError for a checkpoint that is damaged or does not fit the others.
    """
    *_, newest = checkpoints
    model, config = load_model(newest)
    weights, headers = zip(*map(read_safetensors, checkpoints), strict=True)
    header = headers[-1]
    data = weights_file(_halved(_mean(weights, checkpoints), newest), header)
    write_bytes(output, data)
    write_text(output.with_name("config.yaml"), yaml.safe_dump(config, sort_keys=False))
    averaged = f", mean of {len(checkpoints)} checkpoints," if len(checkpoints) > 1 else ""
    return (
        f"exported {count_parameters(model):,} parameters{averaged} of step {header['step']} -> {output} "
        f"({len(data) / 1e6:.1f} MB)"
    )


def _mean(weights: Sequence[dict[str, torch.Tensor]], paths: list[Path]) -> dict[str, torch.Tensor]:
    """Mean weights of the checkpoints, float64. Raises InputError naming one whose network has another shape."""
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in weights]
    for path, shape in zip(paths, shapes, strict=True):
        if shape != shapes[-1]:
            raise InputError(
                f"{path}: is a network of another shape than {paths[-1]}; give checkpoints of one network"
            )
    return {
        name: torch.stack([tensors[name].double() for tensors in weights]).mean(dim=0) for name in shapes[-1]
    }


def _halved(tensors: dict[str, torch.Tensor], source: Path) -> dict[str, torch.Tensor]:
    """The tensors in float16. Raises InputError if a weight is too large for it."""
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"{source}: {name} holds values too large for half precision; train on, or use the checkpoint as it is"
            )
    return halves


if __name__ == "__main__":
    run(main)
