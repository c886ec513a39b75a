"""Which of the things that tell a page's scale is believed, and what is said of the others."""

import pytest

from experiment.reading.calibration import calibration
from experiment.reading.printed_text import NO_TEXT, PrintedScale, PrintedText
from experiment.reading.pulses import NO_PULSE, FoundPulse

PULSE = FoundPulse("left", 25.0, 5.0, 0.9)


def printed(*scales: tuple) -> PrintedText:
    return PrintedText(
        (), tuple(PrintedScale(unit, value, 0, 0, sure, of) for unit, value, sure, of in scales)
    )


def test_nothing_told_is_the_usual_and_is_said():
    found = calibration(None, None, NO_PULSE, NO_TEXT)
    assert (found.paper_speed_mm_s, found.gain_mm_mv) == (25, 10)
    assert (found.speed_from, found.gain_from) == ("assumed", "assumed")
    assert [doubt.split(":")[0] for doubt in found.doubts] == [
        "nothing tells the paper speed",
        "nothing tells the gain",
    ]


def test_pulses_tell_both():
    found = calibration(None, None, PULSE, NO_TEXT)
    assert (found.gain_mm_mv, found.gain_from, found.speed_from, found.doubts) == (5, "pulse", "pulse", ())


def test_certain_print_is_believed_before_pulses_and_these_before_other_print():
    certain = calibration(
        None, None, PULSE, printed(("mm/mV", 20.0, 0.95, "all"), ("mm/s", 25.0, 0.95, "all"))
    )
    assert (certain.gain_mm_mv, certain.gain_from, certain.speed_from) == (20, "print", "print")
    assert certain.doubts == ("the print says 20 mm/mV, the calibration pulse 5: look which is right",)
    fainter = calibration(None, None, PULSE, printed(("mm/mV", 20.0, 0.85, "all")))
    assert (fainter.gain_mm_mv, fainter.gain_from) == (5, "pulse")
    assert fainter.doubts == ("the calibration pulse says 5 mm/mV, the print 20: look which is right",)


def test_rare_values_must_be_printed_more_clearly():
    assert calibration(None, None, NO_PULSE, printed(("mm/mV", 2.5, 0.9, "all"))).gain_from == "assumed"
    assert calibration(None, None, NO_PULSE, printed(("mm/mV", 2.5, 0.95, "all"))).gain_mm_mv == 2.5
    assert calibration(None, None, NO_PULSE, printed(("mm/mV", 5.0, 0.85, "all"))).gain_mm_mv == 5


@pytest.mark.parametrize("sure", [0.2, 0.7])
def test_faint_print_is_not_believed(sure):
    assert calibration(None, None, PULSE, printed(("mm/mV", 20.0, sure, "all"))).gain_mm_mv == 5


def test_what_is_given_is_taken():
    found = calibration(50.0, 2.5, PULSE, printed(("mm/s", 25.0, 0.9, "all"), ("mm/mV", 5.0, 0.9, "chest")))
    assert (found.paper_speed_mm_s, found.gain_mm_mv, found.chest_gain_mm_mv) == (50, 2.5, None)
    assert (found.speed_from, found.gain_from, found.doubts) == ("given", "given", ())


def test_limb_and_chest_leads_have_gains_of_their_own():
    found = calibration(
        None, None, NO_PULSE, printed(("mm/mV", 10.0, 0.9, "limb"), ("mm/mV", 5.0, 0.9, "chest"))
    )
    assert (found.gain_mm_mv, found.chest_gain_mm_mv, found.gain_from) == (10, 5, "print")


@pytest.mark.parametrize(
    ("beats_mm", "speed"), [(20.8, 25), (42.0, 50), (34.0, 25), (5.0, 12.5), (None, 25), (200.0, 25)]
)
def test_where_nothing_tells_the_speed_the_first_is_assumed_that_a_heart_can_have(beats_mm, speed):
    found = calibration(None, None, NO_PULSE, NO_TEXT, beats_mm)
    assert (found.paper_speed_mm_s, found.speed_from) == (speed, "assumed")
    assert any("paper speed" in doubt for doubt in found.doubts)
    assert calibration(None, None, PULSE, NO_TEXT, beats_mm).paper_speed_mm_s == 25
