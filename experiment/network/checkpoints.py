"""Checkpoints: weights that can be used by themselves, and beside them what an interrupted run needs to resume.

    <name>.safetensors            the weights; their header holds the configuration, classes, step and scores
    <name>.json                   position, scheduler and scores, and which state file belongs to them
    <name>.state-<step>-<digest>.safetensors   the weights again, and the optimizer's tensors

The state file is written first, then the JSON file, which names the state file and its digest, then the weights.
Whenever a run is killed, the JSON file and the state file it names are therefore whole and of one step. Random numbers
need no state: crops are drawn from (seed, epoch, visit), and the position is in the JSON file. Nothing is unpickled.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save

from ecg_generator_with_train_src.common.bounds import regular_file
from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.common.errors import InputError, first_problem
from ecg_generator_with_train_src.common.files import sha256_of, sha256_of_file, write_bytes, write_json
from ecg_generator_with_train_src.common.inner_paths import inside
from ecg_generator_with_train_src.common.text_files import read_json
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.backend.backend import Backend
from experiment.config import Config, check_model_config
from experiment.network.model import GridWaveNet
from experiment.network.run_schemas import FORMAT_VERSION, RunRecord, WeightsHeader, as_values

START_AFRESH = "start afresh with --resume none"
NAMES = ("last", "best", "best_loss")
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingState:
    """What `<name>.json` and its state file hold."""

    weights: Tensors
    optimizer: Tensors
    record: dict[str, Any]  # plain values such as epoch, step, scheduler and scores

    @property
    def tensors(self) -> Tensors:
        """All tensors, by their names in the state file."""
        tensors = {f"model.{key}": value for key, value in self.weights.items()}
        return tensors | {f"optimizer.{key}": value for key, value in self.optimizer.items()}


def save_checkpoint(folder: Path, name: str, state: TrainingState, config: Config) -> None:
    """Write `state`, whose tensors are on the CPU, as the checkpoint `name` of `folder`."""
    data = save(state.tensors)
    digest = sha256_of(data)
    # With the digest in its name, this file does not replace an older one of the same step that is still named.
    state_path = folder / f"{name}.state-{state.record['step']:08d}-{digest[:8]}.safetensors"
    write_bytes(state_path, data)
    link = {"state_file": state_path.name, "state_sha256": digest}
    write_json(folder / f"{name}.json", {"format_version": FORMAT_VERSION, **link, **state.record})
    write_weights(folder / f"{name}.safetensors", state, config)
    for path in folder.glob(f"{name}.state-*.safetensors"):
        if path != state_path:
            path.unlink()


def write_weights(path: Path, state: TrainingState, config: Config) -> None:
    """Write the weights; the header holds all that prediction needs to know about them."""
    header = {
        "format_version": str(FORMAT_VERSION),
        "classes": json.dumps(CLASS_NAMES),
        "px_per_mm": str(PX_PER_MM),
        "step": str(state.record["step"]),
        "scores": json.dumps(state.record["scores"]),
        "config": json.dumps(config.model_dump(mode="json")),
    }
    write_bytes(path, weights_file(state.weights, header))


def weights_file(tensors: Tensors, header: dict[str, str]) -> bytes:
    """A safetensors file. The same tensors and header give the same bytes: safetensors itself shuffles the header."""
    data = save(tensors, metadata=header or None)
    end = 8 + int.from_bytes(data[:8], "little")
    described = json.loads(data[8:end])
    if header:
        described["__metadata__"] = dict(sorted(header.items()))
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[end:]


def load_training_state(folder: Path, name: str) -> TrainingState | None:
    """The checkpoint `name` of `folder`; None if there is none. Raises InputError for a damaged one."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    record = read_json(path, RunRecord, START_AFRESH)
    state_path = inside(folder, record.state_file)
    if not state_path.is_file() or sha256_of_file(state_path) != record.state_sha256:
        raise InputError(f"{state_path}: missing or damaged; {START_AFRESH}")
    tensors, _ = read_safetensors(state_path)
    return TrainingState(_under("model.", tensors), _under("optimizer.", tensors), as_values(record))


def newest_whole(folder: Path) -> TrainingState | None:
    """The undamaged checkpoint of `folder` with the most steps; None if the folder has no checkpoint.

    A damaged one is passed over with a warning. Raises InputError if all are damaged.
    """
    states, problems = [], []
    for name in NAMES:
        try:
            states.append(load_training_state(folder, name))
        except InputError as error:
            problems.append(error)
    found = [state for state in states if state is not None]
    if problems and not found:
        raise problems[0]
    for problem in problems:
        print(f"warning: {str(problem).partition(';')[0]}; going on with another checkpoint", file=sys.stderr)
    return max(found, key=lambda state: state.record["step"], default=None)


def from_rank_0(backend: Backend, find: Callable[[], TrainingState | None]) -> TrainingState | None:
    """What `find` gives on rank 0, on every rank, even if they do not share its files.

    An InputError that it raises on rank 0 is raised on every rank.
    """
    if backend.world_size == 1:
        return find()
    data = _message(find) if backend.is_main else None
    data = backend.broadcast_bytes(data)
    if data[:1] == _ERROR:
        raise InputError(data[1:].decode())
    return _unpack(data[1:]) if data[:1] == _STATE else None


_STATE, _ERROR, _NOTHING = b"S", b"E", b"N"


def _message(find: Callable[[], TrainingState | None]) -> bytes:
    try:
        state = find()
    except InputError as error:
        return _ERROR + str(error).encode()
    return _NOTHING if state is None else _STATE + _pack(state)


def _pack(state: TrainingState) -> bytes:
    record = json.dumps(state.record).encode()
    return len(record).to_bytes(8, "little") + record + save(state.tensors)


def _unpack(data: bytes) -> TrainingState:
    end = 8 + int.from_bytes(data[:8], "little")
    tensors = load(data[end:])
    return TrainingState(
        _under("model.", tensors), _under("optimizer.", tensors), json.loads(data[8:end].decode())
    )


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def read_safetensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Tensors and header of a file.

    Raises InputError if it is missing, truncated, not a safetensors file, or holds values that are not finite.
    """
    try:
        with safe_open(regular_file(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: truncated or not a safetensors file ({error})") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"{path}: {name} holds values that are not finite; give other weights")
    return tensors, header


def load_model(path: Path) -> tuple[GridWaveNet, dict[str, Any]]:
    """The network of a weights file, ready to predict on the CPU, and the configuration that it was trained with.

    Only the network's shape in that configuration is checked: weights stay useful after training keys have changed.
    Raises InputError if the file is missing, damaged or not one of GridWaveNet.
    """
    tensors, header = read_safetensors(path)
    config = check_header(header, path).config
    model = GridWaveNet(check_model_config(config.get("model"), str(path)))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"{path}: its tensors do not fit its network ({' '.join(str(error).split())[:200]})"
        ) from error
    return model.eval(), config


def check_header(header: dict[str, str], path: Path) -> WeightsHeader:
    """What the header of a weights file says. Raises InputError naming the file if it is none of train_tpu.py."""
    try:
        return WeightsHeader.model_validate(header)
    except ValidationError as error:
        raise InputError(
            f"{path}: is no weights file of train_tpu.py (header: {first_problem(error)}); give another --checkpoint"
        ) from error
