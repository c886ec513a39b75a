"""scripts/prepare_original_data as a whole: a real GCS emulator behind a proxy that can break things, real archives."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_SKIPPED,
    EXIT_USAGE,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch import transfers
from ecg_generator_with_train_src.fetch.both_layouts import SHOWN_ERRORS
from ecg_generator_with_train_src.fetch.bucket import Remote
from ecg_generator_with_train_src.fetch.state import STATE_NAME
from ecg_generator_with_train_src.page.records import find_records

from bucket_stand_in import BUCKET, PREFIX, free_port
from conftest import REPOSITORY
from helpers import help_and_loaded, load_script, refusal, run_here, wait_for
from record_sources import (
    IDS,
    assert_both_layouts,
    competition_files,
    contents,
    csv_bytes,
    flat_files,
    no_leftovers,
    spoiled,
    table_bytes,
    tar_gz,
    write_files,
    zip_of,
)

pytest_plugins = ["bucket_stand_in"]

SCRIPT = REPOSITORY / "scripts" / "prepare_original_data.py"
SHELL = REPOSITORY / "scripts" / "prepare_original_data.sh"

script = load_script("prepare_original_data")


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ori_csv"


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    monkeypatch.setattr(transfers, "FIRST_DELAY_S", 0.1)


def prepare(*flags: str) -> int:
    return script.main(["--num-workers", "1", "--retry-seconds", "2", *flags])


def start(folder: Path, *flags: str, **options) -> subprocess.Popen:
    """The command at work in a process of its own, patient with the network."""
    command = [sys.executable, SCRIPT, "--retry-seconds", "600", "--num-workers", "1", *flags]
    return subprocess.Popen(command, cwd=folder, **options)


def wait_while_at_work(process: subprocess.Popen, condition) -> None:
    """Wait until the condition holds; fail if the process ends before."""
    wait_for(lambda: condition() or process.poll() is not None)
    assert process.poll() is None


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


# ---- the bucket


def test_shell_script_alone_does_the_whole_step(proxy, out):
    proxy.bucket.put(
        {"train-csvs.tar.gz": tar_gz(flat_files()), "train.csv": table_bytes(), "notes/a.txt": b"x"}
    )
    proxy.bucket.put({"decoy.csv": b"another folder"}, prefix="kaggle_ecg/ori_csv_old/")
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}  # as if this Python's environment were active
    done = subprocess.run(["bash", SHELL], cwd=out.parent, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (EXIT_DONE, "")
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
    assert prepare() == EXIT_DONE
    before = contents(out)
    proxy.requests.clear()
    assert prepare() == EXIT_DONE
    assert proxy.media_requests() == []
    assert contents(out) == before
    assert "0 files (0 B) fetched" in capsys.readouterr().out.splitlines()[-1]


def test_what_was_fetched_by_hand_is_not_fetched_again_and_stays(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive})
    out.mkdir()
    (out / "train-csvs.tar.gz").write_bytes(archive)
    assert prepare() == EXIT_DONE
    assert proxy.media_requests() == []
    assert_both_layouts(out)
    assert (out / "train-csvs.tar.gz").read_bytes() == archive


def test_a_missing_record_is_unpacked_again(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare() == EXIT_DONE
    (out / "train-csvs/202.csv").unlink()
    assert prepare() == EXIT_DONE
    assert_both_layouts(out)


def test_a_changed_object_is_fetched_again_and_its_link_follows(proxy, out):
    proxy.bucket.put(flat_files())
    assert prepare() == EXIT_DONE
    proxy.bucket.put({"train-csvs/101.csv": csv_bytes(999)})
    proxy.requests.clear()
    assert prepare() == EXIT_DONE
    assert len(proxy.media_requests()) == 1
    assert (out / "train/101/101.csv").read_bytes() == csv_bytes(999)


def test_the_buckets_own_train_folder_is_kept(proxy, out):
    own = csv_bytes(7)
    proxy.bucket.put({**flat_files(), "train/101/101.csv": own, "train/101/101-0001.png": b"page"})
    assert prepare() == EXIT_DONE
    assert (out / "train/101/101.csv").read_bytes() == own
    assert (out / "train/202/202.csv").read_bytes() == csv_bytes(202)


def test_pages_that_only_the_train_folder_has_are_followed_too(proxy, out):
    proxy.bucket.put(competition_files())
    assert prepare() == EXIT_DONE
    proxy.bucket.put({"train/101/101.csv": csv_bytes(999)})
    assert prepare() == EXIT_DONE
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
    assert prepare() == EXIT_DONE
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
    assert prepare() == EXIT_DONE
    assert contents(out) == kept


def test_what_the_user_changed_in_a_made_file_is_set_aside(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare() == EXIT_DONE
    edited = write_files(out, {"new.csv": b"edited"}) / "new.csv"
    edited.replace(out / "train/101/101.csv")
    assert prepare() == EXIT_DONE
    assert_both_layouts(out)
    assert (out / "train/101/101.csv.old").read_bytes() == b"edited"


def test_records_that_lie_flat_in_the_train_folder_are_not_doubled(proxy, out):
    write_files(out, {"train/101.csv": csv_bytes(101)})
    proxy.bucket.put(flat_files())
    assert prepare() == EXIT_DONE
    assert prepare() == EXIT_DONE
    assert find_records(out / "train")["101"] == out / "train/101.csv"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_folders_that_are_links_to_another_disk(out):
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz(flat_files()))
    out.mkdir()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        (out / "train-csvs").symlink_to(other)
        assert prepare("--source", str(archive)) == EXIT_DONE
        assert_both_layouts(out)
        assert sorted(path.name for path in Path(other).iterdir()) == ["101.csv", "202.csv", "303.csv"]


def test_a_bad_record_of_the_train_folder_alone_is_named(proxy, out):
    write_files(out, {"train/101/101.csv": b"I,II\n1,2\n"})
    proxy.bucket.put(flat_files())
    assert prepare() == EXIT_SKIPPED
    assert "train/101/101.csv" in (out / script.REPORT_NAME).read_text()


def test_two_runs_at_once_do_not_meet(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    proxy.faults, proxy.faults_stay = [("alt=media", 0)], True
    other = start(out.parent)
    wait_while_at_work(other, proxy.media_requests)
    with pytest.raises(InputError, match=r"another run .*is at work there"):
        prepare()
    end(other)
    proxy.faults = []
    assert prepare() == EXIT_DONE
    assert_both_layouts(out)


def test_keep_archives(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare("--keep-archives", "--anonymous") == EXIT_DONE
    assert prepare() == EXIT_DONE
    assert (out / "train-csvs.tar.gz").exists()


def test_an_archive_whose_run_was_killed_before_it_was_unpacked_does_not_stay(proxy, out):
    proxy.bucket.put({"a.tar.gz": tar_gz(flat_files()), "slow.csv": b"x"})
    proxy.faults, proxy.faults_stay = [("slow", 0)], True
    process = start(out.parent)
    wait_while_at_work(process, (out / STATE_NAME).exists)
    end(process)
    assert (out / "a.tar.gz").exists()
    proxy.faults = []
    assert prepare() == EXIT_DONE
    assert_both_layouts(out)
    assert not (out / "a.tar.gz").exists()


def test_a_killed_run_goes_on_where_it_stopped(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive})
    proxy.faults = [("alt=media", 40_000)] + 1000 * [("alt=media", 0)]
    process = start(out.parent)
    # its second request shows that it has some bytes and keeps asking for more
    wait_while_at_work(process, lambda: len(proxy.media_requests()) > 1)
    end(process)
    assert not (out / "train-csvs.tar.gz").exists()
    had = next(out.glob(".train-csvs.tar.gz.*.part")).stat().st_size
    assert 0 < had < len(archive)
    proxy.faults = []
    proxy.requests.clear()
    assert prepare() == EXIT_DONE
    assert [header for _, header in proxy.media_requests()] == [f"bytes={had}-"]
    assert_both_layouts(out)
    assert no_leftovers(out)


def test_ctrl_c_ends_at_once_though_the_server_is_silent(proxy, out):
    proxy.bucket.put(flat_files())
    proxy.faults, proxy.faults_stay = [("alt=media", "silence")], True
    process = start(out.parent, stderr=subprocess.PIPE, text=True)
    wait_while_at_work(process, proxy.media_requests)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == EXIT_INTERRUPTED
    assert errors.startswith("interrupted: ") and errors.count("\n") == 1


def test_a_corrupted_object_is_named_and_the_rest_is_done(proxy, out, capsys):
    proxy.bucket.put(flat_files())
    proxy.bucket.spoil("202.csv")
    assert prepare() == EXIT_SKIPPED
    assert_both_layouts(out, ("101", "303"))
    report = (out / script.REPORT_NAME).read_text()
    assert report.startswith(f"{PREFIX}train-csvs/202.csv\t") and "crc32c" in report
    assert "202.csv" in capsys.readouterr().err
    assert no_leftovers(out)


def test_a_record_that_does_not_read_is_counted_and_named(proxy, out, capsys):
    bad = {f"train-csvs/{name}.csv": b"I,II\n1,2\n" for name in range(500, 507)}
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz({**flat_files(), **bad})})
    assert prepare() == EXIT_SKIPPED
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("ori_csv: 10 records")
    assert "7 skipped" in captured.out
    assert len(captured.err.splitlines()) == SHOWN_ERRORS
    assert len((out / script.REPORT_NAME).read_text().splitlines()) == 7


def test_what_a_killed_run_left_is_cleared_away(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    write_files(out, {".unpacking/train-csvs/101.csv": b"half", ".train-csvs.tar.gz.old.part": b"old"})
    assert prepare() == EXIT_DONE
    assert_both_layouts(out)
    assert no_leftovers(out)


def test_a_network_that_stays_away_is_one_line(out, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    line = refusal(run_here("scripts/prepare_original_data.py", "--retry-seconds", "1"), EXIT_USAGE)
    assert line.startswith("error: gs://") and "check the network" in line


def test_a_network_that_goes_away_in_the_middle_leaves_what_is_done(proxy, out):
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive, "train.csv": table_bytes()})
    proxy.faults, proxy.faults_stay = [("train-csvs", 0)], True
    with pytest.raises(InputError, match="check the network, then run again"):
        prepare()
    proxy.faults = []
    assert prepare() == EXIT_DONE
    assert_both_layouts(out)


@pytest.fixture
def without_credentials(out, tmp_path, monkeypatch):
    """A home and an environment in which Google's client finds no login."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "STORAGE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # the client reads NO_GCE_CHECK once, when it is imported
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def test_without_credentials_the_line_says_how_to_log_in(without_credentials):
    assert refusal(run_here("scripts/prepare_original_data.py"), EXIT_USAGE) == (
        "error: no Google credentials: run `gcloud auth application-default login`; "
        "for a public bucket give --anonymous"
    )


def test_an_expired_login_is_one_line_without_the_key(without_credentials, tmp_path, monkeypatch):
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
        key_file = service_account(tmp_path, server.server_port)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
        done = run_here("scripts/prepare_original_data.py")
        server.shutdown()
    assert refusal(done, EXIT_USAGE) == (
        f"error: {script.DEFAULT_SOURCE}: the Google login has expired; run `gcloud auth application-default login`"
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


# ---- archives


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.tar.gz", tar_gz({**flat_files(), "../escaped.csv": b"x"}), "refused"),
        ("b.zip", zip_of({**competition_files(), "/escaped.csv": b"x"}), "refused"),
        ("c.tar.gz", spoiled(tar_gz(flat_files())), "corrupt archive"),
        ("d.zip", b"no archive", "corrupt archive"),
    ],
)
def test_a_bad_archive_is_one_line_and_a_line_of_the_report(out, name, data, reason):
    archive = out.parent / name
    archive.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        prepare("--source", str(archive))
    assert str(archive) in str(error.value) and "\n" not in str(error.value)
    assert list(contents(out)) == [script.REPORT_NAME]
    assert reason in (out / script.REPORT_NAME).read_text()
    assert not list(out.parent.rglob("escaped.csv"))
    assert no_leftovers(out)


def test_traces_of_other_systems_are_no_records(out):
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz({**flat_files(), "train-csvs/._101.csv": b"\0", "__MACOSX/101.csv": b"\0"}))
    assert prepare("--source", str(archive)) == EXIT_DONE
    assert_both_layouts(out)


def test_a_malicious_archive_in_the_bucket_spoils_nothing_else(proxy, out):
    bad = tar_gz({"../escaped.csv": b"x"})
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files()), "more.tar.gz": bad})
    assert prepare() == EXIT_SKIPPED
    assert_both_layouts(out)
    assert "refused" in (out / script.REPORT_NAME).read_text()
    assert not list(out.parent.rglob("escaped.csv"))


# ---- what is on this machine already


@pytest.mark.parametrize("wrapping", ["", "physionet-ecg-image-digitization/"])
def test_the_competitions_zip(out, wrapping):
    archive = out.parent / "physionet-ecg-image-digitization.zip"
    archive.write_bytes(zip_of({wrapping + name: data for name, data in competition_files().items()}))
    assert prepare("--source", str(archive)) == EXIT_DONE
    assert_both_layouts(out)
    assert (out / "train/101/101-0001.png").exists() and (out / "test/9.png").exists()
    assert (out / "train-csvs/101.csv").samefile(out / "train/101/101.csv")
    assert archive.exists()
    before = contents(out)
    assert prepare("--source", str(archive)) == EXIT_DONE
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
    assert prepare("--source", str(source)) == EXIT_DONE
    assert_both_layouts(out)
    assert contents(source) == files
    if any(name.endswith("train.csv") for name in files):
        assert (out / "train.csv").read_bytes() == table_bytes()
    before = contents(out)
    assert prepare("--source", str(source)) == EXIT_DONE
    assert contents(out) == before


def test_the_output_folder_itself_as_source(out):
    write_files(out, {"train-csvs.tar.gz": tar_gz(flat_files())})
    assert prepare("--source", str(out)) == EXIT_DONE
    assert_both_layouts(out)


def test_a_folder_above_the_output_is_taken_without_the_output(out):
    write_files(out.parent, flat_files())
    assert prepare("--source", ".") == EXIT_DONE
    assert prepare("--source", ".") == EXIT_DONE
    assert_both_layouts(out)
    assert not (out / "ori_csv").exists()


def test_a_folder_without_records(out):
    (out.parent / "empty").mkdir()
    with pytest.raises(InputError, match="no records; check --source"):
        prepare("--source", "empty")


# ---- the disk


def test_a_disk_that_fills_up_is_one_line(proxy, out):
    proxy.bucket.put({"train-csvs.tar.gz": tar_gz(flat_files())})
    blob = next(iter(proxy.bucket.client.list_blobs(BUCKET)))
    out.mkdir()
    remote = Remote(blob, out / "train-csvs.tar.gz", blob.size, blob.crc32c)
    remote.partial.symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(InputError, match="disk full; free some space"):
        prepare()
    remote.partial.unlink()
    assert prepare() == EXIT_DONE


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
    assert str(REPOSITORY) not in text and str(Path.home()) not in text
    assert not loaded


def test_shell_script_names_the_remedy_when_packages_are_missing(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')  # a Python without any package
    python.chmod(0o755)
    environment = {**os.environ, "VIRTUAL_ENV": str(tmp_path)}
    done = subprocess.run(["bash", SHELL, "--help"], env=environment, capture_output=True, text=True)
    assert done.returncode == EXIT_USAGE
    assert "-m pip install -r requirements.txt" in done.stderr and done.stderr.count("\n") == 1


def test_ctrl_c_in_the_shell_script_is_no_lack_of_packages(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nkill -INT $PPID\nexit 1\n")  # Ctrl-C comes while it looks for the packages
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", SHELL], env={**os.environ, "VIRTUAL_ENV": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (EXIT_INTERRUPTED, "")


def test_state_file_of_nonsense_costs_only_time(out):
    source = write_files(out.parent / "source", flat_files())
    assert prepare("--source", str(source)) == EXIT_DONE
    with contextlib.suppress(FileNotFoundError):
        (out / STATE_NAME).write_text(json.dumps(["nonsense"]))
    assert prepare("--source", str(source)) == EXIT_DONE
    assert_both_layouts(out)
