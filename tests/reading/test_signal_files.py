"""Signals of a page in each format, as the formats' own libraries read them back."""

import json
import os
import sys
from dataclasses import replace

import edfio
import numpy as np
import pandas as pd
import pytest
import wfdb

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import LEADS, read_record, read_signal_mv
from experiment.reading.signal_files import (
    FORMATS,
    ReadSignals,
    check_formats,
    signal_paths,
    wfdb_name,
    write_signals,
)

ABOUT = {
    "program": "this program 1.0",
    "image": "ward 3/Anna é.png",
    "status": "check",
    "reasons": ["no pulse", "the gain\nis assumed"],
    "layout": "3x4+II",
    "paper_speed_mm_s": 25.0,
    "gain_mm_mv": 10.0,
    "assumed": {"gain_mm_mv": 10.0},
    "leads": [{"lead": "V1", "filled_in_s": [[5.1, 5.25], [6, 6.5]]}, {"lead": "II", "filled_in_s": []}],
}
HEADERS = [
    "program: this program 1.0",
    "image: ward 3/Anna é.png",
    "status: check",
    "reasons: no pulse; the gain is assumed",
    "layout: 3x4+II",
    "paper_speed_mm_s: 25.0",
    "gain_mm_mv: 10.0",
    "assumed: gain_mm_mv 10.0",
    "lead V1, hidden: 5.1-5.25 s, 6-6.5 s",
]


def signals(name: str = "ecg", fs_hz: float = 500.0, peak_mv: float = 1.5) -> ReadSignals:
    """Lead k is a sine in its quarter of the page; II is whole; V3R, which records do not have, comes last."""
    samples = round(10 * fs_hz)
    quarter = np.arange(samples) * 4 // samples
    leads_mv = {
        lead: np.where(
            (quarter == k // 3) | (lead == "II"), peak_mv * np.sin(np.arange(samples) / 50 + k), np.nan
        )
        for k, lead in enumerate(LEADS)
    }
    return ReadSignals(name, fs_hz, leads_mv | {"V3R": leads_mv["V1"] / 2}, ABOUT)


def table(of: ReadSignals) -> np.ndarray:
    return np.stack(list(of.signals_mv.values()), axis=1)


def test_every_format_has_its_files_and_no_others(tmp_path):
    write_signals(tmp_path, FORMATS, signals())
    endings = ("csv", "dat", "hea", "edf", "npz")
    assert signal_paths(tmp_path, "ecg", FORMATS) == [tmp_path / f"ecg.{ending}" for ending in endings]
    assert sorted(tmp_path.iterdir()) == sorted(signal_paths(tmp_path, "ecg", FORMATS))


def test_a_csv_has_the_twelve_leads_and_what_records_do_not_have(tmp_path):
    write_signals(tmp_path, ("csv",), signals())
    read = pd.read_csv(tmp_path / "ecg.csv")
    assert list(read.columns) == [*LEADS, "V3R"]
    np.testing.assert_allclose(read.to_numpy(), table(signals()), atol=5.1e-5)


def test_wfdb_has_gain_unit_gaps_and_what_was_read_and_how(tmp_path):
    write_signals(tmp_path, ("wfdb",), signals())
    record = wfdb.rdrecord(str(tmp_path / "ecg"))
    assert (record.fs, record.sig_name, set(record.units)) == (500, [*LEADS, "V3R"], {"mV"})
    assert (set(record.adc_gain), set(record.baseline), set(record.fmt)) == ({1000.0}, {0}, {"16"})
    np.testing.assert_allclose(record.p_signal, table(signals()), atol=5.1e-4)
    assert record.comments == [line.replace("é", "") for line in HEADERS]  # wfdb reads plain letters alone
    np.testing.assert_array_equal(read_signal_mv(tmp_path / "ecg.hea"), record.p_signal[:, :12])


def test_edf_has_annotations_for_gaps_and_for_what_was_read_and_how(tmp_path):
    write_signals(tmp_path, ("edf",), signals())
    edf = edfio.read_edf(tmp_path / "ecg.edf")
    assert [signal.label for signal in edf.signals] == [f"ECG {lead}" for lead in (*LEADS, "V3R")]
    expected = table(signals())
    for signal, lead_mv in zip(edf.signals, expected.T, strict=True):
        assert (signal.sampling_frequency, signal.physical_dimension) == (500, "mV")
        assert signal.transducer_type == "paper, 25 mm/s, 10 mm/mV"
        np.testing.assert_allclose(signal.data, np.nan_to_num(lead_mv, nan=-32.768), atol=6e-4)
    texts = {(note.onset, note.duration, note.text) for note in edf.annotations}
    assert {(0, None, line) for line in HEADERS} <= texts
    assert {(2.5, 7.5, "no signal: I"), (0, 5, "no signal: V2"), (7.5, 2.5, "no signal: V2")} <= texts
    assert not any(text == "no signal: II" for _, _, text in texts)
    assert edf.recording.equipment_code == "this_program_1.0"


def test_an_npz_needs_no_pickles_and_says_all_that_the_json_says(tmp_path):
    write_signals(tmp_path, ("npz",), signals())
    with np.load(tmp_path / "ecg.npz", allow_pickle=False) as stored:
        assert (stored["leads"].tolist(), float(stored["fs_hz"])) == ([*LEADS, "V3R"], 500)
        np.testing.assert_allclose(stored["signal_mv"], table(signals()), atol=1e-6)
        assert json.loads(str(stored["about"])) == ABOUT


@pytest.mark.parametrize("fs_hz", [250.0, 512.5, 1025.0])
def test_any_rate_is_written(tmp_path, fs_hz):
    write_signals(tmp_path, FORMATS, signals(fs_hz=fs_hz))
    assert wfdb.rdheader(str(tmp_path / "ecg")).fs == fs_hz
    assert edfio.read_edf(tmp_path / "ecg.edf").signals[0].sampling_frequency == fs_hz
    assert read_record(tmp_path / "ecg.hea").fs_hz == fs_hz


def test_values_beyond_what_steps_of_a_microvolt_hold_have_larger_steps(tmp_path):
    write_signals(tmp_path, ("wfdb", "edf"), signals(peak_mv=100))
    np.testing.assert_allclose(
        wfdb.rdrecord(str(tmp_path / "ecg")).p_signal[:, 1], table(signals(peak_mv=100))[:, 1], atol=0.0051
    )
    assert edfio.read_edf(tmp_path / "ecg.edf").signals[1].data.max() == pytest.approx(100, abs=0.02)


def test_names_that_wfdb_does_not_allow_are_replaced_and_stay_apart(tmp_path):
    assert wfdb_name("ecg_1-a") == "ecg_1-a"
    names = ["ward 3/ecg 1", "ward 3/ecg.1", "ward 3/ecg_1", "ward 3/心电图"]
    assert len({wfdb_name(name) for name in names}) == 4
    for name in names:
        write_signals(tmp_path, ("wfdb",), signals(name))
        header = signal_paths(tmp_path, name, ("wfdb",))[1]
        assert header.parent == tmp_path / "ward 3"
        assert wfdb.rdrecord(str(header.with_suffix(""))).sig_len == 5000
    assert len(list((tmp_path / "ward 3").glob("*.hea"))) == 4


def test_names_that_are_no_text_are_written_with_escapes(tmp_path):
    name = os.fsdecode(b"caf\xe9\n")
    write_signals(tmp_path, FORMATS, replace(signals(name), about={**ABOUT, "image": f"{name}.png"}))
    header = signal_paths(tmp_path, name, ("wfdb",))[1]
    assert r"image: caf\xe9 .png" in wfdb.rdheader(str(header.with_suffix(""))).comments
    assert r"image: caf\xe9 .png" in [
        note.text for note in edfio.read_edf(tmp_path / f"{name}.edf").annotations
    ]
    with np.load(tmp_path / f"{name}.npz", allow_pickle=False) as stored:
        assert json.loads(str(stored["about"]))["image"] == f"{name}.png"


def test_a_format_whose_package_is_not_installed_is_refused_with_its_name(monkeypatch):
    check_formats(FORMATS)
    monkeypatch.setitem(sys.modules, "edfio", None)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.delitem(sys.modules, "edfio")
    check_formats(("csv", "npz"))
    with pytest.raises(InputError, match="--format edf needs the package edfio: pip install edfio"):
        check_formats(("csv", "edf"))
