"""Which layouts are drawn, and what each page draws from the choices."""

from dataclasses import replace

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.page.choose_setup import SetupChoices, choose_layouts, request_page
from ecg_generator_with_train_src.page.layouts import DEFAULT_LAYOUT, LAYOUTS, PageSetup

ONLY_COMPETITION = SetupChoices(
    lead_orders=["standard"],
    paper_sizes=["letter"],
    dpi=[200],
    paper_speeds_mm_s=[25],
    gains_mm_mv=[10],
    chest_gains_mm_mv=[None],
    rows_s=[10.0],
    simultaneous=[False],
    pulses=["left"],
    separators=[True],
    varied=False,
)


def test_layouts_are_taken_once_each_and_all_are_all():
    assert choose_layouts(["6x2", "3x4", "6x2"], None) == [LAYOUTS["6x2"], LAYOUTS["3x4"]]
    assert choose_layouts(["3x4", "all"], None) == list(LAYOUTS.values())


def test_rhythm_leads_go_to_the_layouts_with_as_many_strips():
    one, none = choose_layouts(["3x4+II", "3x4"], ["V1"])
    assert (one.rhythm_leads, none) == (("V1",), LAYOUTS["3x4"])
    with pytest.raises(InputError, match=r"--rhythm-leads: 2 given.*3x4\+II has 1, 3x4 has 0"):
        choose_layouts(["3x4+II", "3x4"], ["V1", "V5"])


def test_the_competitions_page_bears_the_name_of_its_record_and_others_their_layouts():
    request = request_page(ONLY_COMPETITION, "17", DEFAULT_LAYOUT, 0, seed=0)
    assert (request.name, request.variant, request.setup) == ("17", "default", PageSetup())
    assert request_page(ONLY_COMPETITION, "17", DEFAULT_LAYOUT, 1, seed=0).name == "17__3x4+II-1"
    assert request_page(ONLY_COMPETITION, "17", LAYOUTS["6x2"], 0, seed=0).name == "17__6x2-0"
    varied = replace(ONLY_COMPETITION, varied=True)
    assert request_page(varied, "17", DEFAULT_LAYOUT, 0, seed=0).name == "17__3x4+II-0"


def test_every_choice_is_drawn_by_some_page_and_the_same_page_draws_the_same():
    choices = replace(ONLY_COMPETITION, gains_mm_mv=[5, 10, 20], separators=[True, False])
    setups = [request_page(choices, f"r{k}", DEFAULT_LAYOUT, 0, seed=0).setup for k in range(40)]
    assert {setup.gain_mm_mv for setup in setups} == {5, 10, 20}
    assert {setup.separators for setup in setups} == {True, False}
    assert setups[3] == request_page(choices, "r3", DEFAULT_LAYOUT, 0, seed=0).setup
