"""Archives that are whole, corrupt or malicious: all is unpacked, or nothing."""

import bz2
import gzip
import os
import shutil
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.archives import archive_members, safe_name, unpack, unpack_or_report
from ecg_generator_with_train_src.fetch.state import State
from ecg_generator_with_train_src.fetch.transfers import CannotGoOnError

from helpers import linux_only
from record_sources import competition_files, contents, flat_files, no_leftovers, spoiled, tar_gz, zip_of


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def refusal_of(archive: Path, out: Path) -> str:
    """The one line with which an archive is refused; nothing of it is left anywhere."""
    before = set(out.parent.rglob("*"))
    with pytest.raises(InputError) as error:
        unpack(archive, State(out))
    assert set(out.parent.rglob("*")) == before
    assert str(archive) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip"])
def test_every_kind_of_archive_is_unpacked_to_its_place(out, suffix):
    archive, state = out.parent / f"records{suffix}", State(out)
    plain = tar_gz(flat_files(top="some/folder/"))
    archive.write_bytes(zip_of(flat_files(top="some/folder/")) if suffix == ".zip" else plain)
    if suffix not in (".zip", ".tgz", ".tar.gz"):
        mode = {".tar": "w", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}[suffix]
        shutil.unpack_archive(archive, out.parent / "plain", "gztar")
        with tarfile.open(archive, mode) as tar:
            tar.add(out.parent / "plain/some", "some")
    assert sorted(unpack(archive, state)) == sorted(flat_files())
    assert contents(out) == flat_files()
    assert all(state.is_as_made(out / name) for name in flat_files())
    assert no_leftovers(out)


def test_a_zip_whose_folders_are_parted_by_backslashes_is_unpacked_to_its_place(out):
    archive = out.parent / "records.zip"
    names = {name.replace("/", "\\"): data for name, data in flat_files(top="some/folder/").items()}
    archive.write_bytes(zip_of({"some\\folder\\": b"", **names}))
    unpack(archive, State(out))
    assert contents(out) == flat_files()


def test_what_was_unpacked_is_noted_and_what_was_not_is_reported(out):
    good, bad = out.parent / "good.tar.gz", out.parent / "bad.tar.gz"
    good.write_bytes(tar_gz(flat_files()))
    bad.write_bytes(b"no archive")
    state, report = State(out), SkipReport(out / "skipped.txt")
    assert unpack_or_report(good, "key", state, report)
    assert not unpack_or_report(bad, "key", state, report)
    assert State(out).is_unpacked("good.tar.gz", "key") and not State(out).is_unpacked("bad.tar.gz", "key")
    assert list(report.reasons) == ["bad.tar.gz"]


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


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
    assert "refused" in refusal_of(archive, out)


@pytest.mark.parametrize(
    "name",
    [
        "/escaped.csv",
        "../escaped.csv",
        "train/../../escaped.csv",
        "C:/escaped.csv",
        "..\\a.csv",
        "\\\\pc\\a.csv",
        "C:\\a.csv",
    ],
)
def test_a_malicious_zip_is_refused_whole(out, name):
    archive = out.parent / "data.zip"
    archive.write_bytes(zip_of({**competition_files(), name: b"x"}))
    assert "refused" in refusal_of(archive, out)


def test_a_link_in_a_zip_is_refused(out):
    archive = out.parent / "data.zip"
    link = zipfile.ZipInfo("train/link.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    assert "link or device" in refusal_of(archive, out)


@pytest.mark.parametrize("name", ["/a.csv", "../a.csv", "a/../../b.csv", "a\\b.csv", "a\0.csv", "C:a.csv"])
def test_a_name_that_leads_outside_is_no_safe_name(name):
    with pytest.raises(InputError, match=r"^the source: refused: .* would land outside the folder"):
        safe_name(name, "the source")
    assert safe_name("./a/b.csv", "the source").as_posix() == "a/b.csv"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tar.gz", tar_gz(flat_files())[:-2000]),
        ("b.tar.gz", tar_gz(flat_files())[:-6]),  # all members are whole, gzip's checksum is cut
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
    assert "corrupt archive" in refusal_of(archive, out)


def test_a_zip_with_a_password_is_refused(out):
    data = bytearray(zip_of({"train-csvs/101.csv": b"x"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + offset] |= 1  # the flag of an encrypted member
    (out.parent / "locked.zip").write_bytes(data)
    assert "cannot be unpacked" in refusal_of(out.parent / "locked.zip", out)


def test_traces_of_other_systems_are_no_members(out):
    junk = {
        "train-csvs/._101.csv": b"\0",
        "__MACOSX/train-csvs/101.csv": b"\0",
        "train-csvs/.DS_Store": b"\0",
    }
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz({**flat_files(), **junk}))
    sizes = {name.as_posix(): size for name, size, _ in archive_members(archive)}
    assert sizes == {name: len(data) for name, data in flat_files().items()}
    unpack(archive, State(out))
    assert contents(out) == flat_files()


def test_what_a_killed_run_had_begun_to_unpack_is_cleared_away(out):
    archive = out.parent / "train-csvs.tar.gz"
    archive.write_bytes(tar_gz(flat_files()))
    (out / ".unpacking/train-csvs").mkdir(parents=True)
    (out / ".unpacking/train-csvs/404.csv").write_bytes(b"half")
    unpack(archive, State(out))
    assert contents(out) == flat_files()
    assert no_leftovers(out)


def test_too_little_space_for_the_contents_is_said_before_they_are_unpacked(out):
    free = shutil.disk_usage(out.parent).free
    claim = 0xFFFFFFF0  # bytes that each member claims to have
    data = bytearray(zip_of({f"train-csvs/{number}.csv": b"" for number in range(free // claim + 2)}))
    start = data.find(b"PK\x01\x02")
    while start >= 0:
        data[start + 24 : start + 28] = claim.to_bytes(4, "little")
        start = data.find(b"PK\x01\x02", start + 4)
    archive = out.parent / "train-csvs.zip"
    archive.write_bytes(data)
    report = SkipReport(out / "skipped.txt")
    with pytest.raises(CannotGoOnError, match=r"unpacking train-csvs.zip needs .* GB, the disk has .* free"):
        unpack_or_report(archive, "key", State(out), report, most_ratio=1e12)
    assert report.reasons == {} and list(out.iterdir()) == []


def test_what_the_system_refuses_of_a_member_costs_its_archive_and_names_both(out, capsys):
    archive, report = out.parent / "long.zip", SkipReport(out / "skipped.txt")
    archive.write_bytes(zip_of({**flat_files(), "train-csvs/" + "n" * 256 + ".csv": b""}))
    assert not unpack_or_report(archive, "key", State(out), report)
    said = report.reasons["long.zip"]
    assert said == f"{archive}: train-csvs/{'n' * 256}.csv: File name too long"
    assert contents(out) == {}
    assert no_leftovers(out)


def test_an_archive_damaged_in_an_unforeseen_way_costs_that_archive(out, capsys):
    archive, report = out.parent / "odd.zip", SkipReport(out / "skipped.txt")
    data = bytearray(zip_of({"a.csv": b"abc"}))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 8 : directory + 10] = (0x800).to_bytes(2, "little")  # the name is UTF-8, it says
    data[directory + 46] = 0xFF
    archive.write_bytes(bytes(data))
    assert not unpack_or_report(archive, "key", State(out), report)
    assert "UnicodeDecodeError" in report.reasons["odd.zip"]
    assert "UnicodeDecodeError" in report.traces[0]
    assert contents(out) == {}


@pytest.mark.parametrize(("suffix", "pack"), [(".zip", zip_of), (".tar.gz", tar_gz)])
def test_an_archive_that_blows_up_is_refused_before_its_contents_are_read(out, suffix, pack):
    """Zeros shrink to a thousandth. Within the ratio the same archive is unpacked."""
    archive = out.parent / f"train-csvs{suffix}"
    archive.write_bytes(pack({"train-csvs/1.csv": bytes(40_000_000)}))
    with pytest.raises(
        InputError, match=r"more than 200 times as large as it is; .*raise --max-archive-ratio"
    ):
        unpack(archive, State(out))
    assert list(out.iterdir()) == []
    assert unpack(archive, State(out), most_ratio=1000) == ["train-csvs/1.csv"]


@linux_only
@pytest.mark.parametrize(("suffix", "pack"), [(".zip", zip_of), (".tar.gz", tar_gz)])
def test_an_archive_that_ends_in_gigabytes_of_zeros_is_refused_at_once(out, suffix, pack):
    archive = out.parent / f"train-csvs{suffix}"
    archive.write_bytes(pack(flat_files()))
    os.truncate(archive, 3 * 10**9)
    with pytest.raises(InputError, match="ends in zeros, as a broken download does; get it again"):
        unpack(archive, State(out))


def test_a_device_is_no_archive(out):
    (out.parent / "zero.zip").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"zero\.zip: is a pipe or a device, not a file"):
        unpack(out.parent / "zero.zip", State(out))


@pytest.mark.parametrize("name", ["\x01\n\t=x.csv", "\udcff.csv"])
def test_names_that_begin_with_what_is_no_text_are_unpacked_and_noted(out, name):
    archive, state = out.parent / "odd.tar.gz", State(out)
    archive.write_bytes(tar_gz({f"train-csvs/{name}": b"a", "train-csvs/b.csv": b"b"}))
    assert unpack_or_report(archive, "key", state, SkipReport(out / "skipped.txt"))
    assert {os.fsencode(path.name) for path in (out / "train-csvs").iterdir()} == {
        os.fsencode(name),
        b"b.csv",
    }
    assert len(State(out).unpacked["odd.tar.gz"].files) == 2


def packed_header(archive: Path, kind: bytes, size_bytes: int) -> None:
    """A tar.bz2 of a record behind a header that says it has so many bytes; zeros shrink to next to nothing."""
    header, record = tarfile.TarInfo("header"), tarfile.TarInfo("train-csvs/1.csv")
    header.type, header.size = kind, size_bytes
    archive.write_bytes(bz2.compress(header.tobuf() + bytes(size_bytes) + record.tobuf() + bytes(1024)))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_whose_header_fills_the_memory_is_refused(out, kind):
    archive = out.parent / "train-csvs.tar.bz2"
    packed_header(archive, kind, 8 * 2**20)
    tracemalloc.start()
    try:
        assert "corrupt archive (a header of 8 MiB); get it again" in refusal_of(archive, out)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_what_follows_the_last_file_of_a_tar_counts_like_its_files(out):
    archive = out.parent / "train-csvs.tar.bz2"
    archive.write_bytes(bz2.compress(gzip.decompress(tar_gz(flat_files()))) + bz2.compress(bytes(40_000_000)))
    assert "more than 200 times as large as it is" in refusal_of(archive, out)
    assert sorted(unpack(archive, State(out), most_ratio=1000)) == sorted(flat_files())


def test_an_impossible_size_in_a_tar_names_the_archive(out):
    archive, header = out.parent / "train-csvs.tar", tarfile.TarInfo("train-csvs/1.csv")
    header.size = -1024
    archive.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert "corrupt archive" in refusal_of(archive, out)
