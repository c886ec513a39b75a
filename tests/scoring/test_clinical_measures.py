"""What clinicians measure, on signals whose heart rate, intervals and heights are known."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.layouts import LAYOUTS, PageSetup
from ecg_generator_with_train_src.page.records import LEADS
from experiment.scoring.clinical_measures import (
    BEAT_LEADS,
    HEIGHTS,
    TIMES,
    WHOLE_PAGE,
    NoBeatsError,
    find_beats,
    measure,
)

from known_signals import heartbeats_mv

FS_HZ = 500
ALL = np.ones((12, 10 * FS_HZ), bool)


def heights(measured, lead: str) -> list[float]:
    return [measured.values[lead, name] for name in HEIGHTS]


def test_heart_rate_intervals_and_heights_of_known_beats():
    measured = measure(heartbeats_mv(FS_HZ), ALL, FS_HZ)
    assert not measured.failures
    assert measured.values[WHOLE_PAGE, "heart rate"] == pytest.approx(75)
    for name, expected_ms in (("PR", 160), ("QRS", 90), ("QT", 390)):  # bells have no sharp ends
        assert measured.values[WHOLE_PAGE, name] == pytest.approx(expected_ms, abs=20)
    for k, lead in enumerate(LEADS):
        expected_mv = np.array([1.0, -0.3, 0.1]) * (1 + k / 10)
        assert heights(measured, lead) == pytest.approx(expected_mv, abs=0.05 * (1 + k / 10))


def test_a_level_and_a_shift_change_nothing_and_a_gain_changes_heights_alone():
    signal_mv = heartbeats_mv(FS_HZ)
    before = measure(signal_mv, ALL, FS_HZ).values
    moved = measure(np.roll(signal_mv, 25, axis=1) + 0.5, ALL, FS_HZ).values
    halved = measure(signal_mv / 2, ALL, FS_HZ).values
    for (lead, name), value in before.items():
        assert moved[lead, name] == pytest.approx(value, abs=6 if lead == WHOLE_PAGE else 0.01)
        assert halved[lead, name] == pytest.approx(value if lead == WHOLE_PAGE else value / 2)


def test_leads_of_a_page_are_measured_at_the_beats_of_its_strip():
    shown = PageSetup(layout=LAYOUTS["3x4+II"]).shown(FS_HZ, 10 * FS_HZ).T
    whole = measure(heartbeats_mv(FS_HZ), ALL, FS_HZ).values
    seen = measure(np.where(shown, heartbeats_mv(FS_HZ), np.nan), shown, FS_HZ)
    assert not seen.failures
    assert [seen.values[WHOLE_PAGE, name] for name in TIMES] == [whole[WHOLE_PAGE, name] for name in TIMES]
    for lead in LEADS:
        assert heights(seen, lead) == pytest.approx([whole[lead, name] for name in HEIGHTS], abs=0.01)


def test_short_leads_without_a_strip_have_their_own_beats():
    shown = PageSetup(layout=LAYOUTS["3x4"]).shown(FS_HZ, 10 * FS_HZ).T
    seen = measure(np.where(shown, heartbeats_mv(FS_HZ), np.nan), shown, FS_HZ)
    assert not seen.failures
    assert seen.values[WHOLE_PAGE, "heart rate"] == pytest.approx(75)
    assert seen.values["V6", "R"] == pytest.approx(2.1, abs=0.1)


def test_gaps_are_bridged():
    signal_mv = heartbeats_mv(FS_HZ)
    signal_mv[LEADS.index("V3"), 1010:1050] = np.nan  # between two beats
    assert measure(signal_mv, ALL, FS_HZ).values["V3", "R"] == pytest.approx(1.8, abs=0.1)


def test_a_lead_that_nothing_beats_in_is_named_with_the_reason():
    flat = measure(np.zeros((12, 10 * FS_HZ)), ALL, FS_HZ)
    assert list(flat.failures) == ["II"] and flat.failures["II"]
    assert np.isnan(list(flat.values.values())).all()
    for lead_mv in (np.zeros(5000), np.linspace(0, 1, 5000), np.zeros(3), np.zeros(1)):
        with pytest.raises(NoBeatsError):
            find_beats(lead_mv, 0, FS_HZ)


def test_every_lead_can_tell_the_beats():
    assert sorted(BEAT_LEADS) == sorted(LEADS)
