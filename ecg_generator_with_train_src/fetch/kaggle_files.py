"""Files of a Kaggle competition, fetched to their places: resumed, checked, and tried again where that may help."""

import base64
import contextlib
import functools
import hashlib
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import atomic_path
from ecg_generator_with_train_src.common.inner_paths import own_file
from ecg_generator_with_train_src.fetch.kaggle_client import Competition, asked_pause_s
from ecg_generator_with_train_src.fetch.kaggle_token import SETTINGS_PAGE
from ecg_generator_with_train_src.fetch.transfers import (
    CHUNK_BYTES,
    TIMEOUT_S,
    Backoff,
    CannotGoOnError,
    Counts,
    disk_error,
    over_threads,
)

MAX_PAUSES = 20  # a file that has met so many rate limits is given up


@dataclass(frozen=True)
class Wanted:
    """One file: its name at Kaggle and its place here."""

    remote: str
    path: Path


class CorruptedError(InputError):
    """The bytes of a file are not those that the server announced."""


class RateLimitError(CannotGoOnError):
    """The server asked for a pause, and the threads know of it."""


def fetch_files(
    competition: Competition, wanted: list[Wanted], num_workers: int, report: SkipReport
) -> Counts:
    """Fetch the files that are not there yet, several at a time.

    A file that Kaggle lacks is reported; CannotGoOnError, which would stop the others too, is raised.
    """
    missing = [file for file in wanted if not file.path.is_file()]
    counts = Counts(already=len(wanted) - len(missing))
    if missing:
        competition.connect()
    with tqdm(total=0, desc="download", unit="B", unit_scale=True, disable=None) as bar:
        fetch = functools.partial(fetch_file, competition=competition, bar=bar)
        for file, outcome in over_threads(fetch, missing, num_workers):
            if isinstance(outcome, InputError):
                report.add(file.remote, str(outcome), outcome.trace)
            else:
                counts.files += 1
                counts.bytes += outcome
    return counts


class _ByteMeter:
    """The bytes of one file: all that came, repeated ones included, and the furthest position reached."""

    def __init__(self, bar: tqdm):
        self._bar = bar
        self.bytes = self.furthest = 0
        self._announced = False

    def announce(self, missing_bytes: int) -> None:
        """Add a file's missing bytes to the bar's total, the first time only."""
        if not self._announced and self._bar.total is not None:
            with self._bar.get_lock():
                self._bar.total += missing_bytes
        self._announced = True

    def add(self, size: int, position: int) -> None:
        """Count `size` bytes that came and end at `position` in the file."""
        self.bytes += size
        self.furthest = max(self.furthest, position)
        with self._bar.get_lock():
            self._bar.update(size)


def fetch_file(file: Wanted, competition: Competition, bar: tqdm) -> int:
    """Bring one complete file to its place and return the bytes fetched.

    Raises InputError if Kaggle has no such file or corrupts it twice, CannotGoOnError for what stops the others too.
    """
    competition.connect()
    file.path.parent.mkdir(parents=True, exist_ok=True)
    meter, backoff, furthest = _ByteMeter(bar), Backoff(competition.retry_seconds), 0
    allowed = {CorruptedError: 1, RateLimitError: MAX_PAUSES}
    while (trouble := _attempt(file, competition, meter)) is not None:
        if type(trouble) in allowed:
            allowed[type(trouble)] -= 1
            if allowed[type(trouble)] < 0:
                raise trouble
            continue
        if meter.furthest > furthest:
            furthest = meter.furthest
            backoff.restart()
        backoff.wait_or_raise(trouble)
    return meter.bytes


def _attempt(file: Wanted, competition: Competition, meter: _ByteMeter) -> InputError | None:
    """Try once to fetch what is missing: None if the file is there, else an error that may pass; raise all others."""
    import requests
    import urllib3

    competition.pause.keep()
    try:
        _receive(file, competition, meter)
    except CorruptedError as error:
        return error
    except requests.HTTPError as error:
        return _judge_status(error, file, competition)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        return _no_answer(competition, type(error).__name__)
    except OSError as error:
        raise disk_error(error, file.path.parent) from error
    return None


def _judge_status(error: Any, file: Wanted, competition: Competition) -> CannotGoOnError:
    """Return the error that an HTTP status means if it may pass; raise it if another try cannot help."""
    status = error.response.status_code
    if status < 400:  # the client found the status in the answer's body
        status = error.response.json().get("code")
    if status == 429:
        competition.pause.ask(asked_pause_s(error.response))
        return RateLimitError("Kaggle's rate limit does not end; run again later to go on")
    if status == 408 or status >= 500:
        return _no_answer(competition, f"status {status}")
    if status == 404 and "/" in file.remote:
        raise InputError(f"Kaggle has no {file.remote}")
    name = competition.name
    refusals = {
        401: f"Kaggle refuses the token of {competition.token.origin}; make a new one at {SETTINGS_PAGE}",
        403: "Kaggle forbids the download: accept the rules at "
        f"https://www.kaggle.com/competitions/{name}/rules as the owner of the token, then run again",
        404: f"Kaggle has no competition {name} with a {file.remote}; check --competition",
    }
    raise CannotGoOnError(refusals.get(status, f"Kaggle answers status {status} to {file.remote}"))


def _no_answer(competition: Competition, what: str) -> CannotGoOnError:
    return CannotGoOnError(
        f"no answer from Kaggle for {competition.retry_seconds} s ({what}); "
        "check the network, then run again to go on"
    )


def _receive(file: Wanted, competition: Competition, meter: _ByteMeter) -> None:
    """Fetch what is missing of one file and put it in place; raises what requests raises if the connection breaks."""
    response = competition.open(file.remote)
    with contextlib.closing(response):
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise CannotGoOnError(
                f"a web page came instead of {file.remote}; check whether the network asks for a login"
            )
        size, validator = announced_version(response)
        partial = partial_path(file.path, size, validator)
        partial.touch()
        have = partial.stat().st_size if validator else 0
        meter.announce((size or 0) - have)
        if have != size:
            response, have = _ask_rest(response, have, validator)
            _write_rest(response, partial, have, meter)
        if size is not None and partial.stat().st_size != size:
            raise ConnectionError("the answer ended early")
        check_md5(partial, response.headers.get("x-goog-hash", ""), file.remote)
    settle_file(partial, file)


def announced_version(response: Any) -> tuple[int | None, str | None]:
    """Return size in bytes and validator (ETag or date) of the file behind an answer; None for what it lacks."""
    headers = response.headers
    if headers.get("Content-Encoding"):  # the size would be that of the encoded bytes
        return None, None
    size = headers.get("Content-Length", "")
    return int(size) if size.isdigit() else None, headers.get("ETag") or headers.get("Last-Modified")


def partial_path(path: Path, size: int | None, validator: str | None) -> Path:
    """Return where the bytes fetched so far are kept, and remove those of the file's other versions.

    The name depends on size and validator, which keeps two versions of a file apart.
    """
    version = hashlib.sha1(f"{size} {validator}".encode()).hexdigest()[:12]
    partial = path.with_name(f".{path.name}.{version}.part")
    for other in path.parent.glob(f".{path.name}.*.part"):
        if other != partial:
            other.unlink(missing_ok=True)
    return partial


def _ask_rest(response: Any, have: int, validator: str | None) -> tuple[Any, int]:
    """Ask for the bytes from `have` on; return the answer to read from and the position at which it begins.

    Where the server does not give ranges, this is the answer that was there, from the file's beginning.
    """
    import requests

    if not have:
        return response, 0
    request = response.request.copy()
    request.headers.update({"Range": f"bytes={have}-", "If-Range": validator})
    session = requests.Session()
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    rest = session.send(request, timeout=TIMEOUT_S, **settings)
    if rest.status_code == 206 and rest.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        response.close()
        return rest, have
    rest.close()
    return response, 0


def _write_rest(response: Any, partial: Path, have: int, meter: _ByteMeter) -> None:
    with contextlib.closing(response), own_file(partial).open("ab" if have else "wb") as target:
        for chunk in response.iter_content(CHUNK_BYTES):
            target.write(chunk)
            have += len(chunk)
            meter.add(len(chunk), have)


def check_md5(partial: Path, hashes: str, name: str) -> None:
    """Compare with the md5 that Google's storage sends; remove the file and raise CorruptedError if it differs."""
    match = re.search(r"md5=([A-Za-z0-9+/]+=*)", hashes)
    if not match:
        return
    with partial.open("rb") as file:
        digest = hashlib.md5(usedforsecurity=False)
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if base64.b64encode(digest.digest()).decode() != match[1]:
        partial.unlink()
        raise CorruptedError(
            f"{name}: corrupted: two downloads did not match the server's md5 checksum; try again later"
        )


def settle_file(partial: Path, file: Wanted) -> None:
    """Put a complete file in its place; Kaggle sends some in a zip of one member, out of which they are taken.

    Raises CorruptedError if the zip is broken or does not hold the file.
    """
    with partial.open("rb") as opened:
        wrapped = opened.read(4) == b"PK\x03\x04"
    if not wrapped:
        partial.replace(file.path)
        return
    try:
        with (
            zipfile.ZipFile(partial) as archive,
            archive.open(Path(file.remote).name) as member,
            atomic_path(file.path) as unpacked,
            unpacked.open("wb") as target,
        ):
            shutil.copyfileobj(member, target, CHUNK_BYTES)
    except (zipfile.BadZipFile, KeyError, RuntimeError) as error:
        raise CorruptedError(
            f"{file.remote}: Kaggle sent a zip archive from which it cannot be taken"
        ) from error
    finally:
        partial.unlink()
