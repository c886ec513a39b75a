"""scripts/build_dataset.py as users run it: what it writes, keeps, removes, refuses, and survives."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from ecg_generator_with_train_src.common.files import sha256_of
from ecg_generator_with_train_src.common.image_files import (
    encode_binary,
    encode_grey,
    read_grey,
    read_ink_alpha,
)
from ecg_generator_with_train_src.dataset.format import Sample, read_dataset_info, read_manifest

from conftest import MASK, REPOSITORY, run_script
from helpers import (
    build,
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

KINDS = {"images": "png", "masks": "png", "coverage": "png", "truth": "npz"}


def build_few(root: Path, *arguments, **options) -> subprocess.CompletedProcess:
    return build(
        root / "csv", root / "wave_images", root / "dataset", "--num-workers", 1, *arguments, **options
    )


def listed(root: Path) -> dict[str, Sample]:
    return {sample.name: sample for sample in read_manifest(root)}


# --- what it writes


def test_every_sample_has_its_four_files_and_its_line_and_nothing_else_is_there(tiny_dataset):
    samples = listed(tiny_dataset)
    assert list(samples) == [f"sample0_{number:04d}-clean-0" for number in range(6)]
    expected = {"dataset.json", "manifest.jsonl"}
    for name, sample in samples.items():
        files = [f"{sample.split}/{kind}/{name}.{suffix}" for kind, suffix in KINDS.items()]
        assert list(sample.files) == files
        digests = [sha256_of((tiny_dataset / path).read_bytes()) for path in files]
        assert sample.digests == dict(zip(("image", "mask", "coverage", "truth"), digests, strict=True))
        expected |= set(files)
    assert set(files_below(tiny_dataset)) == expected


def test_the_manifest_is_sorted_and_its_digest_stands_in_the_summary(tiny_dataset):
    text = (tiny_dataset / "manifest.jsonl").read_bytes()
    names = [json.loads(line)["name"] for line in text.splitlines()]
    assert names == sorted(names)
    info = read_dataset_info(tiny_dataset)
    assert info.manifest_sha256 == sha256_of(text)
    assert info.options["mask_sha256"] == sha256_of(MASK.read_bytes())
    assert (info.options["seed"], info.options["val_fraction"]) == (info.seed, 0.34) == (0, 0.34)
    assert info.num_samples == info.num_recordings == {"train": 4, "val": 2}
    assert info.classes == ("background", "grid", "waveform")


def test_one_worker_gives_the_same_bytes_as_two(sample_records, rendered, tiny_dataset, tmp_path):
    result = build(
        *(sample_records, rendered / "wave_images", tmp_path / "one"),
        *("--val-fraction", 0.34, "--num-workers", 1, "--seed", 0),
    )
    assert result.returncode == 0, result.stderr
    assert files_below(tmp_path / "one") == files_below(tiny_dataset)


# --- what validates


def test_no_validation_is_made_where_none_is_asked_for(own):
    result = build_few(own, "--val-fraction", 0)
    assert (result.returncode, result.stderr) == (0, "")
    assert "4 train, 0 val" in result.stdout
    assert read_dataset_info(own / "dataset").num_samples == {"train": 4, "val": 0}


def test_one_recording_alone_trains_and_is_said_to(own):
    for name in ("a", "b"):
        (own / "csv" / f"{name}.csv").unlink()
    result = build_few(own)
    assert result.returncode == 0
    assert "nothing is left to validate on" in result.stderr
    assert "left out: 2 records drawn in" in result.stdout
    assert result.stdout.splitlines()[0].endswith(": a, b")


# --- what it keeps and removes


def test_a_second_run_keeps_all(own):
    assert "built 4 samples, kept 0" in build_few(own).stdout
    root = own / "dataset"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.*") if path.parent != root}
    whole = files_below(root)
    assert "built 0 samples, kept 4" in build_few(own).stdout
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.*") if path.parent != root} == before
    assert files_below(root) == whole


def test_only_what_is_missing_or_changed_is_made_and_what_is_no_longer_wanted_goes(own):
    build_few(own, "--val-fraction", 0)
    root, whole = own / "dataset", files_below(own / "dataset")
    (root / "train" / "masks" / "a-clean-0.png").unlink()
    assert build_few(own, "--val-fraction", 0).returncode == 0
    assert files_below(root) == whole
    write_csv(own / "csv" / "b.csv", waves_mv(50) * 0.5)  # another b,
    (own / "wave_images" / "02132_hr.page.json").unlink()  # one page less,
    (own / "csv" / "02132_hr.csv").unlink()
    write_csv(own / "csv" / "c.csv", waves_mv(50) * 0.7)  # and one more
    assert render(own / "csv", own, "--num-workers", 1).returncode == 0
    assert "built 2 samples, kept 2" in build_few(own, "--val-fraction", 0).stdout
    fresh = own / "fresh"
    assert (
        build(own / "csv", own / "wave_images", fresh, "--num-workers", 1, "--val-fraction", 0).returncode
        == 0
    )
    assert list(listed(root)) == [f"{name}-clean-0" for name in ("02132_lr", "a", "b", "c")]
    assert files_below(root) == files_below(fresh)


def test_other_options_are_refused_by_name_unless_it_is_built_anew(own):
    assert build_few(own).returncode == 0
    whole = files_below(own / "dataset")
    mask = own / "mask.png"
    other = read_grey(MASK)
    other[:20] = 0
    mask.write_bytes(encode_binary(other))
    for arguments, options, said in (
        (("--val-fraction", 0.5), {}, "built with another val_fraction (0.2, now 0.5)"),
        (("--seed", 1), {}, "built with another seed (0, now 1)"),
        ((), {"mask": mask}, "built with another mask_sha256"),
    ):
        line = refusal(build_few(own, *arguments, **options))
        assert said in line
        assert "--overwrite" in line
        assert files_below(own / "dataset") == whole
    assert build_few(own, "--seed", 1, "--overwrite").returncode == 0
    assert read_dataset_info(own / "dataset").seed == 1


def test_overwrite_removes_what_the_manifest_lists_and_nothing_else(own):
    assert build_few(own, "--val-fraction", 0.5).returncode == 0
    root = own / "dataset"
    foreign = {
        "notes.txt": b"mine",
        "train/images/mine.png": b"x",
        "val/masks/.hidden": b"y",
        "train/truth/.a.npz.tmp": b"z",
    }
    for place, content in foreign.items():
        (root / place).write_bytes(content)
    for name in ("a", "02132_lr"):
        (own / "csv" / f"{name}.csv").unlink()
    result = build_few(own, "--val-fraction", 0.5, "--overwrite")
    assert result.returncode == 0
    assert "built 2 samples, kept 0" in result.stdout
    found = files_below(root)
    assert {place: found.pop(place) for place in foreign} == foreign
    fresh = own / "fresh"
    assert (
        build(own / "csv", own / "wave_images", fresh, "--num-workers", 1, "--val-fraction", 0.5).returncode
        == 0
    )
    assert found == files_below(fresh)


def test_a_folder_that_is_no_dataset_is_refused_and_untouched(own):
    for place in ("notes.txt", "train/images/a-clean-0.png"):
        root = own / "dataset"
        shutil.rmtree(root, ignore_errors=True)
        (root / place).parent.mkdir(parents=True)
        (root / place).write_bytes(b"mine")
        for arguments in ((), ("--overwrite",)):
            assert f"{root}: not empty and no dataset; nothing was touched" in refusal(
                build_few(own, *arguments)
            )
            assert files_below(root) == {place: b"mine"}
    shutil.rmtree(own / "dataset")
    (own / "dataset").write_bytes(b"mine")
    assert "is a file" in refusal(build_few(own))
    (own / "dataset").unlink()
    (own / "dataset").mkdir()
    assert build_few(own).returncode == 0  # an empty one is taken


def test_a_damaged_dataset_is_refused_by_name_and_overwrite_builds_it_anew(own):
    assert build_few(own).returncode == 0
    root, whole = own / "dataset", files_below(own / "dataset")
    for name in ("dataset.json", "manifest.jsonl"):
        for content in (b"{", b"\xff\xfe\x00"):
            (root / name).write_bytes(content)
            line = refusal(build_few(own))
            assert name in line
            assert "--overwrite" in line
            assert build_few(own, "--overwrite").returncode == 0
            assert files_below(root) == whole


# --- what it refuses


def test_bad_pages_are_named_and_skipped_and_the_rest_is_built(own):
    waves, csv = own / "wave_images", own / "csv"
    bad = ("torn", "size", "gone", "opaque", "other", "text", "nolead", "junk")
    for number, name in enumerate((*bad, "stranger", "norecord")):
        write_csv(csv / f"{name}.csv", waves_mv(50) * (1.5 + number / 10))
    assert render(csv, own, "--num-workers", 2).returncode == 0
    (waves / "torn.png").write_bytes((waves / "torn.png").read_bytes()[:5000])
    ink = cv2.imread(str(waves / "size.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(waves / "size.png"), ink[:-1])
    (waves / "gone.png").unlink()
    (waves / "opaque.png").write_bytes(encode_grey(read_ink_alpha(waves / "opaque.png")))
    shutil.copy(waves / "a.png", waves / "other.png")
    write_csv(csv / "text.csv", waves_mv(50).astype(object).assign(I=["x"] * 500))
    write_csv(csv / "nolead.csv", waves_mv(50).drop(columns="V6"))
    (waves / "junk.page.json").write_bytes(b"\xff\xfe{")
    (csv / "norecord.csv").unlink()
    (waves / "stranger.page.json").unlink()
    result = build_few(own, "--val-fraction", 0.5)
    expected = {
        "torn": "torn.png: not a readable image",
        "size": "size.png: 2200x1699 pixels, not the page's 2200x1700",
        "gone": "gone.png: not found; render the page again",
        "opaque": "opaque.png: has no opacity",
        "other": "other.png: only ",
        "text": "text.csv: row 1, column I: 'x' is not a number",
        "nolead": "nolead.csv: has no lead V6 where the page shows one; render the page again",
        "junk": "junk.page.json: ",
    }
    said = said_of_skipped(result)
    assert {name.removesuffix(".page.json") for name in said} == set(expected)
    for name, message in expected.items():
        assert message in said[f"{name}.page.json"]
    report = (own / "dataset" / "skipped.tsv").read_text()
    assert report == "".join(f"{name}\t{said[name]}\n" for name in sorted(said))
    assert "without a CSV in" in result.stdout
    assert "norecord" in result.stdout
    assert "stranger" in result.stdout
    assert {sample.record for sample in listed(own / "dataset").values()} == {
        "a",
        "b",
        "02132_hr",
        "02132_lr",
    }
    assert "built 4 samples" in result.stdout.splitlines()[-1]
    assert render(csv, own, "--num-workers", 1, "--overwrite").returncode == 1  # text is still bad


def test_a_grid_that_is_not_the_pages_is_refused(own):
    (grid,) = (own / "wave_images" / "grid").glob("*.png")
    grid.write_bytes(grid.read_bytes()[:9000])
    result = build_few(own)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    *skipped, last = result.stderr.splitlines()
    assert len(skipped) == 4
    assert all(grid.name in line for line in skipped)
    assert "no page could be built" in last
    assert not (own / "dataset" / "dataset.json").exists()


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("no records", "csv: no such folder"),
        ("empty records", "csv: no records"),
        ("no pages", "wave_images: no such folder"),
        ("empty pages", "wave_images: no pages"),
        ("strangers", "none of its records is drawn in"),
        ("no mask", "mask.png: no such file"),
        ("torn mask", "mask.png: not a readable image"),
        ("mask of another size", "mask.png: 2199x1700 pixels, but the default page has 2200x1700"),
        ("mask of other values", "mask.png: holds values other than 0 and 255"),
        ("inverted mask", "mask.png: marks 0% of the default page's lines and spares 0% of the rest"),
        ("blank mask", "mask.png: marks 0% of the default page's lines and spares 100% of the rest"),
        ("output below a file", "Not a directory"),
    ],
)
def test_what_cannot_be_begun_is_refused_in_one_line(own, case, said):
    mask, output = own / "mask.png", own / "dataset"
    mask.write_bytes(MASK.read_bytes())
    for folder, kind in (("csv", "records"), ("wave_images", "pages")):
        if case.endswith(kind):
            shutil.rmtree(own / folder)
            if case.startswith("empty"):
                (own / folder).mkdir()
    if case == "strangers":
        for path in (own / "csv").glob("*.csv"):
            path.rename(path.with_name(f"x{path.name}"))
    if case == "no mask":
        mask.unlink()
    if case == "torn mask":
        mask.write_bytes(MASK.read_bytes()[:3000])
    if case == "mask of another size":
        mask.write_bytes(encode_binary(read_grey(MASK)[:, 1:]))
    if case == "mask of other values":
        mask.write_bytes(encode_grey(read_grey(MASK) // 2))
    if case == "inverted mask":
        mask.write_bytes(encode_binary(255 - read_grey(MASK)))
    if case == "blank mask":
        mask.write_bytes(encode_binary(read_grey(MASK) * 0))
    if case == "output below a file":
        output = mask / "dataset"
    result = build(own / "csv", own / "wave_images", output, "--num-workers", 1, mask=mask)
    assert result.stderr.count("\n") == 1, result.stderr
    assert said in refusal(result)
    assert not (own / "dataset").exists()


@pytest.mark.parametrize(
    "arguments", [("--val-fraction", "1"), ("--val-fraction", "-0.1"), ("--num-workers", "0")]
)
def test_bad_usage_exits_with_two_and_names_the_flag(own, arguments):
    result = build_few(own, *arguments)
    assert result.returncode == 2
    assert arguments[0] in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_help_shows_the_command():
    shown = run_script("scripts/build_dataset.py", "--help")
    assert shown.returncode == 0
    assert "python scripts/build_dataset.py --input-root ori_csv/train" in shown.stdout


# --- what it survives


@linux_only
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_killed_build_leaves_no_process_and_a_rerun_ends_as_an_unbroken_run(few, tmp_path, overwrite):
    for number in range(16):
        write_csv(tmp_path / "csv" / f"r{number:02d}.csv", waves_mv(50) * (1 + number / 20))
    assert render(tmp_path / "csv", tmp_path, "--num-workers", 1).returncode == 0
    root, waves = tmp_path / "dataset", tmp_path / "wave_images"
    if overwrite:  # over a whole dataset of other samples
        shutil.copytree(few / "csv", tmp_path / "old")
        assert build(tmp_path / "old", few / "wave_images", root, "--num-workers", 1).returncode == 0
    command = [
        *(sys.executable, REPOSITORY / "scripts" / "build_dataset.py", "--input-root", tmp_path / "csv"),
        *("--mask", MASK, "--wave-root", waves, "--output-root", root, "--num-workers", 2, *overwrite),
    ]
    process = subprocess.Popen([str(part) for part in command], start_new_session=True)
    journal = root / "manifest.partial.jsonl"
    wait_for(lambda: journal.is_file() and len(journal.read_bytes().splitlines()) >= 4)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not in_session(process.pid))
    assert not (root / "dataset.json").exists()  # what is there does not pass for a whole dataset
    done = len(journal.read_bytes().splitlines()) - 1
    assert 3 <= done < 16
    with journal.open("ab") as file:
        file.write(b'{"name": "r15-clean-0", "spl')  # as a kill in the middle of a line leaves it
    (root / "train" / "masks" / ".r15-clean-0.png.0abc_123.tmp.png").write_bytes(b"half")
    again = build(tmp_path / "csv", waves, root, "--num-workers", 1, *overwrite)
    assert again.returncode == 0, again.stderr
    assert f"built {16 - done} samples, kept {done}" in again.stdout
    unbroken = tmp_path / "unbroken"
    assert build(tmp_path / "csv", waves, unbroken, "--num-workers", 1).returncode == 0
    assert files_below(root) == files_below(unbroken)
