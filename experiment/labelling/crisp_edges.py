"""Edges of a trace taken from the picture, where the picture tells them better than the network does.

On a crisp page a pixel's colour alone says how much of it a trace covers: near any place it is a linear function of
the colour between paper and pen (Levin et al., A closed-form solution to natural image matting, 2008). That function
is fitted to the network's probabilities around each pixel, as a guided filter does (He et al., Guided image filtering,
2013), and stands in for them where it explains them; a blurred, noisy or faint picture explains little, and there the
network's word is kept. The fit is made at the network's scale and applied to the image itself, so that the edges on a
page of 600 dpi are as sharp as the page.
"""

import cv2
import numpy as np

NEAR_TRACE = 0.3  # from this probability on, a pixel and its neighbours tell pen from paper
NEIGHBOURS = np.ones((9, 9), np.uint8)
RADIUS_PX = 8  # 1 mm, of the window around a pixel in which one function holds
COLOUR_NOISE = 2e-3  # variance of the ink's share that colours are not trusted for
PROBABILITY_NOISE = 1e-4  # variance of probabilities below which nothing needs an explanation
EXPLAINED_FROM, EXPLAINED_AT = 0.7, 0.9  # share of the variance from which the picture is heard, and believed
LEAST_PIXELS = 16  # to fit four values to


def with_crisp_edges(probability: np.ndarray, seen: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Probability of waveform (H, W) float32 of each pixel of `image` (H, W, 3) uint8 RGB.

    `probability` (h, w) float32 is the network's, of `seen` (h, w, 3) uint8, the same picture at the network's scale.
    """
    if (colours := _ink_of_colours(probability, seen)) is None:
        return enlarged(probability, image)
    slope, offset, explained = _local_fit(_ink(seen, colours), probability)
    believed = np.clip((explained - EXPLAINED_FROM) / (EXPLAINED_AT - EXPLAINED_FROM), 0, 1)
    crisp = _ink(image, colours)
    crisp *= enlarged(believed * slope, image)
    crisp += enlarged(believed * offset + (1 - believed) * probability, image)
    return crisp


def _ink_of_colours(probability: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
    """The linear function of a colour (4,): R, G, B and 1, that is nearest to the probability beside traces."""
    near = cv2.dilate((probability >= NEAR_TRACE).astype(np.uint8), NEIGHBOURS) > 0
    if np.count_nonzero(near) < LEAST_PIXELS:
        return None
    colours = np.column_stack([seen[near] / np.float32(255), np.ones(np.count_nonzero(near), np.float32)])
    ridge = COLOUR_NOISE * len(colours) * np.diag([1, 1, 1, 0])
    return np.linalg.solve(colours.T @ colours + ridge, colours.T @ probability[near])


def _ink(image: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """That function of each pixel (H, W) float32."""
    red, green, blue, one = (np.float32(value) for value in colours / (255, 255, 255, 1))
    ink = image[..., 0] * red
    ink += image[..., 1] * green
    ink += image[..., 2] * blue
    ink += one
    return ink


def _local_fit(ink: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, offset and share of variance explained (H, W) of probability = slope · ink + offset around each pixel."""
    mean_ink, mean = _around(ink), _around(probability)
    spread = _around(ink * ink) - mean_ink**2 + np.float32(COLOUR_NOISE)
    together = _around(ink * probability) - mean_ink * mean
    variance = _around(probability * probability) - mean**2 + np.float32(PROBABILITY_NOISE)
    slope = together / spread
    offset = mean - slope * mean_ink
    return _around(slope), _around(offset), _around(together**2 / (spread * variance))


def _around(plane: np.ndarray) -> np.ndarray:
    side = 2 * RADIUS_PX + 1
    return cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT)


def enlarged(plane: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A plane at the image's size, by bilinear interpolation; as it is if it has that size."""
    size = (image.shape[1], image.shape[0])
    if (plane.shape[1], plane.shape[0]) == size:
        return plane
    return cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
