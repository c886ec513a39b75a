"""Where a known page lies in a photo of it, roughly: features of its ink, and the homography that most of them obey.

The grid looks the same everywhere and would mislead; in each pixel's brightest channel a red one vanishes, and a black
one stays paler than ink. Features do not mind in which of four orientations a page was scanned.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ecg_generator_with_train_src.page_map import project

INK_DARKNESS = 0.8  # darkness at which the page's ink is drawn, similar to a print's
PAPER_LEVEL = 230
BACKGROUND_BLOCKS_PX = 31
MAX_FEATURES = 8000
FEATURE_CONTRAST = 0.01
MAX_DISTANCE_RATIO = 0.9  # ratio of the distances of a match and its rival; it is high because beats repeat
MAX_ERROR_PX = 6.0  # in the reduced image; it is large because bent paper follows no homography exactly
MAX_TRIALS = 20_000
LEAST_SIDE_PX = 100  # a page in a smaller image, or in a long strip, cannot be recognised
MIN_INLIERS = 12
ENOUGH_INLIERS = 40
# where too few features match: radii round their expected places in which they are matched again
GUIDED_PX = (30.0, 15.0)
MAX_NEAR_DISTANCE = 300.0  # limit for the distance of the SIFT descriptors of such a match
MAX_STRETCH = 4.0  # largest ratio of the scales in different parts of the page


@dataclass(frozen=True)
class Attempt:
    """How an image is reduced before its features are taken."""

    long_side_px: int
    page_scale: float  # scale at which the page is drawn
    blur_px: float  # blur of the reduced image and page, against moiré


ATTEMPTS = (
    Attempt(900, 0.35, 1.8),
    Attempt(1300, 0.5, 0.8),
    Attempt(1300, 0.5, 1.8),
    Attempt(1300, 0.5, 0.0),
    Attempt(1900, 0.75, 1.0),
)


@dataclass(frozen=True)
class CoarsePlace:
    """A homography, shape (3, 3), from page to image in canvas coordinates, and how many features obey it."""

    homography: np.ndarray
    inliers: int


@dataclass(frozen=True)
class Features:
    """Distinct places of an image: canvas points (n, 2), and what each looks like (n, 128) float32."""

    place_px: np.ndarray
    descriptors: np.ndarray


@dataclass(frozen=True)
class Matches:
    """Canvas points (n, 2) of the page and of the image that look alike."""

    on_page: np.ndarray
    in_image: np.ndarray


def place_coarsely(image_rgb: np.ndarray, ink: np.ndarray) -> CoarsePlace | None:
    """Find the page whose ink has the coverage `ink`, shape (height, width), uint8; None if it is not found.

    `image_rgb` is uint8 of any size and orientation. The best of several attempts, of which the first that is
    good enough ends the search.
    """
    best = None
    for attempt in ATTEMPTS if min(image_rgb.shape[:2]) >= LEAST_SIDE_PX else ():
        place = _attempt(attempt, image_rgb, ink)
        if place and (best is None or place.inliers > best.inliers):
            best = place
        if best and best.inliers >= ENOUGH_INLIERS:
            break
    return best


def _attempt(attempt: Attempt, image_rgb: np.ndarray, ink: np.ndarray) -> CoarsePlace | None:
    scale = min(1.0, attempt.long_side_px / max(image_rgb.shape))
    image = flattened(_resized(image_rgb, scale, attempt.blur_px).max(axis=2))
    page = _resized(
        cv2.convertScaleAbs(255 - INK_DARKNESS * ink, alpha=PAPER_LEVEL / 255), attempt.page_scale
    )
    of_page, of_image = _features(_blurred(page, attempt.blur_px)), _features(image)
    found = _common_homography(_matches_anywhere(of_page, of_image))
    for near_px in GUIDED_PX:
        if found is None or found.inliers >= ENOUGH_INLIERS:
            break
        found = _common_homography(_matches_near(of_page, of_image, found.homography, near_px))
    if found is None or found.inliers < MIN_INLIERS:
        return None
    homography = (
        np.diag([1 / scale, 1 / scale, 1]) @ found.homography @ np.diag([attempt.page_scale] * 2 + [1])
    )
    if not _is_plausible(homography, ink.shape):
        return None
    return CoarsePlace(homography / homography[2, 2], found.inliers)


def flattened(grey: np.ndarray) -> np.ndarray:
    """Brightness against the paper around, which is PAPER_LEVEL: uneven light is gone; uint8."""
    paper = cv2.dilate(grey, np.ones((9, 9), np.uint8))
    paper = cv2.resize(paper, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    paper = cv2.medianBlur(paper, BACKGROUND_BLOCKS_PX)
    paper = cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.divide(grey, cv2.max(paper, 1), scale=PAPER_LEVEL)


def _resized(image: np.ndarray, scale: float, blur_px: float = 0.0) -> np.ndarray:
    """Reduced, after a blur of `blur_px` of the reduced image."""
    image = _blurred(image, blur_px / scale)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def _blurred(image: np.ndarray, blur_px: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px else image


def _features(grey: np.ndarray) -> Features:
    sift = cv2.SIFT_create(MAX_FEATURES, contrastThreshold=FEATURE_CONTRAST)
    points, descriptors = sift.detectAndCompute(grey, None)
    place_px = np.array([point.pt for point in points]).reshape(-1, 2) + 0.5
    return Features(place_px, np.empty((0, 128), np.float32) if descriptors is None else descriptors)


def _matches_anywhere(of_page: Features, of_image: Features) -> Matches:
    """Places that look alike and like no other place of the image."""
    if len(of_page.place_px) < 2 or len(of_image.place_px) < 2:
        return _matched(of_page, of_image, [])
    pairs = cv2.BFMatcher().knnMatch(of_page.descriptors, of_image.descriptors, k=2)
    return _matched(
        of_page,
        of_image,
        [
            (best.distance, best.queryIdx, best.trainIdx)
            for best, second in pairs
            if best.distance < MAX_DISTANCE_RATIO * second.distance
        ],
    )


def _matches_near(of_page: Features, of_image: Features, homography: np.ndarray, near_px: float) -> Matches:
    """For places of the page, the place most alike among those near to where a first homography has it.

    Bent paper has few features that one homography suits and that look like no other place. Near to where they should
    be, many more are found.
    """
    expected_px = np.stack(project(homography, *of_page.place_px.T), axis=1)
    expected_px = np.nan_to_num(expected_px, nan=-1e6, posinf=-1e6, neginf=-1e6)
    found = []
    for number, near in enumerate(cKDTree(of_image.place_px).query_ball_point(expected_px, near_px)):
        if near:
            distances = np.linalg.norm(of_image.descriptors[near] - of_page.descriptors[number], axis=1)
            best = int(distances.argmin())
            if distances[best] < MAX_NEAR_DISTANCE:
                found.append((float(distances[best]), number, near[best]))
    return _matched(of_page, of_image, found)


def _matched(of_page: Features, of_image: Features, found: list[tuple[float, int, int]]) -> Matches:
    """The best match (distance, number on the page, number in the image) of each place in the image.

    One place in the image shows one place of the page. If it could show many, a homography that draws the whole page
    together to one point of the image would suit all matches with that point.
    """
    best = {
        tuple(of_image.place_px[shown]): (drawn, shown) for _, drawn, shown in sorted(found, reverse=True)
    }
    drawn, shown = np.array(list(best.values()), int).reshape(-1, 2).T
    return Matches(of_page.place_px[drawn], of_image.place_px[shown])


def _common_homography(matches: Matches) -> CoarsePlace | None:
    """The homography that most matches obey, between the reduced page and the reduced image."""
    if len(matches.on_page) < MIN_INLIERS:
        return None
    cv2.setRNGSeed(0)  # the same page is found at the same place every time
    found, obeys = cv2.findHomography(
        matches.on_page,
        matches.in_image,
        cv2.USAC_MAGSAC,
        MAX_ERROR_PX,
        maxIters=MAX_TRIALS,
        confidence=0.9999,
    )
    return None if found is None else CoarsePlace(found, int(np.count_nonzero(obeys)))


def _is_plausible(homography: np.ndarray, page_shape: tuple[int, int]) -> bool:
    """Whether the page is seen from its front, whole before the camera, and not stretched beyond a photo's bounds."""
    height, width = page_shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    seen = corners @ homography.T
    depth = seen[:, 2] * np.sign(seen[0, 2])
    if depth.min() <= 0 or depth.max() > MAX_STRETCH * depth.min():
        return False
    points = seen[:, :2] / seen[:, 2:]
    sides = np.roll(points, -1, axis=0) - points
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    lengths = np.hypot(*sides.T)
    return bool((turns > 0).all() and lengths.max() < MAX_STRETCH * lengths.min())
