"""Notes on many items, such as records, for people: one line for each kind, with the names."""

from collections.abc import Iterable, Iterator

NAMES_SHOWN = 10


def note_lines(notes: Iterable[tuple[str, str]], items: str) -> Iterator[str]:
    """A line for each note, from pairs of an item's name and a note; a pair that comes twice counts once.

    >>> list(note_lines([("a", "cut"), ("b", "cut"), ("a", "cut"), ("b", "turned")], "records"))
    ['2 records: cut: a; b', '1 records: turned: b']
    """
    names: dict[str, set[str]] = {}
    for name, note in notes:
        names.setdefault(note, set()).add(name)
    for note, noted in sorted(names.items()):
        yield f"{len(noted)} {items}: {note}: {shorten(sorted(noted))}"


def shorten(names: list[str], between: str = "; ") -> str:
    """The first names, and how many more there are.

    >>> shorten(list("abcdefghijkl"), ", ")
    'a, b, c, d, e, f, g, h, i, j and 2 more'
    """
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return between.join(names[:NAMES_SHOWN]) + more
