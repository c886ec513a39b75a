"""scripts/download_subset: the real Kaggle client against a local stand-in of the server."""

import base64
import csv
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch import kaggle_files
from ecg_generator_with_train_src.fetch.kaggle_client import asked_pause_s
from ecg_generator_with_train_src.fetch.kaggle_files import partial_path
from ecg_generator_with_train_src.fetch.kaggle_subset import PAGE_TYPES, TABLES
from ecg_generator_with_train_src.page.records import find_records, read_record_table

from conftest import REPOSITORY
from helpers import help_and_loaded, load_script
from kaggle_stand_in import COMPETITION, Fault, running

pytest.importorskip("kagglesdk")

SCRIPT = REPOSITORY / "scripts" / "download_subset.py"
USERNAME, KEY = "reader", "c0ffee-recognisable-secret-5eed"
ACCESS_TOKEN = "KGAT_recognisable-access-token-77"
BASIC = "Basic " + base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
IDS = [str(10**9 + 7 * number) for number in range(25)]

newer_client = pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="kaggle 1.7, the newest for Python 3.10, knows no local server but on port 80",
)


script = load_script("download_subset")


def competition_files() -> dict[str, bytes]:
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
    return b"\x89PNG\r\n\x1a\n" + (text.encode() * size)[:size]


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


def write_kaggle_json(home: Path, text: str | None = None) -> Path:
    path = home / ".kaggle" / "kaggle.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"username": USERNAME, "key": KEY}) if text is None else text)
    path.chmod(0o600)
    return path


@pytest.fixture
def server(home):
    write_kaggle_json(home)
    with running(competition_files(), BASIC) as server:
        yield server


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "downloaded_subset"


@pytest.fixture
def shown(capfd):
    """Reads what was printed since the last time; keeps all of it."""

    def read() -> tuple[str, str]:
        read.all.append(capfd.readouterr())
        return read.all[-1]

    read.all = []
    return read


@pytest.fixture(autouse=True)
def no_secret_is_ever_shown(shown, tmp_path):
    yield
    shown()
    printed = "".join(text.out + text.err for text in shown.all)
    written = [path.read_bytes() for path in (tmp_path / "downloaded_subset").rglob("*") if path.is_file()]
    for secret in (KEY, ACCESS_TOKEN, BASIC.removeprefix("Basic "), "signed-address"):
        assert secret not in printed
        assert not any(secret.encode() in data for data in written)


def download(*flags: str) -> int:
    return script.main([*flags, "--num-workers", "2", "--retry-seconds", "2"])


def first(number: int, seed: int = 0) -> list[str]:
    ids = sorted(IDS)
    random.Random(seed).shuffle(ids)
    return ids[:number]


def table_ids(out: Path, split: str = "train") -> list[str]:
    with (out / f"{split}.csv").open() as file:
        return [row["id"] for row in csv.DictReader(file)]


def files_in(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file() and TABLES not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def expected(server, ids, types=PAGE_TYPES, with_csv=True) -> dict[str, bytes]:
    names = [f"{name}/{name}-{page_type}.png" for name in ids for page_type in types]
    names += [f"{name}/{name}.csv" for name in ids if with_csv]
    return {name: server.files[f"train/{name}"] for name in names}


def pages_and_signals(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_in(out).items() if name != "train.csv"}


# ---- what a run makes


@newer_client
def test_without_flags_ten_records_with_all_pages_and_signals(server, out):
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("downloaded_subset: 10 records; 100 files (")
    assert done.stdout.count("\n") == 1
    assert pages_and_signals(out) == expected(server, first(10))
    assert KEY not in done.stdout + done.stderr


@newer_client
def test_the_folder_is_read_by_the_next_steps(server, out):
    assert download() == 0
    assert list(find_records(out)) == sorted(first(10))
    assert sorted(table_ids(out)) == sorted(first(10))
    table = read_record_table(out)
    assert table.path == out / "train.csv"
    assert table.fs_hz[first(1)[0]] == (250, 500)[IDS.index(first(1)[0]) % 2]


@newer_client
def test_the_same_command_again_asks_for_nothing(server, out, shown):
    assert download() == 0
    before = files_in(out)
    server.asked.clear()
    assert download() == 0
    assert server.asked == []
    assert files_in(out) == before
    assert "0 files (0 B) fetched" in shown().out.splitlines()[-1]


@newer_client
def test_more_samples_extend_and_another_seed_adds(server, out):
    assert download("--num-samples", "2", "--types", "0001") == 0
    server.asked.clear()
    assert download("--num-samples", "4", "--types", "0001") == 0
    assert len(server.asked) == 4  # a page and a CSV of each of the two new records
    assert sorted(table_ids(out)) == sorted(first(4))
    assert download("--num-samples", "3", "--types", "0001", "--seed", "5") == 0
    assert set(table_ids(out)) == set(first(4)) | set(first(3, seed=5))


@newer_client
def test_types_and_no_csv(server, out):
    assert download("--num-samples", "2", "--types", "0001", "0006", "--no-csv") == 0
    assert pages_and_signals(out) == expected(server, first(2), ("0001", "0006"), with_csv=False)
    assert sorted(table_ids(out)) == sorted(first(2))


@newer_client
def test_split_test(server, out):
    assert download("--split", "test", "--num-samples", "2") == 0
    pages = {path.stem: path.read_bytes() for path in out.glob("*.png")}
    assert len(pages) == 2
    assert all(data == server.files[f"test/{name}.png"] for name, data in pages.items())
    assert sorted(table_ids(out, "test")) == sorted([*pages, *pages])  # one row a lead


@newer_client
def test_rows_that_a_table_named_before_stay(server, out):
    out.mkdir()
    (out / "train.csv").write_text(f"id,fs,sig_len\n{IDS[3]},500,5000\n")
    assert download("--num-samples", "1", "--types", "0001") == 0
    assert set(table_ids(out)) == {IDS[3], *first(1)}


@newer_client
def test_rows_of_the_users_own_records_stay(server, out):
    out.mkdir()
    (out / "train.csv").write_text("id,fs,patient_id\nmine,1000,7\n")
    assert download("--num-samples", "2", "--types", "0001") == 0
    table = read_record_table(out)
    assert set(table.fs_hz) == {"mine", *first(2)}
    assert (table.fs_hz["mine"], table.patients) == (1000, {"mine": "7"})


@newer_client
@pytest.mark.parametrize("text", [b"\xff\xfe\0", b"name\nmine\n"])
def test_a_table_of_the_users_that_is_none_is_named_and_stays(server, out, text):
    out.mkdir()
    (out / "train.csv").write_bytes(text)
    with pytest.raises(InputError, match=r"downloaded_subset/train\.csv: not a table of records"):
        download()
    assert (out / "train.csv").read_bytes() == text


@newer_client
def test_two_runs_at_once_do_not_meet(server, out):
    server.faults[one_page()] = [Fault(silent=True)]
    other = subprocess.Popen([sys.executable, SCRIPT, "--num-samples", "1", "--types", "0001"])
    while one_page() not in server.asked:
        assert other.poll() is None
        time.sleep(0.05)
    with pytest.raises(InputError, match="another run is at work there"):
        download_one_page()
    other.kill()
    other.wait()
    assert download_one_page() == 0


@newer_client
def test_a_rate_limit_that_does_not_end(server, out, monkeypatch):
    monkeypatch.setattr(kaggle_files, "MAX_PAUSES", 1)
    server.faults[one_page()] = [Fault(status=429, headers={"Retry-After": "1"})] * 2
    with pytest.raises(InputError, match="rate limit does not end; run again later"):
        download_one_page()


@newer_client
def test_a_page_that_kaggle_lacks_is_named_and_the_rest_is_fetched(server, out, shown):
    lacking = f"train/{first(1)[0]}/{first(1)[0]}-0009.png"
    whole = expected(server, first(2))
    del server.files[lacking]
    assert download("--num-samples", "2") == 1
    assert f"skipped {lacking}" in shown().err
    report = (out / script.REPORT_NAME).read_text()
    assert report == f"{lacking}\tKaggle has no {lacking}\n"
    got = pages_and_signals(out)
    del got[script.REPORT_NAME]
    assert got == {name: data for name, data in whole.items() if f"train/{name}" != lacking}
    server.files[lacking] = page_bytes("late")
    assert download("--num-samples", "2") == 0
    assert not (out / script.REPORT_NAME).exists()


@newer_client
def test_a_csv_that_comes_in_a_zip_is_taken_out(server, out):
    name = f"train/{first(1)[0]}/{first(1)[0]}.csv"
    data, file = server.files[name], io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(Path(name).name, data)
    server.files[name] = file.getvalue()
    assert download("--num-samples", "1", "--types", "0001") == 0
    assert (out / name.removeprefix("train/")).read_bytes() == data


# ---- what goes wrong on the way


def one_page() -> str:
    return f"train/{first(1)[0]}/{first(1)[0]}-0001.png"


def download_one_page() -> int:
    return download("--num-samples", "1", "--types", "0001", "--no-csv")


def leftovers(out: Path) -> list[Path]:
    return [path for path in out.rglob(".*") if path.name != TABLES]


@newer_client
def test_a_cut_connection_goes_on_by_range(server, out):
    server.files[one_page()] = page_bytes("large", 1_000_000)
    server.faults[one_page()] = [
        Fault(cut=600_000),
        Fault(cut=0),
        Fault(cut=300_000),
    ]  # the second: asked whole, not read
    assert download_one_page() == 0
    assert pages_and_signals(out) == expected(server, first(1), ("0001",), with_csv=False)
    ranges = [header for name, header in server.served if name == one_page() and header]
    assert len(ranges) == 2 and all(header != "bytes=0-" for header in ranges)
    assert leftovers(out) == []


@newer_client
@pytest.mark.parametrize("lacking", ["ranges", "validators"])
def test_without_ranges_a_cut_file_is_fetched_anew(server, out, lacking):
    setattr(server, lacking, False)
    server.files[one_page()] = page_bytes("large", 1_000_000)
    server.faults[one_page()] = [Fault(cut=600_000)]
    assert download_one_page() == 0
    assert pages_and_signals(out) == expected(server, first(1), ("0001",), with_csv=False)


@newer_client
def test_a_killed_run_leaves_no_half_file_and_the_next_goes_on(server, out):
    server.files[one_page()] = page_bytes("large", 1_000_000)
    server.faults[one_page()] = [Fault(cut=600_000)] + 100 * [Fault(cut=0)]
    command = [
        sys.executable,
        SCRIPT,
        "--num-samples",
        "1",
        "--types",
        "0001",
        "--no-csv",
        "--retry-seconds",
        "600",
    ]
    process = subprocess.Popen(command)
    while server.asked.count(one_page()) < 3:  # it has some bytes and keeps asking for more
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(files_in(out)) == [path.relative_to(out).as_posix() for path in leftovers(out)]
    had = leftovers(out)[0].stat().st_size
    assert 0 < had < 1_000_000
    server.faults.clear()
    server.served.clear()
    assert download_one_page() == 0
    assert server.served[-1] == (one_page(), f"bytes={had}-")
    assert pages_and_signals(out) == expected(server, first(1), ("0001",), with_csv=False)
    assert leftovers(out) == []


@newer_client
def test_ctrl_c_ends_at_once_though_the_server_is_silent(server, out):
    server.faults[one_page()] = [Fault(silent=True)]
    command = [sys.executable, SCRIPT, "--num-samples", "1", "--types", "0001"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while one_page() not in server.asked:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.startswith("interrupted: ") and errors.count("\n") == 1


@newer_client
def test_a_file_that_changed_meanwhile_is_fetched_whole(server, out):
    server.files[one_page()] = page_bytes("old", 1_000_000)
    server.faults[one_page()] = [Fault(cut=600_000)] + 100 * [Fault(cut=0)]
    with pytest.raises(InputError, match="check the network"):
        download_one_page()
    assert leftovers(out)
    server.faults.clear()
    server.files[one_page()] = page_bytes("new", 1_000_000)
    assert download_one_page() == 0
    assert pages_and_signals(out) == expected(server, first(1), ("0001",), with_csv=False)
    assert leftovers(out) == []


@newer_client
def test_corrupted_bytes_are_fetched_again_and_named_if_they_stay(server, out):
    server.faults[one_page()] = [Fault(spoil=True)]
    assert download_one_page() == 0
    (out / one_page().removeprefix("train/")).unlink()
    server.faults[one_page()] = [Fault(spoil=True), Fault(spoil=True)]
    assert download_one_page() == 1
    assert "md5" in (out / script.REPORT_NAME).read_text()
    assert leftovers(out) == []


@newer_client
def test_a_rate_limit_is_waited_for(server, out, shown):
    server.faults[one_page()] = [Fault(status=429, headers={"Retry-After": "1"})] * 2
    assert download_one_page() == 0
    assert "Kaggle asks for a pause of 1 s (rate limit)" in shown().err
    assert server.asked.count(one_page()) == 3


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 1.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 1.0), ("nonsense", 60.0), (None, 60.0)],
)
def test_how_long_a_rate_limit_lasts(header, seconds):
    class Answer:
        headers = {} if header is None else {"Retry-After": header}

    assert asked_pause_s(Answer) == seconds


@newer_client
def test_a_server_in_trouble_is_asked_again(server, out):
    server.faults[one_page()] = [Fault(status=503)]
    assert download_one_page() == 0


@newer_client
@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (403, f"accept the rules at https://www.kaggle.com/competitions/{COMPETITION}/rules"),
        (401, r"refuses the token of .*kaggle\.json; make a new one at https://www\.kaggle\.com/settings"),
        (404, f"no competition {COMPETITION} with a train.csv; check --competition"),
        (503, r"no answer from Kaggle for 2 s \(status 503\); check the network"),
        (418, "status 418"),
    ],
)
def test_what_the_server_refuses_comes_with_the_remedy(server, out, status, remedy):
    server.faults["train.csv"] = [Fault(status=status)] * 9
    with pytest.raises(InputError, match=remedy) as error:
        download()
    assert "\n" not in str(error.value)
    assert pages_and_signals(out) == {}


@newer_client
def test_rules_not_accepted_is_one_line_and_exit_2(server, out):
    server.faults["train.csv"] = [Fault(status=403)]
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: Kaggle forbids the download: accept the rules at https://www.kaggle.com/"
    )
    assert done.stderr.count("\n") == 1 and done.stdout == ""


@newer_client
def test_no_such_competition(server):
    with pytest.raises(InputError, match="no competition other-one"):
        download("--competition", "other-one")


@newer_client
def test_a_refusal_in_the_middle_ends_the_step_and_keeps_what_is_done(server, out):
    server.faults[f"train/{first(3)[2]}/{first(3)[2]}-0001.png"] = [Fault(status=401)] * 9
    with pytest.raises(InputError, match="refuses the token"):
        script.main(["--num-samples", "3", "--types", "0001", "--no-csv", "--num-workers", "1"])
    assert sorted(table_ids(out)) == sorted(first(2))


@newer_client
def test_no_network_is_one_line_and_exit_2(home):
    write_kaggle_json(home)
    done = subprocess.run([sys.executable, SCRIPT, "--retry-seconds", "1"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no answer from Kaggle for 1 s (ConnectionError); check the network")
    assert done.stderr.count("\n") == 1


@newer_client
def test_a_full_disk_is_one_line(server, out):
    size, path = len(server.files[one_page()]), out / one_page().removeprefix("train/")
    path.parent.mkdir(parents=True)
    etag = f'"{hashlib.md5(server.files[one_page()]).hexdigest()}"'
    partial_path(path, size, etag).symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(InputError, match="disk full; free some space"):
        download_one_page()


# ---- the token


@newer_client
def test_key_in_the_environment_wins_over_the_file(server, home, monkeypatch):
    write_kaggle_json(home, json.dumps({"username": USERNAME, "key": "outdated"}))
    monkeypatch.setenv("KAGGLE_USERNAME", USERNAME)
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert download_one_page() == 0


@newer_client
@pytest.mark.parametrize("where", ["environment", "file named by the environment", "access_token"])
def test_access_tokens(home, monkeypatch, where):
    write_kaggle_json(home, json.dumps({"username": USERNAME, "key": "outdated"}))
    if where == "environment":
        monkeypatch.setenv("KAGGLE_API_TOKEN", ACCESS_TOKEN)
    else:
        path = home / ".kaggle" / "access_token"
        path.write_text(ACCESS_TOKEN + "\n")
        path.chmod(0o600)
        if where.startswith("file"):
            monkeypatch.setenv("KAGGLE_API_TOKEN", str(path.rename(home / "token")))
    with running(competition_files(), f"Bearer {ACCESS_TOKEN}"):
        assert download_one_page() == 0


@newer_client
def test_the_login_of_the_client_itself(home):
    path = home / ".kaggle" / "credentials.json"
    path.parent.mkdir()
    login = {
        "refresh_token": "refresh",
        "access_token": ACCESS_TOKEN,
        "access_token_expiration": "2999-01-01T00:00:00+00:00",
        "username": USERNAME,
    }
    path.write_text(json.dumps(login))
    path.chmod(0o600)
    with running(competition_files(), f"Bearer {ACCESS_TOKEN}"):
        assert download_one_page() == 0


def test_without_a_token_the_line_says_where_to_get_one(home):
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: no Kaggle token: make one at https://www.kaggle.com/settings/api and save it"
    )
    assert done.stderr.count("\n") == 1 and done.stdout == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON " + KEY,
        json.dumps([KEY]),
        json.dumps({"username": USERNAME}),
        json.dumps({"username": USERNAME, "key": ""}),
        json.dumps({"username": USERNAME, "key": 5}),
        json.dumps({"username": USERNAME, "key": KEY + "\nmore"}),
        json.dumps({"username": USERNAME, "key": KEY + "é"}),
    ],
)
def test_a_malformed_file_is_named_and_not_quoted(home, text):
    path = write_kaggle_json(home, text)
    with pytest.raises(InputError, match="not a Kaggle token") as error:
        download()
    assert str(path) in str(error.value) and KEY not in str(error.value)


@pytest.mark.parametrize("name", ["KAGGLE_USERNAME", "KAGGLE_KEY"])
def test_half_a_key_in_the_environment(home, monkeypatch, name):
    monkeypatch.setenv(name, KEY)
    with pytest.raises(InputError, match="is not set"):
        download()


@newer_client
def test_a_malformed_access_token_is_not_quoted(home, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", ACCESS_TOKEN + " \n x")
    with pytest.raises(InputError, match="KAGGLE_API_TOKEN: not a Kaggle token"):
        download()


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="about the client of Python 3.10")
def test_access_tokens_need_a_newer_python(home, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT")
    monkeypatch.setenv("KAGGLE_API_TOKEN", ACCESS_TOKEN)
    with pytest.raises(InputError, match=r"access tokens need Python 3\.11"):
        download()


@newer_client
def test_a_token_that_others_can_read_is_warned_about(server, home, shown):
    path = home / ".kaggle" / "kaggle.json"
    path.chmod(0o644)
    assert download_one_page() == 0
    warning = shown().err
    assert warning == f"warning: {path} can be read by others; run `chmod 600 {path}`\n"


@newer_client
def test_an_unknown_environment_of_the_client(home, monkeypatch):
    write_kaggle_json(home)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "nonsense")
    with pytest.raises(InputError, match="KAGGLE_API_ENVIRONMENT"):
        download()


# ---- usage


@pytest.mark.parametrize("flags", [["--num-samples", "0"], ["--types", "0002"], ["--competition", "../x"]])
def test_bad_usage(home, flags):
    with pytest.raises(SystemExit) as error:
        download(*flags)
    assert error.value.code == 2


@newer_client
def test_more_records_than_there_are(server):
    with pytest.raises(InputError, match="--num-samples 26: there are only 25 records"):
        download("--num-samples", "26")


@newer_client
@pytest.mark.parametrize(
    "table", [b"", b"number\n1\n", b"id,fs\n", b"id,fs\n../../escaped,500\n", b"id,fs\n1\n", b"\xff\xfe"]
)
def test_a_table_that_is_none(server, out, table):
    server.files["train.csv"] = table
    with pytest.raises(InputError, match="not a table of records"):
        download()


def test_help_loads_neither_torch_nor_matplotlib_nor_the_client():
    text, loaded = help_and_loaded("scripts/download_subset.py", "torch", "matplotlib", "kaggle", "kagglesdk")
    assert "--num-samples" in text
    assert not loaded
