"""Light, lens and sensor: they turn the scene before a camera into its picture. Lengths are in pixels of the image."""

import cv2
import numpy as np

from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.degrade.textures import clouds, white_noise
from ecg_generator_with_train_src.page_map import PageMap, lattice, upsample

WAVE_RELIEF = 0.9  # brightness per unit of the displacement's divergence
# Thresholds of ordered dithering (a 4x4 Bayer matrix), 0 to 255
ORDERED = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) * 16 + 8
HALFTONE_CELL_PX = 4.0  # the distance of two dots


def light_field(page_map: PageMap, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """The light that white paper sends to the sensor: (rows, columns, 3) float32 on the warp's lattice; 1 is white."""
    x_px, y_px = lattice(page_map.width_px, page_map.height_px)
    x, y = x_px / page_map.width_px - 0.5, y_px / page_map.height_px - 0.5
    angle = np.deg2rad(effects.light_direction_deg)
    light = 1 - effects.light_slope * (0.5 + (np.cos(angle) * x + np.sin(angle) * y) / 1.42)
    light *= 1 - effects.vignette * 2 * (x**2 + y**2)
    shade = np.ones_like(light)
    for _ in range(effects.shadows):
        shade *= _shadow(x, y, effects.shadow_depth, rng)
    light *= shade
    relief = paper_relief(page_map, x_px, y_px)
    light *= relief
    light /= np.percentile(light, 80)  # a camera's automatic exposure does this
    colour = np.array([1 + effects.warmth, 1 - effects.tint, 1 - effects.warmth])
    # paper that is turned or hidden from one lamp is lit by another one, or by the window
    hue = 1 + effects.shadow_tint * (1 - shade * relief)[..., None] * np.array([1.0, 0.0, -1.0])
    return (light[..., None] * hue * (colour * effects.exposure)).astype(np.float32)


def _shadow(x: np.ndarray, y: np.ndarray, depth: float, rng: np.random.Generator) -> np.ndarray:
    """The shadow of a hand or phone: one side of a slightly bent line, with a soft edge."""
    angle, place, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.35), rng.normal(0, 0.5)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    soft = np.exp(rng.uniform(np.log(0.002), np.log(0.12)))
    beyond = np.clip((across - place + bend * along**2) / soft, -30, 30)
    return 1 - depth * rng.uniform(0.6, 1) / (1 + np.exp(-beyond))


def paper_relief(page_map: PageMap, x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
    """The brightness of bent paper at image points: creases and waves also turn the paper away from the light."""
    flat_x, flat_y = page_map.flat_of_image(x_px, y_px)
    x_mm, y_mm = flat_x / page_map.px_per_mm, flat_y / page_map.px_per_mm
    light = np.ones_like(x_mm)
    for wave in page_map.waves:
        steepness = (
            2 * np.pi * (wave.waves_per_mm_x * wave.shift_x_mm + wave.waves_per_mm_y * wave.shift_y_mm)
        )
        place = 2 * np.pi * (wave.waves_per_mm_x * x_mm + wave.waves_per_mm_y * y_mm) + wave.phase
        light += WAVE_RELIEF * steepness * np.cos(place)
    for crease in page_map.creases:
        across = crease.across_mm(x_mm, y_mm)
        nearby = crease.presence(x_mm, y_mm) * np.exp(
            -np.abs(across) / min(crease.reach_mm, crease.length_mm / 4)
        )
        light += crease.relief * (np.tanh(across / (0.5 * crease.width_mm)) * nearby)
        light -= 0.5 * abs(crease.relief) * nearby * np.exp(-np.square(across / (0.35 * crease.width_mm)))
    return np.clip(light, 0.3, 1.6)


def illuminate(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Light an image with a lattice of light; a grey image takes the green light."""
    height, width = image.shape[:2]
    if image.ndim == 2:
        light = np.ascontiguousarray(light[..., 1])
    return cv2.multiply(image, upsample(light, width, height), dtype=cv2.CV_8U)


def add_glare(image: np.ndarray, glare: float, rng: np.random.Generator) -> np.ndarray:
    """Add the soft reflection of a lamp or flash."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.linspace(0, 1, width // 16), np.linspace(0, 1, height // 16))
    centre, angle, size = rng.uniform(0.1, 0.9, 2), rng.uniform(0, np.pi), rng.uniform(0.05, 0.2)
    along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    spot = np.exp(-((along / size / rng.uniform(1, 2.5)) ** 2) - (across / size) ** 2)
    spot = cv2.resize(np.rint(spot * glare * 255).astype(np.uint8), (width, height))
    return cv2.add(image, cv2.merge([spot] * 3))


def blur(image: np.ndarray, effects: Effects) -> np.ndarray:
    """Blur an image as a shaken camera does, along a line, and as one that is out of focus does."""
    if effects.motion_px > 1:
        image = cv2.filter2D(image, -1, _motion_kernel(effects))
    if effects.blur_px > 0.3:
        size = 2 * int(np.ceil(2.3 * effects.blur_px)) + 1
        image = cv2.GaussianBlur(image, (size, size), effects.blur_px)
    return image


def _motion_kernel(effects: Effects) -> np.ndarray:
    kernel = np.zeros((5, 5), np.float32)
    angle = np.deg2rad(effects.motion_direction_deg)
    for step in np.linspace(-0.5, 0.5, 33) * min(effects.motion_px, 4.0):
        x, y = 2 + step * np.cos(angle), 2 + step * np.sin(angle)
        column, row = int(x), int(y)
        for c, r in ((column, row), (column + 1, row), (column, row + 1), (column + 1, row + 1)):
            if c < 5 and r < 5:
                kernel[r, c] += (1 - abs(x - c)) * (1 - abs(y - r))
    return kernel / kernel.sum()


def through_sensor(image: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Apply a colour filter array, its noise and its interpolation; red and blue are scaled relative to green.

    A binned sensor has no such array: its phone has smoothed away the noise of colours and left that of brightness.
    """
    if effects.sensor == "binned":
        grain = white_noise(rng, image.shape[:2], effects.noise)
        return cv2.add(image, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    height, width = image.shape[:2]
    raw = np.empty((height, width), np.uint8)
    green = cv2.extractChannel(image, 1)
    raw[::2, 1::2], raw[1::2, ::2] = green[::2, 1::2], green[1::2, ::2]
    for channel, first, scale in ((0, 0, 1 + effects.fringe), (2, 1, 1 - effects.fringe)):
        sites = raw[first::2, first::2]
        # the site (i, j) of this colour lies at pixel (2 i + first, 2 j + first) of the image, scaled about its centre
        shift = [(first - (side - 1) / 2) * scale + (side - 1) / 2 for side in (width, height)]
        matrix = np.array([[2 * scale, 0, shift[0]], [0, 2 * scale, shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        sites[:] = cv2.warpAffine(
            cv2.extractChannel(image, channel),
            matrix,
            sites.shape[::-1],
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
    raw = cv2.add(raw, white_noise(rng, raw.shape, effects.noise), dtype=cv2.CV_8U)
    return cv2.cvtColor(raw, cv2.COLOR_BayerBG2RGB)


def sharpen(image: np.ndarray, amount: float) -> np.ndarray:
    """Sharpen edges as phones and scanners do."""
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (5, 5), 1.2), -amount, 0)


def scanner_noise(image: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Add the noise of a line sensor, which is nearly alike in all colours."""
    noise = white_noise(rng, image.shape[:2], effects.noise)
    if image.ndim == 3:
        noise = cv2.merge([noise, np.roll(noise, 3, 0), np.roll(noise, 3, 1)])
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def to_two_tones(grey: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Make the tones of a black-and-white scan: grey, thresholded, dithered or halftoned; (height, width) uint8."""
    if effects.tone == "grey":
        return grey
    if effects.tone == "threshold":
        return cv2.compare(grey, effects.threshold * 255, cv2.CMP_GT)
    height, width = grey.shape
    if effects.tone == "dither":
        level = np.tile(ORDERED.astype(np.uint8), (height // 4 + 1, width // 4 + 1))[:height, :width]
    else:
        level = _dot_screen(height, width, rng.uniform(0, np.pi / 2))
    # paper stays white and ink stays black: dots stand for the tones between
    stretched = cv2.addWeighted(grey, 1.5, grey, 0, 255 * (1 - 1.5 * 0.97))
    return cv2.compare(stretched, level, cv2.CMP_GT)


def _dot_screen(height: int, width: int, angle: float) -> np.ndarray:
    """The thresholds of a halftone screen of round dots."""
    y, x = np.ogrid[:height, :width]
    turn = 2 * np.pi / HALFTONE_CELL_PX
    cos, sin = np.float32(np.cos(angle) * turn), np.float32(np.sin(angle) * turn)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return np.rint(127.5 + 60 * (np.cos(cos * x + sin * y) + np.cos(cos * y - sin * x))).astype(np.uint8)


def background(page_map: PageMap, rng: np.random.Generator) -> np.ndarray:
    """Draw a desk, cloth or floor to lie under the sheet: (height, width, 3) uint8."""
    shape = page_map.height_px // 4 + 1, page_map.width_px // 4 + 1
    base = np.array(rng.choice(DESK_RGB), np.float32) * rng.uniform(0.6, 1.2)
    grain = (
        _wood(shape, rng) if rng.random() < 0.6 else clouds(rng, shape, int(rng.choice([40, 160, 400])), 2)
    )
    brightness = 1 + rng.uniform(0.01, 0.12) * grain + 0.05 * clouds(rng, shape, 2, 2)
    desk = np.clip(brightness[..., None] * base, 0, 255).astype(np.uint8)
    return cv2.resize(desk, (shape[1] * 4, shape[0] * 4))[: page_map.height_px, : page_map.width_px]


def _wood(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw the grain of wooden boards in a random direction: float32 with a standard deviation of about 1."""
    side = int(np.hypot(*shape)) + 2
    streaks = clouds(rng, (side, max(2, side // int(rng.choice([8, 14, 25])))), 160, 2)
    streaks = cv2.resize(streaks, (side, side), interpolation=cv2.INTER_LINEAR)
    streaks *= 0.6 + 0.4 * clouds(rng, (side, side), 6, 2)
    board_px = side / rng.uniform(1, 9)
    board = (np.arange(side) / board_px + rng.uniform()).astype(int)
    streaks += rng.normal(0, 0.5, board.max() + 1).astype(np.float32)[board][:, None]
    seams = np.flatnonzero(np.diff(board))
    streaks[seams] -= rng.uniform(0, 4)
    centre = side / 2
    turn = cv2.getRotationMatrix2D((centre, centre), rng.uniform(0, 180), 1)
    turn[:, 2] += (shape[1] / 2 - centre, shape[0] / 2 - centre)
    return cv2.warpAffine(streaks, turn, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


DESK_RGB = (
    (150, 112, 78),
    (165, 125, 90),
    (178, 138, 104),
    (48, 46, 48),
    (62, 44, 96),
    (96, 68, 48),
    (196, 170, 138),
    (70, 72, 76),
    (210, 208, 202),
    (120, 128, 136),
    (40, 38, 40),
)
