"""Which of the things that tell a page's scale is believed, and what is said of the others."""

from dataclasses import replace

import pytest

from experiment.reading.calibration import TraceSizes, calibration
from experiment.reading.printed_text import NO_TEXT, PrintedScale, PrintedText
from experiment.reading.pulses import NO_PULSE, FoundPulse

PULSE_10 = FoundPulse("left", (25.0,), 10.0, 0.9)
PULSE = FoundPulse("left", (25.0,), 5.0, 0.9)


def printed(*scales: tuple) -> PrintedText:
    return PrintedText(
        (), tuple(PrintedScale(unit, value, 0, 0, sure, of) for unit, value, sure, of in scales)
    )


def test_nothing_told_is_the_usual_and_is_said():
    found = calibration(None, None, NO_PULSE, NO_TEXT)
    assert (found.paper_speed_mm_s, found.gain_mm_mv) == (25, 10)
    assert (found.speed_from, found.gain_from) == ("assumed", "assumed")
    assert found.doubts == (
        "nothing clearly tells the paper speed: 25 mm/s is assumed; --paper-speed-mm-s says it",
        "nothing clearly tells the gain: 10 mm/mV is assumed; --gain-mm-mv says it",
    )


def test_pulses_tell_both():
    found = calibration(None, None, PULSE, NO_TEXT, TraceSizes(height_mm=5.0))
    assert (found.gain_mm_mv, found.gain_from, found.speed_from, found.doubts) == (5, "pulse", "pulse", ())


def test_what_contradicts_is_said_and_the_clearer_is_taken():
    certain = calibration(None, None, PULSE, printed(("mm/mV", 20.0, 0.99, "all")))
    assert (certain.gain_mm_mv, certain.gain_from) == (20, "print")
    fainter = calibration(None, None, PULSE, printed(("mm/mV", 20.0, 0.85, "all")))
    assert (fainter.gain_mm_mv, fainter.gain_from) == (5, "pulse")
    says = "the print says 20 mm/mV, the calibration pulse 5: {} is taken; look which is right, --gain-mm-mv says it"
    assert (certain.doubts, fainter.doubts) == ((says.format(20),), (says.format(5),))


@pytest.mark.parametrize(("printed_10", "doubted"), [(0.04, True), (0.2, False)])
def test_print_that_is_not_that_of_the_pulse_is_said_even_if_it_is_hardly_legible(printed_10, doubted):
    pulse = FoundPulse("left", (25.0,), 10.0, 0.9)
    text = printed(
        ("mm/mV", 15.0, 0.6, "all"),
        ("mm/mV", 5.0, 0.2, "all"),
        ("mm/mV", 10.0, printed_10, "all"),
        ("mm/s", 25.0, 0.95, "all"),
    )
    found = calibration(None, None, pulse, text, TraceSizes(height_mm=10.0))
    assert (found.gain_mm_mv, bool(found.doubts), found.speed_from) == (10, doubted, "print")


def test_rare_values_must_be_printed_more_clearly_unless_traces_are_as_low():
    text = printed(("mm/mV", 2.5, 0.8, "all"), ("mm/mV", 10.0, 0.1, "all"), ("mm/s", 25.0, 0.95, "all"))
    doubtful = calibration(None, None, NO_PULSE, text)
    assert doubtful.doubts[0].startswith("nothing clearly tells the gain: 10 mm/mV is assumed")
    low = calibration(None, None, NO_PULSE, text, TraceSizes(height_mm=2.5))
    assert (low.gain_mm_mv, low.gain_from, low.doubts) == (2.5, "print", ())


@pytest.mark.parametrize(("sure", "doubted"), [(0.98, False), (0.85, True)])
def test_a_rare_gain_must_be_printed_clearly_beside_traces_that_the_usual_one_would_suit(sure, doubted):
    text = printed(("mm/mV", 20.0, sure, "all"), ("mm/s", 25.0, 0.95, "all"))
    found = calibration(None, None, NO_PULSE, text, TraceSizes(height_mm=10.0))
    assert (found.gain_mm_mv, bool(found.doubts)) == (20, doubted)


def test_traces_tell_which_of_two_values_is_printed():
    text = printed(("mm/mV", 20.0, 0.55, "all"), ("mm/mV", 5.0, 0.45, "all"), ("mm/s", 25.0, 0.95, "all"))
    high, low = (calibration(None, None, NO_PULSE, text, TraceSizes(height_mm=mm)) for mm in (20.0, 5.0))
    assert (high.gain_mm_mv, high.doubts) == (20, ())
    assert low.gain_mm_mv == 5


@pytest.mark.parametrize(
    ("pulse", "doubted"), [(NO_PULSE, True), (FoundPulse("left", (25.0,), 10.0, 0.9), False)]
)
def test_a_usual_gain_that_is_hardly_legible_is_doubted_without_a_pulse(pulse, doubted):
    text = printed(("mm/mV", 10.0, 0.46, "all"), ("mm/mV", 5.0, 0.4, "all"), ("mm/s", 25.0, 0.95, "all"))
    found = calibration(None, None, pulse, text, TraceSizes(height_mm=10.0))
    assert (found.gain_mm_mv, bool(found.doubts)) == (10, doubted)


def test_a_speed_beside_the_gain_is_believed_before_one_in_a_header():
    foot = PrintedScale("mm/s", 25.0, 100, 1650, 0.9), PrintedScale("mm/mV", 10.0, 500, 1652, 0.9)
    header = PrintedScale("mm/s", 50.0, 400, 40, 0.99)
    found = calibration(None, None, NO_PULSE, PrintedText((), (header, *foot)))
    assert (found.paper_speed_mm_s, found.speed_from, found.doubts) == (25, "print", ())
    assert calibration(None, None, NO_PULSE, PrintedText((), (header,))).paper_speed_mm_s == 50


def test_nothing_is_told_by_traces_alone():
    found = calibration(None, None, NO_PULSE, NO_TEXT, TraceSizes(beats_mm=60.0, height_mm=30.0))
    assert (found.paper_speed_mm_s, found.gain_mm_mv) == (50, 20)
    assert (found.speed_from, found.gain_from, len(found.doubts)) == ("assumed", "assumed", 2)


@pytest.mark.parametrize("sure", [0.2, 0.7])
def test_faint_print_is_not_believed_before_a_pulse(sure):
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


def test_two_gains_on_a_line_are_said():
    places = (("mm/s", 25.0, 100), ("mm/mV", 10.0, 300), ("mm/mV", 5.0, 600))
    scales = tuple(PrintedScale(unit, value, x, 900, 0.9) for unit, value, x in places)
    found = calibration(None, None, NO_PULSE, PrintedText((), scales))
    assert found.doubts[-1] == "gains of 5 and 10 mm/mV are printed: limb and chest leads may differ"
    assert calibration(None, None, NO_PULSE, PrintedText((), scales[:2])).doubts == ()
    for sure, doubted in ((0.3, False), (0.5, True)):
        faint = PrintedText((), (*scales[:2], replace(scales[2], probability=sure)))
        assert bool(calibration(None, None, PULSE_10, faint).doubts) == doubted


@pytest.mark.parametrize(("beats_mm", "speed"), [(20.8, 25), (60.0, 50), (42.0, 25), (None, 25), (200.0, 25)])
def test_where_nothing_tells_the_speed_that_is_assumed_which_suits_a_heart(beats_mm, speed):
    found = calibration(None, None, NO_PULSE, NO_TEXT, TraceSizes(beats_mm))
    assert (found.paper_speed_mm_s, found.speed_from) == (speed, "assumed")
    assert calibration(None, None, PULSE, NO_TEXT, TraceSizes(beats_mm)).paper_speed_mm_s == 25


@pytest.mark.parametrize(
    ("beats_mm", "speed", "doubted"), [(20.8, 25, False), (10.4, 25, True), (6.0, 25, True)]
)
def test_a_narrow_pulse_tells_the_speed_that_suits_a_heart(beats_mm, speed, doubted):
    narrow = FoundPulse("left", (25.0, 12.5), 10.0, 0.9)
    found = calibration(None, None, narrow, NO_TEXT, TraceSizes(beats_mm, 10.0))
    assert (found.paper_speed_mm_s, bool(found.doubts)) == (speed, doubted)
