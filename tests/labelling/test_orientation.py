"""Pages in all four orientations, told apart by their true labels."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import WAVEFORM
from ecg_generator_with_train_src.common.image_files import read_classes, read_rgb
from ecg_generator_with_train_src.dataset.format import read_manifest
from experiment.labelling.orientation import WEIGHTS, runs_down, upside_down, votes


@pytest.fixture(scope="module")
def pages(tiny_dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images (H, W, 3) and one-hot classes (3, H, W) of upright pages."""
    found = []
    for sample in read_manifest(tiny_dataset):
        classes = read_classes(tiny_dataset / sample.mask)
        planes = np.stack([classes == number for number in range(3)]).astype(np.float32)
        found.append((read_rgb(tiny_dataset / sample.image), planes))
    return found


def test_a_page_on_its_side_is_told_by_its_traces(pages):
    for _, planes in pages:
        waveform = planes[WAVEFORM]
        assert [runs_down(np.rot90(waveform, turns)) for turns in range(4)] == [False, True, False, True]
    assert not runs_down(np.zeros((50, 50), np.float32))


def test_a_page_on_its_head_is_told_from_an_upright_one(pages):
    for image, planes in pages:
        upright = upside_down(image, planes, turned=True)
        on_its_head = upside_down(np.rot90(image, 2), np.rot90(planes, 2, axes=(1, 2)), turned=True)
        assert upright < 0.5 < on_its_head
        assert upside_down(image, planes) < upright  # one that was not turned is upright more often than not


def test_t_waves_alone_tell_it_as_well(pages):
    right = [
        upside_down(np.full_like(image, 255), planes, turned=True) < 0.5  # no header to be seen
        for image, planes in pages
    ]
    assert sum(right) >= len(right) - 1


def test_every_cue_speaks_for_the_upright_page_on_most_pages(pages):
    said = [votes(image, planes) for image, planes in pages]
    for cue in WEIGHTS:
        assert np.mean([vote.get(cue, 0.0) for vote in said]) > 0, cue


def test_votes_turn_with_the_page(pages):
    image, planes = pages[0]
    upright = votes(image, planes)
    over = votes(np.rot90(image, 2), np.ascontiguousarray(np.rot90(planes, 2, axes=(1, 2))))
    for cue, value in upright.items():
        assert over[cue] == pytest.approx(-value, abs=0.15), cue
