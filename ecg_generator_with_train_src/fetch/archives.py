"""Archives of records: the whole archive is judged before any of it is unpacked, and nothing lands outside."""

import contextlib
import functools
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, outcome_of
from ecg_generator_with_train_src.common.bounds import regular_file
from ecg_generator_with_train_src.common.errors import FULL_DISK, InputError
from ecg_generator_with_train_src.fetch.folders import data_folder, files_below, place_of
from ecg_generator_with_train_src.fetch.state import State, Unpacked, place_file
from ecg_generator_with_train_src.fetch.tar_stream import tar_stream
from ecg_generator_with_train_src.fetch.transfers import CHUNK_BYTES, CannotGoOnError, check_space

STAGE_NAME = ".unpacking"  # an archive is unpacked here first; its files are then renamed to their places

MOST_RATIO = 200.0  # of an archive's files to the archive: those of records are up to 20 times as large
ZERO_TAIL_BYTES = 2**16  # no compressed archive ends in so many zeros
SMALL_BYTES = 2**16  # smaller archives count as large as this

Member = tuple[PurePosixPath, int, Callable]  # name, size in bytes, and what opens it for reading


def unpack_or_report(
    archive: Path, key: str, state: State, report: SkipReport, most_ratio: float = MOST_RATIO
) -> bool:
    """Unpack one archive and note it in the state under `key`, which tells its versions apart.

    A bad archive is reported, leaves no file, and gives False. Raises CannotGoOnError if the disk is full.
    """
    files = outcome_of(functools.partial(unpack, state=state, most_ratio=most_ratio), archive)
    if isinstance(files, CannotGoOnError):
        raise files
    if isinstance(files, InputError):
        report.add(archive.name, str(files), files.trace)
        return False
    state.unpacked[archive.name] = Unpacked(key=key, files=files)
    state.save()
    return True


def unpack(archive: Path, state: State, most_ratio: float = MOST_RATIO) -> list[str]:
    """Unpack into the output folder and return the files' names.

    The whole archive is read and judged before a byte is written. It is then unpacked into a hidden folder, and its
    files are renamed to their places. Raises InputError if the archive is corrupt, if its files are more than
    `most_ratio` times as large as it is, or if one of its members is neither a plain file nor a folder or would land
    outside the output folder.
    """
    stage = state.root / STAGE_NAME
    shutil.rmtree(stage, ignore_errors=True)  # a killed run may have left it
    with archive_errors(archive):
        total_bytes = sum(size for _, size, _ in archive_members(archive, most_ratio))
    check_space(state.root, total_bytes, f"unpacking {archive.name}")
    title = f"unpack {archive.name}"
    try:
        stage.mkdir()
        with (
            archive_errors(archive),
            tqdm(total=total_bytes, desc=title, unit="B", unit_scale=True, disable=None) as bar,
        ):
            for name, _, open_member in archive_members(archive, most_ratio):
                with _about_member(archive, name):
                    _write_member(stage / name, open_member, bar)
        return _move_to_places(stage, state)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _write_member(path: Path, open_member: Callable, bar: tqdm) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_member() as source, path.open("wb") as target:
        while chunk := source.read(CHUNK_BYTES):
            target.write(chunk)
            bar.update(len(chunk))


@contextlib.contextmanager
def _about_member(archive: Path, name: PurePosixPath) -> Iterator[None]:
    """Let what the system refuses, such as a name that is too long, name the archive's member."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, f"{archive}: {name}") from error


def _move_to_places(stage: Path, state: State) -> list[str]:
    folder = data_folder(stage)
    target = state.root / place_of(folder)
    files = []
    for path in list(files_below(folder)):
        final = target / path.relative_to(folder)
        place_file(path, final, state)
        state.set_made(final)
        files.append(state.name(final))
    return files


@contextlib.contextmanager
def archive_errors(archive: Path) -> Iterator[None]:
    """Turn the many errors that a broken archive can cause into one line."""
    broken = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)
    try:
        yield
    except broken as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise InputError(f"{archive}: corrupt archive ({reason}); get it again from its owner") from error
    except RuntimeError as error:  # zipfile raises this when a password is needed
        raise InputError(f"{archive}: cannot be unpacked ({error})") from error
    except OSError as error:
        if error.filename is not None or error.errno in FULL_DISK:  # the disk is at fault, not the archive
            raise
        raise InputError(f"{archive}: corrupt archive ({error}); get it again from its owner") from error


def archive_members(archive: Path, most_ratio: float = MOST_RATIO) -> Iterator[Member]:
    """Yield name, size in bytes and an opener of each visible file.

    Raises InputError at the first unsafe member, or where the files become too large for an archive of this size.
    """
    _refuse_zero_tail(archive)
    most_bytes = most_ratio * max(regular_file(archive).stat().st_size, SMALL_BYTES)
    too_much = (
        f"{archive}: its files are more than {most_ratio:g} times as large as it is; nothing was unpacked; "
        "if it is to be trusted, raise --max-archive-ratio"
    )
    is_zip = archive.name.endswith(".zip")
    left_bytes = most_bytes
    for name, size, opener in (
        _zip_members(archive) if is_zip else _tar_members(archive, most_bytes, too_much)
    ):
        left_bytes -= size
        if left_bytes < 0:
            raise InputError(too_much)
        if not any(part.startswith((".", "__MACOSX")) for part in name.parts):
            yield name, size, opener


def _refuse_zero_tail(archive: Path) -> None:
    """Refuse a compressed archive that ends in zeros, which Python would read byte by byte."""
    with regular_file(archive).open("rb") as file:
        file.seek(max(archive.stat().st_size - ZERO_TAIL_BYTES, 0))
        tail = file.read(ZERO_TAIL_BYTES)
    if not archive.name.endswith(".tar") and len(tail) == ZERO_TAIL_BYTES and not any(tail):
        raise InputError(f"{archive}: ends in zeros, as a broken download does; get it again from its owner")


def _tar_members(archive: Path, most_bytes: float, too_much: str) -> Iterator[Member]:
    with (
        tar_stream(archive, most_bytes, too_much) as stream,
        tarfile.open(fileobj=stream, mode="r:") as tar,
    ):
        for member in tar:
            name = safe_name(member.name, archive)
            if not (member.isfile() or member.isdir()):
                raise _link_or_device(archive, member.name)
            if hasattr(tarfile, "data_filter"):  # Python's own check, which exists from 3.10.12 and 3.11.4 on
                tarfile.data_filter(member, str(archive.parent))
            if member.isfile():
                yield name, member.size, functools.partial(tar.extractfile, member)
        while stream.read(CHUNK_BYTES):  # gzip checks its checksum only when it is read to the very end
            pass


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            slashed = info.filename.replace("\\", "/")  # some programs on Windows part folders by backslashes
            name = safe_name(slashed, archive)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _link_or_device(archive, info.filename)
            if not slashed.endswith("/"):
                yield name, info.file_size, functools.partial(opened.open, info)


def _link_or_device(archive: Path, name: str) -> InputError:
    return InputError(f"{archive}: refused: {name!r} is a link or device; nothing was unpacked")


def safe_name(name: str, where: Path | str) -> PurePosixPath:
    """Return the name as a relative path.

    Raises InputError, which names `where`, for an absolute path, a path with `..`, or a Windows path.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name:
        raise InputError(f"{where}: refused: {name!r} would land outside the folder; nothing was unpacked")
    return path
