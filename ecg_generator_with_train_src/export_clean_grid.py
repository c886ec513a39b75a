"""python -m ecg_generator_with_train_src.export_clean_grid --train-root ori_csv/train

Take the clean grid from the rendered pages (<id>/<id>-0001.png) of many records: what a pixel shows on most pages
that carry no ink there. Writes clean_ecg_grid.png, its geometry (.json) and complete_mask.png (255 on the cores
of its lines) to --output-dir; what every page prints at the same place stays in the picture.
Without --train-root the default grid is drawn, to where the repository keeps it unless --output-dir says otherwise.
"""

import sys
from pathlib import Path

import numpy as np

from ecg_generator_with_train_src.common.command_line import make_parser, positive_int, run
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_text
from ecg_generator_with_train_src.common.image_files import encode_binary, encode_rgb, read_rgb
from ecg_generator_with_train_src.dataset.page_names import RENDERED
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.grid_file import GridSidecar, known_sheet, sidecar_path
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from ecg_generator_with_train_src.page.measure_grid import measure_grid

GRID_NAME, MASK_NAME = "clean_ecg_grid.png", "complete_mask.png"
DEFAULT_GRID = Path("ecg_generator_with_train_src/export") / GRID_NAME
DEFAULT_MASK = Path("image_data") / MASK_NAME
EXPORT_DIR = Path("data/exported_grid")
# rank of the page that is taken at each pixel, from dark to bright: nearly everywhere a tenth of the pages is unmarked
QUANTILE = 0.9
MIN_PAGES = 5
_ROWS_AT_ONCE = 100


def main(argv: list[str] | None = None) -> None:
    """Write grid, sidecar and mask."""
    parser = make_parser(__doc__)
    parser.add_argument("--train-root", type=Path, help="folder with <id>/<id>-0001.png of many records")
    parser.add_argument("--output-dir", type=Path, help=f"where to ({EXPORT_DIR} with --train-root)")
    parser.add_argument(
        "--max-pages", type=positive_int, default=40, help="pages read at most (12 MB of memory each)"
    )
    args = parser.parse_args(argv)
    if args.train_root:
        rgb, geometry, count = grid_from_pages(args.train_root, args.max_pages)
        print(f"took the grid from {count} pages of {args.train_root}")
        folder = args.output_dir or EXPORT_DIR
        export(folder / GRID_NAME, folder / MASK_NAME, rgb, geometry)
    else:
        geometry = DEFAULT_SETUP.paper()
        folder = args.output_dir
        files = (folder / GRID_NAME, folder / MASK_NAME) if folder else (DEFAULT_GRID, DEFAULT_MASK)
        export(*files, draw_grid(geometry), geometry)


def export(grid_path: Path, mask_path: Path, rgb: np.ndarray, geometry: PaperGeometry) -> None:
    """Write the three files and say so."""
    write_bytes(grid_path, encode_rgb(rgb))
    write_text(sidecar_path(grid_path), GridSidecar(geometry=geometry).model_dump_json(indent=2) + "\n")
    write_bytes(mask_path, encode_binary(draw_grid_mask(geometry)))
    size = f"{geometry.width_px}x{geometry.height_px}"
    print(
        f"{size} grid of {geometry.px_per_mm:.4f} px/mm -> {grid_path}, {sidecar_path(grid_path).name}, {mask_path}"
    )


def grid_from_pages(train_root: Path, max_pages: int) -> tuple[np.ndarray, PaperGeometry, int]:
    """The common grid of a folder's rendered pages (RGB), its geometry, and how many pages it was taken from.

    Pages of another size than most, and unreadable ones, are named on stderr and left out. Raises InputError if fewer
    than MIN_PAGES are left or their grid cannot be measured.
    """
    paths = sorted(train_root.glob(f"*/*-{RENDERED}.png"))
    paths = paths[:: max(1, len(paths) // max_pages)][:max_pages]
    pages = read_usual_pages(paths)
    if len(pages) < MIN_PAGES:
        raise InputError(
            f"{train_root}: {len(pages)} rendered pages (<id>/<id>-{RENDERED}.png) of one size, "
            f"at least {MIN_PAGES} needed"
        )
    rgb = usual_paper(pages)
    return rgb, known_sheet(measure_grid(rgb, train_root)), len(pages)


def read_usual_pages(paths: list[Path]) -> list[np.ndarray]:
    """The pages that can be read and are of the most common size."""
    pages: dict[Path, np.ndarray] = {}
    for path in paths:
        try:
            pages[path] = read_rgb(path)
        except InputError as error:
            print(f"left out: {error}", file=sys.stderr)
    shapes = [page.shape for page in pages.values()]
    usual = max(set(shapes), key=shapes.count, default=None)
    for path, page in pages.items():
        if page.shape != usual:
            print(f"left out: {path}: {page.shape[1]}x{page.shape[0]} pixels, unlike most", file=sys.stderr)
    return [page for page in pages.values() if page.shape == usual]


def usual_paper(pages: list[np.ndarray]) -> np.ndarray:
    """Per pixel, the colour of the page whose brightest channel ranks at QUANTILE; a band of rows at a time.

    The brightest channel, as ink darkens it on any paper, while a grey ink brightens the others on a red line.
    """
    rank = round(QUANTILE * (len(pages) - 1))
    bands = []
    for top in range(0, len(pages[0]), _ROWS_AT_ONCE):
        band = np.stack([page[top : top + _ROWS_AT_ONCE] for page in pages])
        chosen = np.argpartition(band.max(axis=3), rank, axis=0)[rank]
        bands.append(np.take_along_axis(band, chosen[None, ..., None], axis=0)[0])
    return np.concatenate(bands)


if __name__ == "__main__":
    run(main)
