"""How strong each effect is on one degraded page."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Effects(BaseModel):
    """How strong each effect is on one page; the defaults are no effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # geometry
    camera: Literal["scanner", "phone"] = "scanner"
    rotation_deg: float = 0.0
    shear_deg: float = 0.0
    tilt_deg: float = 0.0  # of the paper against the image plane
    tilt_direction_deg: float = 0.0
    quarter_turns: int = 0
    focal: float = 1.2  # focal length, of the image's long side
    fill: float = 1.0  # the page's size, of what just fits into the image
    shift_x: float = 0.0  # of the page's centre, of the image's size
    shift_y: float = 0.0
    lens: float = 0.0  # see PageMap
    waves: int = 0  # curl and ripple
    wave_mm: float = 0.0
    creases: int = 0
    crease_mm: float = 0.0
    crease_kink: float = 0.0  # change of the displacement's slope at a crease
    relief: float = 0.0  # brightness step at a crease
    feed_axis: Literal["none", "x", "y"] = "none"  # along which a scanner's feed is uneven
    feed_period_mm: float = 0.0  # of its rollers
    feed_loss_mm: float = 0.0  # paper that each turn skips; negative: scanned twice
    feed_skips: int = 0  # larger losses, at any place
    feed_skip_mm: float = 0.0
    # print
    bleed: float = 1.0  # gain of darkness after ink has spread: 1 none
    ink_run_px: float = 0.0  # soaked ink
    toner: float = 0.0  # share of a colour that a laser prints as grey; 0: no laser print
    halftone: float = 0.0  # how far the laser's dots break up coloured lines
    pale_lost: float = 0.0  # darkness below which a laser prints nothing
    solid: float = 0.7  # darkness from which its toner covers the paper
    fibres: float = 0.0  # the paper's grain, standard deviation in grey levels
    print_dots: float = 0.0  # share of the tone that is printed as dots
    grid_strength: float = 1.0  # of the page's darkness in colours, black ink apart
    tone_power: float = 1.0  # of the darkness that is printed: below 1 pale colours come out darker
    fading: float = 0.0  # of the ink, in patches
    strong_lines: float = 0.0  # share of the major lines' length that prints black on a black-and-white page
    # paper
    margin_mm: float = 0.0  # of the sheet, beyond the printed page
    yellowing: float = 0.0
    stains: int = 0
    tide_marks: int = 0
    mould_clusters: int = 0
    bleed_through: float = 0.0  # of the page's own print, from behind
    worn_folds: float = 0.0  # ink lost along creases
    tears: int = 0
    holes: int = 0
    tape: int = 0
    staples: int = 0
    handwriting: int = 0
    # screen
    screen_width_px: int = 0  # screen pixels that show the page's width; 0: paper
    subpixels: float = 0.0  # modulation by the colour stripes
    scan_lines: float = 0.0  # modulation by the rows
    viewer_mm: float = 0.0  # the viewer's window round the page
    bezel_mm: float = 0.0
    # light
    light_slope: float = 0.0  # loss of light from one side to the other
    light_direction_deg: float = 0.0
    vignette: float = 0.0
    shadows: int = 0
    shadow_depth: float = 0.0
    shadow_tint: float = 0.0  # where no light falls, red up, blue down
    glare: float = 0.0
    # camera
    exposure: float = 1.0
    warmth: float = 0.0  # red up, blue down
    tint: float = 0.0  # green down
    contrast: float = 1.0  # of black to paper
    blur_px: float = 0.0  # standard deviation
    motion_px: float = 0.0
    motion_direction_deg: float = 0.0
    fringe: float = 0.0  # scale of red against green, and of green against blue, less 1
    sensor: Literal["mosaic", "binned"] = "mosaic"  # binned: every pixel has all colours
    noise: float = 0.0  # standard deviation in grey levels
    sharpen: float = 0.0
    tone: Literal["colour", "grey", "threshold", "dither", "halftone"] = "colour"
    red_light: float = 0.299  # share of red in the grey of a black-and-white scan
    threshold: float = 0.0  # of white
    jpeg_quality: int = 95
