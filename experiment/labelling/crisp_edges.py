"""Take the edges of traces from the picture where it shows them better than the network does.

On a crisp page, a pixel's colour alone tells how much of it a trace covers. Near any place, this share is a linear
function of the colour between paper and pen (Levin et al., A closed-form solution to natural image matting, 2008). The
function is fitted to the network's probabilities around each pixel, as a guided filter does (He et al., Guided image
filtering, 2013), and replaces them where it explains them. A blurred, noisy or faint picture explains little; there,
the network's probabilities are kept. The fit is made at the network's scale and applied to the image itself, so that
the edges on a page of 600 dpi are as sharp as the page.
"""

import cv2
import numpy as np

NEAR_TRACE = 0.3  # pixels of this probability or more, with their neighbours, show how pen and paper differ
NEIGHBOURS = np.ones((9, 9), np.uint8)
RADIUS_PX = 8  # 1 mm: one function holds in a window of this radius around a pixel
COLOUR_NOISE = 2e-3  # variance of the ink's share that is put down to noise of the colours
PROBABILITY_NOISE = 1e-4  # variance of probabilities that needs no explanation
EXPLAINED_FROM, EXPLAINED_AT = 0.7, 0.9  # explained shares from which the picture counts, and replaces all
LEAST_PIXELS = 16  # four values are fitted to at least so many pixels


def with_crisp_edges(probability: np.ndarray, small: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the probability of waveform (H, W) float32 for each pixel of `image` (H, W, 3) uint8 RGB.

    `probability` (h, w) float32 is the network's for `small` (h, w, 3) uint8, the same picture at the network's scale.
    """
    if (colours := _ink_of_colours(probability, small)) is None:
        return enlarged(probability, image)
    slope, offset, explained = _local_fit(_ink(small, colours), probability)
    believed = np.clip((explained - EXPLAINED_FROM) / (EXPLAINED_AT - EXPLAINED_FROM), 0, 1)
    crisp = _ink(image, colours)
    crisp *= enlarged(believed * slope, image)
    crisp += enlarged(believed * offset + (1 - believed) * probability, image)
    return crisp


def _ink_of_colours(probability: np.ndarray, small: np.ndarray) -> np.ndarray | None:
    """The linear function of colour, factors (4,) of R, G, B and 1, that fits the probability beside traces best."""
    near = cv2.dilate((probability >= NEAR_TRACE).astype(np.uint8), NEIGHBOURS) > 0
    if np.count_nonzero(near) < LEAST_PIXELS:
        return None
    colours = np.column_stack([small[near] / np.float32(255), np.ones(np.count_nonzero(near), np.float32)])
    ridge = COLOUR_NOISE * len(colours) * np.diag([1, 1, 1, 0])
    return np.linalg.solve(colours.T @ colours + ridge, colours.T @ probability[near])


def _ink(image: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Apply this function to each pixel: (H, W) float32."""
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
    """Resize a plane to the image's size by bilinear interpolation, unless it has that size."""
    size = (image.shape[1], image.shape[0])
    if (plane.shape[1], plane.shape[0]) == size:
        return plane
    return cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
