"""The report on readings: doubtful pages first, each with what to copy."""

from experiment.reading.readings_report import CAPTIONS, readings_report

FACTS = {
    "layout": "3x4+II",
    "lead_order": "standard",
    "paper_speed_mm_s": 25.0,
    "gain_mm_mv": 10.0,
    "fs_hz": 500.0,
}


def about(status: str, confidence: float, *reasons: str) -> dict:
    return {
        **FACTS,
        "status": status,
        "reasons": list(reasons),
        "rotation_deg": 0.4,
        "leads": [{"confidence": confidence}],
    }


def test_doubtful_pages_come_first_with_their_reasons_and_lines():
    pages = {
        "good": about("sure", 0.9),
        "faint": about("sure", 0.6),
        "odd": about("check", 0.9, "the layout may be 4x3 & more"),
        "lost": {"status": "unread", "reasons": ["no grid is seen"], "fs_hz": 500.0},
    }
    text = readings_report("Readings", pages, dict.fromkeys(("good", "faint", "odd"), (b"a", b"b")))
    places = [
        text.index(f"<h2>{name}") for name in ("lost: unread", "odd: check", "faint: sure", "good: sure")
    ]
    assert places == sorted(places)
    assert "4 pages: 1 unread, 1 check, 2 sure" in text
    assert "the layout may be 4x3 &amp; more" in text and "no grid is seen" in text
    assert "odd,3x4+II,standard,0.4,25,10," in text
    assert text.count(CAPTIONS[0]) == 3


def test_pages_without_a_picture_stand_in_the_table_alone_unless_they_are_doubtful():
    pages = {"one": about("sure", 0.9), "two": about("check", 0.9, "why")}
    text = readings_report("Readings", pages, {})
    assert "<h2>one" not in text and "<h2>two" in text and "<td>one</td>" in text
