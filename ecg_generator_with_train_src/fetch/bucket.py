"""A folder of a Google Cloud Storage bucket, fetched object by object and checked against its checksums."""

import base64
import functools
import glob
import gzip
import re
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.inner_paths import own_file
from ecg_generator_with_train_src.fetch.archives import MOST_RATIO, safe_name, unpack_or_report
from ecg_generator_with_train_src.fetch.folders import ARCHIVE_SUFFIXES
from ecg_generator_with_train_src.fetch.google_access import (
    google_errors,
    make_storage_client,
    transient_errors,
)
from ecg_generator_with_train_src.fetch.state import State, has_size, place_file
from ecg_generator_with_train_src.fetch.transfers import (
    CHUNK_BYTES,
    TIMEOUT_S,
    Backoff,
    Counts,
    check_space,
    disk_error,
    over_threads,
)

UNPACK_FACTOR = 4  # a compressed tar of CSVs grows about so much; the true size is known once it is here


@dataclass(frozen=True)
class BucketOptions:
    """Where the records are and how they are fetched."""

    source: str  # gs://bucket/folder
    anonymous: bool = False
    keep_archives: bool = False
    retry_seconds: int = 120
    num_workers: int = 1
    most_ratio: float = MOST_RATIO  # of what is in an archive to the archive


@dataclass(frozen=True)
class Remote:
    """One object of the bucket and where it goes."""

    blob: Any
    path: Path
    size: int
    crc32c: str  # Google writes it in base64
    packed: bool = False  # stored gzipped, as by `gsutil cp -z`; the blob forgets this at the first download

    @property
    def partial(self) -> Path:
        """The file of the bytes fetched so far; the checksum in its name keeps versions of an object apart."""
        return self.path.with_name(f".{self.path.name}.{base64.b64decode(self.crc32c).hex()}.part")

    @property
    def is_archive(self) -> bool:
        """Whether its name is that of an archive that can be unpacked."""
        return self.path.name.endswith(ARCHIVE_SUFFIXES)


def fetch_bucket(options: BucketOptions, state: State, report: SkipReport) -> Counts:
    """Fetch and verify every object of the source, then unpack the archives that lie directly in it.

    Raises InputError where nothing can be fetched: no access, no network, no such bucket or folder, a full disk.
    """
    client = make_storage_client(options.anonymous)
    with google_errors(options.source, options.retry_seconds):
        remotes = list_objects(client, options.source, state.root, options.retry_seconds)
    archives = [remote for remote in remotes if remote.is_archive and remote.path.parent == state.root]
    done = {remote.path for remote in archives if state.is_unpacked(remote.path.name, remote.crc32c)}
    counts = Counts("fetched", already=len(done))
    try:
        fetch_objects(
            [remote for remote in remotes if remote.path not in done], options, state, report, counts
        )
    finally:
        state.save()
    for remote in archives:
        if remote.path.is_file() and remote.path not in done:
            unpack_or_report(remote.path, remote.crc32c, state, report, options.most_ratio)
        if state.is_unpacked(remote.path.name, remote.crc32c):
            _release(remote.path, options.keep_archives, state)
    state.save()
    return counts


def _release(archive: Path, keep: bool, state: State) -> None:
    """Remove an unpacked archive that a run of ours fetched; with `keep` it belongs to the user from now on."""
    name = state.name(archive)
    if name in state.fetched and not keep and state.is_as_made(archive):
        archive.unlink()
    state.fetched.discard(name)


def list_objects(client: Any, source: str, root: Path, retry_seconds: int) -> list[Remote]:
    """List every object under a gs:// address; InputError if there is none or one has an unsafe name."""
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
    """Return an object's name relative to the folder `prefix`.

    None for folder markers, which Google's console makes, and for names that only begin alike, such as `prefix_old/x`.
    """
    if name.endswith("/"):
        return None
    if name == prefix:
        return PurePosixPath(prefix).name
    if prefix and not name.startswith(prefix + "/"):
        return None
    return name[len(prefix) :].lstrip("/")


def fetch_objects(
    remotes: list[Remote], options: BucketOptions, state: State, report: SkipReport, counts: Counts
) -> None:
    """Bring all objects to their places, several at a time.

    An error of one object is reported; CannotGoOnError, which would stop the others too, is raised.
    """
    missing = [remote for remote in remotes if not state.is_verified(remote.path, remote.crc32c)]
    counts.already += len(remotes) - len(missing)
    check_space(state.root, sum(map(space_needed, missing)), "the download")
    total_bytes = sum(remote.size for remote in missing)
    with tqdm(total=total_bytes, desc="fetch", unit="B", unit_scale=True, disable=None) as bar:
        fetch = functools.partial(fetch_object, state=state, bar=bar, retry_seconds=options.retry_seconds)
        for remote, outcome in over_threads(fetch, missing, options.num_workers):
            if isinstance(outcome, InputError):
                report.add(remote.blob.name, str(outcome), outcome.trace)
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
    """Return the bytes that an object will still take on the disk, the contents of an archive included."""
    have = sum(path.stat().st_size for path in (remote.path, remote.partial) if path.is_file())
    growth = 0 if not remote.is_archive else 1 if remote.path.suffix in (".zip", ".tar") else UNPACK_FACTOR
    return max(remote.size - have, 0) + growth * remote.size


def fetch_object(remote: Remote, state: State, bar: tqdm, retry_seconds: int) -> int | None:
    """Bring one object to its place and return the bytes fetched, or None if it was there.

    Raises InputError if its bytes do not match the bucket's crc32c even at the second try.
    """
    if has_size(remote.path, remote.size) and crc32c_of(remote.path) == remote.crc32c:
        bar.update(remote.size)
        return None
    remote.path.parent.mkdir(parents=True, exist_ok=True)
    for other in remote.path.parent.glob(f".{glob.escape(remote.path.name)}.*.part"):
        if other != remote.partial:  # it is part of a version that the bucket no longer has
            other.unlink()
    fetched_bytes = 0
    for _ in range(2):
        with google_errors(remote.blob.name, retry_seconds):
            fetched_bytes += _fetch_rest(remote, bar, retry_seconds)
        if crc32c_of(remote.partial) == remote.crc32c:
            _settle_object(remote, state)
            return fetched_bytes
        bar.update(-remote.size)
        remote.partial.unlink()
    raise InputError(
        f"{remote.path.name}: corrupted: two downloads did not match the bucket's crc32c checksum; "
        "ask the bucket's owner to upload it again"
    )


def _settle_object(remote: Remote, state: State) -> None:
    """Put a complete object in its place; one that is stored gzipped is decompressed."""
    if not remote.packed:
        place_file(remote.partial, remote.path, state)
        return
    plain = remote.partial.with_suffix(".plain.part")
    try:
        with gzip.open(remote.partial) as packed, plain.open("wb") as target:
            shutil.copyfileobj(packed, target, CHUNK_BYTES)
        place_file(plain, remote.path, state)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{remote.blob.name}: marked as gzipped in the bucket, but it is not gzip; "
            "ask the bucket's owner to upload it again"
        ) from error
    finally:
        plain.unlink(missing_ok=True)
        remote.partial.unlink()


def _fetch_rest(remote: Remote, bar: tqdm, retry_seconds: int) -> int:
    """Append to the partial file until it has the object's size; return the bytes fetched."""
    remote.partial.touch()
    start = have = remote.partial.stat().st_size
    bar.update(have)
    backoff = Backoff(retry_seconds)
    while have < remote.size:
        error = _request_once(remote, have, bar)
        now = remote.partial.stat().st_size
        if error is not None and now == have:
            backoff.wait_or_raise(error)
        elif now > have:
            backoff.restart()
        have = now
    return have - start


def _request_once(remote: Remote, have: int, bar: tqdm) -> Exception | None:
    """Make one request for the bytes from `have` on; return the error if the connection broke."""
    try:
        with own_file(remote.partial).open("ab") as file:
            remote.blob.download_to_file(
                _CountedFile(file, bar),
                start=have or None,
                raw_download=True,  # the checksum is that of the bytes as they are stored
                checksum=None,  # a range has no checksum; the complete file is checked later
                if_generation_match=remote.blob.generation,
                retry=None,
                timeout=TIMEOUT_S,
            )
    except transient_errors() as error:
        return error
    except OSError as error:
        raise disk_error(error, remote.path.parent) from error
    return EOFError("the answer ended early") if remote.partial.stat().st_size == have else None


class _CountedFile:
    """A file whose writes move the progress bar."""

    def __init__(self, file: Any, bar: tqdm):
        self._file, self._bar = file, bar

    def write(self, data: bytes) -> int:
        with self._bar.get_lock():
            self._bar.update(len(data))
        return self._file.write(data)


def crc32c_of(path: Path) -> str:
    """Return the CRC32C checksum of a whole file in base64, as Google writes it."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode()
