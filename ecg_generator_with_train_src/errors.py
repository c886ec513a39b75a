"""The one error that users see as a line instead of a stack trace."""


class InputError(Exception):
    """Bad input or usage that the user can mend; the message is one line that names the file and the remedy."""
