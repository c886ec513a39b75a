"""Which pages of a record are drawn: the setups that are allowed, and the one that each page draws from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.page.layouts import (
    LAYOUTS,
    Layout,
    LeadOrder,
    PageSetup,
    PaperSize,
    Pulse,
    parse_layout,
)
from ecg_generator_with_train_src.page.page import PageRequest

ALL_LAYOUTS = "all"


@dataclass(frozen=True)
class SetupChoices:
    """What pages may look like; where there are several values, each page draws one of them at random."""

    lead_orders: Sequence[LeadOrder]
    paper_sizes: Sequence[PaperSize]
    dpi: Sequence[float]
    paper_speeds_mm_s: Sequence[float]
    gains_mm_mv: Sequence[float]
    chest_gains_mm_mv: Sequence[float | None]
    rows_s: Sequence[float]
    simultaneous: Sequence[bool]
    pulses: Sequence[Pulse]
    separators: Sequence[bool]
    varied: bool  # paper, ink and furniture of any clinic, not the competition's


def choose_layouts(names: Sequence[str], rhythm_leads: Sequence[str] | None) -> list[Layout]:
    """The layouts of these names (`all`: every usual one), with the rhythm leads given where they have as many strips.

    Raises InputError for words that name no layout, and if none has as many strips as rhythm leads are given.
    """
    layouts = [*LAYOUTS.values()] if ALL_LAYOUTS in names else [*dict.fromkeys(map(parse_layout, names))]
    if not rhythm_leads:
        return layouts
    count = len(rhythm_leads)
    if all(len(layout.rhythm_leads) != count for layout in layouts):
        strips = ", ".join(f"{layout.name} has {len(layout.rhythm_leads)}" for layout in layouts)
        raise InputError(
            f"--rhythm-leads: {count} given, but the layouts have other numbers of rhythm strips: {strips}"
        )
    given = {"rhythm_leads": tuple(rhythm_leads)}
    return [x.model_copy(update=given) if len(x.rhythm_leads) == count else x for x in layouts]


def request_page(
    choices: SetupChoices, record_id: str, layout: Layout, variant: int, seed: int
) -> PageRequest:
    """The setup of one page, drawn from the choices with (seed, record, layout, variant), and the page's name.

    The competition's own page is named after its record, every other one `<record>__<layout>-<variant>`, with
    signs in the layout that every file system takes.
    """
    rng = random_stream(seed, record_id, "setup", layout.name, variant)

    def one_of(values: Sequence):
        return values[rng.integers(len(values))]

    setup = PageSetup(
        layout=layout,
        lead_order=one_of(choices.lead_orders),
        paper_size=one_of(choices.paper_sizes),
        dpi=one_of(choices.dpi),
        paper_speed_mm_s=one_of(choices.paper_speeds_mm_s),
        gain_mm_mv=one_of(choices.gains_mm_mv),
        chest_gain_mm_mv=one_of(choices.chest_gains_mm_mv),
        row_s=one_of(choices.rows_s),
        simultaneous=one_of(choices.simultaneous),
        pulse=one_of(choices.pulses),
        separators=one_of(choices.separators),
    )
    competition = setup.model_copy(update={"pulse": "left", "separators": True}) == PageSetup()
    if competition and not choices.varied and variant == 0:
        return PageRequest(record_id, setup, choices.varied, "default")
    name = f"{record_id}__{layout.file_name}-{variant}"
    return PageRequest(name, setup, choices.varied, f"{layout.name}-{variant}")
