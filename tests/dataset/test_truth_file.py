"""The ideal trace of a sample as a file: it comes back as it was, and every damaged one is named."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.truth_file import encode_truth, read_truth_file
from ecg_generator_with_train_src.page.page import TracePoints

POINTS = TracePoints(
    lead=np.array([0, 11], np.uint8),
    row=np.array([0, 3], np.uint8),
    time_s=np.array([0.0, 9.5], np.float32),
    x_px=np.array([118.11, 2000.0], np.float32),
    y_px=np.array([708.25, -3.5], np.float32),
)
WHOLE = encode_truth(POINTS)


def stored(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def in_zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in vars(POINTS):
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_a_trace_comes_back_as_it_was(tmp_path):
    (tmp_path / "a.npz").write_bytes(WHOLE)
    for name, values in vars(read_truth_file(tmp_path / "a.npz")).items():
        assert values.dtype == getattr(POINTS, name).dtype
        assert values.tolist() == getattr(POINTS, name).tolist()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "damaged (No data left in file)"),
        (WHOLE[:-1], "damaged (File is not a zip file)"),
        (WHOLE[: len(WHOLE) // 2], "damaged (File is not a zip file)"),
        (WHOLE.replace(b"\x93NUMPY", b"\x93NUMPI", 1), "damaged (Bad CRC-32 for file 'lead.npy')"),
        (b"text", "damaged (This file contains pickled (object) data"),
        (in_zip(b"nothing"), "lead is not an array (N,) of uint8"),
        (in_zip(header("{'descr': '<f4', 'fortran_order': False, 'shape': (9" + "9" * 11 + ",)}\n")), "damaged ("),
        (in_zip(header("{'descr': '<f4', 'shape'")), "damaged ("),
        (stored(lead=POINTS.lead), "damaged ("),
        (stored(**{**vars(POINTS), "row": np.array([{}, {}])}), "damaged (Object arrays cannot be loaded"),
        (encode_truth(replace(POINTS, lead=POINTS.lead[:1])), "row is not an array (N,) of uint8"),
        (encode_truth(replace(POINTS, x_px=POINTS.x_px[None])), "x_px is not an array (N,) of float32"),
        (encode_truth(replace(POINTS, x_px=POINTS.x_px * 1j)), "x_px is not an array (N,) of float32"),
        (encode_truth(replace(POINTS, lead=POINTS.lead + np.uint8(12))), "holds leads, times or places that are none"),
        (encode_truth(replace(POINTS, y_px=POINTS.y_px * np.float32(np.nan))), "holds leads, times or places"),
        (encode_truth(replace(POINTS, x_px=POINTS.x_px * np.float32(1e9))), "holds leads, times or places"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_its_remedy(tmp_path, data, said):
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read_truth_file(path)
    assert str(refused.value).startswith(f"{path}: {said}")
    assert str(refused.value).endswith("; build the dataset with scripts/build_dataset.py --overwrite")
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.npz: not found; build the dataset"):
        read_truth_file(tmp_path / "none.npz")


def test_a_small_file_that_unpacks_to_very_much_is_refused(tmp_path):
    path = tmp_path / "truth.npz"
    np.savez_compressed(path, lead=np.zeros(65 * 2**20, np.uint8))
    assert path.stat().st_size < 10**6
    with pytest.raises(InputError, match=r"truth\.npz: unpacks to more than 64 MiB; build the dataset"):
        read_truth_file(path)
