"""Files of a competition from a local stand-in that can misbehave."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch import kaggle_client, kaggle_files
from ecg_generator_with_train_src.fetch.kaggle_client import Competition
from ecg_generator_with_train_src.fetch.kaggle_files import (
    CorruptedError,
    Wanted,
    announced_version,
    fetch_files,
    partial_path,
    settle_file,
)
from ecg_generator_with_train_src.fetch.transfers import Counts

from kaggle_stand_in import COMPETITION, Fault, first, leftovers, newer_client, one_page, page_bytes
from record_sources import contents, zip_of

pytest.importorskip("kagglesdk")
pytest_plugins = ["kaggle_stand_in"]
pytestmark = pytest.mark.usefixtures("no_secret_is_ever_shown", "short_delays")


@pytest.fixture
def report(tmp_path) -> SkipReport:
    return SkipReport(tmp_path / "skipped.txt")


def fetch(out: Path, report: SkipReport, *names: str, retry_seconds: int = 2) -> Counts:
    """Fetch these files, or one page, to their names in the output folder."""
    wanted = [Wanted(name, out / name) for name in names or [one_page()]]
    return fetch_files(Competition(COMPETITION, retry_seconds), wanted, 2, report)


def is_there_alone(out: Path, server, name: str | None = None) -> bool:
    """Whether the output folder has this file, or the page, as the server has it, and nothing else."""
    name = name or one_page()
    return contents(out) == {name: server.files[name]} and not leftovers(out)


@newer_client
def test_files_are_fetched_once_and_what_kaggle_lacks_is_named(server, out, report):
    names = [f"train/{name}/{name}.csv" for name in first(3)]
    counts = fetch(out, report, *names, "train/1/1.csv")
    assert (counts.files, counts.already) == (3, 0)
    assert counts.bytes == sum(len(server.files[name]) for name in names)
    assert report.reasons == {"train/1/1.csv": "Kaggle has no train/1/1.csv"}
    server.asked.clear()
    assert fetch(out, report, *names).already == 3
    assert server.asked == []


@newer_client
def test_a_cut_connection_goes_on_by_range(server, out, report):
    server.files[one_page()] = page_bytes("large", 1_000_000)
    # the second fault strikes an answer that only tells the file's version; the rest is asked for by range
    server.faults[one_page()] = [Fault(cut=600_000), Fault(cut=0), Fault(cut=300_000)]
    fetch(out, report)
    assert is_there_alone(out, server)
    ranges = [header for name, header in server.served if name == one_page() and header]
    assert len(ranges) == 2 and all(header != "bytes=0-" for header in ranges)


@newer_client
@pytest.mark.parametrize("lacking", ["ranges", "validators"])
def test_without_ranges_a_cut_file_is_fetched_anew(server, out, report, lacking):
    setattr(server, lacking, False)
    server.files[one_page()] = page_bytes("large", 1_000_000)
    server.faults[one_page()] = [Fault(cut=600_000)]
    fetch(out, report)
    assert contents(out) == {one_page(): server.files[one_page()]}


@newer_client
def test_a_file_that_changed_meanwhile_is_fetched_whole(server, out, report):
    server.files[one_page()] = page_bytes("old", 1_000_000)
    server.faults[one_page()] = [Fault(cut=600_000)] + 100 * [Fault(cut=0)]
    with pytest.raises(InputError, match="check the network"):
        fetch(out, report, retry_seconds=1)
    assert leftovers(out)
    server.faults.clear()
    server.files[one_page()] = page_bytes("new", 1_000_000)
    fetch(out, report)
    assert is_there_alone(out, server)


@newer_client
def test_corrupted_bytes_are_fetched_again_and_named_if_they_stay(server, out, report):
    server.faults[one_page()] = [Fault(spoil=True)]
    assert fetch(out, report).files == 1
    assert is_there_alone(out, server)
    (out / one_page()).unlink()
    server.faults[one_page()] = [Fault(spoil=True), Fault(spoil=True)]
    assert fetch(out, report).files == 0
    assert "did not match the server's md5 checksum" in report.reasons[one_page()]
    assert contents(out) == {} and leftovers(out) == []


@newer_client
def test_every_rate_limit_is_waited_for(server, out, report, monkeypatch):
    monkeypatch.setattr(kaggle_client, "SHORTEST_PAUSE_S", 0.2)
    server.faults[one_page()] = [Fault(status=429, headers={"Retry-After": "0"})] * 3
    fetch(out, report)
    assert server.asked.count(one_page()) == 4
    assert is_there_alone(out, server)


@newer_client
def test_a_rate_limit_that_does_not_end(server, out, report, monkeypatch):
    monkeypatch.setattr(kaggle_client, "SHORTEST_PAUSE_S", 0.2)
    monkeypatch.setattr(kaggle_files, "MAX_PAUSES", 1)
    server.faults[one_page()] = [Fault(status=429, headers={"Retry-After": "0"})] * 2
    with pytest.raises(InputError, match="rate limit does not end; run again later"):
        fetch(out, report)
    assert server.asked.count(one_page()) == 2


@newer_client
def test_a_server_in_trouble_is_asked_again(server, out, report):
    server.faults[one_page()] = [Fault(status=503), Fault(status=408)]
    fetch(out, report)
    assert is_there_alone(out, server)


@newer_client
@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (403, f"accept the rules at https://www.kaggle.com/competitions/{COMPETITION}/rules"),
        (401, r"refuses the token of .*kaggle\.json; make a new one at https://www\.kaggle\.com/settings"),
        (404, f"no competition {COMPETITION} with a train.csv; check --competition"),
        (503, r"no answer from Kaggle for 1 s \(status 503\); check the network"),
        (418, "status 418"),
    ],
)
def test_what_the_server_refuses_comes_with_the_remedy(server, out, report, status, remedy):
    server.faults["train.csv"] = [Fault(status=status)] * 20
    with pytest.raises(InputError, match=remedy) as error:
        fetch(out, report, "train.csv", retry_seconds=1)
    assert "\n" not in str(error.value)
    assert contents(out) == {}


@newer_client
def test_a_full_disk_is_one_line(server, out, report):
    size, path = len(server.files[one_page()]), out / one_page()
    path.parent.mkdir(parents=True)
    etag = f'"{hashlib.md5(server.files[one_page()]).hexdigest()}"'
    partial_path(path, size, etag).symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(InputError, match="disk full; free some space"):
        fetch(out, report)


@newer_client
def test_a_csv_that_comes_in_a_zip_is_taken_out(server, out, report):
    name = f"train/{first(1)[0]}/{first(1)[0]}.csv"
    data, file = server.files[name], io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(Path(name).name, data)
    server.files[name] = file.getvalue()
    fetch(out, report, name)
    assert contents(out) == {name: data}


@pytest.mark.parametrize("data", [zip_of({"other.csv": b"x"}), zip_of({"a.csv": b"x"})[:-30]])
def test_a_zip_without_the_file_is_a_corrupted_file(tmp_path, data):
    partial = tmp_path / ".a.csv.part"
    partial.write_bytes(data)
    with pytest.raises(
        CorruptedError, match=r"^train/a\.csv: Kaggle sent a zip archive from which it cannot"
    ):
        settle_file(partial, Wanted("train/a.csv", tmp_path / "a.csv"))
    assert list(tmp_path.iterdir()) == []


def test_partial_files_of_other_versions_are_removed(tmp_path):
    path = tmp_path / "a.csv"
    old = partial_path(path, 10, '"old"')
    old.touch()
    assert partial_path(path, 10, '"old"') == old and old.exists()
    assert partial_path(path, 10, '"new"') != old and not old.exists()


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"Content-Length": "10", "ETag": '"a"', "Last-Modified": "today"}, (10, '"a"')),
        ({"Content-Length": "10", "Last-Modified": "today"}, (10, "today")),
        ({}, (None, None)),
        ({"Content-Length": "10", "ETag": '"a"', "Content-Encoding": "gzip"}, (None, None)),
    ],
)
def test_what_an_answer_tells_of_its_file(headers, version):
    class Answer:
        pass

    Answer.headers = headers
    assert announced_version(Answer) == version
