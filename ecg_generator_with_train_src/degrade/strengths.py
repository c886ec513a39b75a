"""How strong each effect is on one degraded page."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Effects(BaseModel):
    """How strong each effect is on one page. The defaults mean: no effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # geometry
    camera: Literal["scanner", "phone"] = "scanner"
    rotation_deg: float = 0.0
    shear_deg: float = 0.0
    tilt_deg: float = 0.0  # angle between the paper and the image plane
    tilt_direction_deg: float = 0.0
    quarter_turns: int = 0
    focal: float = 1.2  # focal length divided by the image's long side
    fill: float = 1.0  # the page's size divided by the size that just fits into the image
    shift_x: float = 0.0  # where the page's centre lies, from the image's centre, in parts of its size
    shift_y: float = 0.0
    lens: float = 0.0  # see PageMap
    waves: int = 0  # number of waves that curl and ripple the paper
    wave_mm: float = 0.0
    creases: int = 0
    crease_mm: float = 0.0
    crease_kink: float = 0.0  # change of the displacement's slope at a crease
    relief: float = 0.0  # brightness step at a crease
    feed_axis: Literal["none", "x", "y"] = "none"  # a scanner's feed is uneven along this axis
    feed_period_mm: float = 0.0  # paper that passes per turn of its rollers
    feed_loss_mm: float = 0.0  # paper that each turn skips; negative: paper that is scanned twice
    feed_skips: int = 0  # number of larger losses, at random places
    feed_skip_mm: float = 0.0
    # print
    bleed: float = 1.0  # factor by which spread ink is darker; 1: it does not spread
    ink_run_px: float = 0.0  # standard deviation by which soaked ink runs
    toner: float = 0.0  # share of a colour that a laser prints as grey; 0: no laser print
    halftone: float = 0.0  # how far the laser's dots break up coloured lines
    pale_lost: float = 0.0  # darkness below which a laser prints nothing
    solid: float = 0.7  # darkness from which the toner of a laser covers the paper
    fibres: float = 0.0  # the paper's grain, standard deviation in grey levels
    print_dots: float = 0.0  # share of the tone that is printed as dots
    grid_strength: float = 1.0  # factor on the darkness of colours; black ink stays black
    tone_power: float = 1.0  # exponent of the darkness: below 1, pale colours print darker
    fading: float = 0.0  # share of the ink that is lost, in patches
    strong_lines: float = 0.0  # share of the major lines' length that prints black on a black-and-white page
    # paper
    margin_mm: float = 0.0  # blank paper of the sheet beyond the printed page
    yellowing: float = 0.0
    stains: int = 0
    tide_marks: int = 0
    mould_clusters: int = 0
    bleed_through: float = 0.0  # how strongly the print of the sheet's back shows through
    worn_folds: float = 0.0  # how much ink is lost along creases
    tears: int = 0
    holes: int = 0
    tape: int = 0
    staples: int = 0
    handwriting: int = 0
    # screen
    screen_width_px: int = 0  # screen pixels across the page; 0: the page is on paper
    subpixels: float = 0.0  # how strongly the screen's colour stripes show
    scan_lines: float = 0.0  # how strongly the screen's rows show
    viewer_mm: float = 0.0  # width of the viewer's window around the page
    bezel_mm: float = 0.0
    # light
    light_slope: float = 0.0  # loss of light from one side to the other
    light_direction_deg: float = 0.0
    vignette: float = 0.0
    shadows: int = 0
    shadow_depth: float = 0.0
    shadow_tint: float = 0.0  # colour of shadows: red is raised and blue lowered
    glare: float = 0.0
    # camera
    exposure: float = 1.0
    warmth: float = 0.0  # red is raised and blue lowered
    tint: float = 0.0  # green is lowered
    contrast: float = 1.0  # contrast of black ink and paper; 1: black stays black
    blur_px: float = 0.0  # standard deviation
    motion_px: float = 0.0
    motion_direction_deg: float = 0.0
    fringe: float = 0.0  # scale of red relative to green, and of green relative to blue, minus 1
    sensor: Literal["mosaic", "binned"] = "mosaic"  # binned: every pixel measures all colours
    noise: float = 0.0  # standard deviation in grey levels
    sharpen: float = 0.0
    tone: Literal["colour", "grey", "threshold", "dither", "halftone"] = "colour"
    red_light: float = 0.299  # share of red in the grey of a black-and-white scan
    threshold: float = 0.0  # darker than this share of white is black
    jpeg_quality: int = 95
