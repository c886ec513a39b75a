"""Pages in DICOM files, as archives of clinics hold them: pictures (secondary captures) and encapsulated PDFs."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.bounds import MIB, check_number_of_pages
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.pdf_process import bounded_pdf_pages
from ecg_generator_with_train_src.common.picture_sizes import (
    ALL_WHOLE,
    PageSizes,
    check_weight,
    halved_values,
    halvings_of,
)
from ecg_generator_with_train_src.common.pixel_values import eight_bits

MARK, MARK_AT = b"DICM", 128  # what tells a DICOM file, and where it stands
MOST_BYTES = 512 * MIB
PICTURE_TAG = 0x7FE00010
PACKED_WHOLE = "1.2.840.10008.1.2.1.99"
MISSING = 'DICOM files need the package pydicom: pip install "pydicom>=3,<4"'


def dicom_pages(path: Path, sizes: PageSizes = ALL_WHOLE) -> Iterator[tuple[str, np.ndarray, int]]:
    """The pages of a DICOM file, one at a time, as RGB images (H, W, 3) uint8; before each what its name ends in,
    `-p1` and so on, or nothing for a single picture; behind it, by what its sides were divided.

    Raises InputError naming the file if it is damaged, too large, shows neither picture nor PDF, or pydicom is not
    installed.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise InputError(f"{path}: {MISSING}") from error
    content = _content_of(path)
    if "EncapsulatedDocument" in content:
        yield from (
            (*page, 1) for page in bounded_pdf_pages(path, content.EncapsulatedDocument, sizes.most_pages)
        )
    elif "PixelData" in content:
        yield from _pictures(content, path, sizes)
    else:
        what = content.SOPClassUID.name if "SOPClassUID" in content else "DICOM file of an unknown kind"
        raise InputError(f"{path}: holds no picture and no PDF, but is a {what}")


def _content_of(path: Path):
    """What the file says, up to its picture: tags rise up to there, and whatever follows is not read."""
    from pydicom.filereader import read_file_meta_info, read_partial

    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: has more than {MOST_BYTES / MIB:g} MiB; save its picture as PNG")
    if read_file_meta_info(path).get("TransferSyntaxUID") == PACKED_WHOLE:
        raise InputError(f"{path}: is packed as a whole (deflated); save it in another transfer syntax")
    last = -1

    def is_over(tag: int, _, __) -> bool:
        nonlocal last
        last, before = tag, last
        return not before < tag <= PICTURE_TAG

    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")  # odd values beside the picture do no harm
        return read_partial(file, stop_when=is_over)


def _pictures(content, path: Path, sizes: PageSizes) -> Iterator[tuple[str, np.ndarray, int]]:
    from pydicom.pixels import iter_pixels

    number_of_frames = int(content.get("NumberOfFrames") or 1)
    check_number_of_pages(path, number_of_frames, sizes.most_pages)
    try:
        size = int(content.Columns), int(content.Rows)
        check_weight(path, size, max(int(content.BitsAllocated) / 8, 1), sizes)
        halvings = halvings_of(size, sizes.whole_pixels)
        for number, frame in enumerate(iter_pixels(content), start=1):
            image = halved_values(_rgb(frame, content), halvings)
            yield f"-p{number}" if number_of_frames > 1 else "", image, 2**halvings
    except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path}: its picture cannot be unpacked ({' '.join(str(error).split())})"
        ) from error


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
