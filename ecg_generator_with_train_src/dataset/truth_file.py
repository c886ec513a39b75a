"""The .npz of a sample's ideal trace: one entry a record sample."""

import io
from dataclasses import fields
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.bounds import MIB, regular_file
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import BUILD_IT
from ecg_generator_with_train_src.page.page import TracePoints
from ecg_generator_with_train_src.page.records import LEADS

_TYPES = {"lead": np.uint8, "row": np.uint8, "time_s": np.float32, "x_px": np.float32, "y_px": np.float32}
MOST_BYTES = 64 * MIB  # 12 leads of 10 s at 2000 Hz take 4
FARTHEST_PX = 1e6


def encode_truth(points: TracePoints) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **vars(points))
    return buffer.getvalue()


def read_truth_file(path: Path) -> TracePoints:
    """The ideal trace. Raises InputError naming the file if it is missing, damaged, or of other arrays."""
    try:
        with np.load(regular_file(path)) as stored:
            if sum(member.file_size for member in stored.zip.infolist()) > MOST_BYTES:
                raise InputError(f"{path}: unpacks to more than {MOST_BYTES / MIB:g} MiB; {BUILD_IT}")
            points = TracePoints(
                **{field.name: np.asarray(stored[field.name]) for field in fields(TracePoints)}
            )
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; {BUILD_IT}") from error
    except InputError:
        raise
    except Exception as error:  # numpy, zipfile, zlib and tokenize each raise their own
        raise InputError(f"{path}: damaged ({' '.join(str(error).split())}); {BUILD_IT}") from error
    for name, values in vars(points).items():
        if values.dtype != _TYPES[name] or values.shape != (len(points.lead),):
            raise InputError(f"{path}: {name} is not an array (N,) of {_TYPES[name].__name__}; {BUILD_IT}")
    places = np.stack([points.x_px, points.y_px, points.time_s])
    if not (np.abs(places) < FARTHEST_PX).all() or points.lead.max(initial=0) >= len(LEADS):
        raise InputError(f"{path}: holds leads, times or places that are none; {BUILD_IT}")
    return points
