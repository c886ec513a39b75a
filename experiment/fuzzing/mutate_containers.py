"""Damage to archives and files of arrays: members that lead outside, headers that lie, values that are no numbers."""

import io
import json
import stat
import tarfile
import zipfile

import numpy as np

from experiment.fuzzing.mutate_bytes import Mutation, flip_bits
from experiment.fuzzing.mutate_trees import JSON_MUTATIONS, PRECIOUS_PATHS

BOMB_BYTES = 300 * 10**6  # zeros, which shrink to a thousandth
HOSTILE_NAMES = (
    *PRECIOUS_PATHS,
    "a/../../precious.txt",
    "C:\\precious.txt",
    "\x01\n\t=x.csv",
    "x" * 300,
    "train-csvs",
    "",
)
LINK_KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE)


def hostile_tar(data: bytes, rng: np.random.Generator) -> bytes:
    """A tar with one member too many: outside, a link, a device, a bomb, or of another's name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        members = _members_of_tar(data)
        for name, content in members:
            _add_file(tar, name, content)
        kind = int(rng.integers(4))
        name = HOSTILE_NAMES[int(rng.integers(len(HOSTILE_NAMES)))]
        if kind == 0:
            _add_file(tar, name, b"I,II\n0,0\n")
        elif kind == 1:
            _add_link(tar, "train-csvs/link.csv", PRECIOUS_PATHS[int(rng.integers(4))], rng)
        elif kind == 2:
            _add_file(tar, "train-csvs/bomb.csv", bytes(BOMB_BYTES))
        elif members:
            _add_file(tar, f"{members[0][0]}/below.csv", b"")
    return buffer.getvalue()


def hostile_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """A zip with one member too many: outside, a link, a bomb, another's name; or one that lies about its size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for name, content in _members_of_zip(data):
            opened.writestr(name, content)
        kind = int(rng.integers(3))
        if kind == 0:
            opened.writestr(HOSTILE_NAMES[int(rng.integers(len(HOSTILE_NAMES) - 1))] or "x", b"I,II\n0,0\n")
        elif kind == 1:
            link = zipfile.ZipInfo("train-csvs/link.csv")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            opened.writestr(link, PRECIOUS_PATHS[int(rng.integers(4))])
        else:
            opened.writestr("train-csvs/bomb.csv", bytes(BOMB_BYTES))
    return flip_bits(buffer.getvalue(), rng) if rng.random() < 0.2 else buffer.getvalue()


def hostile_npz(data: bytes, rng: np.random.Generator) -> bytes:
    """An .npz with one array lost, of another shape or type, pickled, not finite, or with a header that lies."""
    arrays = _arrays_of(data)
    if not arrays:
        return flip_bits(data, rng)
    name = sorted(arrays)[int(rng.integers(len(arrays)))]
    array = arrays.pop(name)
    kinds = (
        None,
        array[: len(array) // 2],
        array[:0],
        np.repeat(array[None], 2, axis=0),
        np.full(array.shape, np.nan),
        np.full(array.shape, -1e30),
        np.array([None, {}], dtype=object),
        array.astype(str),
        np.array(3),
    )
    other = kinds[int(rng.integers(len(kinds)))]
    if other is not None:
        arrays[name] = other
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    made = buffer.getvalue()
    return made.replace(b"'shape': (", b"'shape': (9", 1) if rng.random() < 0.2 else made


def hostile_safetensors(data: bytes, rng: np.random.Generator) -> bytes:
    """Weights with a header changed anywhere, also within the texts of its metadata, or values that are no numbers."""
    header, values = _split_safetensors(data)
    kind = int(rng.integers(4))
    if kind == 0 and values:
        array = bytearray(values)
        start = int(rng.integers(len(array)) // 4 * 4)
        bad = np.float32(rng.choice((np.nan, np.inf, 3e38))).tobytes() * int(rng.choice((1, 1000)))
        array[start : start + len(bad)] = bad[: len(array) - start]
        return _joined_safetensors(header, bytes(array))
    mutate = JSON_MUTATIONS[int(rng.integers(len(JSON_MUTATIONS)))]
    texts = _metadata_texts(header)
    if kind >= 2 and texts:
        tree = json.loads(header)
        key = texts[int(rng.integers(len(texts)))]
        tree["__metadata__"][key] = mutate(tree["__metadata__"][key].encode(), rng).decode("utf-8", "replace")
        return _joined_safetensors(json.dumps(tree).encode(), values)
    return _joined_safetensors(mutate(header, rng), values)


def _add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _add_link(tar: tarfile.TarFile, name: str, target: str, rng: np.random.Generator) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = LINK_KINDS[int(rng.integers(len(LINK_KINDS)))], target
    tar.addfile(member)
    _add_file(tar, name, b"through the link\n")


def _members_of_tar(data: bytes) -> list[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return [(member.name, tar.extractfile(member).read()) for member in tar if member.isfile()]
    except (tarfile.TarError, EOFError, OSError):
        return []


def _members_of_zip(data: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return [(info.filename, opened.read(info)) for info in opened.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, EOFError, OSError):
        return []


def _arrays_of(data: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(data)) as file:
            return dict(file.items())
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        return {}


def _split_safetensors(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:8], "little")
    return data[8 : 8 + length], data[8 + length :]


def _joined_safetensors(header: bytes, values: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + values


def _metadata_texts(header: bytes) -> list[str]:
    try:
        return sorted(json.loads(header).get("__metadata__", {}))
    except (ValueError, AttributeError):
        return []


TAR_MUTATIONS: tuple[Mutation, ...] = (hostile_tar,)
ZIP_MUTATIONS: tuple[Mutation, ...] = (hostile_zip,)
NPZ_MUTATIONS: tuple[Mutation, ...] = (hostile_npz,)
SAFETENSORS_MUTATIONS: tuple[Mutation, ...] = (hostile_safetensors, hostile_safetensors)
