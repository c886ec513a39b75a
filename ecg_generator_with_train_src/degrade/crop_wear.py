"""What printers, light, lenses, scanners and JPEG do to a piece of a page."""

import cv2
import numpy as np

Words = list[tuple[int, float, float]]  # index in PRINTED_WORDS, and centre in canvas coordinates


def with_wear(image: np.ndarray, words: Words, rng: np.random.Generator) -> tuple[np.ndarray, Words]:
    """A damaged (H, W, 3) uint8 of a drawn piece (float32, 0 to 255), and where its words are then."""
    if rng.random() < 0.35:
        image, words = _turned(image, words, rng)
    image = _lit(image, rng)
    if rng.random() < 0.2:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    image = _coarsened(image, rng)
    if rng.random() < 0.7:
        image += rng.normal(0, rng.uniform(1, 12), image.shape[:2]).astype(np.float32)[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.integers(30, 95))
        image = cv2.imdecode(
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR
        )
    return image, words


def _turned(image: np.ndarray, words: Words, rng: np.random.Generator) -> tuple[np.ndarray, Words]:
    """A turn, shear and change of scale about the middle, as a page has before or after it is laid flat."""
    height, width = image.shape[:2]
    turn_rad = np.deg2rad(rng.normal(0, 2.5))
    turn = np.array([[np.cos(turn_rad), -np.sin(turn_rad)], [np.sin(turn_rad), np.cos(turn_rad)]])
    linear = rng.uniform(0.9, 1.15) * turn @ (np.eye(2) + rng.normal(0, 0.015, (2, 2)))
    centre = np.array([width / 2, height / 2])
    shift = centre - linear @ centre
    # warpAffine counts from the centre of the first pixel, words from its corner
    index_shift = shift + linear @ [0.5, 0.5] - 0.5
    image = cv2.warpAffine(
        image, np.column_stack([linear, index_shift]), (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    moved = [(kind, *(linear @ [x, y] + shift)) for kind, x, y in words]
    return image, [(kind, x, y) for kind, x, y in moved if 0 <= x < width and 0 <= y < height]


def _lit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven light, a shadow's edge, a tint, and the camera's contrast."""
    height, width = image.shape[:2]
    x, y = (
        np.linspace(-0.5, 0.5, width, dtype=np.float32),
        np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None],
    )
    light = rng.uniform(0.55, 1.08) * (
        1 + np.float32(rng.normal(0, 0.15)) * x + np.float32(rng.normal(0, 0.15)) * y
    )
    if rng.random() < 0.15:
        edge = np.cos(angle := rng.uniform(0, 6.3)) * x + np.sin(angle) * y - rng.uniform(-0.3, 0.3)
        light = light * (1 - rng.uniform(0.1, 0.5) / (1 + np.exp(-edge / rng.uniform(0.01, 0.2))))
    tint = 1 + rng.normal(0, 0.04, 3)
    lift = rng.uniform(0, 60) if rng.random() < 0.4 else 0  # ink is grey where light is scattered
    return (image * (light[..., None] * tint) * (1 - lift / 255) + lift).astype(np.float32)


def _coarsened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur and a lower resolution, and sharpening as phones and scanners do."""
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.3))
    if rng.random() < 0.5:
        scale = rng.uniform(0.42, 1)
        small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.3:
        amount = rng.uniform(0.3, 1.5)
        image = cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 1.2), -amount, 0)
    return image
