"""A local server that speaks the part of Kaggle's protocol that downloads need, and can misbehave.

kaggle 2.x asks `POST /api/v1/competitions.CompetitionApiService/DownloadDataFile` with JSON, kaggle 1.7
`GET /api/v1/competitions/data/download/<competition>/<file, slashes quoted>`; both are redirected to a signed address
of Google's storage, which gives ranges, an ETag and the md5 of the whole in `x-goog-hash`.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

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
        *_, competition, name = address.path.split(
            "/"
        )  # a slash that is not quoted is one too many: not found
        self.redirect(competition, urllib.parse.unquote(name))

    def redirect(self, competition: str, name: str) -> None:
        self.server.asked.append(name)
        fault = self.server.fault(name, "api")
        if self.headers.get("Authorization") != self.server.authorization:
            self.refuse(401, {})
        elif fault is not None and fault.silent:
            self.rfile.read(1)  # until the client has gone
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
