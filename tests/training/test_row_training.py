"""RowNet learns from traces that were decoded on pages whose true traces are known."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ecg_generator_with_train_src.common.classes import GRID
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import Sample, read_manifest
from experiment import train_row_reader
from experiment.labelling.page_probability import PageProbability
from experiment.network.row_net import RowNet
from experiment.reading.second_look import DISTANCES_PX, FEATURES
from experiment.training.row_material import (
    DecodedTrace,
    RowPage,
    page_of,
    samples_to_read,
    with_beats_in_place,
)
from experiment.training.row_training import RowTraining, row_batches, row_loss, train_row_net


def clean_sample(root) -> Sample:
    return next(sample for sample in read_manifest(root) if sample.profile == "clean")


def test_traces_of_a_clean_page_lie_beside_the_true_ones_and_are_kept(tiny_dataset, tmp_path):
    sample = clean_sample(tiny_dataset)
    coverage = np.asarray(Image.open(tiny_dataset / sample.coverage)) / np.float32(255)
    grid = np.float32(np.asarray(Image.open(tiny_dataset / sample.mask)) == GRID)

    def see(image: np.ndarray) -> PageProbability:
        planes = np.stack([1 - np.maximum(grid, coverage), grid, coverage])
        return PageProbability(planes, image, np.eye(3), image.shape[:2], sample.px_per_mm, 0, 0.0, 1.0, ())

    page = page_of(see, tiny_dataset, sample, tmp_path)
    assert not page.is_real and len(page.traces) >= 12
    for trace in page.traces:
        assert trace.features.shape == (len(trace.off_px), FEATURES)
        assert trace.counts.mean() > 0.9
        assert np.median(np.abs(trace.off_px[trace.counts])) < 0.3
    again = page_of(lambda _: pytest.fail("was seen before"), tiny_dataset, sample, tmp_path)
    for one, other in zip(page.traces, again.traces, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.off_px, other.off_px)


def test_real_pages_come_first_and_pages_held_out_never(tiny_dataset):
    drawn = clean_sample(tiny_dataset)
    samples = [
        drawn.model_copy(update={"name": name, "profile": profile, "split": split})
        for name, profile, split in (
            ("a", "clean", "train"),
            ("b", "real-0005", "train"),
            ("c", "clean", "train"),
            ("d", "real-0005", "val"),
            ("e", "clean", "val"),
        )
    ]
    assert [sample.name for sample in samples_to_read(samples, 0, 0)] == ["b"]
    assert sorted(sample.name for sample in samples_to_read(samples, 9, 0)) == ["a", "b", "c"]


def test_beats_that_stand_late_are_put_in_place_and_their_shapes_left():
    at = np.arange(1250.0)

    def beats_px(late: float, height: float) -> np.ndarray:
        return sum(height * np.exp(-(((at - late - middle) / 5) ** 2)) for middle in range(150, 1250, 300))

    decoded_px = beats_px(0.0, 60.0)
    late_px = with_beats_in_place(decoded_px, beats_px(2.0, 60.0) - decoded_px)
    assert np.abs(beats_px(2.0, 60.0) - decoded_px).max() > 10 and np.abs(late_px).max() < 0.5
    higher_px = with_beats_in_place(decoded_px, beats_px(2.0, 66.0) - decoded_px)
    assert np.abs(higher_px).max() == pytest.approx(6, abs=0.5)
    assert np.isnan(with_beats_in_place(0 * at, 0 * at)).all()


@pytest.fixture(scope="module")
def pages() -> list[RowPage]:
    """Traces that are off, across a stroke of any steepness, by a pixel times their first feature."""
    rng = np.random.default_rng(0)
    traces = []
    for _ in range(4):
        told = np.zeros((700, FEATURES), np.float16)
        told[:, 0] = rng.choice([-1, 1], 700)
        steepness = rng.uniform(1, 5, 700)
        traces.append(DecodedTrace(told, steepness, told[:, 0] * steepness, np.ones(700, bool)))
    return [RowPage(traces[:2], False), RowPage(traces[2:], True)]


def test_the_loss_is_least_at_the_true_distance():
    steepness, weight = torch.full((1, 3), 2.0), torch.tensor([[1.0, 1.0, 0.0]])
    peaks = -((torch.from_numpy(DISTANCES_PX).float() - torch.tensor([1.0, -0.5, 3.0])[:, None]) ** 2) * 8
    true_px = torch.tensor([[2.0, -1.0, 0.0]])
    right, wrong = (row_loss(peaks[None], steepness, off, weight) for off in (true_px, true_px + 1))
    assert right < 0.1 and wrong > 1


def test_pieces_are_as_long_as_asked_for_and_what_is_added_does_not_count(pages):
    [(told, steepness, off_px, weight)] = row_batches(pages, RowTraining("", 1, 6, points=1000), 0)
    assert told.shape == (6, 1000, FEATURES) and steepness.shape == off_px.shape == weight.shape
    assert ((weight > 0).sum(dim=1) == 700).all()


def test_a_short_training_learns_and_goes_on_where_it_was_broken_off(pages, tmp_path, capsys):
    output = tmp_path / "w.safetensors"
    train_row_net(pages, RowTraining(output, 60, 4, points=128, lr=5e-3))
    half_way = load_file(output)
    train_row_net(pages, RowTraining(output, 120, 4, points=128, lr=5e-3))
    assert "step 100/120" in capsys.readouterr().out
    model = RowNet().eval()
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(output).items()})
    assert not torch.equal(half_way["head.weight"], load_file(output)["head.weight"])
    trace = pages[0].traces[0]
    with torch.inference_mode():
        found = torch.softmax(model(torch.from_numpy(trace.features.astype(np.float32))[None])[0], dim=1)
    off_px = (found.numpy() @ DISTANCES_PX) * trace.steepness
    assert np.mean(np.square(off_px - trace.off_px)) < 0.2 * np.mean(np.square(trace.off_px))


def test_the_command_trains_on_a_dataset(tiny_dataset, tmp_path, capsys):
    output = tmp_path / "w.safetensors"
    given = ["--dataset-root", str(tiny_dataset), "--output", str(output), "--pages", "1", "--steps", "2"]
    assert train_row_reader.main(given) == 0
    assert f"weights of 2 steps on 1 pages, 0 unread -> {output}" in capsys.readouterr().out
    assert load_file(output).keys() == RowNet().state_dict().keys()
    with pytest.raises(InputError, match="build the dataset with"):
        train_row_reader.main(["--dataset-root", str(tmp_path), "--output", str(output)])
