"""What every command shares: how it ends, how it shows its help, and its common flags."""

import argparse
import gc
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError, describe_os_error
from ecg_generator_with_train_src.common.names import shown
from ecg_generator_with_train_src.common.packages import package_remedy

EXIT_DONE = 0
EXIT_SKIPPED = 1  # some items were left out, and named
EXIT_USAGE = 2  # bad usage, or bad input for the whole command
EXIT_NOT_FINITE = 3  # training ended because its loss or gradients were not finite
EXIT_FAULT = 70  # a fault of the program itself
EXIT_INTERRUPTED = 130
INSTALLED = "ecg-"  # the names of the commands that pip installs begin with it
_PROJECT = Path(__file__).resolve().parents[2]


def make_parser(docstring: str) -> argparse.ArgumentParser:
    """Parser whose description is a script's docstring, first line (the command) included.

    The help of a flag ends with its default, unless that is None. Paths inside the project are shown relative to it.
    A command that pip installed is called by its own name.
    """
    typed = Path(sys.argv[0])
    if typed.name.startswith(INSTALLED):
        docstring = re.sub(r"^python \S+\.py", typed.name, docstring)
    return argparse.ArgumentParser(description=docstring, formatter_class=_HelpFormatter)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if default is None:
            return action.help
        if isinstance(default, Path) and default.is_relative_to(_PROJECT):
            shown = default.relative_to(_PROJECT).as_posix().replace("%", "%%")
            return f"{action.help} (default: {shown})"
        return super()._get_help_string(action)


def add_num_workers(parser: argparse.ArgumentParser) -> None:
    """`--num-workers`: the cores this process may use by default."""
    parser.add_argument(
        "--num-workers", type=positive_int, default=available_cores(), help="worker processes"
    )


def add_dask_scheduler(parser: argparse.ArgumentParser) -> None:
    """`--dask-scheduler`: do the work on a cluster instead of on this machine's cores."""
    parser.add_argument(
        "--dask-scheduler",
        metavar="tcp://HOST:8786",
        help="work on this Dask cluster, over storage that all share",
    )


def share_paths(args: argparse.Namespace) -> None:
    """Make all paths absolute where a cluster's workers, which run in folders of their own, will open them."""
    if args.dask_scheduler:
        for name, value in vars(args).items():
            if isinstance(value, Path):
                setattr(args, name, value.absolute())
            elif isinstance(value, list) and value and isinstance(value[0], Path):
                setattr(args, name, [path.absolute() for path in value])


def workers_used(args: argparse.Namespace) -> str:
    """For the last line: who did the work."""
    return f"cluster {args.dask_scheduler}" if args.dask_scheduler else f"{args.num_workers} workers"


def add_seed(parser: argparse.ArgumentParser) -> None:
    """`--seed`: 0 by default; 0 is a seed like any other."""
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random in this step")


def positive_float(text: str) -> float:
    """Type of flags that take a finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def positive_int(text: str) -> int:
    """argparse type: a whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return value


def available_cores() -> int:
    """Cores this process may run on (an affinity mask counts), at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_what_is_done() -> None:
    """Let SIGTERM, which a machine sends before it shuts down, end this command as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def run(main: Callable[[], int | None]) -> None:
    """Exit with `main`'s code.

    An InputError, what the system refuses (a full disk, a folder not to be written), or an optional package that is
    not installed becomes one line and exit 2;
    Ctrl-C one line and exit 130; any other exception is a fault of the program: its stack trace and exit 70.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # of names that are not UTF-8, as stderr does by itself
    try:
        code = main() or EXIT_DONE
    except InputError as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        code = EXIT_USAGE
    except OSError as error:
        print(f"error: {shown(describe_os_error(error))}", file=sys.stderr)
        code = EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept; run the same command again to go on", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except Exception as error:
        code = _report(error)
    gc.freeze()  # else the interpreter, as it ends, looks through all that the libraries hold: a third of a second
    sys.exit(code)


def _report(error: Exception) -> int:
    """Say what ended the program: a package that is not installed, or a fault of its own; returns the exit code."""
    if remedy := package_remedy(error):
        print(f"error: {remedy}", file=sys.stderr)
        return EXIT_USAGE
    traceback.print_exception(error)
    print("error: a fault of this program; please report it with the lines above", file=sys.stderr)
    return EXIT_FAULT
