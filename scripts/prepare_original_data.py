"""bash scripts/prepare_original_data.sh    (the same as: python scripts/prepare_original_data.py)

Fetch the original records and lay them out so that the next two steps run as they stand:

    ori_csv/train-csvs/<id>.csv     for scripts/batch_render_waveforms.py
    ori_csv/train/<id>/<id>.csv     for scripts/build_dataset.py; real pages beside, if the source has them
    ori_csv/train.csv               sampling rates, if the source has them

The source is a Google Cloud Storage bucket, or a folder or archive on this machine (a copy of the bucket,
the competition's zip, a folder of CSVs). A broken download goes on where it stopped; what is there already is
kept, and where the source has another file of the same name, yours becomes <name>.old. The second layout is
made of hard links to the first: they take no space and no time, and no step of this project writes into a
record, so that sharing is safe; where there can be no links, copies are made.
"""

import argparse
import base64
import contextlib
import errno
import filecmp
import functools
import glob
import gzip
import itertools
import json
import lzma
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport, run_batch
from ecg_generator_with_train_src.common.command_line import (
    add_num_workers,
    make_parser,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import atomic_path, write_json
from ecg_generator_with_train_src.fetch.transfers import (
    CHUNK_BYTES,
    TIMEOUT_S,
    Backoff,
    CannotGoOnError,
    Counts,
    add_retry_seconds,
    disk_error,
    in_units,
    output_folder,
    over_threads,
)

DEFAULT_SOURCE = "gs://tpu-research-01-ecg-data/kaggle_ecg/ori_csv/"
FLAT, NESTED = "train-csvs", "train"  # the folders that the next steps read
STATE_NAME = ".prepared.json"
REPORT_NAME = "prepare_original_data.skipped.txt"
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
LOCAL_SUFFIXES = (".csv", ".png", ".jpg", ".jpeg")  # what is taken from a local folder
STAGE_NAME = ".unpacking"
UNPACK_FACTOR = 4  # a compressed tar of CSVs grows about so much; the true size is known once it is here
SHOWN_ERRORS = 5
LOGIN = "run `gcloud auth application-default login`"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--source",
        default=DEFAULT_SOURCE,
        help="gs://bucket/folder, or a folder, .tar.gz or .zip on this machine",
    )
    parser.add_argument("--output-root", type=Path, default=Path("ori_csv"), help="folder that is filled")
    parser.add_argument(
        "--anonymous", action="store_true", help="use no Google credentials (the bucket must be public)"
    )
    parser.add_argument("--keep-archives", action="store_true", help="keep downloaded archives once unpacked")
    add_retry_seconds(parser)
    add_num_workers(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Fetch, unpack, lay out, check; returns 0, or 1 if anything was skipped.

    Raises InputError where nothing can be made: bad usage, no access, no network, disk full, no records.
    """
    args = parse_args(argv)
    started_s = time.monotonic()
    with output_folder(args.output_root):
        report = SkipReport(args.output_root / REPORT_NAME)
        state = State(args.output_root)
        get = get_from_bucket if args.source.startswith("gs://") else get_from_machine
        counts = get(args, state, report)
        lay_out(args.output_root, state, report)
        records = check_records(args.output_root, args.num_workers, report)
        return counts.close(
            f"{args.output_root}: {records} records in {FLAT}/ and {NESTED}/", started_s, report
        )


class State:
    """What earlier runs left in a folder; saved whole after each step.

    A lost or foreign state file costs only time: everything is then checked or unpacked again.
    """

    def __init__(self, root: Path):
        self.path = root / STATE_NAME
        known = self._read()
        self.made: dict[str, list[int]] = known.get("made", {})  # file: bytes, mtime in ns
        self.verified: dict[str, str] = known.get("verified", {})  # file: checksum
        self.unpacked: dict[str, dict] = known.get("unpacked", {})  # archive: its key and files
        self.linked: set[str] = set(known.get("linked", []))  # files that follow another one
        self.fetched: set[str] = set(known.get("fetched", []))  # archives to remove once they are unpacked

    def _read(self) -> dict:
        try:
            known = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and known.get("version") == 2 else {}

    def save(self) -> None:
        write_json(
            self.path,
            {
                "version": 2,
                "made": self.made,
                "verified": self.verified,
                "unpacked": self.unpacked,
                "linked": sorted(self.linked),
                "fetched": sorted(self.fetched),
            },
        )

    def is_as_made(self, path: Path) -> bool:
        """Whether a file is as an earlier run left it: nobody has worked on it since."""
        return path.is_file() and self.made.get(self.name(path)) == _size_and_time(path)

    def set_made(self, path: Path) -> None:
        name = self.name(path)
        self.made[name] = _size_and_time(path)
        self.verified.pop(name, None)
        self.linked.discard(name)

    def is_verified(self, path: Path, checksum: str) -> bool:
        return self.verified.get(self.name(path)) == checksum and self.is_as_made(path)

    def set_verified(self, path: Path, checksum: str) -> None:
        self.set_made(path)
        self.verified[self.name(path)] = checksum

    def is_unpacked(self, archive: str, key: str) -> bool:
        """Whether the archive of this name and key was unpacked and all its files are still there."""
        entry = self.unpacked.get(archive, {})
        root = self.path.parent
        return entry.get("key") == key and all(
            _has_size(root / name, self.made[name][0]) for name in entry["files"]
        )

    def is_linked(self, path: Path) -> bool:
        return self.name(path) in self.linked

    def set_linked(self, path: Path) -> None:
        self.set_made(path)
        self.linked.add(self.name(path))

    def name(self, path: Path) -> str:
        return path.relative_to(self.path.parent).as_posix()


def _size_and_time(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def put(new: Path, target: Path, state: State) -> None:
    """Rename a finished file to its place; another file that the user has there is kept beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and not state.is_as_made(target) and not filecmp.cmp(new, target, shallow=False):
        set_aside(target)
    try:
        new.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(target) as copy:  # the folder is a link to another disk
            shutil.copyfile(new, copy)


def set_aside(path: Path) -> None:
    names = (path.with_name(f"{path.name}.old{number or ''}") for number in itertools.count())
    old = next(name for name in names if not name.exists())
    path.rename(old)
    tqdm.write(f"{path}: differs from the source's; yours is now {old.name}", file=sys.stderr)


def check_space(root: Path, needed_bytes: int, what: str) -> None:
    """Raise CannotGoOnError unless the disk of `root` holds `needed_bytes` more."""
    free_bytes = shutil.disk_usage(root).free
    if needed_bytes > free_bytes:
        raise CannotGoOnError(
            f"{root}: {what} needs {in_units(needed_bytes)}, the disk has {in_units(free_bytes)} free; "
            "free some space or give another --output-root"
        )


# ---- from a bucket


@dataclass(frozen=True)
class Remote:
    """One object of the bucket and where it goes."""

    blob: Any
    path: Path
    size: int
    crc32c: str  # base64, as Google writes it
    packed: bool = False  # stored compressed, as by `gsutil cp -z`; the blob forgets it at the first download

    @property
    def partial(self) -> Path:
        """Bytes so far. The checksum in the name keeps two versions of an object apart."""
        return self.path.with_name(f".{self.path.name}.{base64.b64decode(self.crc32c).hex()}.part")

    @property
    def is_archive(self) -> bool:
        return self.path.name.endswith(ARCHIVE_SUFFIXES)


def get_from_bucket(args: argparse.Namespace, state: State, report: SkipReport) -> Counts:
    """Fetch every object under --source, verified, then unpack the archives among them."""
    client = make_client(args.anonymous)
    with google_errors(args.source, args.retry_seconds):
        remotes = list_objects(client, args.source, args.output_root, args.retry_seconds)
    archives = [remote for remote in remotes if remote.is_archive and remote.path.parent == args.output_root]
    done = {remote.path for remote in archives if state.is_unpacked(remote.path.name, remote.crc32c)}
    counts = Counts("fetched", already=len(done))
    try:
        fetch_all([remote for remote in remotes if remote.path not in done], args, state, report, counts)
    finally:
        state.save()
    for remote in archives:
        if remote.path.is_file() and remote.path not in done:
            unpack_or_report(remote.path, remote.crc32c, args.output_root, state, report)
        if state.is_unpacked(remote.path.name, remote.crc32c):
            release(remote.path, args.keep_archives, state)
    return counts


def release(archive: Path, keep: bool, state: State) -> None:
    """Remove an unpacked archive, unless it is to be kept or was there before: then it is the user's from now on."""
    name = state.name(archive)
    if name in state.fetched and not keep and state.is_as_made(archive):
        archive.unlink()
    state.fetched.discard(name)


def list_objects(client: Any, source: str, root: Path, retry_seconds: int) -> list[Remote]:
    """Every object under a gs:// address; InputError if there is none or one has an unsafe name."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    bucket, _, prefix = source.removeprefix("gs://").removesuffix("*").rstrip("/").partition("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]+[a-z0-9]", bucket):
        raise InputError(f"{source}: no bucket has such a name; expected gs://bucket/folder")
    blobs = client.list_blobs(
        bucket, prefix=prefix, retry=DEFAULT_RETRY.with_timeout(retry_seconds), timeout=TIMEOUT_S
    )
    remotes = []
    for blob in blobs:
        name = name_below(prefix, blob.name)
        if name:
            path, packed = root / safe_name(name, source), blob.content_encoding == "gzip"
            remotes.append(Remote(blob, path, blob.size, blob.crc32c, packed))
    if not remotes:
        raise InputError(f"{source}: no such object or folder in the bucket; check --source")
    return remotes


def name_below(prefix: str, name: str) -> str | None:
    """An object's name below a folder; None for the console's folder markers and for folders named alike."""
    if name.endswith("/"):
        return None
    if name == prefix:
        return PurePosixPath(prefix).name
    if prefix and not name.startswith(prefix + "/"):
        return None
    return name[len(prefix) :].lstrip("/")


def make_client(anonymous: bool) -> Any:
    """A storage client; application default credentials, else those of `gcloud auth login`.

    Raises InputError without credentials or without google-cloud-storage.
    """
    warnings.filterwarnings("ignore", module=r"google\.")  # of quota projects and old Pythons
    try:
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import storage
    except ImportError as error:
        raise InputError(f"{error.name} is missing: run `pip install -r requirements.txt`") from error
    if anonymous:
        return storage.Client(project=None, credentials=AnonymousCredentials())
    try:
        return storage.Client(project=None)
    except DefaultCredentialsError:
        return storage.Client(project=None, credentials=gcloud_credentials())


def gcloud_credentials() -> Any:
    """Credentials of `gcloud auth login`, renewed by gcloud itself; InputError if it has none."""
    from google.oauth2.credentials import Credentials

    def new_token(_request: Any, scopes: Any) -> tuple[str, datetime]:
        return gcloud_token(), datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(minutes=30)

    gcloud_token()
    return Credentials(token=None, refresh_handler=new_token)


def gcloud_token() -> str:
    command = ["gcloud", "auth", "print-access-token"]
    try:
        token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        token = ""
    if not token:
        raise CannotGoOnError(f"no Google credentials: {LOGIN}; for a public bucket give --anonymous")
    return token


@contextlib.contextmanager
def google_errors(what: str, retry_seconds: int) -> Iterator[None]:
    """Turn what the Google client raises into one line with the remedy."""
    from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, Unauthorized
    from google.auth.exceptions import InvalidOperation, RefreshError

    try:
        yield
    except NotFound as error:
        raise InputError(f"{what}: no such bucket or object; check --source") from error
    except (Unauthorized, InvalidOperation) as error:  # the latter: refused without credentials
        raise CannotGoOnError(f"{what}: not open to the public, or the login has ended; {LOGIN}") from error
    except Forbidden as error:
        raise InputError(
            f"{what}: no permission; ask the bucket's owner for the role Storage Object Viewer, or {LOGIN} "
            "with an account that has it"
        ) from error
    except RefreshError as error:
        raise CannotGoOnError(f"{what}: the Google login has expired; {LOGIN}") from error
    except transient_errors() as error:
        cause = type(getattr(error, "cause", None) or error).__name__  # a RetryError has one
        raise CannotGoOnError(
            f"{what}: no answer from Google Cloud Storage for {retry_seconds} s ({cause}); "
            "check the network, then run again to go on"
        ) from error
    except GoogleAPICallError as error:
        raise InputError(
            f"{what}: Google Cloud Storage answers {error.code} {type(error).__name__}"
        ) from error


@functools.cache
def transient_errors() -> tuple[type[Exception], ...]:
    """What may be gone at the next try."""
    import requests
    import urllib3
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    return (
        exceptions.ServerError,
        exceptions.TooManyRequests,
        exceptions.RetryError,
        TransportError,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    )


def fetch_all(
    remotes: list[Remote], args: argparse.Namespace, state: State, report: SkipReport, counts: Counts
) -> None:
    """Bring all objects, several at a time; what one object lacks is reported, what stops all is raised."""
    missing = [remote for remote in remotes if not state.is_verified(remote.path, remote.crc32c)]
    counts.already += len(remotes) - len(missing)
    check_space(args.output_root, sum(map(space_needed, missing)), "the download")
    total_bytes = sum(remote.size for remote in missing)
    with tqdm(total=total_bytes, desc="fetch", unit="B", unit_scale=True, disable=None) as bar:
        fetch = functools.partial(fetch_one, state=state, bar=bar, retry_seconds=args.retry_seconds)
        for remote, outcome in over_threads(fetch, missing, args.num_workers):
            if isinstance(outcome, InputError):
                report.add(remote.blob.name, str(outcome))
                continue
            state.set_verified(remote.path, remote.crc32c)
            if outcome is None:
                counts.already += 1
            else:
                counts.files += 1
                counts.bytes += outcome
                if remote.is_archive:
                    state.fetched.add(state.name(remote.path))
                    state.save()


def space_needed(remote: Remote) -> int:
    """Bytes that one object will still take, unpacked contents of an archive included."""
    have = sum(path.stat().st_size for path in (remote.path, remote.partial) if path.is_file())
    growth = 0 if not remote.is_archive else 1 if remote.path.suffix in (".zip", ".tar") else UNPACK_FACTOR
    return max(remote.size - have, 0) + growth * remote.size


def fetch_one(remote: Remote, state: State, bar: tqdm, retry_seconds: int) -> int | None:
    """Bring one object to its place and return the bytes fetched, None if it was there.

    Raises InputError if its bytes do not match the bucket's crc32c even at the second try.
    """
    if _has_size(remote.path, remote.size) and crc32c_of(remote.path) == remote.crc32c:
        bar.update(remote.size)
        return None
    remote.path.parent.mkdir(parents=True, exist_ok=True)
    for other in remote.path.parent.glob(f".{glob.escape(remote.path.name)}.*.part"):
        if other != remote.partial:  # of a version that the bucket no longer has
            other.unlink()
    fetched_bytes = 0
    for _ in range(2):
        with google_errors(remote.blob.name, retry_seconds):
            fetched_bytes += fetch_rest(remote, bar, retry_seconds)
        if crc32c_of(remote.partial) == remote.crc32c:
            settle_object(remote, state)
            return fetched_bytes
        bar.update(-remote.size)
        remote.partial.unlink()
    raise InputError(
        f"{remote.path.name}: corrupted: twice its bytes did not match the bucket's crc32c; upload it anew"
    )


def settle_object(remote: Remote, state: State) -> None:
    """Put a whole object in place; one that is stored compressed is decompressed."""
    if not remote.packed:
        put(remote.partial, remote.path, state)
        return
    plain = remote.partial.with_suffix(".plain.part")
    try:
        with gzip.open(remote.partial) as packed, plain.open("wb") as target:
            shutil.copyfileobj(packed, target, CHUNK_BYTES)
        put(plain, remote.path, state)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{remote.blob.name}: stored as gzip, but is none; upload it anew") from error
    finally:
        plain.unlink(missing_ok=True)
        remote.partial.unlink()


def fetch_rest(remote: Remote, bar: tqdm, retry_seconds: int) -> int:
    """Append to the partial file until it has the object's size; return the bytes fetched."""
    remote.partial.touch()
    start = have = remote.partial.stat().st_size
    bar.update(have)
    backoff = Backoff(retry_seconds)
    while have < remote.size:
        error = fetch_once(remote, have, bar)
        now = remote.partial.stat().st_size
        if error is not None and now == have:
            backoff.wait_or_raise(error)
        elif now > have:
            backoff.restart()
        have = now
    return have - start


def fetch_once(remote: Remote, have: int, bar: tqdm) -> Exception | None:
    """One request for the bytes from `have` on; returns the error if the connection broke."""
    try:
        with remote.partial.open("ab") as file:
            remote.blob.download_to_file(
                CountedFile(file, bar),
                start=have or None,
                raw_download=True,  # the bytes as stored: these have the checksum
                checksum=None,  # of a range there is none; the whole is checked
                if_generation_match=remote.blob.generation,
                retry=None,
                timeout=TIMEOUT_S,
            )
    except transient_errors() as error:
        return error
    except OSError as error:
        raise disk_error(error, remote.path.parent) from error
    return EOFError("the answer ended early") if remote.partial.stat().st_size == have else None


class CountedFile:
    """A file whose writes move the progress bar."""

    def __init__(self, file: Any, bar: tqdm):
        self._file, self._bar = file, bar

    def write(self, data: bytes) -> int:
        with self._bar.get_lock():
            self._bar.update(len(data))
        return self._file.write(data)


def crc32c_of(path: Path) -> str:
    """Checksum of a whole file, in base64 as Google writes it."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode()


# ---- from this machine


def get_from_machine(args: argparse.Namespace, state: State, report: SkipReport) -> Counts:
    """Take a local folder or archive: archives are unpacked from where they lie, files are linked."""
    source = Path(args.source).expanduser()
    if not args.source or not source.exists():
        raise InputError(
            f"--source {args.source}: no such folder or archive; give a gs:// address or a path of this machine"
        )
    if source.is_file() and not source.name.endswith(ARCHIVE_SUFFIXES):
        raise InputError(f"{source}: not an archive; expected one of {', '.join(ARCHIVE_SUFFIXES)}")
    counts = Counts("taken")
    folder = data_folder(source) if source.is_dir() else None
    archives = archives_in(folder) if folder else [source]
    for archive in archives:
        key = ":".join(map(str, _size_and_time(archive)))
        if state.is_unpacked(archive.name, key):
            counts.already += 1
        elif unpack_or_report(archive, key, args.output_root, state, report):
            counts.files += 1
            counts.bytes += archive.stat().st_size
    if folder and folder.resolve() != args.output_root.resolve():
        take_folder(folder, state, counts)
    return counts


def archives_in(folder: Path) -> list[Path]:
    return sorted(path for path in visible(folder) if path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES))


def take_folder(folder: Path, state: State, counts: Counts) -> None:
    """Link the records, pages and tables of a folder into place; copy them where links cannot be made."""
    root = state.path.parent
    inside = root.resolve()
    files = [
        path
        for path in files_below(folder)
        if path.suffix.lower() in LOCAL_SUFFIXES and inside not in path.resolve().parents
    ]
    target = root / place_of(folder)
    if folder.stat().st_dev != root.stat().st_dev:
        missing = [path for path in files if not is_there(path, target / path.relative_to(folder))]
        check_space(root, sum(path.stat().st_size for path in missing), "the copy")
    for path in tqdm(files, desc="take", unit="file", disable=None):
        final = target / path.relative_to(folder)
        if link_or_copy(path, final, state):
            state.set_made(final)
            counts.files += 1
            counts.bytes += path.stat().st_size
        else:
            counts.already += 1


def visible(folder: Path) -> list[Path]:
    """What a folder holds, but for hidden files and the traces of other systems."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))


def files_below(folder: Path) -> Iterator[Path]:
    for path in visible(folder):
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


def data_folder(folder: Path) -> Path:
    """Go down through folders that hold nothing but one folder, as archives often do."""
    inner = visible(folder)
    while len(inner) == 1 and inner[0].is_dir() and inner[0].name not in (FLAT, NESTED):
        if list(inner[0].glob(f"{inner[0].name}*.*")):  # <id>/<id>.csv: a record, no wrapping
            break
        folder, inner = inner[0], visible(inner[0])
    return folder


def place_of(folder: Path) -> str:
    """Where the contents of a data folder belong below the output root."""
    if (folder / FLAT).is_dir() or (folder / NESTED).is_dir() or archives_in(folder):
        return "."
    return NESTED if any(folder.glob("*/*.png")) else FLAT


def is_there(source: Path, target: Path) -> bool:
    """Whether `target` is the same file as `source`, or a copy of it that nobody changed."""
    return target.exists() and (target.samefile(source) or _size_and_time(target) == _size_and_time(source))


def link_or_copy(source: Path, target: Path, state: State) -> bool:
    """Make `target` the same file as `source`, or a copy of it; False if it is that already."""
    if is_there(source, target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), temporary)
    except OSError:  # another disk, a file system without links, another owner
        shutil.copy2(source, temporary)
    put(temporary, target, state)
    return True


# ---- archives


def unpack_or_report(archive: Path, key: str, root: Path, state: State, report: SkipReport) -> bool:
    """Unpack one archive and remember it; a bad one is reported and leaves nothing."""
    try:
        files = unpack(archive, root, state)
    except CannotGoOnError:
        raise
    except InputError as error:
        report.add(archive.name, str(error))
        return False
    state.unpacked[archive.name] = {"key": key, "files": files}
    state.save()
    return True


def unpack(archive: Path, root: Path, state: State) -> list[str]:
    """Unpack into the output root and return the files' names.

    The whole archive is read and judged before a byte is written, then unpacked into a hidden folder, and its
    files are renamed into place. Raises InputError for a corrupt archive or one with a member that is no
    plain file or would land outside.
    """
    stage = root / STAGE_NAME
    shutil.rmtree(stage, ignore_errors=True)  # a killed run left it
    with archive_errors(archive):
        sizes = [size for _, size, _ in contents(archive)]
    check_space(root, sum(sizes), f"unpacking {archive.name}")
    try:
        stage.mkdir()
        with (
            archive_errors(archive),
            tqdm(
                total=sum(sizes), desc=f"unpack {archive.name}", unit="B", unit_scale=True, disable=None
            ) as bar,
        ):
            for name, _, open_member in contents(archive):
                write_member(stage / name, open_member, bar)
        return settle(stage, root, state)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_member(path: Path, open_member: Callable, bar: tqdm) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_member() as source, path.open("wb") as target:
        while chunk := source.read(CHUNK_BYTES):
            target.write(chunk)
            bar.update(len(chunk))


def settle(stage: Path, root: Path, state: State) -> list[str]:
    """Rename the files of an unpacked archive to their places below the output root."""
    folder = data_folder(stage)
    target = root / place_of(folder)
    files = []
    for path in list(files_below(folder)):
        final = target / path.relative_to(folder)
        put(path, final, state)
        state.set_made(final)
        files.append(state.name(final))
    return files


@contextlib.contextmanager
def archive_errors(archive: Path) -> Iterator[None]:
    """Turn the many ways in which an archive is broken into one line."""
    broken = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)
    try:
        yield
    except broken as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise InputError(f"{archive}: corrupt archive ({reason}); get it again from its owner") from error
    except RuntimeError as error:  # zipfile's word for a password
        raise InputError(f"{archive}: cannot be unpacked ({error})") from error
    except OSError as error:
        if error.errno is not None:  # the disk, not the archive
            raise
        raise InputError(f"{archive}: corrupt archive ({error}); get it again from its owner") from error


def contents(archive: Path) -> Iterator[tuple[PurePosixPath, int, Callable]]:
    """Yield name, bytes and an opener of each file; InputError at the first member that is not safe."""
    read = zip_contents if archive.name.endswith(".zip") else tar_contents
    for name, size, opener in read(archive):
        if not any(part.startswith((".", "__MACOSX")) for part in name.parts):
            yield name, size, opener


def tar_contents(archive: Path) -> Iterator[tuple[PurePosixPath, int, Callable]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            name = safe_name(member.name, archive)
            if not (member.isfile() or member.isdir()):
                raise InputError(
                    f"{archive}: refused: {member.name!r} is a link or device; nothing was unpacked"
                )
            if hasattr(tarfile, "data_filter"):  # Python's own judgement, from 3.10.12 and 3.11.4 on
                tarfile.data_filter(member, str(archive.parent))
            if member.isfile():
                yield name, member.size, functools.partial(tar.extractfile, member)
        while tar.fileobj.read(CHUNK_BYTES):  # gzip's checksum stands at the very end
            pass


def zip_contents(archive: Path) -> Iterator[tuple[PurePosixPath, int, Callable]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name = safe_name(info.filename, archive)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(
                    f"{archive}: refused: {info.filename!r} is a link or device; nothing was unpacked"
                )
            if not info.is_dir():
                yield name, info.file_size, functools.partial(opened.open, info)


def safe_name(name: str, where: Path | str) -> PurePosixPath:
    """The name as a relative path; InputError for an absolute one, one with `..` or of Windows' kind."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name:
        raise InputError(f"{where}: refused: {name!r} would land outside the folder; nothing was unpacked")
    return path


# ---- the layout, and a look at every record


def lay_out(root: Path, state: State, report: SkipReport) -> None:
    """Leave both layouts and train.csv, each made from the other where the source has one only."""
    flat, nested = records_in(root / FLAT), records_in(root / NESTED)
    if not flat and not nested:
        report.write()
        why = f": {next(iter(report.reasons.values()))}" if report.reasons else "; check --source"
        raise InputError(f"{root}: the source gave no records{why}")
    for name in flat | nested:
        flat_path = flat.get(name, root / FLAT / f"{name}.csv")
        nested_path = nested.get(name, root / NESTED / name / f"{name}.csv")
        if flat_path.exists() and not state.is_linked(flat_path):
            follow(flat_path, nested_path, state)
        else:
            follow(nested_path, flat_path, state)
    for table in (root / FLAT / "train.csv", root / NESTED / "train.csv"):
        if table.is_file():
            follow(table, root / "train.csv", state)  # above both layouts, where each finds it
            break
    state.save()


def follow(original: Path, target: Path, state: State) -> None:
    """Make `target` the same as `original`, unless it is an original itself."""
    if not target.exists() or state.is_linked(target):
        link_or_copy(original, target, state)
        state.set_linked(target)


def records_in(folder: Path) -> dict[str, Path]:
    """Record id to CSV; empty where there is no such folder or no record in it."""
    from ecg_generator_with_train_src.page.records import find_records

    if folder.is_dir() and (any(folder.glob("*.csv")) or any(folder.glob("*/*.csv"))):
        return find_records(folder)
    return {}


def check_records(root: Path, num_workers: int, report: SkipReport) -> int:
    """Read every CSV once; report those that do not read, the first few aloud. Returns their number."""
    from ecg_generator_with_train_src.page.records import read_record_table

    fs_hz = read_record_table(root / FLAT).fs_hz
    records = records_in(root / FLAT)
    others = records_in(root / NESTED)
    items = [(path, fs_hz.get(name)) for name, path in records.items()]
    items += [(path, fs_hz.get(name)) for name, path in others.items() if not path.samefile(records[name])]
    errors = {}
    for (path, _), outcome in run_batch(check_record, items, num_workers=num_workers, description="check"):
        if isinstance(outcome, InputError):
            errors[path.stem] = str(outcome)
    for name in sorted(errors)[:SHOWN_ERRORS]:
        report.add(name, errors[name])
    report.reasons.update(errors)
    return len(records)


def check_record(item: tuple[Path, float | None]) -> None:
    """Raise InputError if a CSV does not read; its rate is rows / 10 s where train.csv does not say."""
    from ecg_generator_with_train_src.page.records import fs_from_row_count, read_record

    path, fs_hz = item
    read_record(path, fs_from_row_count(path) if fs_hz is None else fs_hz)


if __name__ == "__main__":
    run(main)
