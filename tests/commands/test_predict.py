"""Prediction: tiling, sizes and scales, what is written, and images that cannot be read."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from ecg_generator_with_train_src.common.classes import WAVEFORM
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import encode_classes, read_classes, read_rgb
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment import predict
from experiment.config import check_config
from experiment.labelling.network_flags import find_images, load_predictor
from experiment.labelling.page_probability import input_of_upright
from experiment.labelling.predict_pages import PageImage, PredictOptions, predict_page
from experiment.labelling.predictor import Predictor, page_scale
from experiment.network.checkpoints import TrainingState, load_model, write_weights
from experiment.network.model import GridWaveNet
from experiment.runtime.choose import run_networks
from experiment.runtime.network import Network, RuntimeOptions
from experiment.scoring.dice import scores
from experiment.scoring.page_scores import count_confusion

from conftest import run_script

CONFIG = check_config(
    {
        "run": {"name": "r"},
        "data": {"root": "d", "crop_size": 64},
        "model": {"widths": [8, 16], "norm_groups": 1},
    },
    "test",
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A network that nobody trained, as a weights file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    state = TrainingState(GridWaveNet(CONFIG.model).state_dict(), {}, {"step": 0, "scores": {}})
    write_weights(path, state, CONFIG)
    return path


def page(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# tiling


def test_tiles_are_of_the_sides_that_cover_a_page_with_the_fewest_pixels():
    predictor = Predictor(Network(colours, multiple=32), 512)
    # across 5 x 512, 5 x 544, 4 x 576 (2208 less three overlaps of 32), 4 x 608, 4 x 640;
    # down 4 x 512, 4 x 544, 4 x 576, 3 x 608, 3 x 640
    assert predictor.sides((1700, 2200)) == (608, 576)
    assert predictor.sides((100, 512)) == (512, 512)
    assert Predictor(Network(colours, multiple=32, one_shape=True), 512).sides((1700, 2200)) == (512, 512)


def test_a_page_of_one_tile_is_what_the_network_says(checkpoint):
    image = page(64, 64)

    def compare(runtime):
        found = load_predictor(runtime, checkpoint, 64).page_probability(image, PX_PER_MM)
        model = load_model(checkpoint)[0]
        probability = torch.softmax(model(torch.from_numpy(image.transpose(2, 0, 1))[None]), dim=1)[0]
        np.testing.assert_allclose(found.probability, probability.detach().numpy(), atol=1e-5)

    run_networks(RuntimeOptions("torch", "cpu", "fp32"), [checkpoint], compare)


def test_a_scaled_page_is_labelled_at_its_own_size(checkpoint):
    small = page(64, 64)
    large = small.repeat(3, axis=0).repeat(3, axis=1)

    def compare(runtime):
        predictor: Predictor = load_predictor(runtime, checkpoint, 64)
        at_scale = predictor.predict(large, px_per_mm=3 * PX_PER_MM).label
        assert at_scale.shape == (192, 192)
        # averaged down, the large page is the small one; brought back, block centres have its values
        assert np.array_equal(at_scale[1::3, 1::3], predictor.predict(small, PX_PER_MM).label)

    run_networks(RuntimeOptions("torch", "cpu", "fp32"), [checkpoint], compare)


# orientation and scale


def colours(images: np.ndarray) -> np.ndarray:
    """Takes blue for waveform and red for grid, as a network would."""
    red, _, blue = np.moveaxis(images.astype(np.float32), 3, 0)
    chances = np.exp(np.clip([0 * red, red - blue - 40, blue - red - 40], -50, 50))
    return np.moveaxis(chances / chances.sum(axis=0), 0, 1)


@pytest.fixture(scope="module")
def blue_page(tiny_dataset) -> np.ndarray:
    """A page whose traces are blue, at 0.7 of its size."""
    sample = read_manifest(tiny_dataset)[0]
    image = read_rgb(tiny_dataset / sample.image)
    image[read_classes(tiny_dataset / sample.mask) == WAVEFORM] = (0, 0, 255)
    return cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_page_is_read_upright_and_labelled_as_it_lies(blue_page, turns):
    given = np.ascontiguousarray(np.rot90(blue_page, -turns))

    found = Predictor(Network(colours), 512).predict(given)
    page = found.page
    assert page.quarter_turns == turns
    assert abs((page.rotation_deg - 90 * turns + 180) % 360 - 180) < 1
    assert page.pitch_px == pytest.approx(0.7 * PX_PER_MM, rel=0.02)
    assert page.image.shape[:2] == page.probability.shape[1:] and page.warnings == ()
    assert found.label.shape == given.shape[:2]
    blue = (given[..., 2].astype(int) - given[..., 0]) > 150
    assert np.mean(found.label[blue] == WAVEFORM) > 0.99
    rows, columns = np.nonzero(page.probability[WAVEFORM] > 0.99)
    x, y, _ = page.to_input @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    assert np.mean(found.label[y.astype(int), x.astype(int)] == WAVEFORM) > 0.8  # of a page: 0.02


def test_of_a_page_on_its_side_only_the_middle_is_seen_twice(blue_page):
    counts = []
    for turns in (0, 1):
        calls = []

        def counted(tiles: np.ndarray, calls=calls) -> np.ndarray:
            calls.append(tiles.shape[1:3])
            return colours(tiles)

        given = np.ascontiguousarray(np.rot90(blue_page, turns))
        Predictor(Network(counted, multiple=32), 512).predict(given)
        counts.append(len(calls))
    # standing, 3 rows of 4 tiles (1700 x 2200 px at the network's scale); on its side, 3 tiles of the middle besides
    assert counts == [12, 12 + 3]


def test_a_page_that_lies_askew_is_read_straight_and_labelled_as_it_lies(blue_page):
    height, width = blue_page.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -12.0, 1)
    given = cv2.warpAffine(blue_page, turn, (width, height), borderValue=(90, 90, 90))

    found = Predictor(Network(colours), 512).predict(given)
    assert abs(found.page.rotation_deg - 12) < 1
    assert found.label.shape == given.shape[:2]
    blue = (given[..., 2].astype(int) - given[..., 0]) > 200
    assert np.mean(found.label[blue] == WAVEFORM) > 0.95
    rows, columns = np.nonzero(found.page.probability[WAVEFORM] > 0.99)
    x, y, _ = found.page.to_input @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    assert np.mean(found.label[y.astype(int), x.astype(int)] == WAVEFORM) > 0.8


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_map_to_the_input_leads_every_pixel_back(turns):
    rows, columns = np.mgrid[:6, :9]
    x, y = (np.rot90(plane + 0.5, turns) for plane in (columns, rows))
    upright_y, upright_x = np.mgrid[: x.shape[0], : x.shape[1]] + 0.5
    back = input_of_upright((x.shape[0] * 3, x.shape[1] * 2), (6, 9), turns)
    at = np.stack([upright_x.ravel() * 2, upright_y.ravel() * 3, np.ones(x.size)])
    np.testing.assert_allclose(back @ at, [x.ravel(), y.ravel(), np.ones(x.size)], atol=1e-9)


def test_print_is_blacked_out_of_mask_overlay_and_report_if_that_is_asked(blue_page, tmp_path):
    header = slice(0, 250)  # rows of a page of 1190
    assert (blue_page[header].max(axis=2) < 100).sum() > 100  # there is print

    predictor = Predictor(Network(colours), 512)
    for redact in (False, True):
        options = PredictOptions(tmp_path / str(redact), redact=redact)
        predict_page(predictor, PageImage(tmp_path / "p.png", "p", {}, None, blue_page, None), options)
    for name in ("p_overlay.png", "report_pictures/p_report1.jpg", "report_pictures/p_report2.jpg"):
        plain, redacted = (read_rgb(tmp_path / folder / name) for folder in ("False", "True"))
        scale = len(plain) / len(blue_page)
        top = slice(0, round(header.stop * scale))
        assert plain[top].max() > 200 and redacted[top].max() < 10, name
    inside = np.s_[600:800, 200:1300]
    overlays = [read_rgb(tmp_path / folder / "p_overlay.png")[inside] for folder in ("False", "True")]
    np.testing.assert_array_equal(*overlays)
    plain, redacted = (read_classes(tmp_path / folder / "p_mask.png") for folder in ("False", "True"))
    assert plain[header].any() and not redacted[header].any()
    np.testing.assert_array_equal(plain == WAVEFORM, redacted == WAVEFORM)
    np.testing.assert_array_equal(plain[inside], redacted[inside])


def test_a_page_without_a_grid_is_taken_for_a_letter_page_and_said_so():
    pitch_px, slant_deg, warnings, sheet_px, _ = page_scale(np.full((1700, 2200, 3), 255, np.uint8), None)
    assert pitch_px == pytest.approx(2200 / 279.4) and slant_deg == 0 and sheet_px is None
    assert "no grid found" in warnings[0] and "7.87 px/mm" in warnings[0]
    assert page_scale(np.zeros((9, 9, 3), np.uint8), 3.5)[:4] == (3.5, 0.0, (), None)


# the command


def run_predict(*arguments, capsys=None) -> int:
    return predict.main(["--device", "cpu", *map(str, arguments)])


def test_pages_of_odd_sizes_and_formats(checkpoint, tmp_path):
    images = tmp_path / "in"
    images.mkdir()
    Image.fromarray(page(131, 67)).save(images / "odd.png")
    Image.fromarray(page(40, 300)).save(images / "narrow.jpg")
    Image.fromarray(page(64, 64)[..., 0]).save(images / "grey.tif")
    Image.fromarray(page(1, 1)).save(images / "dot.png")
    (images / "notes.txt").write_text("no image")
    out = tmp_path / "out"
    assert run_predict("--images", images, "--checkpoint", checkpoint, "--output-dir", out) == 0
    lines = {Path(line["image"]).name: line for line in map(json.loads, (out / "predictions.jsonl").open())}
    assert lines.keys() == {"odd.png", "narrow.jpg", "grey.tif", "dot.png"}
    for name, size in {"odd": (131, 67), "narrow": (40, 300), "grey": (64, 64), "dot": (1, 1)}.items():
        mask, overlay = Image.open(out / f"{name}_mask.png"), Image.open(out / f"{name}_overlay.png")
        assert (mask.mode, mask.size, overlay.mode, overlay.size) == ("P", size, "RGB", size)
        assert set(np.unique(np.asarray(mask))) <= {0, 1, 2}
    odd = lines["odd.png"]
    mask = np.asarray(Image.open(out / "odd_mask.png"))
    assert (odd["width_px"], odd["height_px"]) == (131, 67)
    assert list(odd["area_px"].values()) == np.bincount(mask.ravel(), minlength=3).tolist()
    assert sum(odd["fraction"].values()) == pytest.approx(1, abs=1e-5)
    assert 0 <= odd["confidence"] <= 1
    assert not (out / "metrics.json").exists()


def test_truth_gives_scores_that_can_be_counted_again(checkpoint, tiny_dataset, tmp_path, capsys):
    sample = next(sample for sample in read_manifest(tiny_dataset) if sample.split == "val")
    arguments = ["--images", tiny_dataset / sample.image, "--checkpoint", checkpoint, "--tile", 256]
    assert run_predict(*arguments, "--output-dir", tmp_path, "--truth-root", tiny_dataset) == 0
    stem = Path(sample.image).stem
    matrix = count_confusion(
        read_classes(tmp_path / f"{stem}_mask.png"), read_classes(tiny_dataset / sample.mask)
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["confusion"] == matrix.tolist()
    assert {key: metrics[key] for key in ("dice", "iou")} == scores(matrix)
    printed = capsys.readouterr().out
    row = printed.splitlines()[-2].split()
    assert row[:2] == ["all", "1"]
    assert row[4] == f"{metrics['dice']['waveform']:.4f}"
    # the dataset's images/ and masks/ without a manifest serve as well
    again = tmp_path / "again"
    assert run_predict(*arguments, "--output-dir", again, "--truth-root", tiny_dataset / "val") == 0
    assert json.loads((again / "metrics.json").read_text())["dice"] == metrics["dice"]


def test_the_overlay_shows_the_classes_over_the_page():
    from experiment.labelling.overlays import WAVEFORM_RGB, overlay

    image = np.full((1, 3, 3), 200, np.uint8)
    found = overlay(image, np.array([[0, 1, 2]], np.uint8))
    assert found[0, 0].max() == found[0, 0].min() > 200  # a paler grey
    assert found[0, 1, 0] < found[0, 1, 1]  # tinted
    assert tuple(found[0, 2]) == WAVEFORM_RGB


def test_a_folder_passes_over_nothing_in_silence(tmp_path, capsys):
    for name in ("a.PNG", "b.svg", "a_mask.png", *(f"{k:02}.csv" for k in range(12)), "._a.png"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_images([tmp_path])] == ["a.PNG", "b.svg"]
    own, others = capsys.readouterr().err.splitlines()
    assert own == f"{tmp_path}: passed over 1 pictures of earlier results"
    named = ", ".join(f"{k:02}.csv" for k in range(10))
    assert others == f"{tmp_path}: passed over 12 files that are no pictures: {named} and 2 more"


def test_broken_images_are_named_and_the_rest_goes_on(checkpoint, tmp_path):
    images = tmp_path / "in"
    images.mkdir()
    Image.fromarray(page(70, 70)).save(images / "b_whole.png")
    data = (images / "b_whole.png").read_bytes()
    (images / "a_cut.png").write_bytes(data[: len(data) // 2])
    (images / "c_text.png").write_text("no image")
    result = run_script(
        "experiment/predict.py",
        *(
            "--images",
            images,
            "--checkpoint",
            checkpoint,
            "--output-dir",
            tmp_path / "out",
            "--device",
            "cpu",
        ),
        env={key: value for key, value in os.environ.items() if key != "PJRT_DEVICE"},
    )
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 2
    assert "a_cut.png: not a readable image" in lines[0]
    assert "c_text.png: not a readable image" in lines[1]
    assert result.stdout.splitlines()[-1].startswith("predicted 1 pages of 3 files -> ")
    assert read_rgb(tmp_path / "out/b_whole_overlay.png").shape == (70, 70, 3)
    assert len((tmp_path / "out/skipped.tsv").read_text().splitlines()) == 2


def test_bad_usage_is_refused_by_name(checkpoint, tmp_path):
    Image.fromarray(page(8, 8)).save(tmp_path / "page.png")
    one = tmp_path / "page.png"
    cases = [
        (["--images", tmp_path / "none", "--checkpoint", checkpoint], "none: not found"),
        (["--images", one, "--checkpoint", tmp_path / "no.safetensors"], r"no\.safetensors: not found"),
        (["--images", one, "--checkpoint", one], "truncated or not a safetensors file"),
        (["--images", one, "--checkpoint", checkpoint, "--tile", 63], "--tile 63: must be a multiple of 2"),
        (
            ["--images", one, "--checkpoint", checkpoint, "--tile", 100_000],
            "multiple of 2 .* and 4096 at most",
        ),
        (["--images", one, "--checkpoint", checkpoint, "--truth-root", tmp_path / "t"], "t: not found"),
    ]
    for arguments, message in cases:
        with pytest.raises(InputError, match=message):
            run_predict(*arguments, "--output-dir", tmp_path / "out")


@pytest.mark.parametrize("scale", ["0.001", "1000", "nan"])
def test_a_scale_that_no_picture_has_is_bad_usage(checkpoint, tmp_path, scale, capsys):
    Image.fromarray(page(8, 8)).save(tmp_path / "page.png")
    with pytest.raises(SystemExit) as end:
        run_predict("--images", tmp_path / "page.png", "--checkpoint", checkpoint, "--px-per-mm", scale)
    assert end.value.code == 2
    assert "--px-per-mm" in capsys.readouterr().err


def test_a_scale_at_which_a_picture_is_larger_than_any_page_costs_that_picture(checkpoint, tmp_path, capsys):
    """800x1000 pixels at 1 px/mm are a square metre, which the network would see at 7.9 times the size."""
    Image.fromarray(page(800, 1000)).save(tmp_path / "page.png")
    flags = ("--images", tmp_path / "page.png", "--checkpoint", checkpoint, "--output-dir", tmp_path / "out")
    assert run_predict(*flags, "--px-per-mm", 1) == 1
    assert (
        "at 1.00 px/mm the picture shows 800x1000 mm, more than any page; --px-per-mm"
        in capsys.readouterr().err
    )


def test_large_pictures_are_bounded_and_labelled_at_half_their_size(
    checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(predict, "WHOLE_PIXELS_TO_LABEL", 10_000)
    Image.fromarray(page(100, 120)).save(tmp_path / "page.png")
    flags = ("--images", tmp_path / "page.png", "--checkpoint", checkpoint, "--output-dir", tmp_path / "out")
    assert run_predict(*flags) == 0
    (line,) = map(json.loads, (tmp_path / "out/predictions.jsonl").read_text().splitlines())
    assert (line["width_px"], line["height_px"], line["shrunk"]) == (50, 60, 2)
    assert "a large picture: read and labelled at 1/2 of its size" in line["warnings"]
    assert run_predict(*flags, "--overwrite", "--max-megapixels", 0.01) == 1
    said = capsys.readouterr().err
    assert "100x120 pixels are 0 megapixels, more than 0.01; reduce it, or raise --max-megapixels" in said


def test_a_mask_of_another_size_is_reported(checkpoint, tmp_path, capsys):
    Image.fromarray(page(8, 8)).save(tmp_path / "page.png")
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "page.png").write_bytes(encode_classes(np.zeros((9, 8), np.uint8)))
    arguments = ["--images", tmp_path / "page.png", "--checkpoint", checkpoint, "--truth-root", tmp_path]
    assert run_predict(*arguments, "--output-dir", tmp_path / "out") == 1
    assert "is 8x9 pixels, but its image is 8x8" in capsys.readouterr().err


def test_pages_are_found_in_folders_below_and_results_of_earlier_runs_are_none(tmp_path):
    for name in (
        "a/a-0001.png",
        "a/a-0005.jpg",
        "b/b-0001.png",
        "a/a.csv",
        "a/a-0001_mask.png",
        "a/a-0001_overlay.png",
        "a/a-0001_traces.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in find_images([tmp_path])]
    assert found == ["a/a-0001.png", "a/a-0005.jpg", "b/b-0001.png"]


def test_a_truth_that_knows_none_of_the_images_is_refused(checkpoint, tmp_path):
    Image.fromarray(page(70, 70)).save(tmp_path / "a.png")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "b.png").write_bytes(encode_classes(np.zeros((70, 70), np.uint8)))
    arguments = (
        "--images",
        tmp_path / "a.png",
        "--checkpoint",
        checkpoint,
        "--truth-root",
        tmp_path / "masks",
    )
    result = run_script(
        "experiment/predict.py", *arguments, "--output-dir", tmp_path / "out", "--device", "cpu"
    )
    assert result.returncode == 2
    assert "has no truth for any of the images" in result.stderr


def test_the_pages_of_a_pdf_are_predicted_one_by_one(checkpoint, tmp_path):
    images = [Image.fromarray(page(90, 60, seed)) for seed in range(2)]
    images[0].save(tmp_path / "two.pdf", save_all=True, append_images=images[1:], resolution=200)
    arguments = ["--images", tmp_path / "two.pdf", "--checkpoint", checkpoint, "--px-per-mm", PX_PER_MM]
    assert run_predict(*arguments, "--output-dir", tmp_path / "out") == 0
    lines = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").open()]
    assert [line["name"] for line in lines] == ["two-p1", "two-p2"]
    for line in lines:
        assert read_classes(tmp_path / f"out/{line['name']}_mask.png").shape == (60, 90)
        assert (line["pitch_px"], line["rotation_deg"] % 90) == (7.874, 0)


def test_results_go_beside_the_checkpoint_of_a_run():
    assert predict.default_output(Path("runs/a/checkpoints/best.safetensors")) == Path("runs/a/predictions")
    assert predict.default_output(None) == Path("predictions")
