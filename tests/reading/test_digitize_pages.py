"""What digitize.py leaves behind of pages that a perfect network sees: status, signals, report, exit code."""

import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecg_generator_with_train_src.common.image_files import encode_rgb, read_rgb
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from ecg_generator_with_train_src.page.layouts import PageSetup, parse_layout
from experiment.labelling.page_probability import PageProbability
from experiment.labelling.result_names import PageFile
from experiment.reading.corrections import Correction
from experiment.reading.digitize_pages import DigitizeOptions, digitize_pages
from experiment.reading.find_layout import ReadingOptions
from experiment.reading.output_files import PLOT_WIDTH_PX
from experiment.reading.printed_text import PrintedName, PrintedText
from experiment.reading.sampling_rates import SamplingRates
from experiment.scoring.submission import read_submission
from known_pages import FS_HZ, page_of

RATES = SamplingRates(FS_HZ, {}, {})
TOLD = ReadingOptions(layout=parse_layout("3x4+II"), paper_speed_mm_s=25.0, gain_mm_mv=10.0)


@pytest.fixture(scope="module")
def whole() -> PageProbability:
    return page_of(PageSetup())


def blank_image(folder, name: str = "7") -> PageFile:
    path = folder / f"{name}.png"
    path.write_bytes(encode_rgb(np.full((40, 40, 3), 255, np.uint8)))
    return PageFile(path, name)


def digitized(tmp_path, seen: PageProbability, **options) -> tuple[int, dict, pd.DataFrame]:
    """Exit code, JSON and signals of one page, whatever its image shows."""
    work = DigitizeOptions(
        tmp_path / "out", options.pop("known", TOLD), num_workers=1, overwrite=True, **options
    )
    code = digitize_pages(lambda image, rotation_deg: seen, work, [blank_image(tmp_path)], RATES)
    about = json.loads((tmp_path / "out" / "7.json").read_text())
    return code, about, pd.read_csv(tmp_path / "out" / "7.csv")


def hidden(seen: PageProbability, first_mm: float, last_mm: float) -> PageProbability:
    """The same page, with all ink between two distances from its left edge hidden."""
    probability = seen.probability.copy()
    probability[2, :, round(first_mm * PX_PER_MM) : round(last_mm * PX_PER_MM)] = 0
    return replace(seen, probability=probability)


def test_a_page_without_doubts_is_sure_and_stands_in_the_report(tmp_path, whole, capsys):
    code, about, signals = digitized(tmp_path, whole, strict=True, origin={"program": "this 1"})
    assert (code, about["status"], about["reasons"], about["assumed"]) == (0, "sure", [], {})
    assert about["program"] == "this 1"
    assert signals.notna().sum()["II"] == 10 * FS_HZ
    report = (tmp_path / "out" / "report.html").read_text()
    assert "<h2>7: sure</h2>" in report and report.count("data:image/jpeg") == 2
    assert "read 1 of 1 pages (1 sure, 0 to check, 0 unread)" in capsys.readouterr().out


def test_two_ecgs_on_one_image_are_read_one_by_one(tmp_path, whole):
    height, width = whole.image.shape[:2]
    leads = ("aVR", "aVL", "aVF", "V2", "V3", "V6")
    names = [
        PrintedName(lead, 700 + 450 * (k // 3) + shift, 600 + 280 * (k % 3), 0.9)
        for shift in (0, width)
        for k, lead in enumerate(leads)
    ]
    both = replace(
        whole,
        probability=np.concatenate([whole.probability] * 2, axis=2),
        image=np.concatenate([whole.image] * 2, axis=1),
        input_shape=(height, 2 * width),
        text=PrintedText(tuple(names), ()),
    )
    work = DigitizeOptions(tmp_path / "out", TOLD, num_workers=1)
    assert digitize_pages(lambda image, rotation_deg: both, work, [blank_image(tmp_path)], RATES) == 0
    _, _, alone = digitized(tmp_path, whole)
    for name in ("7-a", "7-b"):
        signals = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        assert json.loads((tmp_path / "out" / f"{name}.json").read_text())["layout"] == "3x4+II"
        assert np.sqrt(np.nanmean(np.square(signals - alone))) < 0.02
        assert (signals.notna().sum() == alone.notna().sum()).all()


def test_a_doubt_is_a_page_to_check_which_only_a_strict_run_counts(tmp_path, whole, capsys):
    doubtful = replace(whole, warnings=("unsure of the grid's scale",))
    codes = [digitized(tmp_path, doubtful, strict=strict)[0] for strict in (False, True)]
    assert codes == [0, 1]
    about = json.loads((tmp_path / "out" / "7.json").read_text())
    assert (about["status"], about["reasons"]) == ("check", ["unsure of the grid's scale"])
    assert "check 7: unsure of the grid's scale" in capsys.readouterr().err


def test_what_was_assumed_is_in_the_json(tmp_path, whole):
    work = DigitizeOptions(tmp_path / "out", ReadingOptions(layout=TOLD.layout), num_workers=1)
    unmarked = page_of(PageSetup(pulse="none"))
    rates = SamplingRates(None, {}, {})
    digitize_pages(lambda image, rotation_deg: unmarked, work, [blank_image(tmp_path)], rates)
    about = json.loads((tmp_path / "out" / "7.json").read_text())
    assert about["assumed"] == {"paper_speed_mm_s": 25.0, "gain_mm_mv": 10.0, "fs_hz": 500.0}
    assert about["status"] == "check"


def test_hidden_stretches_are_listed_and_left_out_if_that_is_asked(tmp_path, whole):
    seen = hidden(whole, 30, 45)
    _, about, filled = digitized(tmp_path, seen)
    _, _, empty = digitized(tmp_path, seen, fill_gaps=False)
    for lead in ("I", "III"):
        (listed,) = [entry for entry in about["leads"] if entry["lead"] == lead]
        time_s = np.arange(len(empty)) / FS_HZ
        in_gap = np.zeros(len(empty), bool)
        for start, stop in listed["filled_in_s"]:
            in_gap |= (time_s >= start - 1e-6) & (time_s <= stop + 1e-6)
        assert 0.5 < in_gap.sum() / FS_HZ < 0.7
        assert np.array_equal(empty[lead].isna(), filled[lead].isna() | in_gap)


def test_what_lies_beyond_the_pages_edge_is_left_empty(tmp_path, whole):
    kept = round(240 * PX_PER_MM)
    cut = replace(
        whole,
        probability=np.ascontiguousarray(whole.probability[..., :kept]),
        image=np.ascontiguousarray(whole.image[:, :kept]),
        input_shape=(whole.input_shape[0], kept),
    )
    _, about, signals = digitized(tmp_path, cut)
    shown_s = (240 - 15) / 25
    assert about["status"] == "check"
    for lead in ("V4", "V5", "V6", "II"):
        last_s = signals[lead].last_valid_index() / FS_HZ
        assert shown_s - 0.05 < last_s < shown_s + 0.2  # the flattened page has a margin
        listed = max((entry for entry in about["leads"] if entry["lead"] == lead), key=lambda e: e["end_s"])
        assert listed["end_s"] == pytest.approx(last_s, abs=0.01)
        assert listed["filled_in_s"][-1][1] == pytest.approx(last_s, abs=0.01)


def test_leads_that_are_not_shown_stay_empty_but_in_a_submission(tmp_path):
    layout = parse_layout("rows:I,II,III")
    known = ReadingOptions(layout=layout, paper_speed_mm_s=25.0, gain_mm_mv=10.0)
    seen = page_of(PageSetup(layout=layout))
    table = tmp_path / "s.csv"
    _, about, signals = digitized(tmp_path, seen, known=known, submission=table)
    assert {entry["lead"] for entry in about["leads"]} == {"I", "II", "III"}
    assert signals.columns[signals.notna().any()].tolist() == ["I", "II", "III"]
    submitted = read_submission(table)["7"]
    assert np.isfinite(submitted).any(axis=1).all() and np.nanmax(np.abs(submitted[3:])) == 0


def test_a_page_is_read_as_its_correction_tells(tmp_path, whole):
    asked = []

    def see(image, rotation_deg):
        asked.append(rotation_deg)
        return whole

    corrections = {"7": Correction(ReadingOptions(gain_mm_mv=5.0), rotation_deg=180.0)}
    work = DigitizeOptions(tmp_path / "out", TOLD, num_workers=1, corrections=corrections)
    digitize_pages(see, work, [blank_image(tmp_path), blank_image(tmp_path, "8")], RATES)
    assert asked == [180.0, None]
    one, other = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("7", "8"))
    np.testing.assert_allclose(one["II"], 2 * other["II"], atol=2e-4)


def test_what_is_done_when_a_run_is_interrupted_stays(tmp_path, whole):
    files = [blank_image(tmp_path, name) for name in ("7", "8", "9")]
    answers = iter([whole, whole])

    def see(image, rotation_deg):
        if (answer := next(answers, None)) is None:
            raise KeyboardInterrupt
        return answer

    with pytest.raises(KeyboardInterrupt):
        digitize_pages(see, DigitizeOptions(tmp_path / "out", TOLD, num_workers=1), files, RATES)
    assert (tmp_path / "out" / "7.csv").is_file()
    assert "<h2>7: sure</h2>" in (tmp_path / "out" / "report.html").read_text()


def pictures_of(out) -> list[np.ndarray]:
    """The flattened page of the traces picture, and the page of the report, of page 7."""
    traces = read_rgb(out / "7_traces.png")
    return [traces[:, : traces.shape[1] - PLOT_WIDTH_PX], read_rgb(out / "report_pictures/7_report1.jpg")]


def test_print_is_blacked_out_of_every_picture_if_that_is_asked(tmp_path, whole):
    header = 0.2  # of the height; the first row's spikes begin at 0.3
    (tmp_path / "redacted").mkdir()
    _, plain, plain_signals = digitized(tmp_path, whole)
    _, redacted, signals = digitized(tmp_path / "redacted", whole, redact=True)
    for open_page, black_page in zip(
        pictures_of(tmp_path / "out"), pictures_of(tmp_path / "redacted/out"), strict=True
    ):
        rows = round(header * len(open_page))
        assert (
            open_page[:rows].max() > 200 and (open_page[:rows].max(axis=2) < 170).any()
        )  # print, half as dark
        assert black_page[:rows].max() < 10
        middle = slice(rows * 2, rows * 4)
        assert np.mean(np.abs(black_page[middle].astype(float) - open_page[middle]) > 20) < 0.2
    pd.testing.assert_frame_equal(signals, plain_signals)
    assert {**redacted, "image": ""} == {**plain, "image": ""}


def test_of_an_unread_page_that_is_redacted_nothing_is_shown(tmp_path, whole):
    unseen = replace(whole, probability=whole.probability * np.array([1, 0, 0], np.float32)[:, None, None])
    work = DigitizeOptions(tmp_path / "out", TOLD, num_workers=1, redact=True)
    assert digitize_pages(lambda image, rotation_deg: unseen, work, [blank_image(tmp_path)], RATES) == 1
    assert read_rgb(tmp_path / "out/report_pictures/7_report1.jpg").max() < 10


def test_signals_come_in_every_format_and_none_is_left_of_an_unread_page(tmp_path, whole):
    out, formats = tmp_path / "out", ("csv", "wfdb", "edf", "npz")
    asked = {"formats": formats, "origin": {"program": "this 1", "options": {"format": list(formats)}}}
    _, _, signals = digitized(tmp_path, whole, **asked)
    endings = ["csv", "dat", "edf", "hea", "npz"]
    assert sorted(path.suffix[1:] for path in out.glob("7.*") if path.suffix != ".json") == endings
    record = wfdb.rdrecord(str(out / "7"))
    np.testing.assert_allclose(record.p_signal, signals.to_numpy(), atol=0.00056)
    (out / "7.notes").touch()
    nothing = replace(whole, probability=np.zeros_like(whole.probability))
    digitize_pages(
        lambda image, rotation_deg: nothing,
        DigitizeOptions(out, TOLD, num_workers=1, overwrite=True),
        [blank_image(tmp_path)],
        RATES,
    )
    assert sorted(path.name for path in out.glob("7.*")) == ["7.json", "7.notes"]


def test_recordings_of_the_users_beside_the_readings_stay(tmp_path, whole):
    out = tmp_path / "out"
    out.mkdir()
    (out / "7.edf").write_bytes(b"the user's own")
    digitized(tmp_path, whole)
    assert (out / "7.edf").read_bytes() == b"the user's own"


def test_a_damaged_table_of_rates_costs_the_pages_beside_it(tmp_path, whole, capsys):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/train.csv").write_text("no,table\n1,2\n")
    files = [blank_image(tmp_path / "bad", "7"), blank_image(tmp_path, "8")]
    work = DigitizeOptions(tmp_path / "out", TOLD, num_workers=1)
    assert digitize_pages(lambda image, rotation_deg: whole, work, files, SamplingRates(None, {}, {})) == 1
    assert json.loads((tmp_path / "out/8.json").read_text())["status"] != "unread"
    about = json.loads((tmp_path / "out/7.json").read_text())
    assert about["status"] == "unread"
    assert about["reasons"][0].startswith(f"{tmp_path}/bad/train.csv: expected the columns id and fs")


def test_a_page_whose_name_is_no_text_is_read_and_loses_nothing(tmp_path, whole):
    name = os.fsdecode(b"caf\xe9\n")
    work = DigitizeOptions(tmp_path / "out", TOLD, num_workers=1, submission=tmp_path / "s.csv")
    files = [blank_image(tmp_path, name)]
    assert digitize_pages(lambda image, rotation_deg: whole, work, files, RATES) == 0
    assert json.loads((tmp_path / "out" / f"{name}.json").read_text())["image"] == str(files[0].path)
    assert (tmp_path / "out" / f"{name}.csv").is_file()
    assert "sure" in (tmp_path / "out/report.html").read_text()
    assert list(read_submission(tmp_path / "s.csv")) == [r"caf\xe9\n"]
