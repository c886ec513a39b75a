"""Sources on this machine: what is linked, what is copied, what is refused."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.local_files import take_local
from ecg_generator_with_train_src.fetch.state import State
from ecg_generator_with_train_src.fetch.transfers import Counts

from record_sources import contents, csv_bytes, flat_files, tar_gz, write_files


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def take(source: Path | str, out: Path) -> Counts:
    report = SkipReport(out / "skipped.txt")
    counts = take_local(str(source), State(out), report)
    assert not report.reasons
    return counts


def test_records_and_pages_are_linked_and_other_files_stay_behind(out):
    files = {"101/101.csv": b"signals", "101/101-0001.png": b"page", "101/scan.JPG": b"scan"}
    source = write_files(out.parent / "source", {**files, "101/notes.txt": b"notes", ".hidden.csv": b""})
    counts = take(source, out)
    assert contents(out) == {f"train/{name}": data for name, data in files.items()}
    assert all((out / "train" / name).samefile(source / name) for name in files)
    assert (counts.verb, counts.files, counts.already) == ("taken", 3, 0)
    assert counts.bytes == sum(map(len, files.values()))


def test_an_archive_is_unpacked_once_and_again_if_it_changed(out):
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz(flat_files()))
    assert take(archive, out).files == 1
    assert contents(out) == flat_files()
    again = take(archive, out)
    assert (again.files, again.already) == (0, 1)
    archive.write_bytes(tar_gz({"train-csvs/101.csv": csv_bytes(999)}))
    assert take(archive, out).files == 1
    assert contents(out)["train-csvs/101.csv"] == csv_bytes(999)


def test_a_folder_that_holds_the_output_folder_is_taken_without_it(out):
    write_files(out.parent, flat_files())
    assert take(out.parent, out).files == take(out.parent, out).already == len(flat_files())
    assert contents(out) == flat_files()


@pytest.mark.parametrize("source", ["", "no/such/path", "s3://bucket/folder", __file__])
def test_a_source_that_is_none(out, source):
    with pytest.raises(InputError, match=r"no such folder or archive|not an archive"):
        take(source, out)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_what_is_copied_already_needs_no_space(out, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        source = write_files(Path(other), flat_files())
        assert take(source, out).files == 3
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
        assert take(source, out).already == 3
        write_files(source, {"train-csvs/404.csv": csv_bytes(404)})
        with pytest.raises(InputError, match=r"the copy needs .* kB, the disk has 0 B free"):
            take(source, out)


def test_a_file_that_cannot_be_taken_costs_that_file(out, capsys):
    source = write_files(out.parent / "source", flat_files())
    (source / "train-csvs/gone.csv").symlink_to(source / "nowhere.csv")
    report = SkipReport(out / "skipped.txt")
    counts = take_local(str(source), State(out), report)
    assert contents(out) == flat_files()
    assert counts.files == len(flat_files())
    assert list(report.reasons) == ["train-csvs/gone.csv"]
    assert "gone.csv: is no file that can be read, or a link to none" in capsys.readouterr().err


def test_links_that_lead_in_a_circle_are_not_followed(out):
    source = write_files(out.parent / "source", flat_files())
    (source / "train-csvs/again").symlink_to(source)
    (source / "train-csvs/self").symlink_to(source / "train-csvs")
    take(source, out)
    assert contents(out) == flat_files()


def test_names_of_any_bytes_are_taken_and_known_again(out):
    source = write_files(out.parent / "source", flat_files())
    odd = os.fsdecode(b"caf\xe9\t.csv")
    (source / "train-csvs" / odd).write_bytes(csv_bytes(7))
    assert take(source, out).files == len(flat_files()) + 1
    state = State(out)
    state.set_made(out / "train-csvs" / odd)
    state.save()
    assert State(out).is_as_made(out / "train-csvs" / odd)


def test_pipes_devices_and_links_to_nothing_are_reported_and_the_rest_is_taken(out):
    source = write_files(out.parent / "source", {"101.csv": b"signals"})
    os.mkfifo(source / "102.csv")
    (source / "103.csv").symlink_to("/dev/zero")
    (source / "104.csv").symlink_to("nowhere")
    (source / "105.csv").symlink_to("105.csv")
    report = SkipReport(out / "skipped.txt")
    counts = take_local(str(source), State(out), report)
    assert set(report.reasons) == {"102.csv", "103.csv", "104.csv", "105.csv"}
    assert (counts.files, contents(out)) == (1, {"train-csvs/101.csv": b"signals"})
    with pytest.raises(InputError, match=r"pipe\.zip: is a pipe or a device"):
        os.mkfifo(source / "pipe.zip")
        take_local(str(source / "pipe.zip"), State(out), report)
