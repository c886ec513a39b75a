"""The signals of a page as files: the competition's CSV, WFDB as PhysioNet has it, EDF+, and NumPy's .npz.

All hold mV at the page's rate, and all but the CSV say what was read, how, and what was hidden. Where the page shows
nothing, a CSV is empty, WFDB has its mark for a missing sample, .npz has NaN; EDF has no such mark, so there the lowest
value stands, with an annotation.
"""

import importlib.util
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from scipy.ndimage import find_objects, label

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import sha256_of, write_bytes
from ecg_generator_with_train_src.common.names import shown
from ecg_generator_with_train_src.page.records import LEADS
from experiment.reading.output_files import signals_csv

STEP_MV, COARSE_STEP_MV = 0.001, 0.01  # of whole numbers of 16 bits; the latter where a value is beyond 32 mV
DIGITS = 8  # of the digest in the name of a WFDB record whose page has signs that WFDB does not allow
_PROGRAM, _VERDICT = ("program", "weights_sha256"), ("image", "status", "reasons")
_SCALES = ("layout", "paper_speed_mm_s", "gain_mm_mv", "chest_gain_mm_mv", "told_by", "assumed", "fs_from")
_TOLD = (*_PROGRAM, *_VERDICT, *_SCALES)


@dataclass(frozen=True)
class ReadSignals:
    """What is written of a page: signals in mV, all as long as one another, NaN where it shows nothing, by lead."""

    name: str
    fs_hz: float
    signals_mv: dict[str, np.ndarray]
    about: dict  # what the page's JSON says

    def headers(self) -> list[str]:
        """What was read and how, in lines without breaks."""
        lines = [f"{key}: {_in_words(self.about[key])}" for key in _TOLD if self.about.get(key)]
        for lead in self.about.get("leads", []):
            gaps = ", ".join(f"{start:g}-{stop:g} s" for start, stop in lead["filled_in_s"])
            lines += [f"lead {lead['lead']}, hidden: {gaps}"] if gaps else []
        return [shown(" ".join(line.split())) for line in lines]

    @property
    def step_mv(self) -> float:
        """The step of whole numbers of 16 bits that hold the signals."""
        highest = max(
            np.nanmax(np.abs(s), initial=0.0, where=np.isfinite(s)) for s in self.signals_mv.values()
        )
        return STEP_MV if highest < 32767 * STEP_MV else COARSE_STEP_MV

    def gaps_s(self) -> Iterator[tuple[str, float, float]]:
        """Lead, start and end of every stretch without values."""
        for lead, signal_mv in self.signals_mv.items():
            for (stretch,) in find_objects(label(np.isnan(signal_mv))[0]):
                yield lead, stretch.start / self.fs_hz, stretch.stop / self.fs_hz


def _in_words(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(part)}" for key, part in value.items())
    return "; ".join(value) if isinstance(value, list) else str(value)


def check_formats(formats: Sequence[str]) -> None:
    """Raise InputError naming the package that a format needs if it is not installed."""
    for form in formats:
        package = _PACKAGES.get(form)
        if package and importlib.util.find_spec(package) is None:
            raise InputError(f"--format {form} needs the package {package}: pip install {package}")


def signal_paths(folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """The files that hold the signals of a page called `name`, such as `ecg` or `ward 3/ecg`.

    >>> [path.name for path in signal_paths(Path("out"), "ecg", ("csv", "wfdb"))]
    ['ecg.csv', 'ecg.dat', 'ecg.hea']
    >>> signal_paths(Path("out"), "ward 3/ecg 1", ("wfdb",))[1].as_posix()
    'out/ward 3/ecg_1-0dc56d1e.hea'
    """
    return [
        folder / f"{wfdb_name(name) if form == 'wfdb' else name}{ending}"
        for form in formats
        for ending in ENDINGS[form]
    ]


def wfdb_name(name: str) -> str:
    """The name of a page's WFDB record, which may have letters, digits, - and _ alone."""
    page = PurePosixPath(name)
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", page.name)
    if plain != page.name:
        plain = f"{plain}-{sha256_of(os.fsencode(page.name))[:DIGITS]}"
    return page.with_name(plain).as_posix()


def write_signals(folder: Path, formats: Sequence[str], signals: ReadSignals) -> None:
    """Write the signals of a page in some formats; each file is written whole or not at all."""
    for form in formats:
        paths = signal_paths(folder, signals.name, (form,))
        for path, data in zip(paths, _ENCODERS[form](signals), strict=True):
            write_bytes(path, data)


def _csv(signals: ReadSignals) -> tuple[bytes]:
    leads = dict(signals.signals_mv)
    signal_mv = np.stack([leads.pop(lead) for lead in LEADS], axis=1)
    return (signals_csv(signal_mv, leads).encode(),)


def _npz(signals: ReadSignals) -> tuple[bytes]:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        signal_mv=np.stack(list(signals.signals_mv.values()), axis=1).astype(np.float32),
        leads=np.array(list(signals.signals_mv)),
        fs_hz=np.float64(signals.fs_hz),
        about=np.array(json.dumps(signals.about)),
    )
    return (buffer.getvalue(),)


def _wfdb(signals: ReadSignals) -> tuple[bytes, bytes]:
    """The samples and the header."""
    import wfdb  # here, because it takes a second and few runs need it

    name, number = PurePosixPath(wfdb_name(signals.name)).name, len(signals.signals_mv)
    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrsamp(
            name,
            fs=signals.fs_hz,
            units=["mV"] * number,
            sig_name=list(signals.signals_mv),
            p_signal=np.stack(list(signals.signals_mv.values()), axis=1),
            fmt=["16"] * number,
            adc_gain=[1 / signals.step_mv] * number,
            baseline=[0] * number,
            comments=signals.headers(),
            write_dir=folder,
        )
        return tuple((Path(folder) / f"{name}{ending}").read_bytes() for ending in ENDINGS["wfdb"])


def _edf(signals: ReadSignals) -> tuple[bytes]:
    import edfio

    step_mv = signals.step_mv
    lowest, highest = -32768 * step_mv, 32767 * step_mv
    samples = max(map(len, signals.signals_mv.values()))
    whole = float(signals.fs_hz).is_integer()
    about = signals.about
    transducer = f"paper, {about['paper_speed_mm_s']:g} mm/s, {about['gain_mm_mv']:g} mm/mV"
    leads = [
        edfio.EdfSignal(
            np.where(np.isfinite(signal_mv), signal_mv, lowest),
            signals.fs_hz if whole else samples / 10,  # a block of data holds a whole number of samples
            label=f"ECG {lead}",
            transducer_type=transducer,
            physical_dimension="mV",
            physical_range=(lowest, highest),
        )
        for lead, signal_mv in signals.signals_mv.items()
    ]
    texts = [edfio.EdfAnnotation(0, None, line) for line in signals.headers()]
    gaps = [
        edfio.EdfAnnotation(start_s, end_s - start_s, f"no signal: {lead}")
        for lead, start_s, end_s in signals.gaps_s()
    ]
    edf = edfio.Edf(
        leads,
        recording=edfio.Recording(equipment_code=re.sub(r"\s", "_", about["program"])),
        data_record_duration=1 if whole else 10,
        annotations=[*texts, *gaps],
    )
    buffer = io.BytesIO()
    edf.write(buffer)
    return (buffer.getvalue(),)


ENDINGS = {"csv": (".csv",), "wfdb": (".dat", ".hea"), "edf": (".edf",), "npz": (".npz",)}
_PACKAGES = {"wfdb": "wfdb", "edf": "edfio"}
_ENCODERS: dict[str, Callable[[ReadSignals], tuple[bytes, ...]]] = {
    "csv": _csv,
    "wfdb": _wfdb,
    "edf": _edf,
    "npz": _npz,
}
FORMATS = tuple(ENDINGS)
