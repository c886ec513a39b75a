"""scripts/download_subset as a whole: the real Kaggle client against a local stand-in of the server."""

import csv
import io
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_SKIPPED,
    EXIT_USAGE,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.kaggle_subset import PAGE_TYPES, TABLES
from ecg_generator_with_train_src.page.records import find_records, read_record_table

from conftest import REPOSITORY
from helpers import help_and_loaded, load_script, refusal, run_here, wait_for
from kaggle_stand_in import (
    ACCESS_TOKEN,
    IDS,
    KEY,
    USERNAME,
    Fault,
    competition_files,
    first,
    leftovers,
    newer_client,
    one_page,
    page_bytes,
    running,
    write_kaggle_json,
)

pytest.importorskip("kagglesdk")
pytest_plugins = ["kaggle_stand_in"]
pytestmark = pytest.mark.usefixtures("no_secret_is_ever_shown", "short_delays")

SCRIPT = REPOSITORY / "scripts" / "download_subset.py"

script = load_script("download_subset")


def download(*flags: str) -> int:
    return script.main(["--num-workers", "2", "--retry-seconds", "2", *flags])


def start(*flags: str, **options) -> subprocess.Popen:
    """The command at work in a process of its own: one page, patience with the network."""
    flags = ("--num-samples", "1", "--types", "0001", "--retry-seconds", "600", *flags)
    return subprocess.Popen([sys.executable, SCRIPT, *flags], **options)


def wait_while_at_work(process: subprocess.Popen, condition) -> None:
    """Wait until the condition holds; fail if the process ends before."""
    wait_for(lambda: condition() or process.poll() is not None)
    assert process.poll() is None


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


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
    assert (done.returncode, done.stderr) == (EXIT_DONE, "")
    assert done.stdout.startswith("downloaded_subset: 10 records; 100 files (")
    assert done.stdout.count("\n") == 1
    assert pages_and_signals(out) == expected(server, first(10))
    assert KEY not in done.stdout + done.stderr


@newer_client
def test_the_folder_is_read_by_the_next_steps(server, out):
    assert download() == EXIT_DONE
    assert list(find_records(out)) == sorted(first(10))
    assert sorted(table_ids(out)) == sorted(first(10))
    table = read_record_table(out)
    assert table.path == out / "train.csv"
    assert table.fs_hz[first(1)[0]] == (250, 500)[IDS.index(first(1)[0]) % 2]


@newer_client
def test_the_same_command_again_asks_for_nothing(server, out, shown):
    assert download() == EXIT_DONE
    before = files_in(out)
    server.asked.clear()
    assert download() == EXIT_DONE
    assert server.asked == []
    assert files_in(out) == before
    assert "0 files (0 B) fetched" in shown().out.splitlines()[-1]


@newer_client
def test_more_samples_extend_and_another_seed_adds(server, out):
    assert download("--num-samples", "2", "--types", "0001") == EXIT_DONE
    server.asked.clear()
    assert download("--num-samples", "4", "--types", "0001") == EXIT_DONE
    assert len(server.asked) == 4  # a page and a CSV of each of the two new records
    assert sorted(table_ids(out)) == sorted(first(4))
    assert download("--num-samples", "3", "--types", "0001", "--seed", "5") == EXIT_DONE
    assert set(table_ids(out)) == set(first(4)) | set(first(3, seed=5))


@newer_client
def test_types_and_no_csv(server, out):
    assert download("--num-samples", "2", "--types", "0001", "0006", "--no-csv") == EXIT_DONE
    assert pages_and_signals(out) == expected(server, first(2), ("0001", "0006"), with_csv=False)
    assert sorted(table_ids(out)) == sorted(first(2))


@newer_client
def test_split_test(server, out):
    assert download("--split", "test", "--num-samples", "2") == EXIT_DONE
    pages = {path.stem: path.read_bytes() for path in out.glob("*.png")}
    assert len(pages) == 2
    assert all(data == server.files[f"test/{name}.png"] for name, data in pages.items())
    assert sorted(table_ids(out, "test")) == sorted([*pages, *pages])  # one row a lead


@newer_client
def test_rows_that_a_table_named_before_stay(server, out):
    out.mkdir()
    (out / "train.csv").write_text(f"id,fs,sig_len\n{IDS[3]},500,5000\n")
    assert download("--num-samples", "1", "--types", "0001") == EXIT_DONE
    assert set(table_ids(out)) == {IDS[3], *first(1)}


@newer_client
def test_rows_of_the_users_own_records_stay(server, out):
    out.mkdir()
    (out / "train.csv").write_text("id,fs,patient_id\nmine,1000,7\n")
    assert download("--num-samples", "2", "--types", "0001") == EXIT_DONE
    table = read_record_table(out)
    assert set(table.fs_hz) == {"mine", *first(2)}
    assert (table.fs_hz["mine"], table.patients) == (1000, {"mine": "7"})


@newer_client
def test_two_runs_at_once_do_not_meet(server, out):
    server.faults[one_page()] = [Fault(silent=True)]
    other = start()
    wait_while_at_work(other, lambda: one_page() in server.asked)
    with pytest.raises(InputError, match=r"another run .*is at work there"):
        download_one_page()
    end(other)
    assert download_one_page() == EXIT_DONE


@newer_client
def test_a_page_that_kaggle_lacks_is_named_and_the_rest_is_fetched(server, out, shown):
    lacking = f"train/{first(1)[0]}/{first(1)[0]}-0009.png"
    whole = expected(server, first(2))
    del server.files[lacking]
    assert download("--num-samples", "2") == EXIT_SKIPPED
    assert f"skipped {lacking}" in shown().err
    report = (out / script.REPORT_NAME).read_text()
    assert report == f"{lacking}\tKaggle has no {lacking}\n"
    got = pages_and_signals(out)
    del got[script.REPORT_NAME]
    assert got == {name: data for name, data in whole.items() if f"train/{name}" != lacking}
    server.files[lacking] = page_bytes("late")
    assert download("--num-samples", "2") == EXIT_DONE
    assert not (out / script.REPORT_NAME).exists()


@newer_client
def test_a_csv_that_comes_in_a_zip_is_taken_out(server, out):
    name = f"train/{first(1)[0]}/{first(1)[0]}.csv"
    data, file = server.files[name], io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(Path(name).name, data)
    server.files[name] = file.getvalue()
    assert download("--num-samples", "1", "--types", "0001") == EXIT_DONE
    assert (out / name.removeprefix("train/")).read_bytes() == data


# ---- what goes wrong on the way


def download_one_page() -> int:
    return download("--num-samples", "1", "--types", "0001", "--no-csv")


@newer_client
def test_a_killed_run_leaves_no_half_file_and_the_next_goes_on(server, out):
    server.files[one_page()] = page_bytes("large", 1_000_000)
    server.faults[one_page()] = [Fault(cut=600_000)] + 100 * [Fault(cut=0)]
    process = start("--no-csv")
    # its second request shows that it has some bytes and keeps asking for more
    wait_while_at_work(process, lambda: server.asked.count(one_page()) > 1)
    end(process)
    assert list(files_in(out)) == [path.relative_to(out).as_posix() for path in leftovers(out)]
    had = leftovers(out)[0].stat().st_size
    assert 0 < had < 1_000_000
    server.faults.clear()
    server.served.clear()
    assert download_one_page() == EXIT_DONE
    assert server.served[-1] == (one_page(), f"bytes={had}-")
    assert pages_and_signals(out) == expected(server, first(1), ("0001",), with_csv=False)
    assert leftovers(out) == []


@newer_client
def test_ctrl_c_ends_at_once_though_the_server_is_silent(server, out):
    server.faults[one_page()] = [Fault(silent=True)]
    process = start(stderr=subprocess.PIPE, text=True)
    wait_while_at_work(process, lambda: one_page() in server.asked)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == EXIT_INTERRUPTED
    assert errors.startswith("interrupted: ") and errors.count("\n") == 1


@newer_client
def test_a_rate_limit_is_waited_for(server, out, shown):
    server.faults[one_page()] = [Fault(status=429, headers={"Retry-After": "1"})]
    assert download_one_page() == EXIT_DONE
    assert "Kaggle asks for a pause of 1 s (rate limit)" in shown().err
    assert server.asked.count(one_page()) == 2


@newer_client
def test_rules_not_accepted_is_one_line_and_exit_2(server, out):
    server.faults["train.csv"] = [Fault(status=403)]
    done = run_here("scripts/download_subset.py")
    assert refusal(done, EXIT_USAGE).startswith(
        "error: Kaggle forbids the download: accept the rules at https://www.kaggle.com/"
    )
    assert done.stdout == ""


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
    line = refusal(run_here("scripts/download_subset.py", "--retry-seconds", "1"), EXIT_USAGE)
    assert line.startswith("error: no answer from Kaggle for 1 s (ConnectionError); check the network")


# ---- the token


@newer_client
def test_key_in_the_environment_wins_over_the_file(server, home, monkeypatch):
    write_kaggle_json(home, json.dumps({"username": USERNAME, "key": "outdated"}))
    monkeypatch.setenv("KAGGLE_USERNAME", USERNAME)
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert download_one_page() == EXIT_DONE


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
        assert download_one_page() == EXIT_DONE


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
        assert download_one_page() == EXIT_DONE


def test_without_a_token_the_line_says_where_to_get_one(home):
    done = run_here("scripts/download_subset.py")
    assert refusal(done, EXIT_USAGE).startswith(
        "error: no Kaggle token: make one at https://www.kaggle.com/settings/api and save it"
    )
    assert done.stdout == ""


@newer_client
def test_a_token_that_others_can_read_is_warned_about(server, home, shown):
    path = home / ".kaggle" / "kaggle.json"
    path.chmod(0o644)
    assert download_one_page() == EXIT_DONE
    warning = shown().err
    assert warning == f"warning: {path} can be read by others; run `chmod 600 {path}`\n"


# ---- usage


@pytest.mark.parametrize("flags", [["--num-samples", "0"], ["--types", "0002"], ["--competition", "../x"]])
def test_bad_usage(home, flags):
    with pytest.raises(SystemExit) as error:
        download(*flags)
    assert error.value.code == EXIT_USAGE


@newer_client
def test_a_table_that_is_none_ends_the_step(server, out):
    server.files["train.csv"] = b"id,fs\n../../escaped,500\n"
    with pytest.raises(InputError, match="not a table of records"):
        download()


def test_help_loads_neither_torch_nor_matplotlib_nor_the_client():
    text, loaded = help_and_loaded("scripts/download_subset.py", "torch", "matplotlib", "kaggle", "kagglesdk")
    assert "--num-samples" in text
    assert str(REPOSITORY) not in text and str(Path.home()) not in text
    assert not loaded
