"""Millimetres, seconds and millivolts to pixels and back."""

import dataclasses
import itertools

import numpy as np
import pytest

from ecg_generator_with_train_src.page.geometry import PageGeometry, PaperGeometry, Placement

RNG = np.random.default_rng(0)


def random_paper(**scales) -> PaperGeometry:
    """Any sheet, of unequal scales too."""
    x, y = RNG.uniform(3, 20, 2)
    kind = PageGeometry if scales else PaperGeometry
    return kind(
        width_px=1000, height_px=800, px_per_mm_x=x, px_per_mm_y=y, major_x_px=0, major_y_px=0, **scales
    )


def random_placement() -> Placement:
    """A lead anywhere at any scale, upside down at times."""
    values = {field.name: None for field in dataclasses.fields(Placement)}
    start_s, x0_px, zero_y_px, px_per_s = RNG.uniform([0, 0, 0, 20], [10, 3000, 3000, 2000])
    return Placement(
        **{
            **values,
            "lead": "II",
            "column": 0,
            "start_s": start_s,
            "end_s": start_s + 2.5,
            "x0_px": x0_px,
            "zero_y_px": zero_y_px,
            "px_per_s": px_per_s,
            "px_per_mv": RNG.uniform(20, 500) * RNG.choice([-1, 1]),
        }
    )


def test_millimetres_to_pixels_and_back():
    for _ in range(50):
        paper, distance_mm = random_paper(), RNG.uniform(-50, 400, 20)
        np.testing.assert_allclose(paper.mm_of_x_px(paper.x_px_of_mm(distance_mm)), distance_mm, rtol=1e-12)
        np.testing.assert_allclose(paper.mm_of_y_px(paper.y_px_of_mm(distance_mm)), distance_mm, rtol=1e-12)


def test_seconds_and_millivolts_to_pixels_and_back():
    for _ in range(50):
        place, time_s, signal_mv = random_placement(), RNG.uniform(0, 10, 20), RNG.uniform(-20, 20, 20)
        np.testing.assert_allclose(place.s_of_x_px(place.x_px_of_s(time_s)), time_s, atol=1e-9)
        np.testing.assert_allclose(place.mv_of_y_px(place.y_px_of_mv(signal_mv)), signal_mv, atol=1e-9)


def test_pixels_to_seconds_and_millivolts_and_back():
    for _ in range(50):
        place, x_px, y_px = random_placement(), RNG.uniform(0, 4000, 20), RNG.uniform(-500, 4000, 20)
        np.testing.assert_allclose(place.x_px_of_s(place.s_of_x_px(x_px)), x_px, atol=1e-9)
        np.testing.assert_allclose(place.y_px_of_mv(place.mv_of_y_px(y_px)), y_px, atol=1e-9)


def test_more_time_is_further_right_and_more_voltage_further_up():
    place = dataclasses.replace(
        random_placement(), start_s=2.5, x0_px=100.0, zero_y_px=300.0, px_per_s=200.0, px_per_mv=80.0
    )
    assert place.x_px_of_s(np.array([2.5, 3.5])).tolist() == [100.0, 300.0]
    assert place.y_px_of_mv(np.array([0.0, 1.0, -0.5])).tolist() == [300.0, 220.0, 340.0]


def test_speed_and_gain_are_of_millimetres_in_their_own_direction():
    page = random_paper(paper_speed_mm_s=50, gain_mm_mv=5)
    assert page.px_per_s == 50 * page.px_per_mm_x
    assert page.px_per_mv == 5 * page.px_per_mm_y


def test_lengths_that_lie_in_no_direction_take_the_mean_scale():
    paper = PaperGeometry(width_px=1, height_px=1, px_per_mm_x=4, px_per_mm_y=9, major_x_px=0, major_y_px=0)
    assert paper.px_per_mm == 6
    assert paper.px_of_points(72) == pytest.approx(25.4 * 6)


@pytest.mark.parametrize("wrong", [{"width_px": 0}, {"px_per_mm_x": -1}, {"px_per_mm_y": 0}, {"dpi": 200}])
def test_a_sheet_that_cannot_be_is_refused(wrong):
    good = {
        "width_px": 9,
        "height_px": 9,
        "px_per_mm_x": 8,
        "px_per_mm_y": 8,
        "major_x_px": 0,
        "major_y_px": 0,
    }
    PaperGeometry(**good)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PaperGeometry(**{**good, **wrong})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"width_px": 10**9}, "less than or equal to 20000"),
        ({"width_px": 20_000, "height_px": 20_000}, "more than 64 megapixels"),
        ({"px_per_mm_x": 1e-6}, "greater than or equal to 0.5"),
        ({"px_per_mm_y": 1e9}, "less than or equal to 100"),
        ({"major_x_px": float("inf")}, "finite number"),
        ({"major_y_px": float("nan")}, "finite number"),
    ],
)
def test_a_sheet_that_would_fill_the_memory_is_refused(wrong, says):
    whole = random_paper().model_dump()
    with pytest.raises(ValueError, match=says):
        PaperGeometry.model_validate(whole | wrong)


def quarter(column: int) -> Placement:
    return dataclasses.replace(random_placement(), start_s=2.5 * column, end_s=2.5 * (column + 1))


@pytest.mark.parametrize(
    ("fs_hz", "bounds"),
    [
        (250, [0, 625, 1250, 1875, 2500]),
        (256, [0, 640, 1280, 1920, 2560]),
        (1025, [0, 2562, 5125, 7687, 10250]),  # 2562.5 and 7687.5 are no samples: 2562 stands at 2.4995 s
        (50, [0, 125, 250, 375, 500]),
        (2000, [0, 5000, 10000, 15000, 20000]),
    ],
)
def test_quarters_of_a_record(fs_hz, bounds):
    slices = [quarter(column).samples(fs_hz) for column in range(4)]
    assert [(part.start, part.stop) for part in slices] == list(itertools.pairwise(bounds))


def test_quarters_share_out_all_samples_once_at_every_rate():
    for fs_hz in range(50, 2001):
        parts = [quarter(column).samples(fs_hz) for column in range(4)]
        assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
        assert (parts[0].start, parts[3].stop) == (0, 10 * fs_hz)
        assert {part.stop - part.start - fs_hz * 5 // 2 for part in parts} <= {0, 1}


@pytest.mark.parametrize(
    ("start_s", "first"),
    [
        (0.29, 29),  # a hundredth of a second is no binary fraction: 0.29 * 100 is 28.999999999999996
        (0.28999995, 28),  # half a millionth of a second before the sample, and more than rounding explains
        (0.2899999999, 29),
    ],
)
def test_what_rounding_takes_from_a_time_is_given_back_and_no_more(start_s, first):
    place = dataclasses.replace(random_placement(), start_s=start_s, end_s=start_s + 1)
    assert place.samples(100.0) == slice(first, first + 100)
