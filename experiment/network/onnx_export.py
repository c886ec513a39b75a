"""Networks as ONNX files, which other programs than torch run."""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of, write_bytes
from experiment.network.onnx_note import OnnxNote, onnx_beside

OPSET = 17
IMAGE, PROBABILITY = "image", "probability"  # the names of input and output


class Probabilities(nn.Module):
    """RGB images (N, H, W, 3) uint8 to probabilities (N, classes, h, w), by a model that gives logits."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The probabilities of some images."""
        return torch.softmax(self.model(image.permute(0, 3, 1, 2)).float(), dim=1)


def write_onnx(model: nn.Module, weights: Path) -> Path:
    """Write `model`, whose weights are the file `weights`, as the ONNX file beside it; returns its path.

    What half precision holds exactly is stored in it; all is computed in single precision. Raises InputError if the
    package onnx is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError("--onnx needs the package onnx: pip install onnx") from error
    exported = onnx.load_model_from_string(_exported(model))
    exported.doc_string = str(OnnxNote(sha256_of(weights.read_bytes()), model.multiple))
    for number, tensor in enumerate(list(exported.graph.initializer)):
        values = onnx.numpy_helper.to_array(tensor)
        halves = values.astype(np.float16) if values.dtype == np.float32 else values
        if values.dtype == np.float32 and np.array_equal(halves, values):
            name = f"{tensor.name}.half"
            cast = onnx.helper.make_node("Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT)
            tensor.CopyFrom(onnx.numpy_helper.from_array(halves, name))
            exported.graph.node.insert(number, cast)
    onnx.checker.check_model(exported)
    path = onnx_beside(weights)
    write_bytes(path, exported.SerializeToString())
    return path


def _exported(model: nn.Module) -> bytes:
    image = torch.zeros(1, 2 * model.multiple, 3 * model.multiple, 3, dtype=torch.uint8)
    sides = {0: "images", 1: "height", 2: "width"}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the exporter that needs nothing but torch is called old
        warnings.simplefilter(
            "ignore", torch.jit.TracerWarning
        )  # torch warns of its own check of group sizes
        torch.onnx.export(
            Probabilities(model).eval(),
            (image,),
            file,
            input_names=[IMAGE],
            output_names=[PROBABILITY],
            dynamic_axes={IMAGE: sides, PROBABILITY: {0: "images", 2: "rows", 3: "columns"}},
            opset_version=OPSET,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,  # else normalisation would be multiplied into the weights
            dynamo=False,
        )
    return file.getvalue()
