"""The files of a rendered page: ink layer and mask."""

import os

import cv2
import numpy as np

from ecg_generator_with_train_src.common.image_files import read_grey, read_ink_alpha
from ecg_generator_with_train_src.page.page import draw_traces, read_page_description
from ecg_generator_with_train_src.page.records import read_record

from helpers import render, said_of_skipped, waves_mv, write_csv


def test_the_ink_layer_is_what_is_drawn_from_description_and_record(sample_records, rendered):
    for name in ("sample0_0001", "sample0_0005"):
        page = read_page_description(rendered / "wave_images" / f"{name}.page.json")
        record = read_record(sample_records / name / f"{name}.csv", page.fs_hz)
        opacity, cut = draw_traces(page, record)
        assert page.drawn.leads_cut_at_edge == cut
        np.testing.assert_array_equal(read_ink_alpha(rendered / "wave_images" / f"{name}.png"), opacity)


def test_the_mask_is_255_exactly_where_the_ink_covers_half_a_pixel(rendered):
    for image in (rendered / "wave_images").glob("*.png"):
        mask = read_grey(rendered / "wave_masks" / image.name)
        assert set(np.unique(mask)) == {0, 255}
        np.testing.assert_array_equal(mask == 255, read_ink_alpha(image) >= 128)


def test_the_ink_layer_is_of_one_grey_in_every_reader(rendered):
    path = rendered / "wave_images" / "sample0_0000.png"
    ink_rgb = read_page_description(path.with_name("sample0_0000.page.json")).style.ink_rgb
    bgra = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert bgra.shape == (1700, 2200, 4)
    inked = bgra[bgra[..., 3] > 0]
    assert len(inked) > 10_000
    assert (inked[:, :3] == ink_rgb[::-1]).all()
    assert 0 <= ink_rgb[0] == ink_rgb[1] == ink_rgb[2] <= 51


def test_a_record_whose_name_is_no_text_is_named_and_the_rest_is_drawn(tmp_path):
    for name in (b"caf\xe9", b"a\tb", b"whole"):
        write_csv(tmp_path / "csv" / f"{os.fsdecode(name)}.csv", waves_mv(50))
    said = said_of_skipped(render(tmp_path / "csv", tmp_path, "--num-workers", 1))
    for name in (r"caf\xe9", r"a\tb"):
        path = f"{tmp_path}/csv/{name}.csv"
        assert said[name] == f"{path}: its name holds characters that are no text; rename the file"
    lines = (tmp_path / "wave_images/skipped.tsv").read_text().splitlines()
    assert [line.count("\t") for line in lines] == [1, 1]
    assert [path.name for path in (tmp_path / "wave_images").glob("*.page.json")] == ["whole.page.json"]
