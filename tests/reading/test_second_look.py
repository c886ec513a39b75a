"""What is seen along a trace, and how its heights are corrected."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from experiment.network.row_net import RowNet
from experiment.network.shipped import ROWS, shipped
from experiment.reading import second_look
from experiment.reading.second_look import (
    ACROSS_PX,
    ASIDE_PX,
    DISTANCES_PX,
    FEATURES,
    PLANES,
    STEP_PX,
    UP_AND_DOWN_PX,
    chances,
    features,
    look_again,
    mirrored,
    planes_of,
)
from experiment.reading.trace_decoding import Nodes

HEIGHT, WIDTH = 200, 240
NODES = Nodes(20.0, STEP_PX, 500)
HAS_INK = np.ones(NODES.count, bool)
PLACE = SimpleNamespace(zero_y_px=100.0)


def page_of(ink: np.ndarray) -> SimpleNamespace:
    """A flat page (H, W) on which nothing but this ink is to be seen."""
    image = np.repeat(np.uint8(255 - 200 * ink)[..., None], 3, axis=2)
    return SimpleNamespace(
        ink=ink.astype(np.float32), grid=0 * ink, image=image, darkness_of_ink=200.0, is_photo=True
    )


def line(slope: float) -> np.ndarray:
    """A stroke 3 px thick that passes the page's middle."""
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    away = np.abs(y - 100 - slope * (x - WIDTH / 2)) / np.hypot(1, slope)
    return np.clip(2 - away, 0, 1)


def seen_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ink on the three lines around each point."""
    ink = points[:, : -second_look.SHAPES].reshape(len(points), -1, PLANES)[..., 0]
    return tuple(np.split(ink, np.cumsum([len(UP_AND_DOWN_PX), len(ASIDE_PX)]), axis=1))


@pytest.mark.parametrize("slope", [0.0, 1.0, -3.0])
def test_ink_is_seen_as_far_across_the_stroke_as_the_trace_lies_beside_it(slope):
    x_px = NODES.x_px
    beside_px = 1.5
    y_px = 100 + slope * (x_px - WIDTH / 2) - beside_px * np.hypot(1, slope)
    inside = (y_px > 50) & (y_px < 150)
    points, steepness = features(planes_of(page_of(line(slope))), NODES, y_px, HAS_INK, 100.0, 3.0, True)
    assert points.shape == (NODES.count, FEATURES)
    _, _, across = (seen[inside] for seen in seen_of(points))
    np.testing.assert_allclose(across @ ACROSS_PX / across.sum(axis=1), beside_px, atol=0.1)
    np.testing.assert_allclose(steepness[inside], np.hypot(1, slope), rtol=1e-3)


@pytest.mark.parametrize(("backwards", "upside_down"), [(True, False), (False, True), (True, True)])
def test_features_are_mirrored_as_the_page_is(backwards, upside_down):
    rng = np.random.default_rng(0)
    planes = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, PLANES), np.uint8), (0, 0), 1.5)
    y_px = 100 + 8 * np.sin(NODES.x_px / 9)
    nodes = Nodes((WIDTH - NODES.count * STEP_PX + STEP_PX) / 2, STEP_PX, NODES.count)
    told, steepness = features(planes, nodes, y_px, HAS_INK, 90.0, 3.0, True)
    over = planes[:: -1 if upside_down else 1, :: -1 if backwards else 1]
    y_over, zero_px = (HEIGHT - y_px, HEIGHT - 90.0) if upside_down else (y_px, 90.0)
    y_over = y_over[::-1] if backwards else y_over
    expected, same = features(np.ascontiguousarray(over), nodes, y_over, HAS_INK, zero_px, 3.0, True)
    np.testing.assert_allclose(
        mirrored(told, backwards, upside_down), expected, atol=1.01 * second_look.UNITS.max()
    )
    np.testing.assert_allclose(steepness[::-1] if backwards else steepness, same, atol=1e-6)


def test_without_torch_the_network_says_what_it_says_with_it():
    torch.manual_seed(0)
    model = RowNet(torch.randn(FEATURES), torch.rand(FEATURES) + 0.5).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    points = np.random.default_rng(0).standard_normal((60, FEATURES)).astype(np.float32)
    with torch.inference_mode():
        expected = torch.softmax(model(torch.from_numpy(points)[None])[0], dim=1).numpy()
    found = chances(points, {name: tensor.numpy() for name, tensor in model.state_dict().items()})
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.std() > 0.01


def test_the_shipped_weights_are_read_as_a_library_reads_them():
    read = second_look.weights()
    stored = load_file(shipped(ROWS))
    assert read.keys() == stored.keys() == RowNet().state_dict().keys()
    assert all(tensor.dtype == np.float16 for tensor in stored.values())
    for name, tensor in stored.items():
        np.testing.assert_array_equal(read[name], tensor)
    assert shipped(ROWS).stat().st_size < 1e6


def test_heights_are_corrected_towards_the_ink_and_only_where_there_is_some():
    y_px, has_ink = np.full(NODES.count, 100.8), NODES.x_px < 120
    [better] = look_again(page_of(line(0.0)), [PLACE], [NODES], [y_px], [has_ink], 3.0)
    assert (better[~has_ink] == 100.8).all()
    assert (better[: second_look.BLIND_POINTS] == 100.8).all()
    assert np.median(np.abs(better[has_ink] - 100)) < 0.6


def test_of_pages_that_are_no_photos_half_of_the_correction_is_made(monkeypatch):
    page, y_px = page_of(line(0.0)), np.full(NODES.count, 100.8)
    page.is_photo = False
    [half] = look_again(page, [PLACE], [NODES], [y_px], [HAS_INK], 3.0)
    monkeypatch.setattr(second_look, "BELIEVED_ON_SCANS", 1.0)
    [whole] = look_again(page, [PLACE], [NODES], [y_px], [HAS_INK], 3.0)
    assert np.abs(whole - y_px).max() > 0.05
    np.testing.assert_allclose(half - y_px, (whole - y_px) / 2, atol=1e-9)


def test_nodes_farther_apart_get_the_same_corrections():
    page, few = page_of(line(1.0)), Nodes(20.0, 2 * STEP_PX, 250)
    y_px = 100.6 + NODES.x_px - WIDTH / 2
    [of_all] = look_again(page, [PLACE], [NODES], [y_px], [HAS_INK], 3.0)
    [of_few] = look_again(page, [PLACE], [few], [y_px[::2]], [HAS_INK[::2]], 3.0)
    np.testing.assert_allclose(of_few[20:-20], of_all[::2][20:-20], atol=0.05)


def test_distances_are_even_about_none():
    np.testing.assert_allclose(DISTANCES_PX, -DISTANCES_PX[::-1])
