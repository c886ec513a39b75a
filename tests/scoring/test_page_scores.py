"""Hit rates, stray shares and truths, by hand."""

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import IGNORED, WAVEFORM
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import read_classes, read_rgb
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.page import TracePoints
from experiment.scoring.page_scores import Tally, score_labels
from experiment.scoring.page_truth import PageTruth, curve_of, find_truth

SHAPE = (40, 100)


def line_at(row: int, columns=slice(None)) -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    label[row, columns] = WAVEFORM
    return label


def truth_at(row: int) -> PageTruth:
    x = np.arange(0, 100, 0.5)
    return PageTruth("made", line_at(row), np.stack([x, np.full_like(x, row + 0.5)], axis=1))


@pytest.mark.parametrize(
    ("off", "within_1", "within_2", "stray"),
    [(0, 1, 1, 0), (1, 1, 1, 0), (2, 0, 1, 0), (3, 0, 0, 0), (4, 0, 0, 1)],
)
def test_a_line_that_is_off_by_some_rows(off, within_1, within_2, stray):
    found = score_labels(line_at(20 + off), truth_at(20)).scores()
    assert found["hit_rate"] == {"1_px": within_1, "2_px": within_2}
    assert found["stray"] == stray
    assert found["dice"]["waveform"] == (1 if off == 0 else 0)


def test_half_a_line_is_a_half():
    found = score_labels(line_at(20, slice(0, 50)), truth_at(20))
    # 100 points left of x = 50, 1 or 2 px more to the right of the last pixel's centre at 49.5
    assert found.hits.tolist() == [102, 104]
    assert found.scores()["stray"] == 0


def test_what_is_not_known_does_not_count():
    truth = truth_at(20)
    truth.classes[:, 60:] = IGNORED
    found = score_labels(line_at(35, slice(60, 100)), truth)
    assert (found.predicted, found.stray) == (0, 0)


def test_nothing_predicted_hits_nothing_and_tallies_add_up():
    nothing = score_labels(np.zeros(SHAPE, np.uint8), truth_at(20))
    assert nothing.scores()["hit_rate"]["2_px"] == 0 and nothing.scores()["stray"] is None
    both = (Tally() + nothing + score_labels(line_at(20), truth_at(20))).scores()
    assert both["hit_rate"]["2_px"] == 0.5 and both["stray"] == 0
    assert both["truth_offset_px"] is None


def test_a_curve_is_dense_and_leaves_gaps_and_other_leads_out():
    points = TracePoints(
        lead=np.uint8([0, 0, 0, 0, 1, 1]),
        row=np.uint8([0] * 6),
        time_s=np.float32([0, 0.1, 0.2, 0.5, 0.6, 0.7]),
        x_px=np.float32([0, 10, 20, 50, 60, 60]),
        y_px=np.float32([5, 5, 15, 5, 5, 25]),
    )
    curve = curve_of(points)
    assert np.hypot(*np.diff(curve[curve[:, 0] < 20], axis=0).T).max() <= 0.5
    inside = (curve[:, 0] > 20) & (curve[:, 0] < 60)
    assert not inside.any()  # neither the gap from 20 to 50 nor the step from one lead to the next
    assert len(curve) == 20 + 29 + 40  # 10 px, 14.14 px and 20 px in steps of at most half a pixel


def test_the_truth_of_a_record_is_that_of_its_page(tiny_dataset, sample_records):
    sample = read_manifest(tiny_dataset)[0]
    image = read_rgb(tiny_dataset / sample.image)
    truth_of = find_truth(sample_records)
    assert truth_of("nobody-0001") is None
    truth = truth_of(f"{sample.record}-0001")(image)
    known = truth.classes != IGNORED
    classes = read_classes(tiny_dataset / sample.mask)
    assert truth.kind == "0001" and known.mean() > 0.95 and truth.offset_px < 0.5
    assert np.mean((truth.classes == WAVEFORM)[known] == (classes == WAVEFORM)[known]) > 0.9999
    found = score_labels(classes, truth).scores()
    assert found["hit_rate"]["1_px"] > 0.999 and found["stray"] < 0.001
    own = find_truth(tiny_dataset)(sample.name)(image)
    assert own.kind == "clean" and np.array_equal(own.classes, classes)
    assert score_labels(classes, own).scores()["hit_rate"]["1_px"] > 0.999


def test_a_folder_without_any_truth_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds neither a dataset, nor masks"):
        find_truth(tmp_path)
