"""scripts/prepare_original_data: a real GCS emulator behind a proxy that can break things, and real archives."""

import contextlib
import gzip
import http.client
import http.server
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.both_layouts import SHOWN_ERRORS
from ecg_generator_with_train_src.fetch.bucket import Remote
from ecg_generator_with_train_src.fetch.google_access import gcloud_credentials
from ecg_generator_with_train_src.fetch.state import STATE_NAME
from ecg_generator_with_train_src.page.records import LEADS, find_records

from conftest import REPOSITORY
from helpers import help_and_loaded, load_script

storage = pytest.importorskip("google.cloud.storage")
emulator = pytest.importorskip("gcp_storage_emulator.server")

ROOT = REPOSITORY
SCRIPT = ROOT / "scripts" / "prepare_original_data.py"
SHELL = ROOT / "scripts" / "prepare_original_data.sh"
BUCKET = "tpu-research-01-ecg-data"
PREFIX = "kaggle_ecg/ori_csv/"
IDS = ("101", "202", "303")


script = load_script("prepare_original_data")


def csv_bytes(seed: int, fs_hz: int = 50) -> bytes:
    signal_mv = np.random.default_rng(seed).normal(size=(fs_hz * 10, len(LEADS)))
    file = io.StringIO()
    np.savetxt(file, signal_mv, fmt="%.5f", delimiter=",", header=",".join(LEADS), comments="")
    return file.getvalue().encode()


def table_bytes(ids=IDS) -> bytes:
    return ("id,fs,sig_len\n" + "".join(f"{name},50,500\n" for name in ids)).encode()


def flat_files(ids=IDS, top: str = "train-csvs/") -> dict[str, bytes]:
    return {f"{top}{name}.csv": csv_bytes(int(name)) for name in ids}


def competition_files(ids=IDS) -> dict[str, bytes]:
    files = {"train.csv": table_bytes(ids), "test.csv": b"id,lead,fs,number_of_rows\n", "test/9.png": b"png"}
    for name in ids:
        files[f"train/{name}/{name}.csv"] = csv_bytes(int(name))
        files[f"train/{name}/{name}-0001.png"] = b"a page of " + name.encode()
    return files


def tar_gz(files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
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
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


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
        self.rewrite = (b"", b"")  # what is written anew in an answer

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
            self.rfile.read(1)  # until the client has gone
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


@pytest.fixture(scope="module")
def emulator_server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("emulator"), free_port()
    with emulator.create_server("127.0.0.1", port, in_memory=False, data_dir=str(folder)) as server:
        server.folder, server.port = folder, port
        yield server


@pytest.fixture
def proxy(emulator_server, monkeypatch):
    emulator_server.wipe()
    with Proxy(emulator_server.port) as proxy:
        threading.Thread(target=proxy.serve_forever, args=[0.01], daemon=True).start()
        proxy.bucket = Bucket(emulator_server.folder, proxy.url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy
        proxy.shutdown()


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ori_csv"


def prepare(*flags: str) -> int:
    return script.main([*flags, "--num-workers", "1", "--retry-seconds", "2"])


def contents(folder: Path) -> dict[str, bytes]:
    """What a folder holds, hidden files left out."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): path.read_bytes() for name, path in files.items() if not name.name.startswith(".")
    }


def no_leftovers(out: Path) -> bool:
    return [path.name for path in out.rglob(".*")] in ([], [".prepared.json"])


def assert_both_layouts(out: Path, ids=IDS) -> None:
    assert list(find_records(out / "train-csvs")) == sorted(ids)
    assert list(find_records(out / "train")) == sorted(ids)
    for name in ids:
        assert (out / "train" / name / f"{name}.csv").read_bytes() == csv_bytes(int(name))


# ---- the bucket


def test_shell_script_alone_does_the_whole_step(proxy, out):
    proxy.bucket.put(
        {"train-csvs.tar.gz": tar_gz(flat_files()), "train.csv": table_bytes(), "notes/a.txt": b"x"}
    )
    proxy.bucket.put({"decoy.csv": b"another folder"}, prefix="kaggle_ecg/ori_csv_old/")
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}  # as if this Python's environment were active
    done = subprocess.run(["bash", SHELL], cwd=out.parent, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("ori_csv: 3 records in train-csvs/ and train/; 3 files (")
    assert_both_layouts(out)
    assert (out / "notes/a.txt").read_bytes() == b"x"
    assert (out / "train.csv").read_bytes() == table_bytes()
    assert not (out / "train-csvs.tar.gz").exists()
    assert not (out / "decoy.csv").exists()
    assert (out / "train/101/101.csv").samefile(out / "train-csvs/101.csv")
    assert no_leftovers(out)


def test_second_run_fetches_nothing(proxy, out, capsys):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files()), "train.csv": table_bytes()})
    assert prepare() == 0
    before = contents(out)
    proxy.requests.clear()
    assert prepare() == 0
    assert proxy.media_requests() == []
    assert contents(out) == before
    assert "0 files (0 B) fetched" in capsys.readouterr().out.splitlines()[-1]


def test_what_was_fetched_by_hand_is_not_fetched_again_and_stays(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive})
    out.mkdir()
    (out / "train-csvs.tar.gz").write_bytes(archive)
    assert prepare() == 0
    assert proxy.media_requests() == []
    assert_both_layouts(out)
    assert (out / "train-csvs.tar.gz").read_bytes() == archive


def test_a_missing_record_is_unpacked_again(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare() == 0
    (out / "train-csvs/202.csv").unlink()
    assert prepare() == 0
    assert_both_layouts(out)


def test_a_changed_object_is_fetched_again_and_its_link_follows(proxy, out):
    proxy.bucket.put(flat_files())
    assert prepare() == 0
    proxy.bucket.put({"train-csvs/101.csv": csv_bytes(999)})
    proxy.requests.clear()
    assert prepare() == 0
    assert len(proxy.media_requests()) == 1
    assert (out / "train/101/101.csv").read_bytes() == csv_bytes(999)


def test_the_buckets_own_train_folder_is_kept(proxy, out):
    own = csv_bytes(7)
    proxy.bucket.put({**flat_files(), "train/101/101.csv": own, "train/101/101-0001.png": b"page"})
    assert prepare() == 0
    assert (out / "train/101/101.csv").read_bytes() == own
    assert (out / "train/202/202.csv").read_bytes() == csv_bytes(202)


def test_pages_that_only_the_train_folder_has_are_followed_too(proxy, out):
    proxy.bucket.put(competition_files())
    assert prepare() == 0
    proxy.bucket.put({"train/101/101.csv": csv_bytes(999)})
    assert prepare() == 0
    assert (out / "train-csvs/101.csv").read_bytes() == csv_bytes(999)


def test_nothing_of_the_users_is_lost(proxy, out, capsys):
    own = {
        "train/101/101.csv": csv_bytes(7),
        "train/101/101-0001.png": b"my page",
        "train/mine/mine.csv": csv_bytes(8),
        "train/mine/notes.txt": b"notes",
        "train-csvs/202.csv": csv_bytes(9),
        "train.csv": b"id,fs\nmine,50\n",
    }
    write_files(out, own)
    write_files(out, {"train.csv.old": b"older"})
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files()), "train.csv": table_bytes()})
    assert prepare() == 0
    kept = contents(out)
    assert (
        kept["train-csvs/202.csv"] == csv_bytes(202)
        and kept["train-csvs/202.csv.old"] == own["train-csvs/202.csv"]
    )
    assert kept["train.csv"] == table_bytes() and kept["train.csv.old1"] == own["train.csv"]
    assert {name: kept[name] for name in own if name.startswith("train/")} == {
        name: data for name, data in own.items() if name.startswith("train/")
    }
    assert kept["train-csvs/mine.csv"] == own["train/mine/mine.csv"]
    assert capsys.readouterr().err.count("differs from the source's file; your file is now") == 2
    assert prepare() == 0
    assert contents(out) == kept


def test_what_the_user_changed_in_a_made_file_is_set_aside(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare() == 0
    edited = write_files(out, {"new.csv": b"edited"}) / "new.csv"
    edited.replace(out / "train/101/101.csv")
    assert prepare() == 0
    assert_both_layouts(out)
    assert (out / "train/101/101.csv.old").read_bytes() == b"edited"


def test_records_that_lie_flat_in_the_train_folder_are_not_doubled(proxy, out):
    write_files(out, {"train/101.csv": csv_bytes(101)})
    proxy.bucket.put(flat_files())
    assert prepare() == 0
    assert prepare() == 0
    assert find_records(out / "train")["101"] == out / "train/101.csv"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_folders_that_are_links_to_another_disk(out):
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz(flat_files()))
    out.mkdir()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        (out / "train-csvs").symlink_to(other)
        assert prepare("--source", str(archive)) == 0
        assert_both_layouts(out)
        assert sorted(path.name for path in Path(other).iterdir()) == ["101.csv", "202.csv", "303.csv"]


def test_a_bad_record_of_the_train_folder_alone_is_named(proxy, out):
    write_files(out, {"train/101/101.csv": b"I,II\n1,2\n"})
    proxy.bucket.put(flat_files())
    assert prepare() == 1
    assert "train/101/101.csv" in (out / script.REPORT_NAME).read_text()


def test_two_runs_at_once_do_not_meet(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    proxy.faults, proxy.faults_stay = [("alt=media", 0)], True
    command = [sys.executable, SCRIPT, "--retry-seconds", "600", "--num-workers", "1"]
    other = subprocess.Popen(command, cwd=out.parent)
    while not proxy.media_requests():
        assert other.poll() is None
        time.sleep(0.05)
    with pytest.raises(InputError, match="another run is at work there"):
        prepare()
    other.kill()
    other.wait()
    proxy.faults = []
    assert prepare() == 0
    assert_both_layouts(out)


def test_keep_archives(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare("--keep-archives", "--anonymous") == 0
    assert prepare() == 0
    assert (out / "train-csvs.tar.gz").exists()


def test_an_archive_whose_run_was_killed_before_it_was_unpacked_does_not_stay(proxy, out):
    proxy.bucket.put({"a.tar.gz": tar_gz(flat_files()), "slow.csv": b"x"})
    proxy.faults, proxy.faults_stay = [("slow", 0)], True
    command = [sys.executable, SCRIPT, "--retry-seconds", "600", "--num-workers", "1"]
    process = subprocess.Popen(command, cwd=out.parent)
    while not (out / STATE_NAME).exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert (out / "a.tar.gz").exists()
    proxy.faults = []
    assert prepare() == 0
    assert_both_layouts(out)
    assert not (out / "a.tar.gz").exists()


def test_a_cut_connection_goes_on_by_range_in_the_same_run(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive})
    proxy.faults = [("alt=media", 40_000), ("alt=media", 9_000)]
    assert prepare() == 0
    ranges = [header for _, header in proxy.media_requests()]
    assert len(ranges) == 3
    first, second = (int(header.removeprefix("bytes=").removesuffix("-")) for header in ranges[1:])
    assert 0 < first <= 40_000 and first < second <= 49_000
    assert_both_layouts(out)


def test_a_killed_run_goes_on_where_it_stopped(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive})
    proxy.faults = [("alt=media", 40_000)] + 1000 * [("alt=media", 0)]
    command = [sys.executable, SCRIPT, "--retry-seconds", "600", "--num-workers", "1"]
    process = subprocess.Popen(command, cwd=out.parent)
    while len(proxy.media_requests()) < 3:  # it has some bytes and keeps asking for more
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "train-csvs.tar.gz").exists()
    had = next(out.glob(".train-csvs.tar.gz.*.part")).stat().st_size
    assert 0 < had < len(archive)
    proxy.faults = []
    proxy.requests.clear()
    assert prepare() == 0
    assert [header for _, header in proxy.media_requests()] == [f"bytes={had}-"]
    assert_both_layouts(out)
    assert no_leftovers(out)


def test_ctrl_c_ends_at_once_though_the_server_is_silent(proxy, out):
    proxy.bucket.put(flat_files())
    proxy.faults, proxy.faults_stay = [("alt=media", "silence")], True
    process = subprocess.Popen([sys.executable, SCRIPT], cwd=out.parent, stderr=subprocess.PIPE, text=True)
    while not proxy.media_requests():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.startswith("interrupted: ") and errors.count("\n") == 1


def test_a_partial_file_with_wrong_bytes_is_found_out(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    blob = next(iter(proxy.bucket.client.list_blobs(BUCKET)))
    out.mkdir()
    remote = Remote(blob, out / "train-csvs.tar.gz", blob.size, blob.crc32c)
    remote.partial.write_bytes(b"\0" * 1000)
    assert prepare() == 0
    assert [header for _, header in proxy.media_requests()] == ["bytes=1000-", None]
    assert_both_layouts(out)


def test_a_corrupted_object_is_named_and_the_rest_is_done(proxy, out, capsys):
    proxy.bucket.put(flat_files())
    proxy.bucket.spoil("202.csv")
    assert prepare() == 1
    assert_both_layouts(out, ("101", "303"))
    report = (out / script.REPORT_NAME).read_text()
    assert report.startswith(f"{PREFIX}train-csvs/202.csv\t") and "crc32c" in report
    assert "202.csv" in capsys.readouterr().err
    assert no_leftovers(out)


def test_a_record_that_does_not_read_is_counted_and_named(proxy, out, capsys):
    bad = {f"train-csvs/{name}.csv": b"I,II\n1,2\n" for name in range(500, 507)}
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz({**flat_files(), **bad})})
    assert prepare() == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("ori_csv: 10 records")
    assert "7 skipped" in captured.out
    assert len(captured.err.splitlines()) == SHOWN_ERRORS
    assert len((out / script.REPORT_NAME).read_text().splitlines()) == 7


def test_what_a_killed_run_left_is_cleared_away(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    write_files(out, {".unpacking/train-csvs/101.csv": b"half", ".train-csvs.tar.gz.old.part": b"old"})
    assert prepare() == 0
    assert_both_layouts(out)
    assert no_leftovers(out)


@pytest.mark.parametrize("whole", [True, False])
def test_objects_that_are_stored_compressed(proxy, out, whole):
    packed = {name: gzip.compress(data) for name, data in flat_files().items()}
    if not whole:
        packed["train-csvs/202.csv"] = b"no gzip"
    proxy.bucket.put(packed)
    proxy.rewrite = (
        b'"contentType":',
        b'"contentEncoding": "gzip", "contentType":',
    )  # the emulator does not keep it
    assert prepare() == (0 if whole else 1)
    assert_both_layouts(out, IDS if whole else ("101", "303"))
    assert no_leftovers(out)


def test_a_single_object_as_source(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare("--source", f"gs://{BUCKET}/{PREFIX}train-csvs.tar.gz") == 0
    assert_both_layouts(out)


def test_an_object_name_that_leads_outside_is_refused(proxy, out):
    proxy.bucket.put({"xx/escaped.csv": b"x"})
    proxy.rewrite = (b"xx/escaped", b"../escaped")  # the emulator itself refuses such a name
    with pytest.raises(InputError, match="outside"):
        prepare()
    assert not list(out.rglob("*.csv"))


@pytest.mark.parametrize(
    ("source", "fault", "remedy"),
    [
        ("gs://no-such-bucket/x", None, "no such bucket or object; check --source"),
        ("gs://", None, "no bucket has such a name; expected gs://bucket/folder"),
        ("gs://_no_bucket/x", None, "no bucket has such a name"),
        (f"gs://{BUCKET}/no/such/folder", None, "no such object or folder"),
        (script.DEFAULT_SOURCE, "403", "Storage Object Viewer"),
        (script.DEFAULT_SOURCE, "401", "gcloud auth application-default login"),
        (script.DEFAULT_SOURCE, "503", "check the network"),
    ],
)
def test_listing_errors_come_with_the_remedy(proxy, out, source, fault, remedy):
    proxy.bucket.put(flat_files())
    proxy.faults, proxy.faults_stay = [("/o?", fault)] if fault else [], True
    with pytest.raises(InputError, match=remedy) as error:
        prepare("--source", source)
    assert "\n" not in str(error.value)


def test_a_network_that_stays_away_is_one_line(out, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    command = [sys.executable, SCRIPT, "--retry-seconds", "1"]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: gs://") and "check the network" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_network_that_goes_away_in_the_middle_leaves_what_is_done(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive, "train.csv": table_bytes()})
    proxy.faults, proxy.faults_stay = [("train-csvs", 0)], True
    with pytest.raises(InputError, match="check the network, then run again"):
        prepare()
    proxy.faults = []
    assert prepare() == 0
    assert_both_layouts(out)


def environment_without_credentials(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "STORAGE_"))}
    return {
        **kept,
        "HOME": str(home),
        "CLOUDSDK_CONFIG": str(home),
        "NO_GCE_CHECK": "true",
        "PATH": "/usr/bin:/bin",
    }


def test_without_credentials_the_line_says_how_to_log_in(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT],
        cwd=tmp_path,
        env=environment_without_credentials(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: no Google credentials: run `gcloud auth application-default login`; "
        "for a public bucket give --anonymous\n"
    )


def test_an_expired_login_is_one_line_without_the_key(out, tmp_path):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"error": "invalid_grant", "error_description": "Invalid JWT"}')

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        environment = environment_without_credentials(tmp_path)
        environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(service_account(tmp_path, server.server_port))
        done = subprocess.run(
            [sys.executable, SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        server.shutdown()
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {script.DEFAULT_SOURCE}: the Google login has expired; run `gcloud auth application-default login`\n"
    )


def service_account(folder: Path, port: int) -> Path:
    """A key file of a service account whose tokens are handed out on this machine."""
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        "type": "service_account",
        "client_email": "reader@project.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "token_uri": f"http://127.0.0.1:{port}/token",
    }
    path = folder / "service-account.json"
    path.write_text(json.dumps(content))
    return path


def test_a_plain_gcloud_login_is_enough(tmp_path, monkeypatch):
    gcloud = tmp_path / "gcloud"
    gcloud.write_text("#!/bin/sh\n[ \"$*\" = 'auth print-access-token' ] && echo ya29.token-of-gcloud\n")
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    credentials = gcloud_credentials()
    credentials.refresh(None)
    assert (credentials.token, credentials.valid) == ("ya29.token-of-gcloud", True)


# ---- archives


@pytest.mark.parametrize("with_data_filter", [True, False])
@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/escaped.csv", tarfile.REGTYPE),
        member("../escaped.csv", tarfile.REGTYPE),
        member("train-csvs/../../escaped.csv", tarfile.REGTYPE),
        member("..\\escaped.csv", tarfile.REGTYPE),
        member("train-csvs/link.csv", tarfile.SYMTYPE, "/etc/passwd"),
        member("train-csvs/link.csv", tarfile.SYMTYPE, "101.csv"),
        member("train-csvs/link.csv", tarfile.LNKTYPE, "train-csvs/101.csv"),
        member("train-csvs/device", tarfile.CHRTYPE),
        member("train-csvs/device", tarfile.BLKTYPE),
        member("train-csvs/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}" if isinstance(info, tarfile.TarInfo) else str(info),
)
def test_a_malicious_tar_is_refused_whole(out, monkeypatch, bad, with_data_filter):
    if not with_data_filter:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz(flat_files(), (bad,)))
    with pytest.raises(InputError, match="refused"):
        prepare("--source", str(archive))
    assert list(contents(out)) == [script.REPORT_NAME]
    assert not list(out.parent.rglob("escaped.csv"))
    assert no_leftovers(out)


@pytest.mark.parametrize(
    "name", ["/escaped.csv", "../escaped.csv", "train/../../escaped.csv", "C:/escaped.csv"]
)
def test_a_malicious_zip_is_refused_whole(out, name):
    archive = out.parent / "data.zip"
    archive.write_bytes(zip_of({**competition_files(), name: b"x"}))
    with pytest.raises(InputError, match="refused"):
        prepare("--source", str(archive))
    assert list(contents(out)) == [script.REPORT_NAME]
    assert not list(out.parent.rglob("escaped.csv"))


def test_a_link_in_a_zip_is_refused(out):
    archive = out.parent / "data.zip"
    link = zipfile.ZipInfo("train/link.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="link or device"):
        prepare("--source", str(archive))


def test_a_malicious_archive_in_the_bucket_spoils_nothing_else(proxy, out):
    bad = tar_gz({"../escaped.csv": b"x"})
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files()), "more.tar.gz": bad})
    assert prepare() == 1
    assert_both_layouts(out)
    assert "refused" in (out / script.REPORT_NAME).read_text()
    assert not list(out.parent.rglob("escaped.csv"))


def spoiled(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 255 for byte in data[middle : middle + 100]) + data[middle + 100 :]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tar.gz", tar_gz(flat_files())[:-2000]),
        ("b.tar.gz", tar_gz(flat_files())[:-6]),  # all members whole, gzip's checksum cut
        ("c.tar.gz", spoiled(tar_gz(flat_files()))),
        ("d.tar.gz", b"no archive"),
        ("e.tar.gz", b""),
        ("f.zip", zip_of(competition_files())[:-50]),
        ("g.zip", spoiled(zip_of(competition_files()))),
        ("h.zip", b"no archive"),
    ],
)
def test_a_corrupt_archive_is_one_line_and_leaves_nothing(out, name, data):
    archive = out.parent / name
    archive.write_bytes(data)
    with pytest.raises(InputError, match="corrupt archive") as error:
        prepare("--source", str(archive))
    assert str(archive) in str(error.value) and "\n" not in str(error.value)
    assert list(contents(out)) == [script.REPORT_NAME]
    assert no_leftovers(out)


def test_traces_of_other_systems_are_no_records(out):
    junk = {
        "train-csvs/._101.csv": b"\0",
        "__MACOSX/train-csvs/101.csv": b"\0",
        "train-csvs/.DS_Store": b"\0",
    }
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz({**flat_files(), **junk}))
    assert prepare("--source", str(archive)) == 0
    assert_both_layouts(out)


# ---- what is on this machine already


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("wrapping", ["", "physionet-ecg-image-digitization/"])
def test_the_competitions_zip(out, wrapping):
    archive = out.parent / "physionet-ecg-image-digitization.zip"
    archive.write_bytes(zip_of({wrapping + name: data for name, data in competition_files().items()}))
    assert prepare("--source", str(archive)) == 0
    assert_both_layouts(out)
    assert (out / "train/101/101-0001.png").exists() and (out / "test/9.png").exists()
    assert (out / "train-csvs/101.csv").samefile(out / "train/101/101.csv")
    assert archive.exists()
    before = contents(out)
    assert prepare("--source", str(archive)) == 0
    assert contents(out) == before


@pytest.mark.parametrize(
    "files",
    [
        flat_files(),
        flat_files(top=""),
        {f"{name}/{name}.csv": csv_bytes(int(name)) for name in IDS},
        {**flat_files(top=""), "train.csv": table_bytes()},
        competition_files(),
        {"train-csvs.tar.gz": tar_gz(flat_files()), "train.csv": table_bytes()},
        {"train-csvs.tar.gz": tar_gz(flat_files(top=""))},
        {"records.tgz": tar_gz(flat_files(top="./some/folder/"))},
        {"one/wrapping/folder/" + name: data for name, data in flat_files().items()},
    ],
)
def test_every_kind_of_local_folder_gives_the_same_result(out, files):
    source = write_files(out.parent / "source", files)
    assert prepare("--source", str(source)) == 0
    assert_both_layouts(out)
    assert contents(source) == files
    if any(name.endswith("train.csv") for name in files):
        assert (out / "train.csv").read_bytes() == table_bytes()
    before = contents(out)
    assert prepare("--source", str(source)) == 0
    assert contents(out) == before


def test_the_output_folder_itself_as_source(out):
    write_files(out, {"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare("--source", str(out)) == 0
    assert_both_layouts(out)


def test_a_folder_above_the_output_is_taken_without_the_output(out):
    write_files(out.parent, flat_files())
    assert prepare("--source", ".") == 0
    assert prepare("--source", ".") == 0
    assert_both_layouts(out)
    assert not (out / "ori_csv").exists()


@pytest.mark.parametrize("source", ["", "no/such/path", "s3://bucket/folder", str(SCRIPT)])
def test_a_source_that_is_none(out, source):
    with pytest.raises(InputError, match=r"no such folder or archive|not an archive"):
        prepare("--source", source)


def test_a_folder_without_records(out):
    (out.parent / "empty").mkdir()
    with pytest.raises(InputError, match="no records; check --source"):
        prepare("--source", "empty")


# ---- the disk


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_what_is_copied_already_needs_no_space(out, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        source = write_files(Path(other), flat_files())
        assert prepare("--source", str(source)) == 0
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
        assert prepare("--source", str(source)) == 0
        write_files(source, {"train-csvs/404.csv": csv_bytes(404)})
        with pytest.raises(InputError, match=r"the copy needs .* kB, the disk has 0 B free"):
            prepare("--source", str(source))


def test_too_little_space_is_said_before_anything_is_fetched(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive})
    proxy.rewrite = (f'"size": "{len(archive)}"'.encode(), b'"size": "30000000000000000"')
    with pytest.raises(InputError, match=r"the download needs \d+\.0 GB, the disk has .* free"):
        prepare()
    assert proxy.media_requests() == []


def test_too_little_space_for_the_contents_is_said_before_they_are_unpacked(out):
    free = shutil.disk_usage(out.parent).free
    claim = 0xFFFFFFF0  # bytes, of each of the members
    data = bytearray(zip_of({f"train-csvs/{number}.csv": b"" for number in range(free // claim + 2)}))
    start = data.find(b"PK\x01\x02")
    while start >= 0:
        data[start + 24 : start + 28] = claim.to_bytes(4, "little")
        start = data.find(b"PK\x01\x02", start + 4)
    (out.parent / "train-csvs.zip").write_bytes(data)
    with pytest.raises(InputError, match=r"unpacking train-csvs.zip needs .* GB, the disk has .* free"):
        prepare("--source", "train-csvs.zip")
    assert no_leftovers(out)


def test_a_disk_that_fills_up_is_one_line(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    blob = next(iter(proxy.bucket.client.list_blobs(BUCKET)))
    out.mkdir()
    remote = Remote(blob, out / "train-csvs.tar.gz", blob.size, blob.crc32c)
    remote.partial.symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(InputError, match="disk full; free some space"):
        prepare()
    remote.partial.unlink()
    assert prepare() == 0


def test_an_output_root_that_is_a_file(out):
    out.write_text("")
    with pytest.raises(InputError, match="ori_csv"):
        prepare("--source", ".")


# ---- the command line


def test_help_loads_neither_torch_nor_matplotlib_nor_google():
    text, loaded = help_and_loaded(
        "scripts/prepare_original_data.py", "torch", "matplotlib", "google.cloud.storage"
    )
    assert "--keep-archives" in text
    assert not loaded


def test_shell_script_names_the_remedy_when_packages_are_missing(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')  # a Python without any package
    python.chmod(0o755)
    environment = {**os.environ, "VIRTUAL_ENV": str(tmp_path)}
    done = subprocess.run(["bash", SHELL, "--help"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "-m pip install -r requirements.txt" in done.stderr and done.stderr.count("\n") == 1


def test_ctrl_c_in_the_shell_script_is_no_lack_of_packages(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nkill -INT $PPID\nexit 1\n")  # while it looks for the packages
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", SHELL], env={**os.environ, "VIRTUAL_ENV": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_state_file_of_nonsense_costs_only_time(out):
    source = write_files(out.parent / "source", flat_files())
    assert prepare("--source", str(source)) == 0
    with contextlib.suppress(FileNotFoundError):
        (out / STATE_NAME).write_text(json.dumps(["nonsense"]))
    assert prepare("--source", str(source)) == 0
    assert_both_layouts(out)
