"""The errors that users see as a line instead of a stack trace."""

import errno
import traceback

from pydantic import ValidationError

from ecg_generator_with_train_src.common.packages import package_remedy


class InputError(Exception):
    """Bad input or usage that the user can mend; the message is one line that names the file and the remedy.

    `trace` is empty but for what `item_fault` makes: an unforeseen exception that costs one item of a batch.
    """

    trace: str = ""


FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
FAULT = "a fault of this program, please report it"


def item_fault(error: Exception, why: str = FAULT) -> InputError:
    """An unforeseen exception as one line, its stack trace kept for the log; a package that is missing is no fault."""
    if remedy := package_remedy(error):
        return InputError(remedy)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    fault = InputError(f"{why} ({what})")
    fault.trace = "".join(traceback.format_exception(error))
    return fault


def describe_os_error(error: OSError) -> str:
    """What the system refused, as `file: what is wrong`, with the remedy for a full disk."""
    if error.errno in FULL_DISK:
        return f"{error.filename or 'output'}: disk full; free some space, then run again to go on"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def first_problem(error: ValidationError) -> str:
    """The first thing wrong, as `dotted.field: what is wrong`."""
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
