"""A real emulator of Google Cloud Storage behind a proxy that can break things.

A test module gets the fixtures with `pytest_plugins = ["bucket_stand_in"]`; all modules share one emulator.
PYTEST_DONT_REWRITE: the test modules import this one before pytest does.
"""

import http.client
import http.server
import socket
import threading
from pathlib import Path

import pytest

storage = pytest.importorskip("google.cloud.storage")
emulator = pytest.importorskip("gcp_storage_emulator.server")

BUCKET = "tpu-research-01-ecg-data"
PREFIX = "kaggle_ecg/ori_csv/"


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to the emulator, notes them, and breaks those it is told to.

    `faults` are (what the path must contain, fault): a whole number cuts the answer after so many bytes of its body,
    a 3-digit status as text is answered instead, "silence" is no answer at all. Each fault strikes once, or always
    if `faults_stay`.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, emulator_port: int):
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.emulator_port = emulator_port
        self.requests: list[tuple[str, str | None]] = []
        self.faults: list[tuple[str, int | str]] = []
        self.faults_stay = False
        self.rewrite = (b"", b"")  # bytes in every answer, and what replaces them

    def media_requests(self) -> list[tuple[str, str | None]]:
        return [request for request in self.requests if "alt=media" in request[0]]

    def fault_for(self, path: str) -> int | str | None:
        for fault in self.faults:
            if fault[0] in path:
                if not self.faults_stay:
                    self.faults.remove(fault)
                return fault[1]
        return None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _ProxyHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        fault = self.server.fault_for(self.path)
        if fault == "silence":
            self.rfile.read(1)  # returns when the client has gone
        elif isinstance(fault, str):
            self.send_error(int(fault))
        else:
            self.pass_on("GET", None, fault)

    def do_POST(self):
        self.pass_on("POST", self.rfile.read(int(self.headers["Content-Length"])), None)

    def pass_on(self, method: str, data: bytes | None, fault: int | None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.emulator_port)
        connection.request(method, self.path, data, headers=dict(self.headers))
        answer = connection.getresponse()
        body = answer.read().replace(*self.server.rewrite)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("server", "date", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if fault is None else body[:fault])

    def log_message(self, *_):
        pass


class Bucket:
    """The emulator's bucket: put objects in, spoil them."""

    def __init__(self, folder: Path, url: str):
        self.folder = folder
        self.client = storage.Client(
            project="test",
            credentials=storage.Client.create_anonymous_client()._credentials,
            client_options={"api_endpoint": url},
        )
        self.bucket = self.client.create_bucket(BUCKET)

    def put(self, files: dict[str, bytes], prefix: str = PREFIX) -> None:
        for name, data in files.items():
            self.bucket.blob(prefix + name).upload_from_string(data)

    def spoil(self, name: str) -> None:
        """Change a byte of the stored object behind the emulator's back: its crc32c stays the old one."""
        path = next(
            path for path in self.folder.rglob("*") if path.is_file() and path.name == Path(name).name
        )
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="session")
def emulator_server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("emulator"), free_port()
    with emulator.create_server("127.0.0.1", port, in_memory=False, data_dir=str(folder)) as server:
        server.folder, server.port = folder, port
        yield server


@pytest.fixture
def proxy(emulator_server, monkeypatch):
    """An empty bucket behind a faultless proxy, to which Google's client is turned."""
    emulator_server.wipe()
    with Proxy(emulator_server.port) as proxy:
        threading.Thread(target=proxy.serve_forever, args=[0.01], daemon=True).start()
        proxy.bucket = Bucket(emulator_server.folder, proxy.url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy
        proxy.shutdown()
