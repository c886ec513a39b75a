"""WFDB records that wfdb itself writes, and what is left of them when a file is damaged."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import wfdb

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import read_record
from ecg_generator_with_train_src.record_files.lead_names import LEADS
from ecg_generator_with_train_src.record_files.wfdb_files import read_wfdb_signals, wfdb_files

from helpers import waves_mv

FS_HZ = 360
WAVES_MV = waves_mv(FS_HZ).to_numpy().round(3)


def write(folder: Path, name: str = "a", signal=WAVES_MV, names=LEADS, units=None, **options) -> Path:
    """Write a record at 360 Hz and a resolution of 0.001 of its unit; returns its header."""
    number = len(names)
    wfdb.wrsamp(
        name,
        fs=options.pop("fs", FS_HZ),
        units=units or ["mV"] * number,
        sig_name=list(names),
        p_signal=signal[:, :number],
        fmt=options.pop("fmt", ["16"] * number),
        adc_gain=[options.pop("gain", 1000.0)] * number,
        baseline=[0] * number,
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


def refusal_of(path: Path, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        read_wfdb_signals(path, *arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_leads_of_a_record_come_in_millivolts_with_its_rate(tmp_path):
    file = read_wfdb_signals(write(tmp_path))
    assert (file.fs_hz, file.duration_s, list(file.signals)) == (FS_HZ, 10, list(LEADS))
    np.testing.assert_allclose(np.stack(list(file.signals.values()), axis=1), WAVES_MV, atol=1e-12)


def test_names_units_and_gaps_of_any_device(tmp_path):
    signal = WAVES_MV * [1, 1000, 1, 1] if WAVES_MV.shape[1] == 4 else WAVES_MV[:, :4] * [1, 1000, 1, 1]
    signal[20:30, 0] = np.nan
    path = write(
        tmp_path,
        signal=signal,
        names=("MLII", "lead v1", "Pleth", "-AVR"),
        units=["mV", "uV", "NU", "mV"],
        gain=20.0,
    )
    file = read_wfdb_signals(path)
    assert list(file.signals) == ["II", "V1", "aVR"]
    assert np.flatnonzero(np.isnan(file.signals["II"])).tolist() == list(range(20, 30))
    np.testing.assert_allclose(file.signals["V1"], WAVES_MV[:, 1], atol=1e-4)
    np.testing.assert_allclose(file.signals["aVR"], -WAVES_MV[:, 3], atol=0.03)


def test_a_part_of_a_long_record_is_read_without_the_rest(tmp_path):
    path = write(tmp_path, signal=np.concatenate([WAVES_MV, WAVES_MV / 2, WAVES_MV / 4]))
    file = read_wfdb_signals(path, 10, 10)
    assert (file.first_s, file.duration_s, file.num_samples) == (10, 30, 3600)
    np.testing.assert_allclose(file.signals["V6"], WAVES_MV[:, 11] / 2, atol=5.1e-4)
    assert read_wfdb_signals(path, 25, 10).num_samples == 1800


@pytest.mark.parametrize("fmt", ["212", "24", "80"])
def test_other_formats_of_samples(tmp_path, fmt):
    gain = 100.0 if fmt == "80" else 1000.0
    file = read_wfdb_signals(write(tmp_path, fmt=[fmt] * 12, gain=gain))
    np.testing.assert_allclose(file.signals["V3"], WAVES_MV[:, 8], atol=0.51 / gain)


def test_samples_in_a_mat_file_as_the_challenges_have_them(tmp_path):
    """A .mat of version 4: 24 bytes before samples of two bytes."""
    steps = (WAVES_MV * 1000).round().astype(np.int16)
    scipy.io.savemat(tmp_path / "a.mat", {"val": steps.T}, format="4")
    lines = [
        f"a.mat 16+24 1000/mV 16 0 {steps[0, k]} {steps[:, k].sum() % 65536} 0 {lead}"
        for k, lead in enumerate(LEADS)
    ]
    (tmp_path / "a.hea").write_text("\n".join([f"a 12 {FS_HZ} 3600", *lines, "#Age: 60"]) + "\n")
    record = read_record(tmp_path / "a.hea")
    np.testing.assert_allclose(record.signal_mv, WAVES_MV, atol=1e-9)
    assert (record.record_id, record.fs_hz) == ("a", FS_HZ)
    assert [path.name for path in wfdb_files(tmp_path / "a.hea")] == ["a.hea", "a.mat"]


def test_a_record_of_several_segments_is_one(tmp_path):
    for number in (1, 2):
        write(tmp_path, f"a_{number}", WAVES_MV / number)
    (tmp_path / "a.hea").write_text(f"a/2 12 {FS_HZ} 7200\na_1 3600\na_2 3600\n")
    file = read_wfdb_signals(tmp_path / "a.hea")
    np.testing.assert_allclose(file.signals["I"][3600:], WAVES_MV[:, 0] / 2, atol=5.1e-4)
    names = {path.name for path in wfdb_files(tmp_path / "a.hea")}
    assert names == {"a.hea", "a_1.hea", "a_1.dat", "a_2.hea", "a_2.dat"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a/2 12 360 7200\n../b_1 3600\na_2 3600\n", "a.hea: "),
        ("a/2 12 360 7200\na_1 3600\na 3600\n", "a.hea: is a segment of a record, but has segments itself"),
    ],
)
def test_segments_lie_beside_their_header_and_have_none_themselves(tmp_path, lines, said):
    write(tmp_path, "a_1", WAVES_MV)
    (tmp_path / "a.hea").write_text(lines)
    with pytest.raises(InputError) as refused:
        read_wfdb_signals(tmp_path / "a.hea")
    assert said in str(refused.value)
    assert [path.name for path in wfdb_files(tmp_path / "a.hea")] == ["a.hea"]


def test_what_is_damaged_missing_or_elsewhere_is_named(tmp_path):
    path = write(tmp_path)
    whole = path.read_text()
    samples = (tmp_path / "a.dat").read_bytes()
    for text, said in (
        (whole.replace("a.dat", "/etc/hostname"), "a.hea: no whole WFDB record"),
        (whole.replace("a.dat", "../b.dat"), "a.hea: no whole WFDB record"),
        (
            whole.replace("a.dat", "http://x.y/b.dat"),
            "a.hea: no whole WFDB record",
        ),
        (whole.replace("a.dat", ".."), "a.hea: "),
        (whole.replace("a.dat", "b.dat"), "b.dat: no such file; the header"),
        (whole.replace("/mV", "/mmHg"), "a.hea: lead I is in mmHg; expected mV, uV, V or nV"),
        (whole.replace("a 12 360", "a 12 4000"), "a.hea: 4000 Hz is outside 50-2000 Hz"),
        ("", "a.hea: no whole WFDB record"),
        ("nonsense\n", "a.hea: no whole WFDB record"),
        (whole[: len(whole) // 2], "a.hea: "),
        (
            "\n".join(
                line.rpartition(" ")[0] + " x" if k else line for k, line in enumerate(whole.splitlines())
            ),
            "none of",
        ),
    ):
        path.write_text(text)
        assert said in refusal_of(path)
    path.write_text(whole)
    (tmp_path / "a.dat").write_bytes(samples[:5000])
    assert "a.hea: no whole WFDB record" in refusal_of(path)
    (tmp_path / "a.dat").write_bytes(bytes([samples[0] ^ 1]) + samples[1:])
    assert "a.dat: differs from the checksums in its header; copy the record again" in refusal_of(path)
    path.unlink()
    assert "a.hea: no such file" in refusal_of(path)


def test_a_damaged_flac_is_a_damaged_record(tmp_path):
    path = with_changes(write(tmp_path), "a.dat 16 ", "a.dat 516 ")
    (tmp_path / "a.dat").write_bytes(b"fLaC" + b"\xff" * 200)
    assert "a.hea: no whole WFDB record (Error opening" in refusal_of(path)


def with_changes(path: Path, old: str, new: str) -> Path:
    """The header with each `old` replaced."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "asked"),
    [
        (".dat 16 ", ".dat 16x1000000000 ", "43,200,000,000,000"),  # samples of each signal in a frame
        (".dat 16 ", ".dat 16:1000000000 ", "12,000,043,200"),  # frames by which it comes late
        ("a 12 360 3600", "a 12 360 360000000", "4,320,000,000"),
    ],
)
def test_a_header_that_asks_for_more_samples_than_any_ecg_has_is_refused(tmp_path, old, new, asked):
    path = with_changes(write(tmp_path), old, new)
    assert refusal_of(path) == (
        f"{path}: asks for {asked} samples at once, more than 30,000,000; mend it, or cut the record into shorter ones"
    )


def test_of_a_very_long_record_the_beginning_is_read(tmp_path):
    path = with_changes(write(tmp_path), "a 12 360 3600", "a 12 360 360000000")
    assert read_wfdb_signals(path, 0.0, 5.0).signals["V6"].shape == (5 * FS_HZ,)


def test_a_segment_that_asks_for_too_much_is_named(tmp_path):
    segment = with_changes(write(tmp_path), ".dat 16 ", ".dat 16:1000000000 ")
    path = tmp_path / "whole.hea"
    path.write_text("whole/2 12 360 7200\na 3600\n~ 3600\n")
    assert refusal_of(path).startswith(f"{segment}: asks for 12,000,")


def test_a_header_of_a_billion_signals_or_of_gigabytes_is_refused_unread(tmp_path):
    path = with_changes(write(tmp_path), "a 12 360", "# a record\n a 1000000000 360")
    assert refusal_of(path) == f"{path}: says that it has more than 1000 signals; mend its first line"
    os.truncate(path, 3 * 10**9)
    assert refusal_of(path) == f"{path}: has more than 1 MiB, more than any such file needs"
    assert wfdb_files(path) == [path]
