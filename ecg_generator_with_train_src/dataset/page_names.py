"""What the name of a page's file says: its record, its layout, and its type or the profile that it went through.

<id>                    the record's default page, or the signals that were read from it
<id>-<type>             a page of the competition: rendered, scanned or photographed
<id>-<type>-<k>         another scan or photo of the same type
<id>__<layout>-<k>      a rendered page of another layout
<page>-<profile>-<k>    a sample of a dataset
"""

import re
from collections.abc import Container
from dataclasses import dataclass

RENDERED = "0001"  # the rendered page itself, neither scanned nor photographed
PHOTOS = ("0005", "0006", "0009", "0010")
PAGE_TYPES = (RENDERED, "0003", "0004", *PHOTOS, "0011", "0012")  # the competition's; the others are scans

_BEHIND_RECORD = re.compile(
    r"(?:__(?P<layout>[^-]*)(?:-\d+)?)?"
    r"(?:-(?P<kind>.+?)(?:-(?P<number>\d+))?)?"
)
_OF_COMPETITION = re.compile(rf"(?P<record>.+?)(?=-(?:{'|'.join(PAGE_TYPES)})(?:-\d+)?$)")


@dataclass(frozen=True)
class PageName:
    """The parts of a page's name; those that it lacks are empty."""

    record: str
    is_known: bool  # whether the record is one of those that were given
    layout: str = ""
    kind: str = ""  # a page type, a profile, or whatever stands in its place
    number: int | None = None


def parse_page_name(name: str, records: Container[str] = ()) -> PageName:
    """Take the name of a page, without suffix, apart; what folders it has before it tell nothing.

    The record is the longest of `records` that the name begins with. If it begins with none of them, the record is
    what stands before one of the competition's page types, or else the whole name.

    >>> parse_page_name("02132_hr-0005-2", {"02132_hr"})
    PageName(record='02132_hr', is_known=True, layout='', kind='0005', number=2)
    >>> parse_page_name("1053922973-0006").record
    '1053922973'
    """
    name = name.rpartition("/")[2]
    ends = [len(name), *(match.start() for match in re.finditer("-|__", name))]
    for end in sorted(ends, reverse=True):
        if name[:end] in records and (behind := _BEHIND_RECORD.fullmatch(name, end)):
            return _page_name(name[:end], True, behind)
    match = _OF_COMPETITION.match(name)
    if match is None:
        return PageName(name, False)
    return _page_name(match["record"], False, _BEHIND_RECORD.fullmatch(name, match.end()))


def _page_name(record: str, is_known: bool, behind: re.Match) -> PageName:
    number = int(behind["number"]) if behind["number"] else None
    return PageName(record, is_known, behind["layout"] or "", behind["kind"] or "", number)
