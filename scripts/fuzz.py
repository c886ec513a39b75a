"""python scripts/fuzz.py --inputs 500 --seed 0

Show the commands damaged and hostile files, and count what none of them may cause: a stack trace, more than 60 s, more
than 2 GiB, a file written or deleted outside of the output folder. Sound files of every kind are made first; then each
input damages one of them, and the command that reads it runs in a process of its own. The same number and seed give
the same input. The folder of each input that did harm is kept, with what the command said; --only runs it again.
"""

import argparse
import os
import time
from pathlib import Path

from ecg_generator_with_train_src.common.command_line import (
    EXIT_DONE,
    EXIT_SKIPPED,
    add_num_workers,
    add_seed,
    make_parser,
    positive_float,
    positive_int,
    run,
)
from ecg_generator_with_train_src.common.folder_lock import locked


def main(argv: list[str] | None = None) -> int:
    """Run the inputs; the exit code is 1 if one of them did harm."""
    args = parse_arguments(argv)
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: several commands run side by side
    # These modules load all that the commands need, which --help does not.
    from experiment.fuzzing.campaign import fuzz, harm_table
    from experiment.fuzzing.children import Limits
    from experiment.fuzzing.material import make_material
    from experiment.fuzzing.targets import load_commands
    from experiment.fuzzing.working_folder import CASES, MATERIAL, cleared

    started = time.perf_counter()
    with locked(args.output_dir):
        folder = cleared(args.output_dir)
        load_commands()
        make_material(folder / MATERIAL)
        limits = Limits(args.limit_s, args.limit_mib)
        verdicts = fuzz(args.only or range(args.inputs), args.seed, folder, limits, args.num_workers)
    print("\n".join(harm_table(verdicts)))
    bad = sum(verdict.is_bad for verdict in verdicts)
    seconds = time.perf_counter() - started
    print(f"tried {len(verdicts)} inputs, {bad} did harm -> {folder / CASES} in {seconds:.0f} s")
    return EXIT_SKIPPED if bad else EXIT_DONE


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--inputs", type=positive_int, default=500, help="number of inputs")
    parser.add_argument(
        "--only", type=int, nargs="+", metavar="NUMBER", help="run the inputs of these numbers"
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path("data/fuzz"),
        help="working folder; what an earlier run left is removed",
    )
    parser.add_argument(
        "--limit-s", type=positive_float, default=60.0, help="seconds that a command may take"
    )
    parser.add_argument(
        "--limit-mib", type=positive_float, default=2048.0, help="memory that it may take, in MiB"
    )
    add_seed(parser)
    add_num_workers(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    run(main)
