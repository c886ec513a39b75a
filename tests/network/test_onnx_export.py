"""A network as ONNX says what torch says, on every size of page, and knows whose weights it has."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of
from experiment import export_weights
from experiment.network.loaders import LOADERS
from experiment.network.onnx_export import write_onnx
from experiment.network.onnx_note import onnx_beside, onnx_problem, read_note
from experiment.network.shipped import shipped
from experiment.runtime.choose import run_networks
from experiment.runtime.network import RuntimeOptions


@pytest.fixture(scope="module", params=list(LOADERS))
def own_copy(request, tmp_path_factory) -> tuple[str, Path]:
    """A kind of network, and a copy of its shipped weights with the ONNX file made from them."""
    kind = request.param
    weights = Path(shutil.copy(shipped(kind), tmp_path_factory.mktemp("weights") / "net.safetensors"))
    assert write_onnx(LOADERS[kind](weights), weights) == onnx_beside(weights)
    return kind, weights


def test_openvino_and_torch_agree_in_single_precision(own_copy):
    kind, weights = own_copy
    rng, found = np.random.default_rng(0), {}
    pages = [rng.integers(0, 256, (2, *sides, 3), dtype=np.uint8) for sides in ((64, 128), (160, 96))]

    def look(runtime) -> int:
        network = runtime.load(kind, weights)
        found[network.multiple, type(runtime).__name__] = [network(page) for page in pages]
        return 0

    for name in ("torch", "openvino"):
        assert run_networks(RuntimeOptions(name, "cpu", "fp32"), [weights], look) == 0
    (multiple, first), (same, second) = found
    assert (first, second) == ("TorchDevice", "OpenVinoCpu") and multiple == same == 32
    for torchs, openvinos in zip(*found.values(), strict=True):
        assert torchs.shape == openvinos.shape and torchs.dtype == openvinos.dtype == np.float32
        np.testing.assert_allclose(openvinos, torchs, rtol=0, atol=1e-4)


def test_weights_are_stored_in_half_precision(own_copy):
    _, weights = own_copy
    stored = onnx.load(onnx_beside(weights)).graph.initializer
    assert not [tensor.name for tensor in stored if tensor.data_type == onnx.TensorProto.FLOAT]
    assert onnx_beside(weights).stat().st_size < 1.1 * weights.stat().st_size


def test_the_note_tells_the_weights_and_other_weights_are_noticed(own_copy, tmp_path):
    _, weights = own_copy
    assert read_note(onnx_beside(weights)).sha256 == sha256_of(weights.read_bytes())
    assert onnx_problem(weights) is None
    other = tmp_path / "net.safetensors"
    other.write_bytes(b"other weights")
    assert f"{onnx_beside(other)}: not found" in onnx_problem(other)
    shutil.copy(onnx_beside(weights), onnx_beside(other))
    assert "was made from other weights than net.safetensors" in onnx_problem(other)


def test_an_onnx_file_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"an ONNX file without a note")
    with pytest.raises(InputError, match=r"net\.onnx: was not written by export_weights\.py"):
        read_note(tmp_path / "net.onnx")


def test_weights_are_exported_with_their_onnx_file(tmp_path, capsys):
    output = tmp_path / "out" / "net.safetensors"
    given = ["--checkpoint", str(shipped("grid_wave_net")), "--output", str(output), "--onnx"]
    assert export_weights.main(given) == 0
    assert f"exported grid_wave_net -> {onnx_beside(output)}" in capsys.readouterr().out
    assert onnx_problem(output) is None


@pytest.mark.parametrize("given", [[], ["--checkpoint", "a"], ["--onnx", "--output", "b"]])
def test_what_is_to_be_exported_must_be_said(given):
    with pytest.raises(InputError, match="give --checkpoint and --output, or --onnx alone"):
        export_weights.main(given)
