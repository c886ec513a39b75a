"""python experiment/train_print_reader.py --csv-root RECORDS --output WEIGHTS [--fonts FOLDER]

Train the small network that reads lead names, paper speed and gain on pages, on pictures that are drawn as they are
needed over traces of the records. An interrupted training continues. One CPU core takes about fifteen minutes.
"""

from pathlib import Path

from ecg_generator_with_train_src.common.command_line import (
    add_seed,
    make_parser,
    positive_float,
    positive_int,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.records import find_records, read_record

MOST_RECORDS = 100  # traces of so many records are varied enough
FONT_SUFFIXES = (".ttf", ".otf")


def main(argv: list[str] | None = None) -> int:
    """Train the network; returns the exit code."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--csv-root", type=Path, required=True, help="records whose traces stand beside the print"
    )
    parser.add_argument("--fs-hz", type=positive_float, default=500.0, help="sampling rate of the records")
    parser.add_argument(
        "--fonts", type=Path, help="folder of fonts (ttf, otf) to print in besides those that matplotlib has"
    )
    parser.add_argument("--output", type=Path, required=True, help="the weights to write, .safetensors")
    parser.add_argument("--steps", type=positive_int, default=8000, help="steps of training in all")
    parser.add_argument("--batch-size", type=positive_int, default=8, help="pictures a step")
    parser.add_argument("--lr", type=positive_float, default=2e-3, help="highest learning rate")
    parser.add_argument("--start", type=Path, help="weights to go on from, as of an earlier training")
    add_seed(parser)
    arguments = parser.parse_args(argv)
    from ecg_generator_with_train_src.page.print_crops import print_material
    from experiment.training.print_training import PrintTraining, train_print_net

    signals_mv = [
        read_record(path, arguments.fs_hz).signal_mv
        for path in [*find_records(arguments.csv_root).values()][:MOST_RECORDS]
    ]
    if not signals_mv:
        raise InputError(f"{arguments.csv_root}: holds no records")
    material = print_material(signals_mv, arguments.fs_hz, _fonts(arguments.fonts))
    options = PrintTraining(
        arguments.output,
        arguments.steps,
        batch_size=arguments.batch_size,
        lr=arguments.lr,
        seed=arguments.seed,
        start=arguments.start,
    )
    train_print_net(material, options)
    print(f"weights of {arguments.steps} steps -> {arguments.output}")
    return 0


def _fonts(folder: Path | None) -> list[Path]:
    """The fonts of a folder. Raises InputError if it holds none."""
    if folder is None:
        return []
    fonts = sorted(path for path in folder.glob("*") if path.suffix.lower() in FONT_SUFFIXES)
    if not fonts:
        raise InputError(f"{folder}: holds no fonts ({', '.join(FONT_SUFFIXES)})")
    return fonts


if __name__ == "__main__":
    run(main)
