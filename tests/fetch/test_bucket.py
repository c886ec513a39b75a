"""Objects of a real emulator's bucket, behind a proxy that can break things."""

import base64
import gzip

import google_crc32c
import pytest

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch import transfers
from ecg_generator_with_train_src.fetch.bucket import (
    UNPACK_FACTOR,
    BucketOptions,
    Remote,
    crc32c_of,
    fetch_bucket,
    name_below,
    space_needed,
)
from ecg_generator_with_train_src.fetch.state import State

from bucket_stand_in import BUCKET, PREFIX
from record_sources import contents, csv_bytes, flat_files, no_leftovers, tar_gz, write_files

pytest_plugins = ["bucket_stand_in"]

SOURCE = f"gs://{BUCKET}/{PREFIX}"


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    monkeypatch.setattr(transfers, "FIRST_DELAY_S", 0.1)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def report(tmp_path) -> SkipReport:
    return SkipReport(tmp_path / "skipped.txt")


def fetch(out, report, source: str = SOURCE, retry_seconds: int = 2, **options) -> transfers.Counts:
    return fetch_bucket(BucketOptions(source, retry_seconds=retry_seconds, **options), State(out), report)


@pytest.fixture
def archive_in_bucket(proxy) -> bytes:
    archive = tar_gz(flat_files())
    proxy.bucket.put({"train-csvs.tar.gz": archive})
    return archive


def remote_in(proxy, out) -> Remote:
    """The bucket's only object."""
    (blob,) = proxy.bucket.client.list_blobs(BUCKET)
    return Remote(blob, out / "train-csvs.tar.gz", blob.size, blob.crc32c)


# ---- what a bucket lists


@pytest.mark.parametrize(
    ("prefix", "name", "below"),
    [
        ("a/b", "a/b/c.csv", "c.csv"),
        ("a/b", "a/b/c/d.csv", "c/d.csv"),
        ("a/b", "a/b//c.csv", "c.csv"),
        ("", "a/b.csv", "a/b.csv"),
        ("a/b.tar.gz", "a/b.tar.gz", "b.tar.gz"),
        ("a/b", "a/b/", None),
        ("a/b", "a/b/c/", None),
        ("a/b", "a/b_old/c.csv", None),
    ],
)
def test_an_objects_name_below_a_folder(prefix, name, below):
    assert name_below(prefix, name) == below


@pytest.mark.parametrize(
    ("source", "fault", "remedy"),
    [
        ("gs://no-such-bucket/x", None, "no such bucket or object; check --source"),
        ("gs://", None, "no bucket has such a name; expected gs://bucket/folder"),
        ("gs://_no_bucket/x", None, "no bucket has such a name"),
        (f"gs://{BUCKET}/no/such/folder", None, "no such object or folder"),
        (SOURCE, "403", "Storage Object Viewer"),
        (SOURCE, "401", "gcloud auth application-default login"),
        (SOURCE, "503", "check the network"),
    ],
)
def test_listing_errors_come_with_the_remedy(proxy, out, report, source, fault, remedy):
    proxy.bucket.put(flat_files())
    proxy.faults, proxy.faults_stay = [("/o?", fault)] if fault else [], True
    with pytest.raises(InputError, match=remedy) as error:
        fetch(out, report, source, retry_seconds=1)
    assert "\n" not in str(error.value)


def test_an_object_name_that_leads_outside_is_refused(proxy, out, report):
    proxy.bucket.put({"xx/escaped.csv": b"x"})
    proxy.rewrite = (b"xx/escaped", b"../escaped")  # the emulator itself refuses such a name
    with pytest.raises(InputError, match="outside"):
        fetch(out, report)
    assert not list(out.parent.rglob("*.csv"))


def test_a_single_object_as_source(archive_in_bucket, out, report):
    assert fetch(out, report, SOURCE + "train-csvs.tar.gz").files == 1
    assert contents(out) == flat_files()


# ---- what is fetched


def test_objects_are_fetched_once_and_again_if_they_changed(proxy, out, report):
    proxy.bucket.put(flat_files())
    counts = fetch(out, report, num_workers=2)
    assert (counts.files, counts.already) == (3, 0)
    assert counts.bytes == sum(map(len, flat_files().values()))
    proxy.bucket.put({"train-csvs/101.csv": csv_bytes(999)})
    proxy.requests.clear()
    again = fetch(out, report, num_workers=2)
    assert (again.files, again.already) == (1, 2)
    assert len(proxy.media_requests()) == 1
    assert contents(out) == {**flat_files(), "train-csvs/101.csv": csv_bytes(999)}


@pytest.mark.parametrize("keep_archives", [False, True])
def test_an_archive_is_unpacked_and_kept_on_demand(archive_in_bucket, proxy, out, report, keep_archives):
    assert fetch(out, report, keep_archives=keep_archives, anonymous=True).files == 1
    kept = {"train-csvs.tar.gz": archive_in_bucket} if keep_archives else {}
    assert contents(out) == {**flat_files(), **kept}
    proxy.requests.clear()
    assert fetch(out, report).already == 1
    assert contents(out) == {**flat_files(), **kept}
    assert proxy.media_requests() == []


def test_a_cut_connection_goes_on_by_range_in_the_same_run(archive_in_bucket, proxy, out, report):
    proxy.faults = [("alt=media", 40_000), ("alt=media", 9_000)]
    assert fetch(out, report).bytes == len(archive_in_bucket)
    ranges = [header for _, header in proxy.media_requests()]
    assert len(ranges) == 3
    first, second = (int(header.removeprefix("bytes=").removesuffix("-")) for header in ranges[1:])
    assert 0 < first <= 40_000 and first < second <= 49_000
    assert contents(out) == flat_files()


def test_a_network_that_goes_away_in_the_middle_leaves_what_is_done(archive_in_bucket, proxy, out, report):
    proxy.bucket.put({"other.csv": b"other"})
    proxy.faults, proxy.faults_stay = [("train-csvs", 0)], True
    with pytest.raises(InputError, match="check the network, then run again"):
        fetch(out, report, retry_seconds=1)
    assert "other.csv" in contents(out)
    proxy.faults = []
    assert fetch(out, report).already == 1
    assert contents(out) == {**flat_files(), "other.csv": b"other"}


def test_a_partial_file_with_wrong_bytes_is_found_out(archive_in_bucket, proxy, out, report):
    remote_in(proxy, out).partial.write_bytes(b"\0" * 1000)
    assert fetch(out, report).files == 1
    assert [header for _, header in proxy.media_requests()] == ["bytes=1000-", None]
    assert contents(out) == flat_files()
    assert no_leftovers(out)


def test_partial_files_of_other_versions_are_cleared_away(archive_in_bucket, out, report):
    write_files(out, {".train-csvs.tar.gz.0123abcd.part": b"old"})
    assert fetch(out, report).files == 1
    assert no_leftovers(out)


def test_a_corrupted_object_is_named_and_the_rest_is_fetched(proxy, out, report):
    proxy.bucket.put(flat_files())
    proxy.bucket.spoil("202.csv")
    assert fetch(out, report).files == 2
    assert list(report.reasons) == [f"{PREFIX}train-csvs/202.csv"]
    assert "did not match the bucket's crc32c" in report.reasons[f"{PREFIX}train-csvs/202.csv"]
    assert contents(out) == {name: data for name, data in flat_files().items() if "202" not in name}
    assert no_leftovers(out)


@pytest.mark.parametrize("whole", [True, False])
def test_objects_that_are_stored_compressed(proxy, out, report, whole):
    packed = {name: gzip.compress(data) for name, data in flat_files().items()}
    if not whole:
        packed["train-csvs/202.csv"] = b"no gzip"
    proxy.bucket.put(packed)
    # the emulator does not keep an object's encoding
    proxy.rewrite = (b'"contentType":', b'"contentEncoding": "gzip", "contentType":')
    fetch(out, report)
    lacking = [] if whole else [f"{PREFIX}train-csvs/202.csv"]
    assert list(report.reasons) == lacking
    assert contents(out) == {
        name: data for name, data in flat_files().items() if PREFIX + name not in lacking
    }
    assert no_leftovers(out)


# ---- the disk


def test_crc32c_is_written_as_google_writes_it(tmp_path):
    data = b"123456789"
    assert base64.b64decode(crc32c_of(write_files(tmp_path, {"a": data}) / "a")).hex() == "e3069283"
    assert google_crc32c.value(data) == 0xE3069283


@pytest.mark.parametrize(
    ("name", "growth"), [("a.csv", 0), ("a.tar", 1), ("a.zip", 1), ("a.tgz", UNPACK_FACTOR)]
)
def test_the_space_of_an_object_is_what_it_lacks_and_what_it_holds(tmp_path, name, growth):
    remote = Remote(None, tmp_path / name, 1000, "AAAAAA==")
    assert space_needed(remote) == 1000 + growth * 1000
    remote.partial.write_bytes(bytes(300))
    assert space_needed(remote) == 700 + growth * 1000


def test_too_little_space_is_said_before_anything_is_fetched(archive_in_bucket, proxy, out, report):
    size = f'"size": "{len(archive_in_bucket)}"'.encode()
    proxy.rewrite = (size, b'"size": "30000000000000000"')
    with pytest.raises(InputError, match=r"the download needs \d+\.0 GB, the disk has .* free"):
        fetch(out, report)
    assert proxy.media_requests() == []


def test_a_disk_that_fills_up_is_one_line(archive_in_bucket, proxy, out, report):
    partial = remote_in(proxy, out).partial
    partial.symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(InputError, match="disk full; free some space"):
        fetch(out, report)
    partial.unlink()
    assert fetch(out, report).files == 1
