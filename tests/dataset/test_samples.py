"""What stands in the files of a sample: page, labels, coverage and truth."""

import dataclasses

import numpy as np
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import read_classes, read_grey, read_ink_alpha, read_rgb
from ecg_generator_with_train_src.dataset.format import Sample, read_manifest
from ecg_generator_with_train_src.dataset.samples import _read_ink
from ecg_generator_with_train_src.page.page import read_page_description, trace_points
from ecg_generator_with_train_src.page.records import read_record

from conftest import MASK


def listed(root) -> dict[str, Sample]:
    return {sample.name: sample for sample in read_manifest(root)}


def test_labels_follow_ink_furniture_and_grid_in_this_order(tiny_dataset, rendered):
    grid_mask = read_grey(MASK) > 0
    for sample in listed(tiny_dataset).values():
        classes, coverage = (
            read_classes(tiny_dataset / sample.mask),
            read_grey(tiny_dataset / sample.coverage),
        )
        ink = read_ink_alpha(rendered / "wave_images" / f"{sample.record}.png")
        np.testing.assert_array_equal(coverage, ink)
        np.testing.assert_array_equal(classes == 2, coverage >= 128)
        assert ((classes == 1) <= grid_mask).all()
        furniture = grid_mask & (classes == 0)  # lines that something is printed on
        assert 0.001 < furniture.mean() < 0.02
        assert read_rgb(tiny_dataset / sample.image)[furniture].max(axis=1).mean() < 140  # it is dark
        assert set(np.unique(classes)) == {0, 1, 2}


def test_the_page_shows_the_grid_where_nothing_is_printed(tiny_dataset, rendered):
    sample = next(iter(listed(tiny_dataset).values()))
    page = read_page_description(rendered / "wave_images" / f"{sample.record}.page.json")
    grid = read_rgb(rendered / "wave_images" / page.grid.file)
    image, coverage = read_rgb(tiny_dataset / sample.image), read_grey(tiny_dataset / sample.coverage)
    assert image.shape == (1700, 2200, 3)
    untouched = (image == grid).all(axis=2)
    assert 0.95 < untouched.mean() < 0.99
    assert not untouched[coverage > 200].any()
    assert (image[coverage == 255] == page.style.ink_rgb).all()


def test_truth_points_are_the_records_samples_and_lie_on_the_ink(tiny_dataset, rendered, sample_records):
    for sample in listed(tiny_dataset).values():
        page = read_page_description(rendered / "wave_images" / f"{sample.record}.page.json")
        record = read_record(sample_records / sample.record / f"{sample.record}.csv", page.fs_hz)
        with np.load(tiny_dataset / sample.truth, allow_pickle=False) as truth:
            for key, values in vars(trace_points(page, record)).items():
                np.testing.assert_array_equal(truth[key], values)
            row, column = np.floor(truth["y_px"]).astype(int), np.floor(truth["x_px"]).astype(int)
            strip_mv = (1534.711 - truth["y_px"][truth["row"] == 3]) / 78.740
        classes = read_classes(tiny_dataset / sample.mask)
        assert (classes[row, column] == 2).mean() > 0.99
        np.testing.assert_allclose(strip_mv, record.lead_mv("II"), atol=1e-4)


def test_an_ink_layer_of_a_page_that_shows_no_sample_is_refused(rendered, sample_records):
    record_id = sorted(path.name for path in sample_records.iterdir() if path.is_dir())[0]
    ink = rendered / "wave_images" / f"{record_id}.png"
    page = read_page_description(ink.with_name(f"{record_id}.page.json"))
    csv_path = sample_records / record_id / f"{record_id}.csv"
    points = trace_points(page, read_record(csv_path, page.fs_hz))
    assert _read_ink(ink, page, points, csv_path).shape == (1700, 2200)
    outside = dataclasses.replace(points, x_px=points.x_px + 5000)
    with pytest.raises(
        InputError, match=r"only 0% of the samples of .* lie on its ink; render the page again"
    ):
        _read_ink(ink, page, outside, csv_path)
