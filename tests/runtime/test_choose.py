"""What runs the networks: OpenVINO where it can, torch where it must, and a line that says which and why."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from ecg_generator_with_train_src.common.errors import InputError
from experiment.network.onnx_note import OnnxNote, onnx_beside
from experiment.network.shipped import LABELS, shipped
from experiment.runtime import choose
from experiment.runtime.choose import one_blas_thread, openvino_problem, run_networks, runtime_here
from experiment.runtime.network import RuntimeOptions

from conftest import REPOSITORY


@pytest.fixture
def no_gpu(monkeypatch):
    """As on a machine without an NVIDIA driver."""
    monkeypatch.setattr(choose, "_gpu_is_there", lambda: False)


@pytest.fixture
def weights(tmp_path) -> Path:
    """Weights with an ONNX file beside them that names others."""
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"weights")
    digest = "0" * 64
    path.with_suffix(".onnx").write_text(str(OnnxNote(digest, 32)))
    return path


def test_a_cpu_alone_is_openvinos(no_gpu, weights, monkeypatch):
    monkeypatch.setattr(choose, "onnx_problem", lambda path: None)
    assert openvino_problem(RuntimeOptions(), [weights]) is None
    assert openvino_problem(RuntimeOptions("openvino", "cpu"), [weights]) is None


def test_a_device_that_is_asked_for_or_there_is_torchs(weights, monkeypatch):
    assert openvino_problem(RuntimeOptions("torch"), [weights]) == "--runtime torch"
    assert openvino_problem(RuntimeOptions(device="cuda"), [weights]) == "--device cuda"
    monkeypatch.setattr(choose, "_gpu_is_there", lambda: True)
    assert openvino_problem(RuntimeOptions(), [weights]) == "a GPU is there"
    monkeypatch.setenv("PJRT_DEVICE", "TPU")
    assert openvino_problem(RuntimeOptions(), [weights]) == "PJRT_DEVICE=TPU"


def test_an_onnx_file_that_is_missing_or_of_other_weights_is_not_used(no_gpu, weights):
    assert "was made from other weights than net.safetensors" in openvino_problem(RuntimeOptions(), [weights])
    weights.with_suffix(".onnx").unlink()
    assert "net.onnx: not found; export_weights.py --onnx writes it" in openvino_problem(
        RuntimeOptions(), [weights]
    )
    with pytest.raises(InputError, match=r"--runtime openvino: .*net\.onnx: not found"):
        openvino_problem(RuntimeOptions("openvino"), [weights])


def test_without_torch_what_needs_it_is_refused_in_one_line(weights):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "class Hidden:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'torch': raise ModuleNotFoundError('hidden')\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'torch' else found(name)\n"
        "from ecg_generator_with_train_src.common.command_line import run\n"
        "from experiment.runtime.choose import run_networks\n"
        "from experiment.runtime.network import RuntimeOptions\n"
        f"run(lambda: run_networks(RuntimeOptions('torch'), [Path({str(weights)!r})], print))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: --runtime torch: this needs torch, which is not installed: pip install -r requirements.txt\n"
    )


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_one_line_says_which_runtime_and_why(runtime, capsys):
    page, found = np.full((1, 64, 64, 3), 255, np.uint8), []

    def look(device) -> int:
        found.append(device.load(LABELS, shipped(LABELS))(page))
        return 7

    assert run_networks(RuntimeOptions(runtime, "cpu", "fp32", 1), [shipped(LABELS)], look) == 7
    assert found[0].shape == (1, 3, 64, 64)
    np.testing.assert_allclose(found[0].sum(axis=1), 1, atol=1e-5)
    said = capsys.readouterr().out
    assert said.startswith(f"runtime {runtime} ")
    assert "1 threads; precision fp32" in said


def test_what_runs_beside_the_networks_has_one_blas_thread():
    def threads(_) -> int:
        return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        assert run_networks(RuntimeOptions(device="cpu"), [shipped(LABELS)], threads) == 1
        assert threads(None) == 2


def test_threads_that_ask_for_one_blas_thread_leave_as_many_as_there_were():
    def threads() -> int:
        return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == 1  # the second still needs it
        second.__exit__(None, None, None)
        assert threads() == 2


FORKED = """
import os, sys
import numpy as np
from experiment.network.shipped import LABELS, shipped
from experiment.runtime.choose import runtime_here
from experiment.runtime.network import RuntimeOptions

def load():
    return runtime_here(RuntimeOptions("openvino", "cpu"), [shipped(LABELS)]).load(LABELS, shipped(LABELS))

network, page = load(), np.zeros((1, 64, 64, 3), np.uint8)
network(page)
for use in (lambda: network(page), load):
    child = os.fork()
    if not child:
        try:
            use()
        except RuntimeError as error:
            print(error, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_process_that_was_forked_off_says_that_it_cannot_use_the_networks():
    done = subprocess.run(
        [sys.executable, "-c", FORKED],
        timeout=120,
        check=True,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("this process was forked off after OpenVINO was used") == 2


@pytest.mark.parametrize(("old", "new"), [(b"Conv", b"Co\xffv"), (b"Conv", b"Cone")])
def test_a_damaged_onnx_file_is_named_with_what_does_without_it(tmp_path, old, new):
    weights = Path(shutil.copy(shipped(LABELS), tmp_path / "net.safetensors"))
    data = onnx_beside(shipped(LABELS)).read_bytes()
    onnx_beside(weights).write_bytes(data.replace(old, new))
    with pytest.raises(
        InputError, match=r"net\.onnx: not an ONNX file of grid_wave_net \(.*\); --runtime torch"
    ):
        run_networks(
            RuntimeOptions("openvino", "cpu"), [weights], lambda runtime: runtime.load(LABELS, weights)
        )


FIRST_LOOKS = """
import threading
import numpy as np
from experiment.network.shipped import LABELS, shipped
from experiment.runtime.choose import runtime_here
from experiment.runtime.network import RuntimeOptions

at_once, page = threading.Barrier(2), np.zeros((1, 64, 64, 3), np.uint8)

def load():
    runtime = runtime_here(RuntimeOptions("openvino", "cpu", num_threads=2), [shipped(LABELS)])
    return runtime.load(LABELS, shipped(LABELS), in_tiles=True)

def look():
    network = shared or load()
    at_once.wait()
    network(page)

shared = {shared} and load()
for thread in [threading.Thread(target=look) for _ in range(2)]:
    thread.start()
"""


@pytest.mark.parametrize("shared", [True, False], ids=["one network", "a network each"])
def test_the_first_looks_of_a_process_may_be_at_the_same_time(shared):
    for _ in range(4):  # of those that were not prepared for it, two of five waited for ever
        code = FIRST_LOOKS.replace("{shared}", str(shared))
        subprocess.run([sys.executable, "-c", code], timeout=60, check=True, cwd=REPOSITORY)


def test_tiles_that_threads_look_at_side_by_side_are_those_of_one_thread(no_gpu):
    rng = np.random.default_rng(0)
    tiles = [rng.integers(0, 256, (1, 96, 96, 3), dtype=np.uint8) for _ in range(12)]
    alone, both = (
        runtime_here(RuntimeOptions(num_threads=threads), [shipped(LABELS)]).load(
            LABELS, shipped(LABELS), in_tiles=True
        )
        for threads in (1, 2)
    )
    assert (alone.at_once, both.at_once) == (1, 2)
    with ThreadPoolExecutor(4) as threads:  # more than can look at once: two of them wait
        found = list(threads.map(both, tiles))
    np.testing.assert_array_equal(np.stack(found), np.stack([alone(tile) for tile in tiles]))
