"""Names and scales are spelled in the usual ways, and what they mean is said with them."""

import re

import numpy as np

from ecg_generator_with_train_src.page.print_words import (
    PRINTED_NAMES,
    PRINTED_WORDS,
    drawn_line,
    name_as_printed,
)

LINES = [drawn_line(np.random.default_rng(seed)) for seed in range(4000)]


def texts_of(word: str) -> set[str]:
    return {text for line in LINES for text, meant in line if meant == word}


def test_names_are_spelled_in_the_usual_ways():
    spelled = {name_as_printed("aVR", np.random.default_rng(seed)) for seed in range(300)}
    assert {word for _, word in spelled} == {"aVR"}
    assert {"aVR", "AVR", "aVr", "VR", "a V R", "Lead aVR"} <= {text for text, _ in spelled}
    assert {"II", "DII", "D2"} <= texts_of("II")


def test_scales_say_their_value():
    assert {"25 mm/s", "25mm/s", "25.0 mm/s", "25 mm/sec", "Speed: 25 mm/s"} <= texts_of("25 mm/s")
    assert {"10 mm/mV", "10mm/mV", "1 cm/mV"} <= texts_of("10 mm/mV")
    assert {"Chest: 5 mm/mV", "Chest: 5"} <= texts_of("5 mm/mV chest")
    for line in LINES:
        for text, word in line:
            if word and word not in PRINTED_NAMES:
                factor = 10 if "cm/mV" in text else 1
                assert factor * float(re.search(r"\d[\d.]*", text)[0]) == float(word.split()[0])


def test_all_words_and_other_print_come():
    meant = [word for line in LINES for _, word in line]
    assert set(meant) == {None, *PRINTED_WORDS}
