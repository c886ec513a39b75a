"""build_dataset.py --profiles: names, options, resuming, the same bytes on any number of workers, other pages too."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import WAVEFORM
from ecg_generator_with_train_src.common.files import sha256_of
from ecg_generator_with_train_src.common.image_files import read_classes, read_grey, read_rgb
from ecg_generator_with_train_src.dataset.format import read_dataset_info, read_manifest
from ecg_generator_with_train_src.degrade.apply import place_points
from ecg_generator_with_train_src.degrade.draw_strengths import Degradation
from ecg_generator_with_train_src.degrade.profiles import PROFILE_NAMES, PROFILES
from ecg_generator_with_train_src.page.page import read_page_description, trace_points
from ecg_generator_with_train_src.page.records import read_record
from ecg_generator_with_train_src.page_map import PageMap, place_on_image

from helpers import build, files_below, refusal, render, waves_mv, write_csv

SMALL = ("--photo-size", 900)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """Two records, rendered: csv/ and wave_images/."""
    root = tmp_path_factory.mktemp("profiles")
    for name in ("a", "b"):
        write_csv(root / "csv" / f"{name}.csv", waves_mv(100))
    assert render(root / "csv", root, "--num-workers", 1).returncode == 0
    return root


@pytest.fixture(scope="module")
def all_nine(pages, tmp_path_factory) -> Path:
    """Every profile of both records, built by two workers."""
    root = tmp_path_factory.mktemp("nine") / "dataset"
    result = build_profiles(pages, root, "kaggle", *SMALL, "--num-workers", 2)
    assert result.returncode == 0, result.stderr
    assert "built 18 samples" in result.stdout
    return root


def build_profiles(pages, root, *profiles_and_flags):
    return build(pages / "csv", pages / "wave_images", root, "--profiles", *profiles_and_flags)


def test_each_profile_has_a_sample_a_page_with_its_files(all_nine):
    samples = {sample.name: sample for sample in read_manifest(all_nine)}
    assert set(samples) == {f"{record}-{profile}-0" for record in "ab" for profile in PROFILE_NAMES}
    listed = {"dataset.json", "manifest.jsonl"}
    for sample in samples.values():
        suffix = "png" if sample.profile == "clean" else "jpg"
        assert sample.image == f"{sample.split}/images/{sample.name}.{suffix}"
        assert Path(sample.mask).suffix == Path(sample.coverage).suffix == ".png"
        listed |= set(sample.files)
        for kind, path in zip(("image", "mask", "coverage", "truth"), sample.files, strict=True):
            assert sample.digests[kind] == sha256_of((all_nine / path).read_bytes())
        size = sample.height_px, sample.width_px
        assert read_rgb(all_nine / sample.image).shape == (*size, 3)
        assert (
            read_classes(all_nine / sample.mask).shape == read_grey(all_nine / sample.coverage).shape == size
        )
    assert set(files_below(all_nine)) == listed
    assert {samples[f"a-{profile}-0"].split for profile in PROFILE_NAMES} == {samples["a-clean-0"].split}


def test_the_options_name_profiles_variants_and_photo_size(all_nine):
    options = read_dataset_info(all_nine).options
    assert options["profiles"] == list(PROFILE_NAMES)
    assert (options["variants"], options["photo_size_px"]) == (1, 900)


def test_one_worker_and_single_profiles_give_the_same_bytes(pages, all_nine, tmp_path):
    chosen = ("photo_damaged", "scan_mold_bw", "clean")
    result = build_profiles(pages, tmp_path / "few", *chosen, *SMALL, "--num-workers", 1)
    assert result.returncode == 0, result.stderr
    made = {path: data for path, data in files_below(tmp_path / "few").items() if "/" in path}
    assert len(made) == 2 * 3 * 4
    everything = files_below(all_nine)
    assert all(everything[path] == data for path, data in made.items())


def test_the_manifests_map_places_the_truth_and_the_record_is_whole(pages, all_nine):
    for sample in read_manifest(all_nine):
        page = read_page_description(pages / "wave_images" / f"{sample.record}.page.json")
        points = trace_points(page, read_record(pages / "csv" / f"{sample.record}.csv", page.fs_hz))
        page_map = PageMap.model_validate(sample.page_to_image)
        with np.load(all_nine / sample.truth, allow_pickle=False) as truth:
            for key, values in vars(place_points(points, page_map)).items():
                np.testing.assert_array_equal(truth[key], values)
            x_px, y_px = place_on_image(page_map, points.x_px, points.y_px)
            assert np.hypot(truth["x_px"] - x_px, truth["y_px"] - y_px).max() < 0.001
        if sample.profile == "clean":
            assert sample.degradation is None
            assert "degradation" not in json.loads(sample.model_dump_json())
        else:
            record = Degradation(page_map=page_map, **sample.degradation)
            assert record.profile == sample.profile
            steps = np.hypot(np.diff(x_px), np.diff(y_px)) / np.hypot(
                np.diff(points.x_px), np.diff(points.y_px)
            )
            assert np.median(steps) * page.geometry.px_per_mm == pytest.approx(sample.px_per_mm, rel=0.35)


def test_a_waveform_label_is_half_covered_and_on_dark_ink(all_nine):
    for sample in read_manifest(all_nine):
        classes, coverage = read_classes(all_nine / sample.mask), read_grey(all_nine / sample.coverage)
        seen = classes != 255
        np.testing.assert_array_equal((classes == WAVEFORM)[seen], (coverage >= 128)[seen])
        grey = cv2.cvtColor(read_rgb(all_nine / sample.image), cv2.COLOR_RGB2GRAY)
        around = cv2.blur(grey, (41, 41))
        on_trace = classes == WAVEFORM
        share = 0.6 if sample.profile.endswith("bw") else 0.8  # dots may stand for grey ink
        assert (grey[on_trace] < around[on_trace]).mean() > share, sample.name


def test_variants_differ_but_for_clean_pages(pages, tmp_path):
    result = build_profiles(pages, tmp_path / "d", "clean", "scan_color", "--variants", 2, "--num-workers", 1)
    assert "built 8 samples" in result.stdout
    samples = {sample.name: sample for sample in read_manifest(tmp_path / "d")}
    assert set(samples) == {f"{r}-{p}-{k}" for r in "ab" for p in ("clean", "scan_color") for k in (0, 1)}
    digest = {name: sample.digests["image"] for name, sample in samples.items()}
    assert digest["a-clean-0"] == digest["a-clean-1"]
    assert digest["a-scan_color-0"] != digest["a-scan_color-1"]
    again = build_profiles(pages, tmp_path / "d", "clean", "scan_color", "--variants", 2, "--num-workers", 1)
    assert "built 0 samples, kept 8" in again.stdout
    lost = tmp_path / "d" / samples["b-scan_color-1"].image
    whole = files_below(tmp_path / "d")
    lost.unlink()
    again = build_profiles(pages, tmp_path / "d", "clean", "scan_color", "--variants", 2, "--num-workers", 1)
    assert again.returncode == 0, again.stderr
    assert files_below(tmp_path / "d") == whole


def test_each_page_draws_its_profiles(pages, tmp_path):
    three = ("clean", "scan_color", "scan_bw")
    result = build_profiles(pages, tmp_path / "d", *three, "--draw-profiles", 1, "--num-workers", 1)
    assert result.returncode == 0, result.stderr
    drawn = [(sample.record, sample.profile) for sample in read_manifest(tmp_path / "d")]
    assert [record for record, _ in drawn] == ["a", "b"] and {profile for _, profile in drawn} < set(three)
    assert read_dataset_info(tmp_path / "d").options["draw_profiles"] == 1
    two = build_profiles(pages, tmp_path / "e", *three, "--draw-profiles", 2, "--num-workers", 1)
    assert "built 4 samples" in two.stdout
    assert set(drawn) < {(sample.record, sample.profile) for sample in read_manifest(tmp_path / "e")}


def test_other_profiles_in_the_same_folder_are_refused_and_overwritten(pages, tmp_path):
    root = tmp_path / "d"
    assert build_profiles(pages, root, "scan_bw", "--num-workers", 1).returncode == 0
    said = refusal(build_profiles(pages, root, "scan_color", "--num-workers", 1))
    assert "built with another profiles" in said
    assert build_profiles(pages, root, "scan_color", "--num-workers", 1, "--overwrite").returncode == 0
    assert {sample.profile for sample in read_manifest(root)} == {"scan_color"}
    assert not list(root.glob("*/images/*scan_bw*"))


def test_another_seed_makes_other_pages(pages, tmp_path):
    for seed in (0, 1):
        flags = ("--num-workers", 1, "--seed", seed)
        assert build_profiles(pages, tmp_path / str(seed), "scan_color", *flags).returncode == 0
    maps = [{s.name: s.page_to_image for s in read_manifest(tmp_path / str(seed))} for seed in (0, 1)]
    assert all(maps[0][name] != maps[1][name] for name in maps[0])


@pytest.mark.parametrize("dpi", [100, 300])
def test_pages_of_other_sizes_and_styles_are_degraded_too(tmp_path, dpi):
    write_csv(tmp_path / "csv" / "a.csv", waves_mv(100))
    layout = ("--layouts", "6x2", "--style", "varied", "--dpi", dpi, "--paper-size", "a4")
    assert render(tmp_path / "csv", tmp_path, "--num-workers", 1, *layout).returncode == 0
    result = build_profiles(tmp_path, tmp_path / "d", *PROFILES, *SMALL, "--num-workers", 1)
    assert result.returncode == 0, result.stderr
    for sample in read_manifest(tmp_path / "d"):
        classes = read_classes(tmp_path / "d" / sample.mask)
        scan = sample.profile.startswith("scan")
        assert sorted(classes.shape) == pytest.approx([1511, 2132] if scan else [675, 900], abs=1)
        with np.load(tmp_path / "d" / sample.truth, allow_pickle=False) as truth:
            x, y = np.floor(truth["x_px"]).astype(int), np.floor(truth["y_px"]).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < classes.shape[1]) & (y < classes.shape[0])
        found = classes[y[inside], x[inside]]
        assert (found[found != 255] == WAVEFORM).mean() > 0.9, sample.name


@pytest.mark.parametrize("flags", [("none",), ("clean", "--variants", "0"), ("clean", "--photo-size", "10")])
def test_bad_usage_exits_with_two(pages, tmp_path, flags):
    result = build_profiles(pages, tmp_path / "d", *flags, "--num-workers", 1)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "d").exists()
