"""A local server that speaks the part of Kaggle's protocol that downloads need, and can misbehave.

kaggle 2.x asks `POST /api/v1/competitions.CompetitionApiService/DownloadDataFile` with JSON, kaggle 1.7
`GET /api/v1/competitions/data/download/<competition>/<file, slashes quoted>`; both are redirected to a signed address
of Google's storage, which gives ranges, an ETag and the md5 of the whole in `x-goog-hash`.

A test module gets the fixtures with `pytest_plugins = ["kaggle_stand_in"]`.
PYTEST_DONT_REWRITE: the test modules import this one before pytest does.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import random
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ecg_generator_with_train_src.fetch import transfers
from ecg_generator_with_train_src.fetch.kaggle_subset import PAGE_TYPES, TABLES

PORT = 7777  # the client's TEST environment is http://localhost:7777
COMPETITION = "physionet-ecg-image-digitization"


@dataclass
class Fault:
    """How the next request for a file goes wrong.

    `status` is answered by the API, with `headers`; `cut` ends the storage's answer after so many bytes of its body;
    `spoil` changes a byte on the way; `silent` gives no answer at all.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    spoil: bool = False
    silent: bool = False

    @property
    def kind(self) -> str:
        return "spoil" if self.spoil else "cut" if self.cut is not None else "api"


class StandIn(http.server.ThreadingHTTPServer):
    """`files` maps names to bytes; `faults` maps names to what still goes wrong with them, in turn."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, files: dict[str, bytes], authorization: str, port: int = PORT):
        super().__init__(("127.0.0.1", port), _Handler)
        self.files, self.authorization = files, authorization
        self.faults: dict[str, list[Fault]] = {}
        self.validators = self.ranges = self.hashes = True  # whether the storage gives them
        self.asked: list[str] = []  # names, in the order in which the API was asked for them
        self.served: list[tuple[str, str | None]] = []  # names and ranges that the storage was asked for

    def fault(self, name: str, *kinds: str) -> Fault | None:
        """Take the next fault of a file, if it is of one of these kinds."""
        waiting = self.faults.get(name, [])
        if waiting and waiting[0].kind in kinds:
            return waiting.pop(0)
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/v1/competitions.CompetitionApiService/DownloadDataFile":
            self.redirect(body["competitionName"], body["fileName"])
        else:
            self.refuse(404, {})

    def do_GET(self):
        address = urllib.parse.urlsplit(self.path)
        if address.path.startswith("/storage/"):
            self.serve(urllib.parse.unquote(address.path.removeprefix("/storage/")))
            return
        # a slash that is not quoted is one too many: the file is not found
        *_, competition, name = address.path.split("/")
        self.redirect(competition, urllib.parse.unquote(name))

    def redirect(self, competition: str, name: str) -> None:
        self.server.asked.append(name)
        fault = self.server.fault(name, "api")
        if self.headers.get("Authorization") != self.server.authorization:
            self.refuse(401, {})
        elif fault is not None and fault.silent:
            self.rfile.read(1)  # returns when the client has gone
        elif fault is not None:
            self.refuse(fault.status, fault.headers)
        elif competition != COMPETITION or name not in self.server.files:
            self.refuse(404, {})
        else:
            self.send_response(302)
            self.send_header(
                "Location", f"/storage/{urllib.parse.quote(name)}?X-Goog-Signature=signed-address"
            )
            self.send_header("Content-Length", "0")
            self.end_headers()

    def refuse(self, status: int, headers: dict[str, str]) -> None:
        body = json.dumps({"code": status, "message": f"refused with {status}"}).encode()
        self.answer(status, {"Content-Type": "application/json", **headers}, body)

    def serve(self, name: str) -> None:
        data = self.server.files[name]
        start, status = self.asked_start(data), 200
        headers = {"Content-Type": "application/octet-stream", **self.description(data)}
        if start:
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.server.served.append((name, self.headers.get("Range")))
        fault = self.server.fault(name, "cut", "spoil")
        body = bytearray(data[start:])
        if fault is not None and fault.spoil:
            body[len(body) // 2] ^= 1
        self.answer(status, headers, bytes(body), fault.cut if fault else None)

    def description(self, data: bytes) -> dict[str, str]:
        digest = hashlib.md5(data)
        headers = {}
        if self.server.validators:
            headers["ETag"] = f'"{digest.hexdigest()}"'
        if self.server.ranges:
            headers["Accept-Ranges"] = "bytes"
        if self.server.hashes:
            headers["x-goog-hash"] = f"crc32c=AAAAAA==, md5={base64.b64encode(digest.digest()).decode()}"
        return headers

    def asked_start(self, data: bytes) -> int:
        asked = self.headers.get("Range")
        current = self.headers.get("If-Range") == f'"{hashlib.md5(data).hexdigest()}"'
        return (
            int(asked.removeprefix("bytes=").removesuffix("-"))
            if asked and current and self.server.ranges
            else 0
        )

    def answer(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[:cut])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running(files: dict[str, bytes], authorization: str, port: int = PORT):
    """A stand-in at work; waits a while if the fixed port is still in use by another test run."""
    for _ in range(300):
        with contextlib.suppress(OSError):
            server = StandIn(files, authorization, port)
            break
        time.sleep(0.1)
    else:
        raise OSError(f"port {port} stays in use")
    with server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


# ---- the reader's home, token and files


USERNAME, KEY = "reader", "c0ffee-recognisable-secret-5eed"
ACCESS_TOKEN = "KGAT_recognisable-access-token-77"
BASIC = "Basic " + base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
SECRETS = (KEY, ACCESS_TOKEN, BASIC.removeprefix("Basic "), "signed-address")
IDS = [str(10**9 + 7 * number) for number in range(25)]

newer_client = pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="kaggle 1.7, the newest for Python 3.10, knows no local server but on port 80",
)


def competition_files() -> dict[str, bytes]:
    """The competition: 25 records with all their pages and signals, three test pages, two tables."""
    rows = "".join(f"{name},{(250, 500)[number % 2]},5000\n" for number, name in enumerate(IDS))
    files = {"train.csv": ("id,fs,sig_len\n" + rows).encode()}
    tests = ["2000001", "2000002", "2000003"]
    leads = "".join(f"{name},{lead},500,1250\n" for name in tests for lead in ("I", "II"))
    files["test.csv"] = ("id,lead,fs,number_of_rows\n" + leads).encode()
    files.update({f"test/{name}.png": page_bytes(name) for name in tests})
    for name in IDS:
        files[f"train/{name}/{name}.csv"] = f"I,II\n0.1,{name}\n".encode()
        for page_type in PAGE_TYPES:
            files[f"train/{name}/{name}-{page_type}.png"] = page_bytes(name + page_type)
    return files


def page_bytes(text: str, size: int = 3000) -> bytes:
    """A PNG's first bytes and many more."""
    return b"\x89PNG\r\n\x1a\n" + (text.encode() * size)[:size]


def write_kaggle_json(home: Path, text: str | None = None) -> Path:
    """Save the reader's key, or this text, where the client looks for it."""
    path = home / ".kaggle" / "kaggle.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"username": USERNAME, "key": KEY}) if text is None else text)
    path.chmod(0o600)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty home without any token, and the client turned to the local server."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith(("KAGGLE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def server(home):
    """The competition at a stand-in that takes the reader's key, which is in the reader's home."""
    write_kaggle_json(home)
    with running(competition_files(), BASIC) as server:
        yield server


@pytest.fixture
def out(tmp_path) -> Path:
    """Where the files go; not there yet."""
    return tmp_path / "downloaded_subset"


@pytest.fixture
def shown(capfd):
    """Reads what was printed since the last time; keeps all of it."""

    def read() -> tuple[str, str]:
        read.all.append(capfd.readouterr())
        return read.all[-1]

    read.all = []
    return read


@pytest.fixture
def no_secret_is_ever_shown(shown, tmp_path):
    """Check, after a test, that no secret was printed or written."""
    yield
    shown()
    printed = "".join(text.out + text.err for text in shown.all)
    written = [path.read_bytes() for path in (tmp_path / "downloaded_subset").rglob("*") if path.is_file()]
    for secret in SECRETS:
        assert secret not in printed
        assert not any(secret.encode() in data for data in written)


@pytest.fixture
def short_delays(monkeypatch):
    """Let downloads wait a tenth of a second, not a whole one, before they try again."""
    monkeypatch.setattr(transfers, "FIRST_DELAY_S", 0.1)


def first(number: int, seed: int = 0) -> list[str]:
    """The ids that are drawn first."""
    ids = sorted(IDS)
    random.Random(seed).shuffle(ids)
    return ids[:number]


def one_page() -> str:
    """The name at Kaggle of the first page of the first record."""
    return f"train/{first(1)[0]}/{first(1)[0]}-0001.png"


def leftovers(out: Path) -> list[Path]:
    """Hidden files in an output folder, but for the complete tables."""
    return [path for path in out.rglob(".*") if path.name != TABLES]
