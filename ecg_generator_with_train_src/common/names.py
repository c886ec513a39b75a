"""Names of files in messages, tables and reports, whatever they are made of.

Characters that are no text, such as tabs, newlines and bytes that are not UTF-8, are written as escapes: a name stays
in its line and its column. In tables that spreadsheets open, a cell that they would take for a formula begins with an
apostrophe, by which they know it is text.
"""

import re

_NO_TEXT = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@")


def is_text(name: str) -> bool:
    """Whether a name can be written as it is."""
    return _NO_TEXT.search(name) is None


def shown(text: str) -> str:
    r"""The text with escapes for what is no text.

    >>> print(shown("a\tb"), shown(b"caf\xe9".decode(errors="surrogateescape")), shown("Größe"))
    a\tb caf\xe9 Größe
    """
    return _NO_TEXT.sub(_escape, text)


def _escape(match: re.Match) -> str:
    number = ord(match.group())
    if 0xDC80 <= number <= 0xDCFF:  # how Python holds a byte of a name that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return match.group().encode("unicode_escape").decode()


def table_cell(name: str) -> str:
    """A name as a cell of a table. `name_in_cell` gives it back."""
    text = shown(name)
    return f"'{text}" if text.startswith(_FORMULA) else text


def name_in_cell(cell: str) -> str:
    """The name that a cell shows.

    >>> name_in_cell(table_cell("=1+1")), name_in_cell("'quoted'")
    ('=1+1', "'quoted'")
    """
    return cell[1:] if cell.startswith(tuple(f"'{sign}" for sign in _FORMULA)) else cell
