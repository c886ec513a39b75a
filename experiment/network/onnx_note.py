"""What an ONNX file says of itself: the weights that it was made from, and the sides of the images that it takes.

The note is the model's doc_string. It stands in the file as plain text, so that reading it needs no ONNX library.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ecg_generator_with_train_src.common.bounds import MIB, read_input
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of_file

MOST_BYTES = 1024 * MIB
_WORDS = "Made from weights with the SHA-256 {sha256}. Sides of images are multiples of {multiple}."
_PATTERN = re.compile(
    re.escape(_WORDS)
    .replace(r"\{sha256\}", "([0-9a-f]{64})")
    .replace(r"\{multiple\}", "([1-9][0-9]{0,3})")
    .encode()
)


@dataclass(frozen=True)
class OnnxNote:
    """`sha256` of the safetensors file, and what sides of images are multiples of."""

    sha256: str
    multiple: int

    def __str__(self) -> str:
        """The note as it stands in the file."""
        return _WORDS.format(sha256=self.sha256, multiple=self.multiple)


def onnx_beside(weights: Path) -> Path:
    """The ONNX file that belongs to a safetensors file."""
    return weights.with_suffix(".onnx")


def read_note(path: Path) -> OnnxNote:
    """The note of an ONNX file. Raises InputError if it has none."""
    if (found := _PATTERN.search(read_input(path, MOST_BYTES))) is None:
        raise InputError(f"{path}: was not written by export_weights.py")
    return OnnxNote(found[1].decode(), int(found[2]))


def onnx_problem(weights: Path) -> str | None:
    """Why the ONNX file beside some weights cannot stand for them; None if it can."""
    path = onnx_beside(weights)
    if not path.is_file():
        return f"{path}: not found; export_weights.py --onnx writes it"
    if read_note(path).sha256 != sha256_of_file(weights):
        return f"{path}: was made from other weights than {weights.name}; export_weights.py --onnx writes it anew"
    return None
