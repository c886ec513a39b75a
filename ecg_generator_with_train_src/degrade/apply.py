"""Turn a page and its labels into a scan or photo: one warp for the image and all coverages, then light and sensor."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ecg_generator_with_train_src.common.classes import BACKGROUND, GRID, IGNORED, WAVEFORM
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.degrade.draw_strengths import Degradation
from ecg_generator_with_train_src.degrade.optics import (
    add_glare,
    background,
    blur,
    illuminate,
    light_field,
    scanner_noise,
    sharpen,
    through_sensor,
    to_two_tones,
)
from ecg_generator_with_train_src.degrade.paper_wear import wear_page
from ecg_generator_with_train_src.degrade.printing import print_page
from ecg_generator_with_train_src.degrade.screen import lay_raster, show_on_screen
from ecg_generator_with_train_src.degrade.strengths import Effects
from ecg_generator_with_train_src.page.compose import ComposedPage
from ecg_generator_with_train_src.page.coverage import widened
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import CORE_MM
from ecg_generator_with_train_src.page.page import TracePoints
from ecg_generator_with_train_src.page_map import PageMap, dense_index, local_scales, place_on_image

LID_RGB = (250, 250, 248)  # a scanner's lid, which shows beside the sheet
SUBPIXEL_BITS = 4  # polygons are drawn in sixteenths of a pixel
MIN_LINE_PX = 1.2  # the labels of thinner lines are widened to this width in the image
MAX_SHRINK = 0.8  # a page is resized first if its warp would shrink it to less than this


@dataclass(frozen=True)
class DegradedPage:
    """A scan or photo and its labels. All arrays are uint8 and (height, width, ...)."""

    image: np.ndarray  # RGB, not yet compressed as JPEG
    classes: np.ndarray  # 0 background, 1 grid, 2 waveform, 255 no paper
    coverage: np.ndarray  # how much of each pixel the traces cover: 0 to 255


def degrade(
    page: ComposedPage, paper: PaperGeometry, pen_px: float, degradation: Degradation
) -> DegradedPage:
    """Print, wear, warp and photograph a page. The same arguments give the same bytes.

    `paper` and `pen_px`, the pen's diameter, are in the page's pixels. The image has the size in pixels of
    `degradation.page_map`, which `sample_degradation` draws.

    >>> from ecg_generator_with_train_src.degrade.draw_strengths import sample_degradation
    >>> from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
    >>> scale = {"px_per_mm_x": 4.0, "px_per_mm_y": 4.0, "major_x_px": 2.0, "major_y_px": 2.0}
    >>> paper = PaperGeometry(width_px=640, height_px=480, **scale)
    >>> trace = np.zeros((480, 640), np.uint8)
    >>> trace[200:204, 100:500] = 255
    >>> grid_mask, blank = draw_grid_mask(paper), np.zeros_like(trace)
    >>> page = ComposedPage(draw_grid(paper), grid_mask, trace, blank, grid_mask)
    >>> drawn = sample_degradation(np.random.default_rng(0), "photo_print", paper, photo_size_px=800)
    >>> photo = degrade(page, paper, pen_px=4.0, degradation=drawn)
    >>> photo.image.shape, np.unique(photo.classes).tolist()
    ((600, 800, 3), [0, 1, 2, 255])
    """
    effects, page_map = degradation.effects, degradation.page_map
    rng = random_stream(degradation.texture_seed, "textures")
    printed = print_page(page.image.copy(), effects, paper, rng)
    worn, present = wear_page(printed, page_map, effects, rng)
    warp = prepare_warp(page_map, paper)
    classes, coverage, paper_here = warp_labels(page, present, paper, pen_px, warp)
    if effects.screen_width_px:
        scene = _screen_scene(worn, effects, paper, page_map, rng)
    else:
        scene = _paper_scene(
            _shrunk(worn, warp.shrink), effects, paper, page_map, warp.tables, paper_here, rng
        )
    image = _photographed(scene, effects, rng) if effects.camera == "phone" else _scanned(scene, effects, rng)
    return DegradedPage(image, classes, coverage)


@dataclass(frozen=True)
class Warp:
    """How the pixels of a page are mapped to the pixels of an image."""

    shrink: float  # the page is resized by this factor before it is warped
    finest: float  # image pixels per page pixel where the page is farthest from the camera
    tables: tuple[np.ndarray, np.ndarray]  # what cv2.remap takes


def prepare_warp(page_map: PageMap, paper: PaperGeometry) -> Warp:
    """Compute the tables of a map once; they can warp any number of layers."""
    scales = local_scales(page_map, paper.width_px, paper.height_px)
    shrink = min(1.0, float(np.median(scales)) / MAX_SHRINK)
    tables = cv2.convertMaps(dense_index(page_map, shrink), None, cv2.CV_16SC2)
    return Warp(shrink, float(np.percentile(scales, 5)), tables)


def warp_labels(
    page: ComposedPage, present: np.ndarray, paper: PaperGeometry, pen_px: float, warp: Warp
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes, the traces' coverage and the paper's coverage in the image, each (height, width) uint8.

    `present` is 255 where the page still has paper. Where it has none, the class is 255: not labelled.
    """
    labels = _label_layers(page, present, paper, pen_px, warp.finest)
    warped = cv2.remap(_shrunk(labels, warp.shrink), *warp.tables, cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0))
    trace, furniture, grid, paper_here = cv2.split(warped)
    return _classes(trace, furniture, grid, paper_here), cv2.min(trace, paper_here), paper_here


def place_points(points: TracePoints, page_map: PageMap) -> TracePoints:
    """Return the ideal trace in canvas coordinates of the image. Points outside the image are kept."""
    x_px, y_px = place_on_image(page_map, points.x_px, points.y_px)
    return replace(points, x_px=x_px.astype(np.float32), y_px=y_px.astype(np.float32))


def _label_layers(
    page: ComposedPage, present: np.ndarray, paper: PaperGeometry, pen_px: float, scale: float
) -> np.ndarray:
    """Stack traces, furniture, line cores and paper, (height, width, 4) uint8; thin lines are widened for the image."""
    core_px = max(1.0, CORE_MM * paper.px_per_mm)
    trace = widened(page.coverage, 0.8 * (MIN_LINE_PX / scale - pen_px))
    grid = widened(page.grid_mask, max(0.05, 0.8 * (1 / scale - core_px)))
    return cv2.merge([trace, page.furniture, grid, present])


def _shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return image
    # fx and fy keep the exact scale, which a size in pixels would round
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _classes(
    trace: np.ndarray, furniture: np.ndarray, grid: np.ndarray, paper_here: np.ndarray
) -> np.ndarray:
    """The topmost layer that covers at least half a pixel: no paper, waveform, furniture, grid, else background."""
    classes = cv2.threshold(grid, 127, GRID, cv2.THRESH_BINARY)[1]
    classes[furniture >= 128] = BACKGROUND
    classes[trace >= 128] = WAVEFORM
    classes[paper_here < 128] = IGNORED
    return classes


def _paper_scene(
    sheet: np.ndarray,
    effects: Effects,
    paper: PaperGeometry,
    page_map: PageMap,
    tables: tuple[np.ndarray, np.ndarray],
    paper_here: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lay the sheet on a desk, or under a scanner's lid, and light it."""
    grey = effects.tone != "colour"
    if grey:
        green = 0.84 * (1 - effects.red_light)  # green and blue keep the ratio that they have in luma
        sheet = cv2.transform(sheet, np.array([[effects.red_light, green, 1 - effects.red_light - green]]))
    scene = cv2.remap(sheet, *tables, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if effects.camera == "phone":
        # a tear would go through the margin too, so torn sheets get none
        margin = None if effects.tears else _margin(paper, page_map, effects.margin_mm)
        blank = np.median(sheet[::31, ::31], axis=(0, 1))  # most of a page is blank paper
        beneath = _beneath_with_shadow(page_map, paper_here, margin, blank, rng)
    else:
        beneath = np.full_like(scene, LID_RGB[1]) if grey else np.full_like(scene, LID_RGB)
    cv2.copyTo(beneath, cv2.compare(paper_here, 128, cv2.CMP_LT), scene)
    return illuminate(scene, light_field(page_map, effects, rng))


def _margin(paper: PaperGeometry, page_map: PageMap, margin_mm: float) -> list[np.ndarray] | None:
    """Outlines, in the image, of the sheet and of the page (slightly inside its edge); None if there is no margin."""
    if not margin_mm:
        return None
    return [_outline(paper, page_map, beyond_px) for beyond_px in (margin_mm * page_map.px_per_mm, -2)]


def _outline(paper: PaperGeometry, page_map: PageMap, beyond_px: float) -> np.ndarray:
    """A page's border in the image, moved outwards: points in sixteenths of a pixel, as OpenCV takes them."""
    across = np.linspace(-beyond_px, paper.width_px + beyond_px, 60)
    down = np.linspace(-beyond_px, paper.height_px + beyond_px, 60)
    x_px = np.concatenate([across, np.full(60, across[-1]), across[::-1], np.full(60, across[0])])
    y_px = np.concatenate([np.full(60, down[0]), down, np.full(60, down[-1]), down[::-1]])
    placed = np.stack(place_on_image(page_map, x_px, y_px), axis=-1) - 0.5
    return np.rint(placed * 2**SUBPIXEL_BITS).astype(np.int32)


def _beneath_with_shadow(
    page_map: PageMap,
    paper_here: np.ndarray,
    margin: list[np.ndarray] | None,
    blank: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The desk, darker close to the sheet, and the sheet's blank margin."""
    desk = background(page_map, rng)
    height, width = paper_here.shape
    if margin:
        paper_here = cv2.fillPoly(paper_here.copy(), margin[:1], 255, cv2.LINE_8, SUBPIXEL_BITS)
    small = cv2.resize(paper_here, (width // 16, height // 16), interpolation=cv2.INTER_AREA)
    shift = np.array([[1, 0, rng.uniform(-2, 2)], [0, 1, rng.uniform(-2, 2)]])
    small = cv2.GaussianBlur(cv2.warpAffine(small, shift, small.shape[::-1]), (0, 0), rng.uniform(0.7, 2.5))
    shade = cv2.resize(255 - (small * rng.uniform(0.4, 0.8)).astype(np.uint8), (width, height))
    desk = cv2.multiply(desk, cv2.merge([shade] * 3), scale=1 / 255)
    return cv2.fillPoly(desk, margin, blank, cv2.LINE_AA, SUBPIXEL_BITS) if margin else desk


def _screen_scene(
    page_image: np.ndarray,
    effects: Effects,
    paper: PaperGeometry,
    page_map: PageMap,
    rng: np.random.Generator,
) -> np.ndarray:
    """Show the page on a screen that stands in a room."""
    shown = show_on_screen(page_image, effects, paper, rng)
    tables = cv2.convertMaps(dense_index(page_map, shown.scale, shown.offset_px), None, cv2.CV_16SC2)
    view = cv2.remap(shown.image, *tables, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lit = illuminate(lay_raster(view, tables[1], effects), light_field(page_map, effects, rng))
    on_screen = cv2.remap(np.full(shown.image.shape[:2], 255, np.uint8), *tables, cv2.INTER_NEAREST)
    cv2.copyTo(background(page_map, rng), cv2.bitwise_not(on_screen), lit)
    return lit


def _photographed(scene: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Take a scene with a phone's lens and sensor."""
    if effects.glare:
        scene = add_glare(scene, effects.glare, rng)
    image = through_sensor(blur(scene, effects), effects, rng)
    return sharpen(image, effects.sharpen) if effects.sharpen else image


def _scanned(scene: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Scan a scene, in colour or in black and white."""
    image = scanner_noise(blur(scene, effects), effects, rng)
    if effects.tone == "colour":
        return image
    grey = to_two_tones(image, effects, rng)
    blue = cv2.convertScaleAbs(grey, alpha=1 - effects.warmth) if effects.tone == "grey" else grey
    return cv2.merge([grey, grey, blue])
