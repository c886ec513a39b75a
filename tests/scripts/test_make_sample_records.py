"""scripts/make_sample_records.py: records in the competition's layout, the same on every machine and run."""

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.page.records import LEADS, read_record, read_record_table

from conftest import succeed
from helpers import files_below, refusal, run_here

SCRIPT = "scripts/make_sample_records.py"
RATES_HZ = (250, 256, 500, 512, 1000, 1025)
QUARTERS = (("I", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))


@pytest.fixture(scope="module")
def records(sample_records):
    rates = read_record_table(sample_records).fs_hz
    return {name: read_record(sample_records / name / f"{name}.csv", fs_hz) for name, fs_hz in rates.items()}


def test_folder_and_table_are_the_competitions(sample_records):
    names = [f"sample0_{number:04d}" for number in range(6)]
    assert set(files_below(sample_records)) == {"train.csv", *(f"{name}/{name}.csv" for name in names)}
    table = pd.read_csv(sample_records / "train.csv")
    assert table.columns.tolist() == ["id", "fs", "sig_len"]
    assert table["id"].tolist() == names
    assert tuple(table["fs"]) == RATES_HZ
    assert (table["sig_len"] == 10 * table["fs"]).all()
    for name, rows in zip(names, table["sig_len"], strict=True):
        record = pd.read_csv(sample_records / name / f"{name}.csv")
        assert record.columns.tolist() == list(LEADS)
        assert len(record) == rows


def test_lead_two_is_whole_and_the_others_are_a_quarter(records):
    for record in records.values():
        assert np.isfinite(record.lead_mv("II")).all()
        bounds = [int(quarter * 2.5 * record.fs_hz) for quarter in range(5)]
        for quarter, leads in enumerate(QUARTERS):
            for lead in leads:
                there = np.flatnonzero(np.isfinite(record.lead_mv(lead)))
                assert there.tolist() == list(range(bounds[quarter], bounds[quarter + 1]))


def test_limb_leads_obey_einthoven(records):
    for record in records.values():
        quarter = slice(0, int(2.5 * record.fs_hz))
        one, two, three = (record.lead_mv(lead)[quarter] for lead in ("I", "II", "III"))
        np.testing.assert_allclose(three, two - one, atol=2e-4)


def test_records_look_like_hearts_and_differ(records):
    """Each beats 48 to 115 times a minute: so many times does lead II rise over half of its highest."""
    strips = []
    for record in records.values():
        strip_mv = record.lead_mv("II")
        assert 0.3 < np.abs(strip_mv).max() < 2.5
        per_beat = int(0.25 * record.fs_hz)
        high = np.abs(strip_mv - np.median(strip_mv)) > 0.5 * np.abs(strip_mv - np.median(strip_mv)).max()
        rises = np.flatnonzero(np.diff(high.astype(int)) == 1)
        beats = 1 + (np.diff(rises) > per_beat).sum()
        assert 7 <= beats <= 21
        strips.append(strip_mv[:2000].tobytes())
    assert len(set(strips)) == 6


def test_one_worker_gives_the_same_bytes_and_seeds_differ(sample_records, tmp_path):
    for folder, arguments in (("0", ()), ("00", ("--seed", 0)), ("1", ("--seed", 1))):
        arguments = ("--num-records", 1, "--output-root", tmp_path / folder, "--num-workers", 1, *arguments)
        assert run_here(SCRIPT, *arguments).returncode == 0
    zero, also_zero, one = (files_below(tmp_path / folder) for folder in ("0", "00", "1"))
    assert zero == also_zero
    name = "sample0_0000/sample0_0000.csv"  # of the fixture's six, which as many workers as cores made
    assert zero[name] == (sample_records / name).read_bytes()
    assert one["sample1_0000/sample1_0000.csv"] != zero["sample0_0000/sample0_0000.csv"]


def test_what_is_there_is_kept_and_more_is_added(sample_records, tmp_path):
    arguments = ("--output-root", tmp_path, "--num-workers", 1)
    assert "simulated 1 records, kept 0" in run_here(SCRIPT, "--num-records", 1, *arguments).stdout
    path = tmp_path / "sample0_0000" / "sample0_0000.csv"
    before = path.stat().st_mtime_ns
    leftover = path.with_name(".sample0_0000.csv.0abc_123.tmp.csv")
    leftover.write_text("half")
    assert "simulated 1 records, kept 1" in run_here(SCRIPT, "--num-records", 2, *arguments).stdout
    assert path.stat().st_mtime_ns == before
    assert not leftover.exists()
    assert read_record_table(tmp_path).fs_hz == {"sample0_0000": 250, "sample0_0001": 256}


def test_bad_usage_is_refused(tmp_path):
    for count in ("0", "-1", "many"):
        result = run_here(SCRIPT, "--num-records", count, "--output-root", tmp_path / "x")
        assert result.returncode == 2
        assert "--num-records" in result.stderr.splitlines()[-1]
    (tmp_path / "file").touch()
    line = refusal(
        run_here(SCRIPT, "--num-records", 1, "--output-root", tmp_path / "file", "--num-workers", 1)
    )
    assert str(tmp_path / "file") in line


def test_help_shows_the_command():
    assert "python scripts/make_sample_records.py --num-records 24" in succeed(SCRIPT, "--help")
