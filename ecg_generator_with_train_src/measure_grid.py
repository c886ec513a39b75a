"""Measure the ruling of a grid image: pitch and place of its lines, to a few thousandths of a pixel.

The image is averaged along each direction; minor lines at a pitch p put peaks at 1/p, 2/p, ... into the spectrum
of the average, major lines peaks at 1/5p, 2/5p, ...: one comb for both. Major lines are the stronger.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .errors import InputError
from .geometry import MAJOR_MM, MINOR_MM, PaperGeometry

MIN_PITCH_PX, MAX_PITCH_PX = 2.5, 40.0  # of minor lines
MIN_CONTRAST = 6.0  # of a comb over the spectrum's noise
_STEPS_A_CYCLE = 8  # of the search, over the length of the page
_PER_MAJOR = round(MAJOR_MM / MINOR_MM)
_COMB = (1, 2, 3, 4, *(k / _PER_MAJOR for k in range(1, _PER_MAJOR)))  # harmonics of minor and major lines


def measure_grid(rgb: np.ndarray, path: Path) -> PaperGeometry:
    """Find pitch and phase of an upright grid in an image of shape (height, width, 3), uint8.

    Raises InputError naming `path` if no grid of 2.5 to 40 px a millimetre, alike in both directions, can be measured.
    """
    darkness = 255.0 - rgb.min(axis=2)
    height, width = darkness.shape
    across, down = _ruling_profile(darkness.mean(axis=0)), _ruling_profile(darkness.mean(axis=1))
    coarse = _common_frequency(across, down, path)
    pitch_x, pitch_y = (1 / _refine(profile, coarse) for profile in (across, down))
    return PaperGeometry(
        width_px=width,
        height_px=height,
        px_per_mm_x=pitch_x / MINOR_MM,
        px_per_mm_y=pitch_y / MINOR_MM,
        major_x_px=_major_place(across, pitch_x),
        major_y_px=_major_place(down, pitch_y),
    )


def _ruling_profile(profile: np.ndarray) -> np.ndarray:
    """Mean darkness without illumination, and with frames and lines of text no darker than lines are."""
    profile = profile - gaussian_filter1d(profile, MAX_PITCH_PX * _PER_MAJOR / 4)
    return np.clip(profile, -3 * profile.std(), 3 * profile.std())


def _common_frequency(across: np.ndarray, down: np.ndarray, path: Path) -> float:
    """The frequency of minor lines (cycles a pixel) whose comb of harmonics stands out most in both directions."""
    padded = _STEPS_A_CYCLE * max(len(across), len(down))
    step = np.arange(int(padded / MAX_PITCH_PX), int(padded / MIN_PITCH_PX))
    strengths = []
    for profile, direction in ((across, "vertical"), (down, "horizontal")):
        spectrum = np.abs(np.fft.rfft(np.hanning(len(profile)) * profile, padded))
        strength = sum(_at_steps(spectrum, harmonic * step) for harmonic in _COMB)
        median = np.median(strength)
        if not strength.max() >= MIN_CONTRAST * median > 0:
            raise InputError(
                f"{path}: no {direction} grid lines 1 mm apart can be measured; state its geometry in a .json beside it"
            )
        strengths.append(strength / median)
    return step[int(np.argmax(strengths[0] + strengths[1]))] / padded


def _refine(profile: np.ndarray, frequency: float) -> float:
    """The frequency near a coarse one at which the comb is strongest."""
    window = np.hanning(len(profile)) * profile
    for zoom in (0.5, 4.0, 32.0, 256.0):
        near = frequency + np.linspace(-1, 1, 33) / (len(profile) * zoom)
        frequency = near[int(np.argmax(sum(_amplitude(window, harmonic * near) for harmonic in _COMB)))]
    return frequency


def _at_steps(spectrum: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The spectrum at the nearest whole steps; beyond its end there is nothing."""
    nearest = np.rint(step).astype(int)
    return np.where(nearest < len(spectrum), spectrum[np.minimum(nearest, len(spectrum) - 1)], 0.0)


def _amplitude(window: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """|Fourier transform| at any frequencies (cycles a pixel); beyond half a cycle a pixel there is nothing."""
    position = np.arange(len(window)) + 0.5
    spectrum = np.exp(-2j * np.pi * np.outer(frequency, position)) @ window
    return np.where(frequency < 0.5, np.abs(spectrum), 0.0)


def _major_place(profile: np.ndarray, pitch_px: float) -> float:
    """The first major line, from the phase of the major lines' harmonics; as a drawn line's pixel is the one right of
    (below) its place, the place is half a pixel before what is seen."""
    position = np.arange(len(profile)) + 0.5
    major_px = pitch_px * _PER_MAJOR
    shift = np.arange(0, major_px, 0.05)
    weight = sum(
        np.real(
            np.exp(2j * np.pi * k * shift / major_px)
            * (np.exp(-2j * np.pi * k * position / major_px) @ profile)
        )
        for k in range(1, _PER_MAJOR * 2)
    )
    return float((shift[int(np.argmax(weight))] - 0.5) % major_px)
