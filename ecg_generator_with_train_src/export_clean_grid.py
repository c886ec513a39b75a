"""python -m ecg_generator_with_train_src.export_clean_grid

Draw the default page's clean grid: clean_ecg_grid.png with its geometry beside it, and complete_mask.png, the
cores of its lines (255, else 0).
"""

from pathlib import Path

from .batch import write_text
from .command_line import make_parser, run
from .grid import draw_grid, draw_grid_mask
from .grid_file import GridSidecar, sidecar_path
from .image_files import encode_binary, encode_rgb, write_image
from .layouts import DEFAULT_SETUP


def main(argv: list[str] | None = None) -> None:
    """Write the three files."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--grid-file", type=Path, default=Path("ecg_generator_with_train_src/export/clean_ecg_grid.png")
    )
    parser.add_argument("--mask-file", type=Path, default=Path("image_data/complete_mask.png"))
    args = parser.parse_args(argv)
    geometry = DEFAULT_SETUP.paper()
    write_image(args.grid_file, encode_rgb(draw_grid(geometry)))
    write_text(sidecar_path(args.grid_file), GridSidecar(geometry=geometry).model_dump_json(indent=2) + "\n")
    write_image(args.mask_file, encode_binary(draw_grid_mask(geometry)))
    print(
        f"drew the {geometry.width_px}x{geometry.height_px} default grid: {args.grid_file}, {args.mask_file}"
    )


if __name__ == "__main__":
    run(main)
