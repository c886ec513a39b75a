"""python scripts/download_subset.py        # 10 random records -> downloaded_subset/

Download a few records of a Kaggle competition: all pages of each record and its CSV.

    downloaded_subset/<id>/<id>-<type>.png      real pages: scans, photos, renderings
    downloaded_subset/<id>/<id>.csv             the signals
    downloaded_subset/train.csv                 the rows of the records that are there
    downloaded_subset/<id>.png, test.csv        with --split test

scripts/build_dataset.py --input-root and experiment/predict.py take the folder as it is. The same seed gives the
same records; a larger --num-samples extends them, another seed adds others. What is complete is not fetched again.

Needs a Kaggle token (~/.kaggle/kaggle.json, or KAGGLE_USERNAME and KAGGLE_KEY; with Python 3.11 or newer also
KAGGLE_API_TOKEN, ~/.kaggle/access_token or `kaggle auth login`) whose owner has accepted the competition's rules.
"""

import argparse
import base64
import contextlib
import csv
import functools
import hashlib
import io
import json
import os
import random
import re
import shutil
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.command_line import (
    add_num_workers,
    add_seed,
    make_parser,
    positive_int,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import atomic_path, write_text
from ecg_generator_with_train_src.fetch.transfers import (
    CHUNK_BYTES,
    MAX_CONNECTIONS,
    TIMEOUT_S,
    Backoff,
    CannotGoOnError,
    Counts,
    add_retry_seconds,
    disk_error,
    output_folder,
    over_threads,
)

COMPETITION = "physionet-ecg-image-digitization"
TYPES = ("0001", "0003", "0004", "0005", "0006", "0009", "0010", "0011", "0012")
REPORT_NAME = "download_subset.skipped.txt"
TABLES = ".tables"  # whole train.csv and test.csv, from which the ids are drawn
SETTINGS_PAGE = "https://www.kaggle.com/settings/api"
DEFAULT_PAUSE_S = 60.0  # where a rate limit does not say how long
MAX_PAUSES = 20  # for one file


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--num-samples", type=positive_int, default=10, help="number of records")
    parser.add_argument(
        "--output-dir", type=Path, default=Path("downloaded_subset"), help="folder that is filled"
    )
    parser.add_argument(
        "--types",
        nargs="+",
        choices=TYPES,
        default=list(TYPES),
        metavar="TYPE",
        help="page types (train only)",
    )
    parser.add_argument(
        "--with-csv", action="store_true", default=True, help="fetch the signals too (train only)"
    )
    parser.add_argument(
        "--no-csv", action="store_false", dest="with_csv", default=argparse.SUPPRESS, help="pages only"
    )
    parser.add_argument("--split", choices=("train", "test"), default="train", help="which of the two sets")
    parser.add_argument("--competition", default=COMPETITION, help="last part of the competition's address")
    add_retry_seconds(parser)
    add_seed(parser)
    add_num_workers(parser)
    args = parser.parse_args(argv)
    if not re.fullmatch(r"[A-Za-z0-9-]+", args.competition):
        parser.error(f"--competition {args.competition}: expected a name such as {COMPETITION}")
    return args


def main(argv: list[str] | None = None) -> int:
    """Draw the records, fetch what is missing of them; returns 0, or 1 if a file was skipped.

    Raises InputError where nothing can be made: bad usage, no token, no access, no network, disk full.
    """
    args = parse_args(argv)
    started_s = time.monotonic()
    with output_folder(args.output_dir):
        report = SkipReport(args.output_dir / REPORT_NAME)
        before = rows_before(args.output_dir / f"{args.split}.csv")
        source = Source(args.competition, args.retry_seconds)
        table = read_table(source, args.output_dir, args.split)
        ids = draw(table, args.num_samples, args.seed)
        wanted = [file for name in ids for file in files_of(name, args)]
        try:
            counts = fetch_all(source, wanted, args.num_workers, report)
        finally:
            write_cut_table(table, before, args.output_dir, args.split)
        return counts.close(f"{args.output_dir}: {len(ids)} records", started_s, report)


# ---- which records


@dataclass(frozen=True)
class Wanted:
    """One file: its name at Kaggle and its place here."""

    remote: str
    path: Path


@dataclass(frozen=True)
class Table:
    """train.csv or test.csv as it is at Kaggle."""

    header: list[str]
    rows: list[list[str]]

    def ids(self) -> list[str]:
        column = self.header.index("id")
        return sorted({row[column] for row in self.rows})


def read_table(source: "Source", output_dir: Path, split: str) -> Table:
    """The whole table of a split, fetched once; InputError if it is not what it should be."""
    path = output_dir / TABLES / source.competition / f"{split}.csv"
    if not path.is_file():
        with tqdm(desc=f"{split}.csv", unit="B", unit_scale=True, disable=None) as bar:
            fetch_one(Wanted(f"{split}.csv", path), source, bar)
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"))) if row]
        table = Table(header, rows)
        sound = all(len(row) == len(header) for row in rows) and all(map(is_id, table.ids()))
    except (ValueError, csv.Error) as error:  # no header, no column id, no text
        raise InputError(
            f"{path}: not a table of records with a column id; remove it and run again"
        ) from error
    if not (rows and sound):
        raise InputError(f"{path}: not a table of records; remove it and run again")
    return table


def is_id(text: str) -> bool:
    """Whether a text may stand in a path."""
    return re.fullmatch(r"[A-Za-z0-9_-]+", text) is not None


def draw(table: Table, num_samples: int, seed: int) -> list[str]:
    """The first of all ids in a shuffled order: a larger number keeps what a smaller one drew."""
    ids = table.ids()
    if num_samples > len(ids):
        raise InputError(f"--num-samples {num_samples}: there are {len(ids)} records only")
    random.Random(seed).shuffle(ids)
    return ids[:num_samples]


def files_of(record_id: str, args: argparse.Namespace) -> list[Wanted]:
    if args.split == "test":
        return [Wanted(f"test/{record_id}.png", args.output_dir / f"{record_id}.png")]
    names = [f"{record_id}-{page_type}.png" for page_type in dict.fromkeys(args.types)]
    if args.with_csv:
        names.append(f"{record_id}.csv")
    return [Wanted(f"train/{record_id}/{name}", args.output_dir / record_id / name) for name in names]


def rows_before(path: Path) -> list[dict[str, str]]:
    """The rows of a table that is there already; InputError if it is none."""
    if not path.is_file():
        return []
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")), restval="")
        rows = [{column: cell for column, cell in row.items() if column} for row in reader]
    except (ValueError, csv.Error):
        rows = [{}]
    if not all("id" in row for row in rows):
        raise InputError(f"{path}: not a table of records with a column id; move it away and run again")
    return rows


def write_cut_table(table: Table, before: list[dict[str, str]], output_dir: Path, split: str) -> None:
    """Write the rows of the records that are in the folder; records that its table had before stay in it."""
    known, at_kaggle = {row["id"] for row in before}, set(table.ids())
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    rows = [row for row in rows if row["id"] in known or is_here(row["id"], output_dir, split)]
    rows += [row for row in before if row["id"] not in at_kaggle]
    if not rows:
        return
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(output_dir / f"{split}.csv", text.getvalue())


def is_here(record_id: str, output_dir: Path, split: str) -> bool:
    if split == "test":
        return (output_dir / f"{record_id}.png").is_file()
    return any(not path.name.startswith(".") for path in (output_dir / record_id).glob(f"{record_id}*"))


# ---- the token


@dataclass(frozen=True)
class Token:
    """What the client authenticates with, and where it was found. Never shown: its text form is its origin."""

    origin: str
    username: str | None = None
    secret: str | None = None  # None: the login of `kaggle auth login`, kept by the client

    def __repr__(self) -> str:
        return f"Token({self.origin})"


def find_token() -> Token:
    """Look where the client looks, in its order; InputError with the remedy if there is none or it is no token."""
    import kagglesdk

    newer = hasattr(kagglesdk, "get_access_token_from_env")  # kaggle 1.8 and newer
    access_files = [
        folder / name for folder in [Path.home() / ".kaggle"] for name in ("access_token", "access_token.txt")
    ]
    if newer:
        token = find_access_token(kagglesdk.get_access_token_from_env, access_files)
        if token is not None:
            return token
    elif os.environ.get("KAGGLE_API_TOKEN"):
        raise InputError(
            "KAGGLE_API_TOKEN: access tokens need Python 3.11 or newer; unset it and use ~/.kaggle/kaggle.json"
        )
    token = find_api_key()
    if token is not None:
        return token
    login = Path.home() / ".kaggle" / "credentials.json"
    if newer and login.is_file():
        warn_if_readable(login)
        return Token(str(login))
    if any(path.is_file() for path in access_files):
        raise InputError(
            f"{access_files[0]}: access tokens need Python 3.11 or newer; use ~/.kaggle/kaggle.json"
        )
    raise InputError(
        f"no Kaggle token: make one at {SETTINGS_PAGE} and save it as ~/.kaggle/kaggle.json, or set KAGGLE_USERNAME "
        "and KAGGLE_KEY, or KAGGLE_API_TOKEN (Python 3.11 or newer)"
    )


def find_access_token(look: Callable, files: list[Path]) -> Token | None:
    try:
        secret, name = look()
    except (OSError, ValueError) as error:  # a file that cannot be read; a text that can be no path
        raise InputError(f"the Kaggle access token cannot be read ({type(error).__name__})") from error
    if secret is None:
        return None
    origin = "KAGGLE_API_TOKEN"
    if name == "access_token":
        origin = str(next(path for path in files if path.is_file()))
        warn_if_readable(Path(origin))
    return Token(origin, None, checked(secret, origin))


def find_api_key() -> Token | None:
    """Username and key; the environment wins over kaggle.json, each for itself."""
    path = config_folder() / "kaggle.json"
    username, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if username and key:
        return Token(
            "KAGGLE_USERNAME and KAGGLE_KEY", checked(username, "KAGGLE_USERNAME"), checked(key, "KAGGLE_KEY")
        )
    if not path.is_file():
        if username or key:
            raise InputError(
                f"KAGGLE_{'KEY' if username else 'USERNAME'} is not set; set both it and its fellow"
            )
        return None
    warn_if_readable(path)
    try:
        content = json.loads(path.read_text())
        username, key = username or content["username"], key or content["key"]
    except (ValueError, KeyError, TypeError, OSError):
        raise InputError(malformed(str(path))) from None  # the cause might quote the file
    return Token(str(path), checked(username, str(path)), checked(key, str(path)))


def config_folder() -> Path:
    """Where the client looks for kaggle.json."""
    if os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(os.environ["KAGGLE_CONFIG_DIR"])
    folder = Path.home() / ".kaggle"
    if not folder.is_dir() and sys.platform.startswith("linux"):
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"
    return folder


def checked(text: Any, origin: str) -> str:
    """The text without its margins; InputError if it could not stand in an HTTP header (which would quote it)."""
    text = text.strip() if isinstance(text, str) else ""
    if not re.fullmatch(r"[!-~]+", text):
        raise InputError(malformed(origin))
    return text


def malformed(origin: str) -> str:
    form = '{"username": …, "key": …}'
    return f"{origin}: not a Kaggle token ({form} in kaggle.json); make a new one at {SETTINGS_PAGE}"


def warn_if_readable(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        print(f"warning: {path} can be read by others; run `chmod 600 {path}`", file=sys.stderr)


# ---- the server


class Source:
    """The competition at Kaggle. The client is made when the first file is asked for."""

    def __init__(self, competition: str, retry_seconds: int):
        self.competition, self.retry_seconds = competition, retry_seconds
        self.pause = Pause()

    @functools.cached_property
    def token(self) -> Token:
        return find_token()

    @functools.cached_property
    def _client(self) -> Any:
        return make_client(self.token)

    def connect(self) -> None:
        """Make the client now, in this thread; InputError without package or token."""
        try:
            self._client  # noqa: B018
        except ImportError as error:
            raise InputError(f"{error.name} is missing: run `pip install -r requirements.txt`") from error

    def open(self, remote: str) -> Any:
        """A streamed answer with a file from its beginning; raises what requests raises."""
        from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFileRequest

        request = ApiDownloadDataFileRequest()
        request.competition_name = self.competition
        # kaggle 1.7 puts the name into the address, where the server expects its slashes quoted
        request.file_name = remote.replace("/", "%2F") if is_old_client() else remote
        return self._client.competitions.competition_api_client.download_data_file(request)


def is_old_client() -> bool:
    import kagglesdk

    return not hasattr(kagglesdk, "get_access_token_from_env")


def make_client(token: Token) -> Any:
    """The client's own transport: `import kaggle` itself would authenticate at once and may exit the process."""
    from kagglesdk import KaggleClient

    try:
        if token.secret is None:
            client = KaggleClient(api_token=token_of_login(token))
        elif token.username is None:
            client = KaggleClient(api_token=token.secret)
        else:
            client = KaggleClient(username=token.username, password=token.secret)
        client.__enter__()
    except InputError:
        raise
    except Exception as error:  # so general is what it raises for an unknown KAGGLE_API_ENVIRONMENT
        raise InputError(
            f"the Kaggle client does not start ({type(error).__name__}); unset KAGGLE_API_ENVIRONMENT"
        ) from None
    set_timeouts(client)
    return client


def token_of_login(token: Token) -> str:
    """The access token of `kaggle auth login`, renewed if it has expired."""
    import requests
    from kagglesdk import KaggleClient, KaggleCredentials

    with KaggleClient() as client:
        credentials = KaggleCredentials.load(client)
        try:
            secret = credentials and credentials.get_access_token()
        except requests.RequestException as error:
            raise InputError(
                f"{token.origin}: cannot be renewed ({type(error).__name__}); run `kaggle auth login`"
            ) from None
    return checked(secret, token.origin)


def set_timeouts(client: Any) -> None:
    """The client itself would wait for ever on a connection that has gone silent."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = kwargs.get("timeout") or TIMEOUT_S
            return super().send(*args, **kwargs)

    session = client.http_client()._session
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(pool_maxsize=MAX_CONNECTIONS))


class Pause:
    """A rest that the server asked for; all threads keep it."""

    def __init__(self) -> None:
        self._until_s = 0.0
        self._lock = threading.Lock()

    def ask(self, seconds: float) -> None:
        with self._lock:
            until_s = time.monotonic() + seconds
            if until_s > self._until_s + 1:  # once, not once a thread
                tqdm.write(f"Kaggle asks for a pause of {seconds:.0f} s (rate limit)", file=sys.stderr)
            self._until_s = max(self._until_s, until_s)

    def keep(self) -> None:
        while (left_s := self._until_s - time.monotonic()) > 0:
            time.sleep(left_s)


def asked_pause_s(response: Any) -> float:
    """Seconds that a 429 asks for in Retry-After, a number or a date; a minute where it does not say."""
    text = response.headers.get("Retry-After", "")
    if text.strip().isdigit():
        return max(float(text), 1.0)
    with contextlib.suppress(ValueError, TypeError):
        return max((parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds(), 1.0)
    return DEFAULT_PAUSE_S


# ---- the files


def fetch_all(source: Source, wanted: list[Wanted], num_workers: int, report: SkipReport) -> Counts:
    """Fetch what is not there, several files at a time; what Kaggle lacks is reported, what stops all is raised."""
    missing = [file for file in wanted if not file.path.is_file()]
    counts = Counts(already=len(wanted) - len(missing))
    if missing:
        source.connect()
    with tqdm(total=0, desc="download", unit="B", unit_scale=True, disable=None) as bar:
        fetch = functools.partial(fetch_one, source=source, bar=bar)
        for file, outcome in over_threads(fetch, missing, num_workers):
            if isinstance(outcome, InputError):
                report.add(file.remote, str(outcome))
            else:
                counts.files += 1
                counts.bytes += outcome
    return counts


class Meter:
    """The bytes of one file: all that came, and how far it ever got."""

    def __init__(self, bar: tqdm):
        self._bar = bar
        self.bytes = self.furthest = 0
        self._announced = False

    def announce(self, missing_bytes: int) -> None:
        if not self._announced and self._bar.total is not None:
            with self._bar.get_lock():
                self._bar.total += missing_bytes
        self._announced = True

    def add(self, size: int, position: int) -> None:
        self.bytes += size
        self.furthest = max(self.furthest, position)
        with self._bar.get_lock():
            self._bar.update(size)


class CorruptedError(InputError):
    """The bytes of a file are not those that the server announced."""


class RateLimitError(CannotGoOnError):
    """A pause was agreed."""


def fetch_one(file: Wanted, source: Source, bar: tqdm) -> int:
    """Bring one file to its place, whole; return the bytes fetched.

    Raises InputError if Kaggle has no such file or corrupts it twice, CannotGoOnError for what stops the others too.
    """
    source.connect()
    file.path.parent.mkdir(parents=True, exist_ok=True)
    meter, backoff, furthest = Meter(bar), Backoff(source.retry_seconds), 0
    allowed = {CorruptedError: 1, RateLimitError: MAX_PAUSES}
    while (trouble := attempt(file, source, meter)) is not None:
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


def attempt(file: Wanted, source: Source, meter: Meter) -> InputError | None:
    """Try once to fetch what is missing; return what may pass, None once the file is there, and raise the rest."""
    import requests
    import urllib3

    source.pause.keep()
    try:
        receive(file, source, meter)
    except CorruptedError as error:
        return error
    except requests.HTTPError as error:
        return judge(error, file, source)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        return no_answer(source, type(error).__name__)
    except OSError as error:
        raise disk_error(error, file.path.parent) from error
    return None


def judge(error: Any, file: Wanted, source: Source) -> CannotGoOnError:
    """What an HTTP status means: raised if hopeless, returned if it may pass."""
    status = error.response.status_code
    if status < 400:  # the client found the status in the body
        status = error.response.json().get("code")
    if status == 429:
        source.pause.ask(asked_pause_s(error.response))
        return RateLimitError("Kaggle's rate limit does not end; run again later to go on")
    if status == 408 or status >= 500:
        return no_answer(source, f"status {status}")
    if status == 404 and "/" in file.remote:
        raise InputError(f"Kaggle has no {file.remote}")
    competition = source.competition
    refusals = {
        401: f"Kaggle refuses the token of {source.token.origin}; make a new one at {SETTINGS_PAGE}",
        403: "Kaggle forbids the download: accept the rules at "
        f"https://www.kaggle.com/competitions/{competition}/rules as the owner of the token, then run again",
        404: f"Kaggle has no competition {competition} with a {file.remote}; check --competition",
    }
    raise CannotGoOnError(refusals.get(status, f"Kaggle answers status {status} to {file.remote}"))


def no_answer(source: Source, what: str) -> CannotGoOnError:
    return CannotGoOnError(
        f"no answer from Kaggle for {source.retry_seconds} s ({what}); check the network, then run again to go on"
    )


def receive(file: Wanted, source: Source, meter: Meter) -> None:
    """Fetch what is missing of one file and put it in place; raises what requests raises if the connection breaks."""
    response = source.open(file.remote)
    with contextlib.closing(response):
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise CannotGoOnError(
                f"a web page came instead of {file.remote}; check the network (a login page?)"
            )
        size, validator = announced(response)
        partial = partial_path(file.path, size, validator)
        partial.touch()
        have = partial.stat().st_size if validator else 0
        meter.announce((size or 0) - have)
        if have != size:
            response, have = ask_rest(response, have, validator)
            write_rest(response, partial, have, meter)
        if size is not None and partial.stat().st_size != size:
            raise ConnectionError("the answer ended early")
        check_hash(partial, response.headers.get("x-goog-hash", ""), file.remote)
    settle(partial, file)


def announced(response: Any) -> tuple[int | None, str | None]:
    """Size in bytes and a validator of the file behind an answer, as far as the server tells."""
    headers = response.headers
    if headers.get("Content-Encoding"):  # the size is that of the encoded bytes
        return None, None
    size = headers.get("Content-Length", "")
    return int(size) if size.isdigit() else None, headers.get("ETag") or headers.get("Last-Modified")


def partial_path(path: Path, size: int | None, validator: str | None) -> Path:
    """Bytes so far. The name keeps two versions of a file apart; those of other versions are removed."""
    version = hashlib.sha1(f"{size} {validator}".encode()).hexdigest()[:12]
    partial = path.with_name(f".{path.name}.{version}.part")
    for other in path.parent.glob(f".{path.name}.*.part"):
        if other != partial:
            other.unlink(missing_ok=True)
    return partial


def ask_rest(response: Any, have: int, validator: str | None) -> tuple[Any, int]:
    """The answer to read from and where it begins: the rest by range, or the whole where the server gives no range."""
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


def write_rest(response: Any, partial: Path, have: int, meter: Meter) -> None:
    with contextlib.closing(response), partial.open("ab" if have else "wb") as target:
        for chunk in response.iter_content(CHUNK_BYTES):
            target.write(chunk)
            have += len(chunk)
            meter.add(len(chunk), have)


def check_hash(partial: Path, hashes: str, name: str) -> None:
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
            f"{name}: corrupted: twice its bytes did not match the server's md5; try again later"
        )


def settle(partial: Path, file: Wanted) -> None:
    """Put a whole file in place; some come from Kaggle in a zip of one member, and are taken out."""
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
        raise CorruptedError(f"{file.remote}: Kaggle sent a zip without it") from error
    finally:
        partial.unlink()


if __name__ == "__main__":
    run(main)
