"""Real pages beside the records, which of them are taken, and what build_dataset.py makes of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecg_generator_with_train_src.common.classes import WAVEFORM
from ecg_generator_with_train_src.common.image_files import encode_rgb, read_classes, read_ink_alpha, read_rgb
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.dataset.format import REAL_PREFIX, read_dataset_info, read_manifest
from ecg_generator_with_train_src.dataset.real_pages import choose_real_pages
from ecg_generator_with_train_src.degrade.apply import degrade
from ecg_generator_with_train_src.degrade.draw_strengths import sample_degradation
from ecg_generator_with_train_src.page.compose import compose
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.page import read_page_description, trace_points
from ecg_generator_with_train_src.page.records import read_record
from ecg_generator_with_train_src.page_map import PageMap, place_on_image

from helpers import build, evenly_fed, files_below, said_of_skipped

ORIENTATION = 0x0112  # the EXIF tag
TYPES = ("0001", "0003", "0005", "0009")


@pytest.fixture
def many(tmp_path):
    """Forty records in folders of their own, four pages each."""
    csv_paths = {}
    for number in range(40):
        folder = tmp_path / f"r{number}"
        folder.mkdir()
        csv_paths[folder.name] = folder / f"{folder.name}.csv"
        for name in (*(f"{folder.name}-{kind}.png" for kind in TYPES), "mask.png", f"{folder.name}-9999.png"):
            (folder / name).touch()
    return csv_paths


def test_one_page_a_record_is_any_but_the_rendered_one(many):
    chosen = choose_real_pages(many, 1, seed=0)
    assert [page.record for page in chosen] == sorted(many)
    assert {page.type for page in chosen} == set(TYPES) - {"0001"}
    assert all(page.path == many[page.record].with_name(f"{page.record}-{page.type}.png") for page in chosen)
    assert chosen == choose_real_pages(dict(reversed(many.items())), 1, seed=0)
    assert chosen != choose_real_pages(many, 1, seed=1)


def test_more_pages_hold_those_that_fewer_held(many):
    fewer, more = choose_real_pages(many, 2, seed=0), choose_real_pages(many, 3, seed=0)
    assert set(fewer) < set(more)
    assert len(more) == 3 * len(many)
    everything = choose_real_pages(many, None, seed=0)
    assert [(page.record, page.type) for page in everything] == [
        (name, t) for name in sorted(many) for t in TYPES
    ]
    assert choose_real_pages(many, 9, seed=0) == everything
    assert choose_real_pages(many, 0, seed=0) == []


def names_of(csv_paths, *files) -> dict[str, str]:
    """The sample that each of these files gives, by file name, for those that are pages of the records."""
    for name in files:
        (next(iter(csv_paths.values())).parent / name).touch()
    return {page.path.name: page.sample_name for page in choose_real_pages(csv_paths, None, seed=0)}


def test_a_flat_folder_may_hold_pages_of_several_records(tmp_path):
    csv_paths = {name: tmp_path / f"{name}.csv" for name in ("a", "a-b")}
    assert names_of(csv_paths, "a-0003.png", "a-b-0004.png", "c-0003.png", "a-b-real-0004-0.jpg") == {
        "a-0003.png": "a-real-0003-0",
        "a-b-0004.png": "a-b-real-0004-0",
    }


def test_pages_come_in_any_format_and_number_and_each_gives_a_sample_of_its_own(tmp_path):
    formats = ("a-0003.TIFF", "a-0009.pdf", "a-0010.webp", "a-0012.bmp")
    photos = ("a-0005-10.jpg", "a-0005-2.jpeg", "a-0005.png", "a-0005.jpg")
    others = ("a-0005.csv", "a-0005.png.part", ".a-0005.png", "a-0007.jpg", "a__6x2-0-0005.jpg")
    assert names_of({"a": tmp_path / "a.csv"}, *formats, *photos, *others) == {
        "a-0003.TIFF": "a-real-0003-0",
        "a-0005.jpg": "a-real-0005-0",
        "a-0005.png": "a-real-0005-1",
        "a-0005-2.jpeg": "a-real-0005-2",
        "a-0005-10.jpg": "a-real-0005-3",
        "a-0009.pdf": "a-real-0009-0",
        "a-0010.webp": "a-real-0010-0",
        "a-0012.bmp": "a-real-0012-0",
    }


@pytest.fixture(scope="module")
def two_records(sample_records, rendered, tmp_path_factory) -> Path:
    """input/: two records, the first with a scan, its rendered page and the same as a phone would store it, the
    second with a photo of nothing; wave/: their pages."""
    root = tmp_path_factory.mktemp("real")
    names = [path.name for path in sorted(sample_records.iterdir()) if path.is_dir()][:2]
    for name in names:
        (root / "input" / name).mkdir(parents=True)
        shutil.copy(sample_records / name / f"{name}.csv", root / "input" / name)
    shutil.copy(sample_records / "train.csv", root / "input")
    shutil.copytree(rendered / "wave_images", root / "wave")
    page = read_page_description(root / "wave" / f"{names[0]}.page.json")
    paper = page.geometry.paper
    ink = read_ink_alpha(root / "wave" / f"{names[0]}.png")
    composed = compose(page, ink, draw_grid(paper), draw_grid_mask(paper))
    degradation = evenly_fed(sample_degradation(random_stream(0, "real"), "scan_bw", paper))
    scan = degrade(composed, paper, page.geometry.px_of_points(page.style.pen_points), degradation)
    (root / "map.json").write_text(degradation.page_map.model_dump_json())
    for name, kind, image in (
        (names[0], "0001", composed.image),
        (names[0], "0004", scan.image),
        (names[1], "0005", np.full((600, 800, 3), 240, np.uint8)),
    ):
        (root / "input" / name / f"{name}-{kind}.png").write_bytes(encode_rgb(image))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be turned clockwise to stand upright
    turned = Image.fromarray(np.rot90(composed.image))
    turned.save(root / "input" / names[0] / f"{names[0]}-0001-2.webp", lossless=True, exif=exif)
    return root


@pytest.fixture(scope="module")
def built(two_records):
    result = build(two_records / "input", two_records / "wave", two_records / "built", "--num-workers", 2)
    return two_records / "built", result


def test_each_record_gets_one_page_and_a_misfit_is_listed(built):
    root, result = built
    said = said_of_skipped(result)
    assert list(said) == ["sample0_0001-real-0005-0"]
    (why,) = said.values()
    assert why.endswith("sample0_0001-0005.png: the page of this record is not found in the image")
    assert "2 real pages to register: about 0.2 minutes" in result.stdout
    samples = {sample.name: sample for sample in read_manifest(root)}
    real = [sample for sample in samples.values() if sample.profile.startswith(REAL_PREFIX)]
    assert [sample.profile for sample in real] == ["real-0004"]
    assert real[0].name == f"{real[0].record}-real-0004-0"
    assert real[0].split == samples[f"{real[0].record}-clean-0"].split
    assert "real_pages" not in read_dataset_info(root).options


def test_a_real_sample_has_its_truth_and_label_in_place(built, two_records):
    root, _ = built
    (sample,) = [sample for sample in read_manifest(root) if sample.profile.startswith(REAL_PREFIX)]
    page = read_page_description(two_records / "wave" / f"{sample.record}.page.json")
    csv_path = two_records / "input" / sample.record / f"{sample.record}.csv"
    points = trace_points(page, read_record(csv_path, page.fs_hz))
    true_map = PageMap.model_validate_json((two_records / "map.json").read_text())
    true_x, true_y = place_on_image(true_map, points.x_px, points.y_px)
    with np.load(root / sample.truth, allow_pickle=False) as truth:
        np.testing.assert_array_equal(truth["lead"], points.lead)
        assert np.quantile(np.hypot(truth["x_px"] - true_x, truth["y_px"] - true_y), 0.99) < 0.8
        by_map = place_on_image(PageMap.model_validate(sample.page_to_image), points.x_px, points.y_px)
        assert np.hypot(truth["x_px"] - by_map[0], truth["y_px"] - by_map[1]).max() < 0.01
    assert Path(sample.image).suffix == ".jpg"
    grey = read_rgb(root / sample.image).max(axis=2)
    classes = read_classes(root / sample.mask)
    assert classes.shape == grey.shape == (sample.height_px, sample.width_px)
    assert grey[classes == WAVEFORM].mean() < grey[classes != WAVEFORM].mean() - 80
    assert sample.registration["trace_seen"] > 0.95
    assert sample.degradation is None
    assert sample.px_per_mm == pytest.approx(7.874 * 2132 / 2200, rel=0.03)


def test_the_rendered_page_is_kept_as_it_is_and_one_worker_gives_the_same_bytes(built, two_records, tmp_path):
    """All pages now: what one was made before is made again with the same bytes."""
    result = build(
        two_records / "input",
        two_records / "wave",
        tmp_path / "all",
        "--real-pages",
        "all",
        "--num-workers",
        1,
    )
    assert result.returncode == 1
    one, two = files_below(tmp_path / "all"), files_below(built[0])
    images = {path for path in two if "/" in path}
    assert all(one[path] == two[path] for path in images)
    pages = [sample for sample in read_manifest(tmp_path / "all") if sample.profile == "real-0001"]
    assert [page.name for page in pages] == ["sample0_0000-real-0001-0", "sample0_0000-real-0001-1"]
    given = read_rgb(two_records / "input" / pages[0].record / f"{pages[0].record}-0001.png")
    for page in pages:  # the second is turned by its EXIF data
        np.testing.assert_array_equal(read_rgb(tmp_path / "all" / page.image), given)
    assert read_dataset_info(tmp_path / "all").options["real_pages"] == "all"


def test_run_again_it_keeps_the_real_sample(built, two_records):
    root, _ = built
    before = files_below(root)
    result = build(two_records / "input", two_records / "wave", root, "--num-workers", 1)
    assert "built 0 samples, kept 3" in result.stdout
    assert {path: data for path, data in files_below(root).items() if "/" in path} == {
        path: data for path, data in before.items() if "/" in path
    }


def test_no_real_pages_when_none_are_asked_for(two_records, tmp_path):
    result = build(
        two_records / "input", two_records / "wave", tmp_path / "none", "--real-pages", 0, "--num-workers", 1
    )
    assert result.returncode == 0, result.stderr
    assert "real pages" not in result.stdout
    assert not any(sample.profile.startswith(REAL_PREFIX) for sample in read_manifest(tmp_path / "none"))
