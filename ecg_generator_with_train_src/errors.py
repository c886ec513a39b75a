"""The one error that users see as a line instead of a stack trace."""

from pydantic import ValidationError


class InputError(Exception):
    """Bad input or usage that the user can mend; the message is one line that names the file and the remedy."""


def first_problem(error: ValidationError) -> str:
    """The first thing wrong, as `dotted.field: what is wrong`."""
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
