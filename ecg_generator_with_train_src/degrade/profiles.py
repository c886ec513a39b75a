"""The degradation profiles: one table of how strong each effect is on each type of page.

A profile is one or more tables, each used for its share of the pages. An entry is a range to draw from uniformly, a
range of whole numbers, or a choice; `chance` is how often the effect occurs at all. Effects that a profile does not
name are off. `strengths.Effects` explains the names.

Three black-and-white scans of the competition's prints were registered to the rendered pages and measured. They have
0.929 image px per page px, and the page's edges lie up to 28 px outside the image or 7 px inside. They are rotated by
0.14 to 0.45 degrees, and verticals are turned by 0.12 to 0.23 degrees against horizontals. Their grey levels are 252
between the lines, 235 to 238 on minor lines, 195 to 215 on major lines (but 95 to 130 on 15 to 45% of their length),
70 to 85 in the traces, and 64 in the separators, whose edges rise from 10 to 90% within 2.3 to 2.4 px. Between the
lines, noise above 1 px is 2.3 to 3.6 grey levels. Blue is 2 levels below green and red.
17 photos of laser prints by phones (5 to 9 megapixels, 7.5 to 10.5 px/mm) were registered to their records and
measured. The comments in `_LASER_PHOTO`, `_FOLDED` and `_CRUMPLED` give the results; 65% of the photos of paper are
made with these tables. One more scan was measured for a sheet-fed scanner's uneven feed.
All other strengths are assumptions. They follow what the competition says of its types (prints scanned in colour and
in black and white; phone photos of the print, of a laptop's screen, of stained and soaked prints, and of badly damaged
prints; scans of mouldy prints) and the look of photos of other machines' paper.
"""

from dataclasses import dataclass

CLEAN = "clean"


@dataclass(frozen=True)
class Range:
    """Draw a value uniformly between two."""

    low: float
    high: float
    chance: float = 1.0


@dataclass(frozen=True)
class Count:
    """Draw a whole number; both ends are included."""

    low: int
    high: int
    chance: float = 1.0


@dataclass(frozen=True)
class Choice:
    """Draw one of several values, with weights."""

    values: tuple
    weights: tuple[float, ...]


Strengths = dict[str, Range | Count | Choice]
Variants = tuple[tuple[float, Strengths], ...]

_SCAN: Strengths = {
    "camera": Choice(("scanner",), (1,)),
    "rotation_deg": Range(-0.8, 0.8),  # measured: up to 0.45
    "shear_deg": Range(-0.25, 0.25),  # measured: up to 0.24
    "fill": Range(0.99, 1.02),  # measured: 1.003 across, 1.017 down
    "shift_x": Range(-0.008, 0.008),  # measured: -0.012 to 0.004
    "shift_y": Range(-0.01, 0.01),  # measured: -0.005 to 0.002
    "waves": Count(1, 2),  # measured: 0.6 px are left after a homography fitted to SIFT features
    "wave_mm": Range(0.03, 0.12),
    # measured on one page at 7.87 px/mm: gaps between lines of 5.2, 6.7, 7.2 and 7.0 px instead of 7.9, and one gap of
    # 6.3 to 7.1 px at about every eleventh line
    "feed_axis": Choice(("none", "x", "y"), (0.4, 0.35, 0.25)),
    "feed_period_mm": Range(7.0, 16.0),
    "feed_loss_mm": Range(-0.04, 0.2),  # measured: 0.1 to 0.2
    "feed_skips": Count(0, 2),
    "feed_skip_mm": Range(0.1, 0.42),  # measured: 0.34
    "bleed": Range(1.1, 1.5),  # measured: traces are darker than a pen that does not spread
    "blur_px": Range(0.4, 0.75),  # measured: separators' edges rise from 10 to 90% in 2.3 to 2.4 px
    "noise": Range(2.0, 5.0),  # measured: 2.3 to 3.6
    "jpeg_quality": Count(85, 96),
}
_COLOUR: Strengths = {
    "print_dots": Range(0.05, 0.3),
    "grid_strength": Range(0.8, 1.2),
    "tone_power": Range(0.65, 1.0),
    "exposure": Range(0.96, 1.05),
    "warmth": Range(-0.03, 0.05),
    "contrast": Range(0.85, 1.0),
}
_BLACK_AND_WHITE: Strengths = {
    # the next four together were measured: minor lines are at 235, major lines at 195 to 215, traces at 70 to 85
    "bleed": Range(1.0, 1.25),
    "grid_strength": Range(0.5, 0.72),
    "tone_power": Range(0.58, 0.72),
    "red_light": Range(0.45, 0.62),
    "noise": Range(0.8, 3.0),  # measured: 2.3 to 3.6, noise of the JPEG included
    "tone": Choice(
        ("grey", "threshold", "dither", "halftone"), (0.7, 0.12, 0.09, 0.09)
    ),  # measured: only grey
    "strong_lines": Range(0.1, 0.5),  # measured: 0.15 to 0.45
    "threshold": Range(0.72, 0.9),  # assumed: minor lines turn black at the upper end
    "exposure": Range(0.985, 1.005),  # measured: paper at 252
    "warmth": Range(0.0, 0.012),  # measured: blue is 0.9% lower
    "contrast": Range(0.92, 1.0),  # measured: ink at 64
}
_MOULD: Strengths = {
    "mould_clusters": Count(4, 14),
    "stains": Count(0, 3),
    "tide_marks": Count(0, 3),
    "yellowing": Range(0.0, 0.2),
    "fading": Range(0.0, 0.35),
    "wave_mm": Range(0.05, 0.35),
    "creases": Count(0, 3),
    "crease_mm": Range(0.05, 0.2),
    "relief": Range(0.01, 0.05),
}
_PHOTO: Strengths = {
    "camera": Choice(("phone",), (1,)),
    "quarter_turns": Choice((0, 1, 2, 3), (0.7, 0.12, 0.06, 0.12)),
    "rotation_deg": Range(-6.0, 6.0),
    "tilt_deg": Range(0.0, 22.0),
    "tilt_direction_deg": Range(0.0, 360.0),
    "focal": Range(0.9, 1.5),  # equivalent to 26 to 40 mm on 35 mm film
    "fill": Range(0.82, 1.06),
    "shift_x": Range(-0.05, 0.05),
    "shift_y": Range(-0.05, 0.05),
    "lens": Range(-0.02, 0.04),
    "waves": Count(2, 4),
    "wave_mm": Range(0.3, 2.0),
    "creases": Count(0, 2),
    "crease_mm": Range(0.05, 0.3),
    "relief": Range(0.01, 0.06),
    "bleed": Range(1.05, 1.35),
    "print_dots": Range(0.0, 0.2),
    "grid_strength": Range(0.75, 1.2),
    "tone_power": Range(0.6, 1.0),
    "light_slope": Range(0.05, 0.4),
    "light_direction_deg": Range(0.0, 360.0),
    "vignette": Range(0.0, 0.25),
    "shadows": Count(1, 2, chance=0.5),
    "shadow_depth": Range(0.12, 0.38),
    "glare": Range(0.1, 0.4, chance=0.1),
    "exposure": Range(0.62, 0.97),
    "warmth": Range(-0.05, 0.1),
    "tint": Range(-0.015, 0.015),
    "contrast": Range(0.72, 0.95),
    "blur_px": Range(0.55, 1.3),
    "motion_px": Range(1.0, 4.0, chance=0.3),
    "motion_direction_deg": Range(0.0, 180.0),
    "fringe": Range(-0.0005, 0.0005),
    "noise": Range(2.0, 8.0),
    "sharpen": Range(0.2, 0.9, chance=0.6),
    "jpeg_quality": Count(70, 95),
}

_TABLES: dict[str, Strengths] = {
    "scan_color": {**_SCAN, **_COLOUR},
    "scan_bw": {**_SCAN, **_BLACK_AND_WHITE},
    "photo_print": {
        **_PHOTO,
        "handwriting": Count(1, 3, chance=0.2),
        "staples": Count(1, 1, chance=0.2),
        "bleed_through": Range(0.02, 0.08, chance=0.2),
    },
    "photo_screen": {
        **_PHOTO,
        "waves": Count(0, 0),
        "creases": Count(0, 0),
        "bleed": Range(1.0, 1.0),
        "print_dots": Range(0.0, 0.0),
        "tilt_deg": Range(0.0, 18.0),
        "fill": Range(0.85, 1.08),
        "screen_width_px": Count(1300, 2500),
        "subpixels": Range(0.2, 0.7),
        "scan_lines": Range(0.15, 0.6),
        "bezel_mm": Range(6.0, 14.0),
        "viewer_mm": Range(0.0, 18.0),
        "exposure": Range(0.7, 1.0),
        "warmth": Range(-0.12, 0.04),
        "light_slope": Range(0.03, 0.2),
        "shadows": Count(0, 0),
        "glare": Range(0.1, 0.45, chance=0.4),
        "contrast": Range(0.7, 0.92),
        "blur_px": Range(0.35, 0.9),
    },
    "photo_stained": {
        **_PHOTO,
        "stains": Count(2, 6),
        "tide_marks": Count(2, 5),
        "yellowing": Range(0.05, 0.35),
        "fading": Range(0.1, 0.5),
        "bleed": Range(1.1, 1.6),
        "ink_run_px": Range(0.0, 1.1),
        "waves": Count(3, 6),
        "creases": Count(1, 5),
        "relief": Range(0.03, 0.1),
        "bleed_through": Range(0.03, 0.12, chance=0.4),
        "handwriting": Count(1, 3, chance=0.2),
    },
    "photo_damaged": {
        **_PHOTO,
        "tilt_deg": Range(0.0, 35.0),
        "creases": Count(10, 24),
        "crease_mm": Range(0.08, 0.35),
        "relief": Range(0.06, 0.18),
        "worn_folds": Range(0.15, 0.8),
        "waves": Count(3, 6),
        "wave_mm": Range(0.4, 2.2),
        "tears": Count(1, 5),
        "holes": Count(0, 4),
        "tape": Count(1, 3, chance=0.5),
        "staples": Count(1, 2, chance=0.4),
        "stains": Count(0, 3),
        "tide_marks": Count(0, 2),
        "yellowing": Range(0.0, 0.3),
        "fading": Range(0.05, 0.5),
        "handwriting": Count(1, 4, chance=0.4),
    },
    "scan_mold_color": {**_SCAN, **_COLOUR, **_MOULD},
    "scan_mold_bw": {**_SCAN, **_BLACK_AND_WHITE, **_MOULD},
}
# How a phone's photo of a laser print differs from the tables above, measured on 17 pages
_LASER_PHOTO: Strengths = {
    "rotation_deg": Range(-20.0, 20.0),  # measured: up to 18
    "tilt_deg": Range(0.0, 20.0),  # observed: up to 15
    "fill": Range(0.85, 1.12),
    # the next four together were measured on 8 pages of 10: major lines take 0.36 to 0.53 of the red and 0.41 to 0.61
    # of the green light, with a standard deviation of 0.08 to 0.2 along them, and are 0.23 to 0.29 mm wide at half
    # their depth; minor lines take 0.004 to 0.01; quiet traces leave 0.08 to 0.48 of the light and are 0.24 to 0.34 mm
    # wide
    "toner": Range(0.7, 1.0),
    "halftone": Range(0.3, 1.3),
    "pale_lost": Range(0.08, 0.34),
    "solid": Range(0.36, 0.6),
    "bleed": Range(1.0, 1.0),
    "print_dots": Range(0.0, 0.0),
    "grid_strength": Range(1.0, 1.0),
    "tone_power": Range(1.0, 1.0),
    "fibres": Range(0.5, 2.4),
    "contrast": Range(0.72, 1.0),
    "exposure": Range(0.68, 0.9),  # measured: paper is at 187 to 214, its lit parts at 200 to 220
    "warmth": Range(-0.025, 0.025),  # measured: -0.013 to 0.026
    "tint": Range(-0.012, 0.008),
    "margin_mm": Range(2.0, 12.0, chance=0.75),
    "crease_kink": Range(0.0, 0.15),
    "light_slope": Range(0.03, 0.25),
    "vignette": Range(0.0, 0.15),
    "shadow_depth": Range(0.12, 0.4),
    "shadow_tint": Range(-0.4, 0.4),
    "blur_px": Range(0.55, 1.1),  # measured, sharpening included: edges rise from 10 to 90% in 1.5 to 2 px
    "motion_px": Range(1.0, 3.0, chance=0.12),
    "sensor": Choice(("mosaic", "binned"), (0.15, 0.85)),  # observed: no colour along thin lines
    "noise": Range(
        0.5, 2.2
    ),  # measured after sharpening: 3.5 to 5.2 above 1.5 px, the paper's grain included
    "sharpen": Range(0.4, 1.4, chance=0.9),  # measured: halos of 1.03 to 1.08 of the paper's light
    "jpeg_quality": Count(78, 95),
}
# Of the 17 pages, 4 are flat, 7 folded, 6 crumpled, and none is torn. Measured on the registered ones: the root mean
# square of the paper's displacement is 0.2 to 0.5 mm on flat sheets and 0.5 to 1.2 mm on the others, its largest value
# 5 mm; its slope is below 0.06 (flat) or 0.12 on 95% of the page and reaches 0.17
_FOLDED: Strengths = {
    "creases": Count(0, 4),
    "crease_mm": Range(0.0, 0.2),
    "crease_kink": Range(0.03, 0.15),
    "wave_mm": Range(0.4, 3.5),
    "relief": Range(0.02, 0.12),
    "worn_folds": Range(0.0, 0.5, chance=0.3),
}
_CRUMPLED: Strengths = {
    "creases": Count(8, 20),
    "crease_mm": Range(0.0, 0.25),
    "crease_kink": Range(0.04, 0.15),
    "wave_mm": Range(0.8, 4.0),
    "relief": Range(0.03, 0.14),
    "waves": Count(3, 6),
    "worn_folds": Range(0.0, 0.3, chance=0.3),
}
LASER_SHARE = 0.65  # this share of the photos of paper; the others keep to the older, assumed strengths


# The tables of each profile, and the share of its pages that each is used for
PROFILES: dict[str, Variants] = {name: ((1.0, table),) for name, table in _TABLES.items()}
for _name in ("photo_stained", "photo_damaged"):
    PROFILES[_name] = (1 - LASER_SHARE, _TABLES[_name]), (LASER_SHARE, {**_TABLES[_name], **_LASER_PHOTO})
PROFILES["photo_print"] = (
    (1 - LASER_SHARE, _TABLES["photo_print"]),
    (0.6 * LASER_SHARE, {**_TABLES["photo_print"], **_LASER_PHOTO, **_FOLDED}),
    (0.4 * LASER_SHARE, {**_TABLES["photo_print"], **_LASER_PHOTO, **_CRUMPLED}),
)
# The competition's types in the order of their numbers, except that the mouldy scans come last
PROFILE_NAMES = (CLEAN, *PROFILES)
