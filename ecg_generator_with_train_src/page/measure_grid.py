"""Measure the ruling of a grid image: pitch and place of its lines, to a few thousandths of a pixel.

The image is averaged along each direction; minor lines at a pitch p put peaks at 1/p, 2/p, ... into the spectrum
of the average, major lines peaks at 1/5p, 2/5p, ...: one comb for both. Major lines are the stronger.
"""

import math
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.geometry import MAJOR_MM, MINOR_MM, PaperGeometry

MIN_PITCH_PX, MAX_PITCH_PX = 2.5, 40.0  # limits for the pitch of minor lines
MIN_CONTRAST = 6.0  # a comb must be this much stronger than the spectrum's noise
MAX_STRETCH = 1.7  # largest ratio of the pitches of the two directions
BANDS = 5  # number of bands of the image in which the lines must stand at the same place
MAX_OFF_PX = 0.75
_STEPS_A_CYCLE = 8  # steps of the search for each cycle over the length of the page
_PER_MAJOR = round(MAJOR_MM / MINOR_MM)
_COMB = (1, 2, 3, 4, *(k / _PER_MAJOR for k in range(1, _PER_MAJOR)))  # harmonics of minor and major lines


def measure_grid(rgb: np.ndarray, path: Path) -> PaperGeometry:
    """Find pitch and phase of an upright grid in an image of shape (height, width, 3), uint8.

    Raises InputError naming `path` if no grid of 2.5 to 40 px a millimetre can be measured both ways, or if its
    lines are not straight and upright.
    """
    darkness = 255.0 - rgb.min(axis=2)
    height, width = darkness.shape
    pitches = _pitches(_ruling_profile(darkness.mean(axis=0)), _ruling_profile(darkness.mean(axis=1)), path)
    places = [_straight_place(darkness, axis, pitch, path) for axis, pitch in enumerate(pitches)]
    return PaperGeometry(
        width_px=width,
        height_px=height,
        px_per_mm_x=pitches[0] / MINOR_MM,
        px_per_mm_y=pitches[1] / MINOR_MM,
        major_x_px=places[0],
        major_y_px=places[1],
    )


def _straight_place(darkness: np.ndarray, axis: int, pitch_px: float, path: Path) -> float:
    """The first major line of one direction, which must stand at the same place in every band of the image."""
    major_px = pitch_px * _PER_MAJOR
    place = _major_place(_ruling_profile(darkness.mean(axis=axis)), pitch_px)
    bands = [band.mean(axis=axis) for band in np.array_split(darkness, BANDS, axis=axis)]
    off_px = [
        math.remainder(_major_place(_ruling_profile(band), pitch_px) - place, major_px) for band in bands
    ]
    worst_px = max(map(abs, off_px))
    if worst_px > MAX_OFF_PX:
        raise InputError(
            f"{path}: its grid lines are off by {worst_px:.1f} px in parts of the image; "
            "a grid must be clean, straight and upright"
        )
    return place


def _ruling_profile(profile: np.ndarray) -> np.ndarray:
    """Mean darkness without illumination, and with frames and lines of text no darker than lines are."""
    profile = profile - gaussian_filter1d(profile, MAX_PITCH_PX * _PER_MAJOR / 4)
    return np.clip(profile, -3 * profile.std(), 3 * profile.std())


def _pitches(across: np.ndarray, down: np.ndarray, path: Path) -> tuple[float, float]:
    """Pitch of the minor lines in both directions: first one that suits both, then each direction's own near it."""
    padded = _STEPS_A_CYCLE * max(len(across), len(down))
    step = np.arange(int(padded / MAX_PITCH_PX), int(padded / MIN_PITCH_PX))
    strengths = [_strengths(across, step, padded), _strengths(down, step, padded)]
    for strength, direction in zip(strengths, ("vertical", "horizontal"), strict=True):
        if not strength.max() >= MIN_CONTRAST:  # a blank page has NaN
            raise InputError(
                f"{path}: no {direction} grid lines 1 mm apart can be measured; state its geometry in a .json beside it"
            )
    common = step[int(np.argmax(strengths[0] + strengths[1]))]
    near = (step > common / MAX_STRETCH) & (step < common * MAX_STRETCH)
    own = [step[near][int(np.argmax(strength[near]))] / padded for strength in strengths]
    return 1 / _refine(across, own[0]), 1 / _refine(down, own[1])


def _strengths(profile: np.ndarray, step: np.ndarray, padded: int) -> np.ndarray:
    """How much the comb of each frequency (in 1 / padded cycles a pixel) stands out of the spectrum's noise."""
    spectrum = np.abs(np.fft.rfft(np.hanning(len(profile)) * profile, padded))
    strength = sum(_at_steps(spectrum, harmonic * step) for harmonic in _COMB)
    with np.errstate(invalid="ignore"):
        return strength / np.median(strength)


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
