"""The one error that users see as a line instead of a stack trace."""

from pydantic import ValidationError


class InputError(Exception):
    """Bad input or usage that the user can mend; the message is one line that names the file and the remedy."""


def describe_os_error(error: OSError) -> str:
    """What the system refused, as `file: what is wrong`."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def first_problem(error: ValidationError) -> str:
    """The first thing wrong, as `dotted.field: what is wrong`."""
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
