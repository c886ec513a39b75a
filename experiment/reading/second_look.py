"""A second look along every trace: a small network corrects the heights that the decoding found.

Where ink is blurred, on photos most, the errors of the decoding are not the same everywhere: tips of spikes are too
low, corners too round, flanks too early or too late. What is to be seen tells how much. Around each point of the
decoded trace the flat page is looked at along three lines: up and down, to both sides, and across the stroke. A network
that runs along the trace says from this how far the true trace lies aside, as chances of distances across the stroke.
"""

import functools
import json

import cv2
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from ecg_generator_with_train_src.common.threads import in_threads
from ecg_generator_with_train_src.page.geometry import PX_PER_MM, Placement
from experiment.network.shipped import ROWS, shipped
from experiment.reading.rectify import RectifiedPage, darker_than_paper
from experiment.reading.spike_tips import LEAST_DARKNESS
from experiment.reading.trace_decoding import Nodes

STEP_PX = 25 * PX_PER_MM / 500  # points of a trace are this far apart: a sample at 500 Hz and 25 mm/s
PLANES = 4  # ink, grid, darkness in red light, in which grids are bright, and in blue light
RED, BLUE = 0, 2
MOST_DARKNESS = 1.6  # as a share of the ink's
UNITS = np.array([1, 1, MOST_DARKNESS, MOST_DARKNESS], np.float32) / 255  # of the planes' bytes
UP_AND_DOWN_PX = np.array([-40, -30, -23, -18, -15, *range(-12, 13), 15, 18, 23, 30, 40], float)
ASIDE_PX = np.arange(-6, 7, dtype=float)
ACROSS_PX = np.arange(-5, 5.5, 0.5)
POINTS = len(UP_AND_DOWN_PX) + len(ASIDE_PX) + len(ACROSS_PX)
SHAPES = 10  # what is told of the trace's shape at each point, beside what is to be seen around it
FEATURES = PLANES * POINTS + SHAPES
DISTANCES_PX = np.linspace(-4, 4, 33)  # across the stroke, downwards, between which the network chooses
STEEPEST = 30.0  # a stroke's distance upwards is at most so many times that across it
NEAR_END_POINTS = 8.0  # points from a lead's end over which its nearness fades
# Behind separators and pulses little is to be seen: so many points stay as they are, and so many are corrected in part
BLIND_POINTS, DIM_POINTS = 8, 12
HEIGHT_PX, PEN_PX = 80.0, 3.0  # units of heights and pens
# Of other pages than photos so much of the correction is made, as the network has learned on simulated scans alone:
# all of it costs three real scans 0.5 dB; half of it brings them 0.2, three others 0.6, and clean pages nearly as
# much as all of it
BELIEVED_ON_SCANS = 0.5
DILATIONS = (1, 2, 4, 8, 1, 2)  # of the network's convolutions along the trace
NORM_EPSILON = 1e-5  # torch's


def look_again(
    page: RectifiedPage,
    places: list[Placement],
    nodes: list[Nodes],
    heights_px: list[np.ndarray],
    has_ink: list[np.ndarray],
    pen_px: float,
) -> list[np.ndarray]:
    """The heights (count,) of each place's nodes, in canvas coordinates, corrected where the trace has ink."""
    planes, believed = planes_of(page), 1.0 if page.is_photo else BELIEVED_ON_SCANS

    def corrected(place: Placement, own: Nodes, y_px: np.ndarray, inked: np.ndarray) -> np.ndarray:
        points, steepness = features(planes, own, y_px, inked, place.zero_y_px, pen_px, page.is_photo)
        off_px = believed * (chances(points, weights()) @ DISTANCES_PX) * steepness * _from_ends(len(points))
        x_px = own.first_x_px + STEP_PX * np.arange(len(off_px))
        return y_px + np.where(inked, np.interp(own.x_px, x_px, off_px), 0.0)

    return list(in_threads(corrected, places, nodes, heights_px, has_ink))


def _from_ends(count: int) -> np.ndarray:
    """The share of each point's correction that is made."""
    from_end = np.minimum(np.arange(count), np.arange(count)[::-1])
    return np.clip((from_end - BLIND_POINTS) / DIM_POINTS, 0, 1)


def planes_of(page: RectifiedPage) -> np.ndarray:
    """What is looked at: (H, W, PLANES) uint8, in units of UNITS. Darkness is a share of the ink's."""
    full = max(page.darkness_of_ink, LEAST_DARKNESS)
    lights = (cv2.extractChannel(page.image, light).astype(np.float32) for light in (RED, BLUE))
    shares = (page.ink, page.grid, *(darker_than_paper(light) / full for light in lights))
    return cv2.merge(
        [cv2.convertScaleAbs(share, alpha=1 / unit) for share, unit in zip(shares, UNITS, strict=True)]
    )


def features(
    planes: np.ndarray,
    nodes: Nodes,
    y_px: np.ndarray,
    has_ink: np.ndarray,
    zero_y_px: float,
    pen_px: float,
    is_photo: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """What a network is told of each point of a decoded trace: (points, FEATURES) float32, and how much farther the
    trace is off upwards there than across its stroke (points,). Points lie STEP_PX apart from the first node on."""
    count = round((nodes.last_x_px - nodes.first_x_px) / STEP_PX) + 1
    x_px = nodes.first_x_px + STEP_PX * np.arange(count)
    y_px = CubicSpline(nodes.x_px, y_px)(x_px)
    inked = np.interp(x_px, nodes.x_px, has_ink)
    slope = np.gradient(gaussian_filter1d(y_px, 1.0, mode="nearest"), STEP_PX)
    steepness = np.hypot(1.0, slope)
    from_start = np.arange(count) / NEAR_END_POINTS
    shape = [
        np.arcsinh(slope),
        np.tanh(slope),
        (y_px - zero_y_px) / HEIGHT_PX,
        np.arcsinh(np.gradient(slope, STEP_PX)),
        1 / steepness,
        inked,
        np.full(count, pen_px / PEN_PX),
        np.full(count, float(is_photo)),
        np.exp(-from_start),
        np.exp(-from_start[::-1]),
    ]
    aside_px = -ACROSS_PX * (slope / steepness)[:, None]
    looked_at = (
        (0 * UP_AND_DOWN_PX, UP_AND_DOWN_PX),
        (ASIDE_PX, 0 * ASIDE_PX),
        (aside_px, ACROSS_PX / steepness[:, None]),
    )
    around = [_looked_at(planes, x_px[:, None] + right, y_px[:, None] + down) for right, down in looked_at]
    points = np.concatenate([*around, np.stack(shape, axis=1)], axis=1).astype(np.float32)
    return points, np.minimum(steepness, STEEPEST)


def chances(points: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """What RowNet (see experiment.network.row_net) makes of features (points, FEATURES): (points, distances)."""

    def mixed(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def even(x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(axis=1, keepdims=True)
        size = np.sqrt(np.square(x).mean(axis=1, keepdims=True) + NORM_EPSILON)
        return x / size * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = mixed(np.maximum(mixed((points - weights["mean"]) / weights["std"], "points"), 0), "mixed")
    for number, dilation in enumerate(DILATIONS):
        name = f"trace.{number}"
        along = _along(even(x, f"{name}.norm"), weights[f"{name}.along.weight"], dilation)
        x = x + mixed(np.maximum(along + weights[f"{name}.along.bias"], 0), f"{name}.mixed")
    logits = mixed(even(x, "norm"), "head")
    of_each = np.exp(logits - logits.max(axis=1, keepdims=True))
    return of_each / of_each.sum(axis=1, keepdims=True)


def _along(x: np.ndarray, kernel: np.ndarray, dilation: int) -> np.ndarray:
    """The convolution of (points, inputs) along the points with a kernel (outputs, inputs, size)."""
    size = kernel.shape[2]
    reach = dilation * (size // 2)
    padded = np.pad(x, ((reach, reach), (0, 0)))
    return sum(padded[k * dilation :][: len(x)] @ kernel[:, :, k].T for k in range(size))


def mirrored(points: np.ndarray, backwards: bool, upside_down: bool) -> np.ndarray:
    """The features (points, FEATURES) of the same trace in a mirror: from right to left, or turned upside down."""
    around, shape = points[:, :-SHAPES], points[:, -SHAPES:].copy()
    lines = np.split(
        around.reshape(len(points), POINTS, PLANES), np.cumsum([len(UP_AND_DOWN_PX), len(ASIDE_PX)]), 1
    )
    up_and_down, aside, across = lines
    if backwards:
        aside = aside[:, ::-1]
        shape = shape[:, [*range(SHAPES - 2), SHAPES - 1, SHAPES - 2]]
        shape[:, :2] *= -1
    if upside_down:
        up_and_down, across = up_and_down[:, ::-1], across[:, ::-1]
        shape[:, :4] *= -1
    seen = np.concatenate([up_and_down, aside, across], axis=1).reshape(len(points), -1)
    points = np.concatenate([seen, shape], axis=1)
    return points[::-1] if backwards else points


def _looked_at(planes: np.ndarray, x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
    """The planes at canvas points (points, n): (points, n * PLANES)."""
    x_index, y_index = ((at - 0.5).astype(np.float32) for at in np.broadcast_arrays(x_px, y_px))
    seen = cv2.remap(planes, x_index, y_index, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return (seen * UNITS).reshape(len(x_px), -1)


@functools.cache
def weights() -> dict[str, np.ndarray]:
    """The shipped weights of RowNet in single precision. They are in a safetensors file, which needs no library: the
    length of its header, the header in JSON, and the values."""
    data = shipped(ROWS).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8:start])
    tensors.pop("__metadata__", None)
    values = {}
    for name, tensor in tensors.items():
        first, last = (start + at for at in tensor["data_offsets"])
        values[name] = np.frombuffer(data[first:last], "<f2").astype(np.float32).reshape(tensor["shape"])
    return values
