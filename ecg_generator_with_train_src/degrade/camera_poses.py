"""Where the flat sheet lies in a scan or photo: homographies from page px to image px (canvas coordinates)."""

import numpy as np

from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.page_map import project

Size = tuple[int, int]  # width, height in px


def scanner_homography(effects: Effects, page: Size, image: Size) -> np.ndarray:
    """The page is turned, sheared and scaled about its centre, which lies near the image's centre; shape (3, 3)."""
    scale = effects.fill * max(image[0] / page[0], image[1] / page[1])
    across, down = np.deg2rad(effects.rotation_deg), np.deg2rad(effects.rotation_deg + effects.shear_deg)
    turned = np.array([[np.cos(across), -np.sin(down), 0], [np.sin(across), np.cos(down), 0], [0, 0, 1]])
    return _centre_at(effects, image) @ np.diag([scale, scale, 1]) @ turned @ _from_centre(page)


def phone_homography(effects: Effects, page: Size, image: Size) -> np.ndarray:
    """A pinhole camera is above a tilted sheet, so near that the sheet fills the image as `fill` says; shape (3, 3)."""
    focal_px = effects.focal * max(image)
    rotation = _rotation(effects)
    scale = min(image[0] / page[0], image[1] / page[1])
    for _ in range(3):  # a nearer camera changes the perspective, and with it the extent
        sheet = _projection(rotation, focal_px, focal_px / scale) @ _from_centre(page)
        corners = project(sheet, np.array([0, page[0], page[0], 0]), np.array([0, 0, page[1], page[1]]))
        extent = [2 * np.abs(along).max() / size for along, size in zip(corners, image, strict=True)]
        scale *= effects.fill / max(extent)
    sheet = _projection(rotation, focal_px, focal_px / scale) @ _from_centre(page)
    homography = _centre_at(effects, image) @ sheet
    return homography / homography[2, 2]


def quarter_turned(homography: np.ndarray, image: Size, turns: int) -> tuple[np.ndarray, Size]:
    """Turn the image clockwise by 90 degrees, `turns` times; return its homography and size."""
    for _ in range(turns):
        homography = np.array([[0, -1, image[1]], [1, 0, 0], [0, 0, 1]]) @ homography
        image = image[1], image[0]
    return homography, image


def _rotation(effects: Effects) -> np.ndarray:
    """Turn the sheet in the image plane, then tilt it about an axis in that plane."""
    roll, tilt, axis = np.deg2rad([effects.rotation_deg, effects.tilt_deg, effects.tilt_direction_deg])
    cos, sin = np.cos(roll), np.sin(roll)
    rolled = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    cross = np.array([[0, 0, np.sin(axis)], [0, 0, -np.cos(axis)], [-np.sin(axis), np.cos(axis), 0]])
    return (np.eye(3) + np.sin(tilt) * cross + (1 - np.cos(tilt)) * cross @ cross) @ rolled


def _projection(rotation: np.ndarray, focal_px: float, distance_px: float) -> np.ndarray:
    """Pinhole projection of the turned plane z = 0."""
    plane = np.column_stack([rotation[:, 0], rotation[:, 1], [0, 0, distance_px]])
    return np.diag([focal_px, focal_px, 1]) @ plane


def _from_centre(page: Size) -> np.ndarray:
    return np.array([[1, 0, -page[0] / 2], [0, 1, -page[1] / 2], [0, 0, 1]])


def _centre_at(effects: Effects, image: Size) -> np.ndarray:
    return np.array(
        [[1, 0, image[0] * (0.5 + effects.shift_x)], [0, 1, image[1] * (0.5 + effects.shift_y)], [0, 0, 1]]
    )
