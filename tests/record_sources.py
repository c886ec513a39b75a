"""Records as a source may hold them: folders and archives with known bytes, and what an output folder holds then."""

import functools
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.page.records import LEADS, find_records

IDS = ("101", "202", "303")


@functools.cache
def csv_bytes(seed: int, fs_hz: int = 50) -> bytes:
    """A record of 10 s of noise in all leads, of which the limb leads fit together."""
    signal_mv = np.random.default_rng(seed).normal(size=(fs_hz * 10, len(LEADS)))
    one, two = signal_mv[:, :2].T
    signal_mv[:, 2:6] = np.stack([two - one, -(one + two) / 2, one - two / 2, two - one / 2], axis=1)
    file = io.StringIO()
    np.savetxt(file, signal_mv, fmt="%.5f", delimiter=",", header=",".join(LEADS), comments="")
    return file.getvalue().encode()


def table_bytes(ids=IDS) -> bytes:
    """A train.csv."""
    return ("id,fs,sig_len\n" + "".join(f"{name},50,500\n" for name in ids)).encode()


def flat_files(ids=IDS, top: str = "train-csvs/") -> dict[str, bytes]:
    """The files of a flat folder of records."""
    return {f"{top}{name}.csv": csv_bytes(int(name)) for name in ids}


def competition_files(ids=IDS) -> dict[str, bytes]:
    """The files of the competition: tables, records with a page each, a test page."""
    files = {"train.csv": table_bytes(ids), "test.csv": b"id,lead,fs,number_of_rows\n", "test/9.png": b"png"}
    for name in ids:
        files[f"train/{name}/{name}.csv"] = csv_bytes(int(name))
        files[f"train/{name}/{name}-0001.png"] = b"a page of " + name.encode()
    return files


def tar_gz(files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    """A .tar.gz of these files, and of members that are no plain files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return file.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    """A .zip of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def spoiled(data: bytes) -> bytes:
    """The same with a hundred wrong bytes in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 255 for byte in data[middle : middle + 100]) + data[middle + 100 :]


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder and return the folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """What a folder holds, hidden files left out."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): path.read_bytes() for name, path in files.items() if not name.name.startswith(".")
    }


def no_leftovers(out: Path) -> bool:
    """Whether a folder has no hidden files but for the state."""
    return [path.name for path in out.rglob(".*")] in ([], [".prepared.json"])


def assert_both_layouts(out: Path, ids=IDS) -> None:
    """Check that both layouts hold these records and no others."""
    assert list(find_records(out / "train-csvs")) == sorted(ids)
    assert list(find_records(out / "train")) == sorted(ids)
    for name in ids:
        assert (out / "train" / name / f"{name}.csv").read_bytes() == csv_bytes(int(name))
