"""experiment/score.py: the known values and signals whose score is known, as users would have them scored."""

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.page.layouts import LAYOUTS, PageSetup
from ecg_generator_with_train_src.page.records import LEADS

from conftest import succeed
from helpers import (
    competition_gaps,
    files_below,
    help_and_loaded,
    refusal,
    run_here,
    said_of_skipped,
    waves_mv,
    write_csv,
)
from known_signals import FS_HZ, KNOWN_MV, heartbeats_mv, submission_table, write_submission

SCRIPT = "experiment/score.py"
QUARTERS = (0, 250, 500, 750, 1000)
FULL_MV = waves_mv(FS_HZ)
SHOWN_MV = competition_gaps(FULL_MV, QUARTERS)


def score(predictions, truth_root, *arguments):
    return run_here(
        SCRIPT, "--predictions", predictions, "--truth-root", truth_root, "--num-workers", 1, *arguments
    )


def last_line(result) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stderr
    return result.stdout.splitlines()[-1]


def with_noise(table: pd.DataFrame, noise_mv: float) -> pd.DataFrame:
    """Plus and minus the noise by turns: no shift and no offset takes that away, where the leads are smooth."""
    return table.add(noise_mv * (-1.0) ** np.arange(len(table)), axis=0)


def snr_db(truth: pd.DataFrame, noise_mv: float) -> float:
    return 10 * np.log10(np.nansum(truth.to_numpy() ** 2) / (noise_mv**2 * truth.count().sum()))


@pytest.fixture
def truth_root(tmp_path):
    """One record with the competition's gaps, one full, and one whose id begins with the other's."""
    write_csv(tmp_path / "truth" / "17" / "17.csv", SHOWN_MV)
    write_csv(tmp_path / "truth" / "17_hr" / "17_hr.csv", FULL_MV)
    (tmp_path / "truth" / "train.csv").write_text("id,fs,sig_len\n17,100,1000\n17_hr,100,1000\n")
    return tmp_path / "truth"


def known_submission() -> pd.DataFrame:
    signals_mv = np.full((12, 12), np.nan)
    for k, lead in enumerate(LEADS):
        signals_mv[k, : len(KNOWN_MV[lead])] = KNOWN_MV[lead]
    return submission_table({"343": signals_mv})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_known_values_from_two_submissions(tmp_path, suffix):
    table = known_submission()
    truth = write_submission(table, tmp_path / f"truth.{suffix}")
    changes = [("343_0_I", 0.1), ("343_0_I", 0.9), ("343_1_III", 0.3)]
    for (name, value), expected_db in zip(changes, ("25.8433", "13.6291", "13.0576"), strict=True):
        table.loc[table["id"] == name, "value"] = value
        predictions = write_submission(table, tmp_path / f"submission.{suffix}")
        assert f"scored 1 pages of 1 records: {expected_db} dB" in last_line(score(predictions, truth))


def test_readings_that_mirror_folders_are_scored_each(tmp_path, truth_root):
    readings = tmp_path / "readings"
    for folder, noise_mv in (("ann", 0.02), ("bob", 0.01)):
        write_csv(readings / folder / "17-0001.csv", with_noise(SHOWN_MV, noise_mv))
        (readings / folder / "17-0001.json").write_text('{"status": "sure"}')
    (readings / "cid").mkdir()
    (readings / "cid/17-0001.json").write_text('{"status": "unread"}')
    write_csv(readings / "notes/other.csv", SHOWN_MV)  # no reading: it has no JSON
    out = readings / "scores.csv"
    assert "scored 3 pages of 1 records" in last_line(score(readings, truth_root, "--out", out))
    table = pd.read_csv(out)
    whole = table[table["lead"] == "all"].set_index("page")["snr_db"]
    wanted = {
        "ann/17-0001": snr_db(SHOWN_MV, 0.02),
        "bob/17-0001": snr_db(SHOWN_MV, 0.01),
        "cid/17-0001": 0.0,
    }
    assert whole.to_dict() == pytest.approx(wanted, abs=1e-3)


def test_a_folder_is_scored_and_its_table_says_what_each_lead_gave(tmp_path, truth_root):
    for name, noise_mv in (("17-0001", 0.02), ("17-0003", 0.01), ("17_hr-0003", 0.03)):
        write_csv(tmp_path / "readings" / f"{name}.csv", with_noise(SHOWN_MV, noise_mv))
    (tmp_path / "readings" / "17-0001.json").write_text("{}")
    out = tmp_path / "scores.csv"
    result = score(tmp_path / "readings", truth_root, "--out", out)
    each_db = {name: snr_db(SHOWN_MV, noise_mv) for name, noise_mv in (("a", 0.02), ("b", 0.01), ("c", 0.03))}
    mean_db = 10 * np.log10(np.mean([10 ** (db / 10) for db in each_db.values()]))
    assert f"scored 3 pages of 2 records: {mean_db:.4f} dB -> {out}" in last_line(result)
    types = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[1:4]}
    a_db = f"{each_db['a']:.2f}"
    assert types["0001"] == ["1", "0", a_db, a_db, "0.0200", types["0001"][5], a_db, "17-0001"]
    assert types["0003"][:2] == ["2", "0"]
    assert types["0003"][6:] == [f"{each_db['c']:.2f}", "17_hr-0003"]
    assert types["all"][:4] == ["3", "0", f"{mean_db:.2f}", f"{np.mean(list(each_db.values())):.2f}"]

    table = pd.read_csv(out, dtype={"type": str})
    assert table["page"].tolist() == [
        name for name in ("17-0001", "17-0003", "17_hr-0003") for _ in range(13)
    ]
    assert table["lead"].tolist() == ["all", *LEADS] * 3
    assert set(zip(table["page"], table["record"], table["type"], strict=True)) == {
        ("17-0001", "17", "0001"),
        ("17-0003", "17", "0003"),
        ("17_hr-0003", "17_hr", "0003"),
    }
    page = table[table["page"] == "17-0001"].set_index("lead")
    assert page.loc["all", "snr_db"] == pytest.approx(each_db["a"], abs=1e-4)
    assert page["samples"].to_dict() == {"all": 3750, **dict.fromkeys(LEADS, 250), "II": 1000}
    for lead in LEADS:
        assert page.loc[lead, "snr_db"] == pytest.approx(snr_db(SHOWN_MV[[lead]], 0.02), abs=1e-4)
        assert page.loc[lead, "rmse_mv"] == pytest.approx(0.02, abs=1e-6)
        assert page.loc[lead, "correlation"] == pytest.approx(1, abs=0.02)
        assert page.loc[lead, ["shift_samples", "offset_mv"]].tolist() == pytest.approx([0, 0], abs=1e-6)


def test_samples_of_a_dataset_are_scored_by_profile_and_by_what_their_layout_shows(tmp_path, truth_root):
    """A full record: leads are compared where the page shows them."""
    names = {"17_hr-clean-0": "3x4+II", "17_hr__6x2-0-scan_bw-1": "6x2", "17_hr__12x1-3-scan_bw-0": "12x1"}
    for name, layout in names.items():
        shown = PageSetup(layout=LAYOUTS[layout]).shown(FS_HZ, 1000)
        write_csv(tmp_path / "readings" / f"{name}.csv", with_noise(FULL_MV, 0.01).where(shown))
    assert last_line(score(tmp_path / "readings", truth_root, "--out", tmp_path / "scores.csv"))
    table = pd.read_csv(tmp_path / "scores.csv")
    pages = table[table["lead"] == "all"].set_index("page")
    assert pages["type"].to_dict() == dict(zip(names, ("clean", "scan_bw", "scan_bw"), strict=True))
    assert pages["samples"].to_dict() == dict(zip(names, (3750, 6000, 12000), strict=True))
    assert set(pages["record"]) == {"17_hr"}
    assert pages.loc["17_hr-clean-0", "snr_db"] == pytest.approx(snr_db(SHOWN_MV, 0.01), abs=1e-4)


def test_shifts_and_offsets_are_in_the_table(tmp_path, truth_root):
    write_csv(tmp_path / "readings" / "17_hr.csv", FULL_MV.shift(-3).ffill() + 0.25)
    assert "page  " in score(tmp_path / "readings", truth_root, "--out", tmp_path / "scores.csv").stdout
    leads = pd.read_csv(tmp_path / "scores.csv")[1:]
    assert leads["shift_samples"].tolist() == [3] * 12
    assert leads["offset_mv"].tolist() == pytest.approx([0.25] * 12, abs=0.01)


def test_stretches_that_a_reading_left_out_count_as_flat(tmp_path, truth_root):
    left_out = slice(600, 700)
    for name in ("17-0001", "17_hr-0001"):  # a record of what is shown, and a full one
        empty = SHOWN_MV.copy()
        empty.loc[left_out, "II"] = np.nan
        write_csv(tmp_path / "readings" / f"{name}.csv", empty)
    assert score(tmp_path / "readings", truth_root, "--out", tmp_path / "scores.csv").returncode == 0
    table = pd.read_csv(tmp_path / "scores.csv").set_index(["page", "lead"])
    for name in ("17-0001", "17_hr-0001"):
        assert table.loc[(name, "II"), "snr_db"] < 12 < table.loc[(name, "I"), "snr_db"]
        assert table.loc[(name, "II"), "samples"] == 1000


def test_what_cannot_be_compared_is_named_and_the_rest_is_scored(tmp_path, truth_root):
    readings = tmp_path / "readings"
    write_csv(readings / "17-0001.csv", SHOWN_MV)
    write_csv(readings / "17-0004.csv", SHOWN_MV.iloc[:500])
    write_csv(readings / "17-0005.csv", SHOWN_MV.drop(columns="V6"))
    write_csv(readings / "17-0006.csv", SHOWN_MV.replace({"II": {SHOWN_MV["II"][2]: np.inf}}))
    write_csv(readings / "17_hr-0003.csv", SHOWN_MV.assign(aVF=SHOWN_MV["aVF"][:270]))
    write_csv(readings / "18-0001.csv", SHOWN_MV)
    (readings / "submission.csv").write_text("id,value\n")
    out = readings / "scores.csv"
    for _ in range(2):  # its own table, in the same folder, is no prediction
        result = score(readings, truth_root, "--out", out)
        said = said_of_skipped(result)
        expected = {
            "17-0004": f"{readings / '17-0004.csv'}: has 500 rows, but its truth has 1000; "
            "tell digitize.py the sampling rate (--fs-hz or --train-csv)",
            "17-0005": f"{readings / '17-0005.csv'}: lead V6 is missing; expected the columns {','.join(LEADS)}",
            "17-0006": f"{readings / '17-0006.csv'}: lead II, row 3: no finite value",
            "17_hr-0003": f"{readings / '17_hr-0003.csv'}: lead aVF has 20 values, but a page shows at least 125",
            "18-0001": f"{readings / '18-0001.csv'}: its name begins with no record's id: "
            "<id>.csv, <id>-<type>.csv and a dataset's samples do",
        }
        assert said == expected
        assert "scored 1 pages of 1 records: 25.8433 dB" in result.stdout
        report = (readings / "scores.skipped.txt").read_text().splitlines()
        assert dict(line.split("\t") for line in report) == expected


def test_an_unread_page_counts_as_nothing_and_an_absent_lead_as_flat(tmp_path, truth_root):
    readings = tmp_path / "readings"
    write_csv(readings / "17-0001.csv", with_noise(SHOWN_MV, 0.02))
    (readings / "17-0001.json").write_text('{"read": true}')
    (readings / "17-0003.json").write_text('{"status": "unread"}')  # no CSV
    write_csv(readings / "17-0005.csv", SHOWN_MV * 0)
    (readings / "17-0005.json").write_text('{"status": "unread"}')
    write_csv(readings / "17-0009.csv", SHOWN_MV.assign(V6=np.nan))
    result = score(readings, truth_root, "--out", tmp_path / "scores.csv")
    power = np.nansum(SHOWN_MV.to_numpy() ** 2)
    centred = SHOWN_MV["V6"] - SHOWN_MV["V6"].mean()
    read_db, flat_db = snr_db(SHOWN_MV, 0.02), 10 * np.log10(power / (centred**2).sum())
    together = 10 * np.log10((10 ** (read_db / 10) + 10 ** (flat_db / 10)) / 4)
    assert f"scored 4 pages of 1 records: {together:.4f} dB" in last_line(result)
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[1:6]}
    assert lines["0003"] == ["1", "1", "-384.00", "0.00", *lines["0003"][4:6], "0.00", "17-0003"]
    assert lines["all"][:4] == ["4", "2", f"{together:.2f}", f"{(read_db + flat_db) / 4:.2f}"]
    pages = pd.read_csv(tmp_path / "scores.csv").query("lead == 'all'").set_index("page")
    assert pages["snr_db"].to_dict() == pytest.approx(
        {"17-0001": read_db, "17-0003": 0, "17-0005": 0, "17-0009": flat_db}, abs=1e-3
    )


def test_a_submission_is_scored_by_the_records(tmp_path, truth_root):
    """Of a full record, by what the competition's page shows of it."""
    noisy = with_noise(SHOWN_MV, 0.02).to_numpy().T
    left = np.take_along_axis(noisy, np.argsort(np.isnan(noisy), axis=1, kind="stable"), axis=1)
    path = write_submission(submission_table({"17": left, "17_hr": left}), tmp_path / "submission.csv")
    line = last_line(score(path, truth_root))
    assert f"scored 2 pages of 2 records: {snr_db(SHOWN_MV, 0.02):.4f} dB" in line


def test_intervals_say_by_page_type_how_far_readings_agree_with_records(tmp_path):
    beats = pd.DataFrame(heartbeats_mv(500).T, columns=LEADS)
    write_csv(tmp_path / "truth" / "17.csv", beats)
    readings = tmp_path / "readings"
    write_csv(readings / "17-0001.csv", beats + 0.5)
    write_csv(readings / "17-0003.csv", 0.9 * beats)
    write_csv(readings / "17-0004.csv", 0 * beats)
    (readings / "17-0005.json").write_text('{"status": "unread"}')
    out = readings / "scores.csv"
    for _ in range(2):  # its own tables, in the same folder, are no predictions
        result = score(readings, tmp_path / "truth", "--intervals", "--out", out)
        assert f" dB -> {out} and {readings / 'scores.intervals.csv'} in " in last_line(result)
        assert "scored 4 pages of 1 records" in last_line(result)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["0001", "heart", "rate,", "1/min", "1", "0", "0", "0.000", "-", "to", "-"] in lines
    assert [line[3:6] for line in lines if line[:2] == ["0003", "R,"]] == [["12", "0", "0"]]
    for page_type in ("0004", "0005"):
        assert [line[3:7] for line in lines if line[:2] == [page_type, "R,"]] == [["0", "12", "0", "-"]]
    assert "no beats in 1 leads of readings: " in result.stdout
    table = pd.read_csv(out.with_suffix(".intervals.csv"), dtype={"type": str}).set_index(
        ["page", "lead", "measure"]
    )
    assert len(table) == 4 * (4 + 3 * 12)
    assert table.loc[("17-0001", "page", "heart rate"), ["unit", "truth", "reading"]].tolist() == [
        "1/min",
        75,
        75,
    ]
    for lead in LEADS:
        truth_mv, reading_mv = table.loc[("17-0003", lead, "R"), ["truth", "reading"]]
        assert reading_mv == pytest.approx(0.9 * truth_mv, abs=1e-4)


def test_intervals_of_a_submission_are_refused(tmp_path, truth_root):
    path = write_submission(known_submission(), tmp_path / "submission.csv")
    said = "--intervals needs a folder of readings: a submission does not say when leads begin"
    assert refusal(score(path, truth_root, "--intervals")) == f"error: {path}: {said}"


def test_submissions_that_do_not_match_are_refused(tmp_path, truth_root):
    truth = write_submission(known_submission(), tmp_path / "truth.csv")
    other = known_submission().replace({"id": "^343_"}, "344_", regex=True)
    short = known_submission()[:-1]
    both = pd.concat([known_submission(), other])
    for table, said in (
        (other, "2 pages are only in the prediction or only in the truth, such as 343"),
        (both, "1 pages are only in the prediction or only in the truth, such as 344"),
        (short, "page 343: lead V6 has 2 rows, but its truth has 3"),
    ):
        path = write_submission(table, tmp_path / "submission.csv")
        assert refusal(score(path, truth)) == f"error: {path}: {said}"
    assert "such as 344" in refusal(score(write_submission(other, tmp_path / "submission.csv"), truth_root))


def test_bad_usage_is_refused_in_a_line(tmp_path, truth_root):
    (tmp_path / "empty").mkdir()
    write_csv(tmp_path / "readings" / "17.csv", SHOWN_MV)
    submission = write_submission(known_submission(), tmp_path / "submission.csv")
    assert "no such folder" in refusal(score(tmp_path / "readings", tmp_path / "none"))
    assert "no such file" in refusal(score(tmp_path / "none", truth_root))
    assert "no predictions" in refusal(score(tmp_path / "empty", truth_root))
    assert "needs a folder of records" in refusal(score(tmp_path / "readings", submission))


def test_workers_give_the_same_table_and_nothing_else_is_written(tmp_path, truth_root):
    for name in ("17", "17_hr-0001"):
        write_csv(tmp_path / "readings" / f"{name}.csv", with_noise(SHOWN_MV, 0.02))
    before = files_below(tmp_path)
    one = score(tmp_path / "readings", truth_root)
    assert files_below(tmp_path) == before
    out = succeed(
        SCRIPT,
        *("--predictions", tmp_path / "readings", "--truth-root", truth_root, "--num-workers", 2),
    )
    assert out.splitlines()[:-1] == one.stdout.splitlines()[:-1]


def test_help_shows_the_command_and_loads_no_torch():
    text, loaded = help_and_loaded(SCRIPT, "torch")
    assert "python experiment/score.py --predictions readings --truth-root" in text
    assert not loaded
