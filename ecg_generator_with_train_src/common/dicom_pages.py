"""Pages in DICOM files, as archives of clinics hold them: pictures (secondary captures) and encapsulated PDFs."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.pdf_pages import pdf_pages
from ecg_generator_with_train_src.common.pixel_values import eight_bits

MARK, MARK_AT = b"DICM", 128  # what tells a DICOM file, and where it stands
MISSING = 'DICOM files need the package pydicom: pip install "pydicom>=3,<4"'


def dicom_pages(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The pages of a DICOM file, one at a time, as RGB images (H, W, 3) uint8; before each what its name ends in,
    `-p1` and so on, or nothing for a single picture.

    Raises InputError naming the file if it is damaged, shows neither picture nor PDF, or pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise InputError(f"{path}: {MISSING}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values beside the picture do no harm
        content = pydicom.dcmread(path)
    if "EncapsulatedDocument" in content:
        yield from pdf_pages(path, content.EncapsulatedDocument)
    elif "PixelData" in content:
        yield from _pictures(content, path)
    else:
        what = content.SOPClassUID.name if "SOPClassUID" in content else "DICOM file of an unknown kind"
        raise InputError(f"{path}: holds no picture and no PDF, but is a {what}")


def _pictures(content, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        frames = content.pixel_array
    except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path}: its picture cannot be unpacked ({' '.join(str(error).split())})"
        ) from error
    if int(content.get("NumberOfFrames") or 1) == 1:
        yield "", _rgb(frames, content)
        return
    for number, frame in enumerate(frames, start=1):
        yield f"-p{number}", _rgb(frame, content)


def _rgb(frame: np.ndarray, content) -> np.ndarray:
    """A frame as the file says that it is to be shown."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    shown_as = content.PhotometricInterpretation
    if shown_as == "PALETTE COLOR":
        frame = apply_color_lut(frame, content)
    elif frame.ndim == 2:
        frame = apply_voi_lut(apply_modality_lut(frame, content), content)
    grey_or_rgb = frame if frame.dtype == np.uint8 else eight_bits(frame)
    if shown_as == "MONOCHROME1":
        grey_or_rgb = 255 - grey_or_rgb
    return grey_or_rgb if grey_or_rgb.ndim == 3 else np.repeat(grey_or_rgb[..., None], 3, axis=2)
