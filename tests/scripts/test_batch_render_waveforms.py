"""scripts/batch_render_waveforms.py as users run it: what it writes, keeps, refuses, and survives."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.common.image_files import encode_rgb, read_ink_alpha
from ecg_generator_with_train_src.page.page import read_page_description

from conftest import GRID, REPOSITORY, run_script
from helpers import (
    competition_gaps,
    files_below,
    in_session,
    linux_only,
    refusal,
    render,
    said_of_skipped,
    wait_for,
    waves_mv,
    write_csv,
)


def linked(sample_records: Path, root: Path, count: int) -> Path:
    """`count` flat records that are links to the simulated ones, with their rates."""
    root.mkdir(parents=True)
    sources = sorted(sample_records.glob("*/*.csv"))
    rates = pd.read_csv(sample_records / "train.csv", dtype=str)["fs"].tolist()
    rows = ["id,fs"]
    for number in range(count):
        (root / f"r{number:03d}.csv").symlink_to(sources[number % len(sources)])
        rows.append(f"r{number:03d},{rates[number % len(sources)]}")
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    return root


def write_good(root: Path, *names: str, fs_hz: float = 50) -> None:
    for number, name in enumerate(names):
        write_csv(root / f"{name}.csv", waves_mv(fs_hz) * (1 + number / 10))


# --- what it writes


def test_every_record_has_its_ink_its_mask_and_its_description(sample_records, rendered):
    names = sorted(path.stem for path in sample_records.glob("*/*.csv"))
    images = {path.name for path in (rendered / "wave_images").iterdir() if path.is_file()}
    assert images == {f"{name}.{kind}" for name in names for kind in ("png", "page.json")}
    assert {path.name for path in (rendered / "wave_masks").iterdir()} == {f"{name}.png" for name in names}
    copies = sorted(path.suffix for path in (rendered / "wave_images" / "grid").iterdir())
    assert copies == [".json", ".png"]
    page = read_page_description(rendered / "wave_images" / "sample0_0005.page.json")
    assert (page.name, page.record, page.fs_hz) == ("sample0_0005", "sample0_0005", 1025)
    grid = rendered / "wave_images" / page.grid.file
    assert grid.read_bytes() == GRID.read_bytes()


def test_one_worker_and_a_flat_folder_give_the_same_bytes(sample_records, rendered, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in sample_records.glob("*/*.csv"):
        (flat / path.name).write_bytes(path.read_bytes())
    (tmp_path / "train.csv").write_bytes((sample_records / "train.csv").read_bytes())
    result = render(flat, tmp_path / "one", "--num-workers", 1)
    assert result.returncode == 0, result.stderr
    assert files_below(tmp_path / "one") == files_below(rendered)


def test_seeds_change_the_look_and_never_the_ink(sample_records, rendered, tmp_path):
    """Seed 0 is the seed that the other pages have; seed 1 is another."""
    csv_root = linked(sample_records, tmp_path / "csv", 3)
    pages = {}
    runs = {"default": (), "0": ("--seed", 0), "1": ("--seed", 1), "again": ("--seed", 1)}
    for name, arguments in runs.items():
        assert render(csv_root, tmp_path / name, "--num-workers", 1, *arguments).returncode == 0
        pages[name] = files_below(tmp_path / name)
    assert pages["default"] == pages["0"]
    assert pages["1"] == pages["again"]
    described = {name: json.loads(pages[name]["wave_images/r000.page.json"]) for name in ("0", "1")}
    assert described["0"]["furniture"] != described["1"]["furniture"]
    assert described["0"]["seed"] == 0
    for number in range(3):
        zero, one = (
            read_ink_alpha(tmp_path / seed / "wave_images" / f"r{number:03d}.png") for seed in ("0", "1")
        )
        np.testing.assert_array_equal(zero, one)


def test_full_leads_and_the_competitions_gaps_give_the_same_page_at_1025_hz(tmp_path):
    full = waves_mv(1025)
    write_csv(tmp_path / "full" / "a.csv", full)
    write_csv(tmp_path / "gaps" / "a.csv", competition_gaps(full, (0, 2562, 5125, 7687, 10250)))
    for kind in ("full", "gaps"):
        assert render(tmp_path / kind, tmp_path / f"{kind}-out", "--num-workers", 1).returncode == 0
    for place in ("wave_images/a.png", "wave_masks/a.png"):
        assert (tmp_path / "full-out" / place).read_bytes() == (tmp_path / "gaps-out" / place).read_bytes()


def test_what_leaves_the_page_is_named_on_the_page_and_in_the_end(tmp_path):
    spike = np.where(np.arange(500) == 30, 12.0, 0.1)
    write_csv(tmp_path / "csv" / "tall.csv", waves_mv(50, I=spike))
    write_good(tmp_path / "csv", "usual")
    result = render(tmp_path / "csv", tmp_path / "out", "--num-workers", 1)
    assert result.returncode == 0
    assert "cut at the edge of the page: 1 pages: tall (I)" in result.stdout
    images = tmp_path / "out" / "wave_images"
    described = {name: read_page_description(images / f"{name}.page.json") for name in ("tall", "usual")}
    assert described["tall"].drawn.leads_cut_at_edge == ("I",)
    assert described["usual"].drawn.leads_cut_at_edge == ()
    kept = render(tmp_path / "csv", tmp_path / "out", "--num-workers", 1)
    assert "rendered 0 pages, kept 2" in kept.stdout
    assert "1 pages: tall (I)" in kept.stdout  # said again, though the page is kept


# --- sampling rates


def test_rate_comes_from_the_flag_then_the_table_then_the_rows(tmp_path):
    write_good(tmp_path / "csv", "a", "b", fs_hz=100)
    (tmp_path / "train.csv").write_text("id,fs\na,100.5\n")
    by_table = render(tmp_path / "csv", tmp_path / "out", "--num-workers", 1)
    assert by_table.returncode == 0
    assert "1 records: 100 Hz guessed from 1000 rows (neither --fs-hz nor train.csv" in by_table.stdout
    rates = [
        read_page_description(tmp_path / "out" / "wave_images" / f"{name}.page.json").fs_hz for name in "ab"
    ]
    assert rates == [100.5, 100]
    by_flag = render(tmp_path / "csv", tmp_path / "out", "--num-workers", 1, "--fs-hz", 99.5)
    assert "rendered 2 pages, kept 0" in by_flag.stdout
    assert "guessed" not in by_flag.stdout
    rates = [
        read_page_description(tmp_path / "out" / "wave_images" / f"{name}.page.json").fs_hz for name in "ab"
    ]
    assert rates == [99.5, 99.5]


# --- what it keeps


def test_a_second_run_keeps_all_and_touches_nothing(rendered, sample_records):
    before = {path: path.stat().st_mtime_ns for path in rendered.glob("wave_*/*.*")}
    result = render(sample_records, rendered, "--num-workers", 1)
    assert result.returncode == 0
    assert "rendered 0 pages, kept 6" in result.stdout.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in rendered.glob("wave_*/*.*")} == before


def test_only_what_is_missing_damaged_or_otherwise_asked_for_is_drawn_again(tmp_path):
    csv, out = tmp_path / "csv", tmp_path / "out"
    write_good(csv, *"abcdefg")
    assert render(csv, out, "--num-workers", 1).returncode == 0
    whole = files_below(out)
    images, masks = out / "wave_images", out / "wave_masks"
    (images / "a.png").unlink()
    (masks / "b.png").unlink()
    (images / "c.page.json").unlink()
    (images / "d.page.json").write_text((images / "d.page.json").read_text()[:100])
    (images / "e.page.json").write_bytes(b"\xff\xfe\x00")
    (masks / "f.png").write_bytes(whole["wave_masks/a.png"])  # whole, but another page's
    result = render(csv, out, "--num-workers", 1)
    assert result.returncode == 0, result.stderr
    assert "rendered 6 pages, kept 1" in result.stdout
    assert files_below(out) == whole
    write_csv(csv / "f.csv", waves_mv(50) * 0.5)
    assert "rendered 1 pages, kept 6" in render(csv, out, "--num-workers", 1).stdout
    assert files_below(out) != whole
    assert "rendered 7 pages, kept 0" in render(csv, out, "--num-workers", 1, "--seed", 3).stdout
    assert (
        "rendered 7 pages, kept 0" in render(csv, out, "--num-workers", 1, "--seed", 3, "--overwrite").stdout
    )
    write_csv(csv / "g.csv", waves_mv(50) * 0)
    assert "no lead has a signal" in said_of_skipped(render(csv, out, "--num-workers", 1, "--seed", 3))["g"]
    assert not (images / "g.page.json").exists()  # the old page does not pass for one of the new record


# --- what it refuses


def test_bad_records_are_named_and_skipped_and_the_rest_is_drawn(tmp_path):
    root, good = tmp_path / "csv", waves_mv(50)
    write_good(root, "good1", "good2")
    write_csv(root / "nameless.csv", good.rename(columns="sensor {}".format))
    write_csv(
        root / "text.csv", good.astype(object).assign(V1=["x" if k == 4 else 0.1 * k for k in range(500)])
    )
    write_csv(root / "norows.csv", good.iloc[:0])
    (root / "empty.csv").write_bytes(b"")
    write_csv(root / "infinite.csv", good.assign(II=np.where(np.arange(500) == 9, np.inf, good["II"])))
    write_csv(root / "off.csv", (good * 0).assign(V6=np.nan))
    write_csv(root / "slow.csv", waves_mv(49))
    write_csv(root / "fast.csv", waves_mv(50).iloc[np.arange(20010) % 500])
    write_csv(root / "steps.csv", good * 200)
    (root / "binary.csv").write_bytes(GRID.read_bytes()[:20000])
    (root / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    (root / "sub").mkdir()
    write_csv(root / "sub" / "sub.csv", good.assign(time=good.index / 50))
    (root / "train.csv").write_text("id,fs\nsub,100\n")
    result = render(root, tmp_path / "out", "--num-workers", 2)
    expected = {
        "nameless": "nameless.csv: no line names the leads; expected the columns I,II,",
        "text": "text.csv: row 5, column V1: 'x' is not a number",
        "norows": "norows.csv: no rows below the header",
        "empty": "empty.csv: the file is empty",
        "infinite": "infinite.csv: row 10, lead II is infinite",
        "off": "off.csv: no lead has a signal: lead I is flat (0 mV) and left out; ",
        "slow": "slow.csv: 490 rows are no usual time at any rate that devices have",
        "fast": "fast.csv: 20010 rows are no usual time at any rate that devices have",
        "steps": "steps.csv: a lead's values span 80, which in mV is no ECG; are they a converter's steps",
        "binary": "binary.csv: ",
        "gone": "gone.csv: ",
        "sub": "sub.csv: says that its rate is 50 Hz, not 100 Hz; mend --fs-hz or train.csv",
    }
    said = said_of_skipped(result)
    assert set(said) == set(expected)
    for name, message in expected.items():
        assert message in said[name]
        assert name in said[name]
    report = (tmp_path / "out" / "wave_images" / "skipped.tsv").read_text()
    assert report == "".join(f"{name}\t{said[name]}\n" for name in sorted(said))
    assert "rendered 2 pages" in result.stdout.splitlines()[-1]
    pages = {path.name for path in (tmp_path / "out" / "wave_images").glob("*.*") if path.is_file()}
    assert pages == {"good1.png", "good1.page.json", "good2.png", "good2.page.json", "skipped.tsv"}
    assert {path.name for path in (tmp_path / "out" / "wave_masks").iterdir()} == {"good1.png", "good2.png"}
    for name in expected:
        (root / f"{name}.csv").unlink(missing_ok=True)
    (root / "sub" / "sub.csv").unlink()
    mended = render(root, tmp_path / "out", "--num-workers", 1)
    assert mended.returncode == 0
    assert not (tmp_path / "out" / "wave_images" / "skipped.tsv").exists()


def test_what_was_made_of_records_is_said_once_a_kind_and_again_where_pages_are_kept(tmp_path):
    root, good = tmp_path / "csv", waves_mv(500)
    write_csv(root / "long.csv", pd.concat([good] * 3))
    for name in ("off1", "off2"):
        write_csv(root / f"{name}.csv", good.assign(V6=0.5))
    write_csv(root / "unseen.csv", good.assign(I=good["I"].where(good.index >= 1250)))
    for expected in ("rendered 4 pages, kept 0", "rendered 0 pages, kept 4"):
        result = render(root, tmp_path / "out", "--num-workers", 1)
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        for line in (
            "1 records: 0-10 s of 30 s are used: long",
            "1 records: 500 Hz guessed from 15000 rows (neither --fs-hz nor train.csv tells the rate): long",
            "2 records: lead V6 is flat (0.5 mV) and left out: off1; off2",
            "1 records: lead I has no values in the time that the page shows: unseen",
        ):
            assert line in lines
        assert expected in lines[-1]


def test_another_start_or_unit_draws_the_page_anew(tmp_path):
    later = waves_mv(100) * 1.5
    write_csv(tmp_path / "csv" / "a.csv", pd.concat([waves_mv(100), later]) * 1000)
    write_csv(tmp_path / "later" / "a.csv", later)
    told = ("--num-workers", 1, "--fs-hz", 100)
    assert render(tmp_path / "later", tmp_path / "expected", *told).returncode == 0
    for start_s in (0, 10):
        result = render(tmp_path / "csv", tmp_path / "out", *told, "--unit", "uV", "--start-s", start_s)
        assert "rendered 1 pages" in result.stdout
    ink, expected = (read_ink_alpha(tmp_path / of / "wave_images/a.png") for of in ("out", "expected"))
    np.testing.assert_allclose(ink.astype(int), expected, atol=1)  # rounding of the CSVs' digits


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("no such root", "csv: no such folder"),
        ("empty root", "csv: no records; expected "),
        ("id twice", "record a is also in "),
        ("bad table", "train.csv: expected the columns id and fs, found what"),
        ("fs too low", "--fs-hz: 49.9 Hz is outside 50-2000 Hz"),
        ("fs too high", "--fs-hz: 2001 Hz is outside 50-2000 Hz"),
        ("no such grid", "grid.png: no such file"),
        ("torn grid", "grid.png: not a readable image"),
        ("grid without lines", "grid."),
        ("grid of another size", "states 2200x1700"),
        ("images into a file", "wave_images: File exists"),
    ],
)
def test_what_cannot_be_begun_is_refused_in_one_line(tmp_path, case, said):
    csv, out, grid, more = tmp_path / "csv", tmp_path / "out", GRID, ()
    if case != "no such root":
        csv.mkdir()
        if case != "empty root":
            write_good(csv, "a")
    if case == "id twice":
        write_good(csv / "a", "a")
    if case == "bad table":
        (tmp_path / "train.csv").write_text("what\n1\n")
    if case.startswith("fs"):
        more = ("--fs-hz", 49.9 if case == "fs too low" else 2001)
    if "grid" in case:
        grid = tmp_path / "grid.png"
    if case == "torn grid":
        grid.write_bytes(GRID.read_bytes()[:9000])
    if case == "grid without lines":
        grid.write_bytes(encode_rgb(np.full((1700, 2200, 3), 255, np.uint8)))
    if case == "grid of another size":
        grid.write_bytes(encode_rgb(np.full((100, 100, 3), 255, np.uint8)))
        grid.with_suffix(".json").write_bytes(GRID.with_suffix(".json").read_bytes())
    if case == "images into a file":
        out.mkdir()
        (out / "wave_images").touch()
    line = refusal(render(csv, out, "--num-workers", 1, *more, grid=grid))
    assert line.startswith("error: ")
    assert said in line
    assert not list(tmp_path.glob("out/wave_*/*"))  # nothing was begun


@pytest.mark.parametrize(
    "arguments",
    [("--num-workers", "0"), ("--num-workers", "two"), ("--seed", "x"), ("--fs-hz", "fast"), ("--nonsense",)],
)
def test_bad_usage_exits_with_two_and_names_the_flag(tmp_path, arguments):
    result = render(tmp_path, tmp_path / "out", *arguments)
    assert result.returncode == 2
    assert arguments[0] in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_help_shows_the_command_units_and_defaults():
    shown = run_script("scripts/batch_render_waveforms.py", "--help")
    assert shown.returncode == 0
    assert "python scripts/batch_render_waveforms.py --csv-root ori_csv/train-csvs" in shown.stdout
    assert "in mV" in shown.stdout
    assert "(default: 0)" in shown.stdout


# --- what it survives


def start(csv_root: Path, out: Path, *arguments) -> subprocess.Popen:
    """Begin to render in a process group of its own."""
    command = [
        *(sys.executable, REPOSITORY / "scripts" / "batch_render_waveforms.py", "--csv-root", csv_root),
        *("--grid", GRID, "--image-dir", out / "wave_images", "--mask-dir", out / "wave_masks", *arguments),
    ]
    return subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@linux_only
def test_a_killed_render_leaves_no_process_and_a_rerun_ends_as_an_unbroken_run(sample_records, tmp_path):
    csv_root, broken, unbroken = (
        linked(sample_records, tmp_path / "csv", 30),
        tmp_path / "broken",
        tmp_path / "whole",
    )
    process = start(csv_root, broken, "--num-workers", 2)
    wait_for(lambda: len(list(broken.glob("wave_images/*.page.json"))) >= 4)
    assert len(in_session(process.pid)) >= 3  # itself and its workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not in_session(process.pid))
    done = len(list(broken.glob("wave_images/*.page.json")))
    assert 4 <= done < 30
    for folder in (
        "wave_images",
        "wave_masks",
        "wave_images/grid",
    ):  # as a kill in the middle of a write leaves it
        (broken / folder / ".r029.png.0abc_123.tmp.png").write_bytes(b"half")
    for image in broken.glob("wave_images/*.page.json"):  # a description stands for a whole page
        read_ink_alpha(image.with_name(image.name.replace(".page.json", ".png")))
    again = render(csv_root, broken, "--num-workers", 1)
    assert again.returncode == 0, again.stderr
    assert f"rendered {30 - done} pages, kept {done}" in again.stdout
    assert render(csv_root, unbroken, "--num-workers", 2).returncode == 0
    assert files_below(broken) == files_below(unbroken)


@linux_only
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_at_once_with_one_line_and_keeps_what_is_done(sample_records, tmp_path, workers):
    csv_root, out = linked(sample_records, tmp_path / "csv", 60), tmp_path / "out"
    process = start(csv_root, out, "--num-workers", workers)
    wait_for(lambda: len(list(out.glob("wave_images/*.page.json"))) >= 3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error == "interrupted: what was finished is kept; run the same command again to go on\n"
    wait_for(lambda: not in_session(process.pid))
    assert 3 <= len(list(out.glob("wave_images/*.page.json"))) < 60


def is_importing(pid: int) -> bool:
    """Whether a worker has come as far as loading numpy: its interpreter is up, its work has not begun."""
    try:
        return "numpy" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


@linux_only
def test_workers_leave_ctrl_c_to_their_parent_even_while_they_start(sample_records, tmp_path):
    """Those that are hit while they import neither end nor say a word: the batch is done as ever."""
    csv_root, out = linked(sample_records, tmp_path / "csv", 8), tmp_path / "out"
    process = start(csv_root, out, "--num-workers", 2)

    def importing() -> list[int]:
        return [pid for pid in in_session(process.pid) - {process.pid} if is_importing(pid)]

    for pid in wait_for(importing):
        os.kill(pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert len(list(out.glob("wave_images/*.page.json"))) == 8
