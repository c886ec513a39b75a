"""Small pages in formats that need more than a line: a phone's HEIC, a DICOM capture, a PDF that holds its curves."""

import base64
import io
from pathlib import Path

import matplotlib
import numpy as np
import pydicom
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

# 20 wide and 40 high as stored, red in the top right corner, else grey, to be turned clockwise once: phones write the
# turn twice, for HEIC and in the EXIF data. No encoder of HEIC is installed with this project.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAcdtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
    "AAAAADRpbG9jAAAAAERAAAIAAQAAAAAB6wABAAAAAAAAAH8AAgAAAAACagABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVp"
    "bmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABBmlwcnAAAADlaXBjbwAAAHVo"
    "dmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAA"
    "AwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAA"
    "AABAAAAAQAAAAChjbGFwAAAAFAAAAAEAAAAoAAAAAf///9QAAAAC////6AAAAAIAAAAQcGl4aQAAAAADCAgIAAAACWlyb3QD"
    "AAAAGWlwbWEAAAAAAAAAAQABBoECAwWEhgAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAAAq21kYXQAAAB7KAGvBPIe4HDQ"
    "7FucuLL5+fRGx/w1d6qTrx8gl+G/b1zXzr7CM9XOcL9bl8sdO8Jykqza/mpAsSsTT83jMF/+3lCQdzMMySSVsc7L/YIve+b6"
    "45o/+8e90nAk71V4HS2z2XVH/86AQ1PNdJwrzuhNhQCR9lIIP6If9LQ2AAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAG"
    "AAAAAAAA"
)


def write_dicom_capture(path: Path, image: np.ndarray) -> None:
    """A DICOM secondary capture of an RGB image (H, W, 3) uint8."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        SecondaryCaptureImageStorage,
        generate_uid(),
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    capture = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    capture.SOPClassUID = SecondaryCaptureImageStorage
    capture.set_pixel_data(image, "RGB", 8)
    capture.save_as(path, enforce_file_format=True)


def curves_pdf(signals_mv: np.ndarray, names: list[str], fs_hz: float) -> bytes:
    """A letter page, as a PDF that is not compressed, of signals (samples, leads) in rows at 25 mm/s and 10 mm/mV."""
    figure = Figure(figsize=(11, 8.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 279.4), ylim=(215.9, 0))
    axes.axis("off")
    for at_mm in np.arange(5, 206):
        axes.plot([at_mm, at_mm], [5, 205], "r", lw=0.2)
        axes.plot([5, 205], [at_mm, at_mm], "r", lw=0.2)
    for row, (name, signal_mv) in enumerate(zip(names, signals_mv.T, strict=True)):
        zero_mm = 30 + 30 * row
        axes.plot(20 + 25 * np.arange(len(signal_mv)) / fs_hz, zero_mm - 10 * signal_mv, "k", lw=0.5)
        axes.text(20, zero_mm - 10, name)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"pdf.compression": 0}):
        FigureCanvasPdf(figure).print_pdf(buffer)
    return buffer.getvalue()
