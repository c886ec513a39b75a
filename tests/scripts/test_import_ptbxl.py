"""scripts/import_ptbxl.py on WFDB records that wfdb itself wrote, and scripts/common_recordings.py."""

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import LEADS, read_record, read_record_ids, read_record_table

from conftest import succeed
from helpers import files_below, refusal, run_here, said_of_skipped, waves_mv, write_csv

SCRIPT = "scripts/import_ptbxl.py"
RECORDS = (("00065_hr", 500), ("00066_hr", 500), ("12345_hr", 500), ("12345_lr", 100))


def known_uv(name: str, fs_hz: int) -> np.ndarray:
    """Whole microvolts, shape (10 fs_hz, 12), another signal for each record."""
    rng = np.random.default_rng(int(name[:5]))
    return np.cumsum(rng.integers(-30, 31, (10 * fs_hz, 12)), axis=0).astype(np.int16)


def write_wfdb(root, name, fs_hz, signal_uv, leads=LEADS, **header):
    folder = root / f"records{fs_hz}" / f"{int(name[:5]) // 1000 * 1000:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    form = {"units": ["mV"] * 12, "adc_gain": [1000.0] * 12, "baseline": [0] * 12, "fmt": ["16"] * 12}
    names = [lead.upper() for lead in leads]  # PTB-XL has AVR
    wfdb.wrsamp(
        name, fs=fs_hz, sig_name=names, d_signal=signal_uv, write_dir=str(folder), **{**form, **header}
    )
    return folder / name


@pytest.fixture
def ptbxl(tmp_path):
    """PTB-XL as published, but for its size."""
    root = tmp_path / "ptb-xl"
    for name, fs_hz in RECORDS:
        write_wfdb(root, name, fs_hz, known_uv(name, fs_hz))
    rows = [
        (
            number,
            patient,
            f"records100/{folder}/{number:05d}_lr",
            f"records500/{folder}/{number:05d}_hr",
            "a, b",
        )
        for number, patient, folder in ((65, 15709.0, "00000"), (66, None, "00000"), (12345, 7.0, "12000"))
    ]
    columns = ["ecg_id", "patient_id", "filename_lr", "filename_hr", "report"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "ptbxl_database.csv", index=False)
    return root


def import_records(ptbxl, ids: str, *arguments):
    (ptbxl.parent / "ids.txt").write_text(ids)
    return run_here(
        SCRIPT,
        *("--ptbxl-root", ptbxl, "--ids", ptbxl.parent / "ids.txt"),
        *("--output-root", ptbxl.parent / "csv", "--num-workers", 1, *arguments),
    )


def test_records_come_out_to_the_microvolt_with_rates_and_patients(ptbxl, tmp_path):
    result = import_records(
        ptbxl, "# those of the paper\n65\n00066_hr\n\n12345  # both rates\n12345_lr\n65\n"
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert f"imported 4 records, kept 0 -> {tmp_path / 'csv'} in " in result.stdout
    assert set(files_below(tmp_path / "csv")) == {"train.csv", *(f"{name}.csv" for name, _ in RECORDS)}
    for name, fs_hz in RECORDS:
        path = tmp_path / "csv" / f"{name}.csv"
        assert path.read_text().splitlines()[0] == ",".join(LEADS)
        signal_mv = read_record(path, fs_hz).signal_mv
        np.testing.assert_array_equal(signal_mv, known_uv(name, fs_hz) / 1000)
    table = read_record_table(tmp_path / "csv")
    assert table.fs_hz == dict(RECORDS)
    assert table.patients == {"00065_hr": "15709", "12345_hr": "7", "12345_lr": "7"}


def test_a_cell_is_written_with_three_digits(ptbxl, tmp_path):
    signal_uv = known_uv("00065_hr", 500)
    signal_uv[0, :3] = (1, -1200, 0)
    write_wfdb(ptbxl, "00065_hr", 500, signal_uv)
    import_records(ptbxl, "65")
    assert (tmp_path / "csv" / "00065_hr.csv").read_text().splitlines()[1].startswith("0.001,-1.200,0.000,")


def test_leads_are_found_by_name_and_missing_samples_are_empty(ptbxl, tmp_path):
    signal_uv = known_uv("00065_hr", 500)
    signal_uv[7, 3] = -32768  # WFDB's mark
    backwards = np.ascontiguousarray(signal_uv[:, ::-1])
    write_wfdb(ptbxl, "00065_hr", 500, backwards, leads=LEADS[::-1])
    assert import_records(ptbxl, "65").returncode == 0
    signal_mv = read_record(tmp_path / "csv" / "00065_hr.csv", 500).signal_mv
    expected_mv = signal_uv / 1000
    expected_mv[7, 3] = np.nan
    np.testing.assert_array_equal(signal_mv, expected_mv)


def test_without_ids_all_recordings_come_at_500_hz(ptbxl, tmp_path):
    out = succeed(
        SCRIPT, "--ptbxl-root", ptbxl, "--output-root", tmp_path / "csv", "--num-workers", 2, cwd=tmp_path
    )
    assert "imported 3 records" in out
    assert read_record_table(tmp_path / "csv").fs_hz == dict(RECORDS[:3])


def test_run_again_what_is_there_is_kept_and_the_table_grows(ptbxl, tmp_path):
    import_records(ptbxl, "65")
    path = tmp_path / "csv" / "00065_hr.csv"
    before = path.stat().st_mtime_ns
    (tmp_path / "csv" / ".00066_hr.csv.0abc_123.tmp.csv").write_text("half")
    assert "imported 1 records, kept 1" in import_records(ptbxl, "65\n66").stdout
    assert path.stat().st_mtime_ns == before
    assert "imported 0 records, kept 1" in import_records(ptbxl, "65").stdout
    assert read_record_table(tmp_path / "csv").fs_hz == dict(RECORDS[:2])
    assert set(files_below(tmp_path / "csv")) == {"train.csv", "00065_hr.csv", "00066_hr.csv"}


def test_what_is_damaged_or_unknown_is_named_and_the_rest_comes(ptbxl, tmp_path):
    hr = ptbxl / "records500"
    data = bytearray((hr / "00000" / "00065_hr.dat").read_bytes())
    data[1000] ^= 1
    (hr / "00000" / "00065_hr.dat").write_bytes(data)
    (hr / "00000" / "00066_hr.dat").write_bytes(data[:-1001])
    (ptbxl / "records100" / "12000" / "12345_lr.hea").unlink()
    said = said_of_skipped(import_records(ptbxl, "65\n66\n12345\n12345_lr\n77\n65_xr"))
    ids = tmp_path / "ids.txt"
    assert said.pop("00066_hr").startswith(f"{hr / '00000' / '00066_hr'}.hea: no whole WFDB record (")
    assert "12345_lr.hea: no such file" in said.pop("12345_lr")
    assert said == {
        "00065_hr": f"{hr / '00000' / '00065_hr'}.dat: differs from the checksums in its header; "
        "copy the record again",
        "77": f"{ids}: ptbxl_database.csv has no such recording",
        "65_xr": f"{ids}: ptbxl_database.csv has no such recording",
    }
    report = (tmp_path / "csv" / "skipped.tsv").read_text()
    assert len(report.splitlines()) == 5
    assert read_record_table(tmp_path / "csv").fs_hz == {"12345_hr": 500}


def test_the_table_names_no_file_outside_and_each_recording_once(ptbxl, tmp_path):
    path = ptbxl / "ptbxl_database.csv"
    whole = path.read_text()
    path.write_text(whole.replace("records500/00000/00065_hr", "../../etc/00065_hr"))
    said = said_of_skipped(import_records(ptbxl, "65\n66\n" + "7" * 5000))
    assert said.pop("65") == f"{path}: '../../etc/00065_hr.hea' is no path inside its folder"
    assert list(said.values()) == [f"{tmp_path / 'ids.txt'}: ptbxl_database.csv has no such recording"]
    path.write_text(whole + whole.splitlines()[1] + "\n")
    assert "not PTB-XL's table (Index has duplicate keys" in refusal(import_records(ptbxl, "66"))
    path.write_bytes(whole.replace("a, b", "größer").encode("latin-1"))
    assert f"{path}, line 2: byte 0xF6 is not UTF-8; save it again" in refusal(import_records(ptbxl, "66"))


@pytest.mark.parametrize(
    ("fs_hz", "change", "said"),
    [
        (500, {"units": ["mmHg"] * 12}, "lead I is in mmHg; expected mV, uV, V or nV"),
        (500, {"leads": [f"S{number}" for number in range(12)]}, "none of its signals is a lead: S0, S1,"),
        (250, {}, "says that its rate is 250 Hz, not 500 Hz"),
    ],
)
def test_a_record_of_another_kind_is_refused(ptbxl, fs_hz, change, said):
    path = write_wfdb(ptbxl, "00065_hr", fs_hz, known_uv("00065_hr", 500), **change)
    for part in path.parent.glob("00065_hr.*"):
        part.replace(ptbxl / "records500" / "00000" / part.name)
    assert said in said_of_skipped(import_records(ptbxl, "65"))["00065_hr"]


def test_leads_that_are_off_swapped_or_upside_down_are_named(ptbxl, tmp_path):
    signal_uv = known_uv("00065_hr", 500)
    one, two = signal_uv[:, 0], signal_uv[:, 1]
    signal_uv[:, 2], signal_uv[:, 3:6], signal_uv[:, 8] = one - two, -32768, 12  # III upside down, V3 off
    write_wfdb(ptbxl, "00065_hr", 500, signal_uv)
    lines = import_records(ptbxl, "65").stdout.splitlines()
    wrong = "III is upside down or I and II are swapped"
    assert f"1 records: limb leads break Einthoven's relations: {wrong}: 00065_hr" in lines
    assert "1 records: lead V3 is flat (0.012 mV) and left out: 00065_hr" in lines
    assert np.isnan(read_record(tmp_path / "csv" / "00065_hr.csv", 500).lead_mv("V3")).all()


def test_a_folder_that_is_not_ptb_xl_is_refused(ptbxl, tmp_path):
    line = refusal(run_here(SCRIPT, "--ptbxl-root", tmp_path / "none", "--output-root", tmp_path / "csv"))
    assert "ptbxl_database.csv: not found; --ptbxl-root is the unpacked download from https://" in line
    (ptbxl / "ptbxl_database.csv").write_text("id,fs\n1,500\n")
    assert "not PTB-XL's table" in refusal(import_records(ptbxl, "65"))
    assert not (tmp_path / "csv").exists()


def test_lists_of_ids(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("b # one\n\n  a\nb\n# none\n")
    assert read_record_ids(path) == ["b", "a"]
    for text in ("", "# none\n", "a b\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="expected record ids, one a line"):
            read_record_ids(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"line 1: byte 0x00 is not UTF-16; save it again as UTF-8"):
        read_record_ids(path)
    with pytest.raises(InputError, match="no such file"):
        read_record_ids(tmp_path / "none")


def test_common_recordings_are_named_whatever_their_rate_and_zeros(tmp_path, tiny_dataset, sample_records):
    script = "scripts/common_recordings.py"
    for name in ("00065_lr", "12345_hr"):
        write_csv(tmp_path / "pages" / name / f"{name}.csv", waves_mv(100))
    ids = tmp_path / "ids.txt"
    for text, common in (
        ("65\n00066_hr\n", ["65"]),
        ("12345\n00065_hr", ["00065", "12345"]),
        ("650\n6\n", []),
    ):
        ids.write_text(text)
        result = run_here(script, "--first", ids, "--second", tmp_path / "pages")
        *named, last = result.stdout.splitlines()
        assert named == common
        assert last == f"{len(common)} recordings in common: 2 in {ids}, 2 in {tmp_path / 'pages'}"
        assert result.returncode == bool(common)
    result = run_here(script, "--first", tiny_dataset, "--second", sample_records)
    assert result.returncode == 1
    assert "6 recordings in common: 6 in" in result.stdout
    assert "no such folder" in refusal(run_here(script, "--first", ids, "--second", tmp_path / "none"))


def test_help_shows_the_commands():
    assert "python scripts/import_ptbxl.py --ptbxl-root" in succeed(SCRIPT, "--help")
    assert "python scripts/common_recordings.py --first" in succeed("scripts/common_recordings.py", "--help")
