"""Setups, papers, inks and furniture beside the default ones."""

import json

import numpy as np
import pytest

from ecg_generator_with_train_src.common.classes import GRID, WAVEFORM
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.image_files import read_classes, read_grey, read_rgb
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.geometry import PaperGeometry
from ecg_generator_with_train_src.page.grid import GridStyle, draw_grid, draw_grid_mask
from ecg_generator_with_train_src.page.layouts import LAYOUTS, PageSetup
from ecg_generator_with_train_src.page.page import read_page_description
from ecg_generator_with_train_src.page.records import LEADS
from ecg_generator_with_train_src.page.style import MIN_PEN_PX, varied_style

from conftest import GRID as GRID_FILE
from conftest import MASK, run_script, succeed
from helpers import files_below, waves_mv, write_csv

EVERYTHING = (
    *("--layouts", "all", "--style", "varied", "--lead-order", "standard", "cabrera"),
    *(
        "--paper-size",
        "letter",
        "a4",
        "--dpi",
        100,
        150,
        200,
        "--paper-speed-mm-s",
        25,
        50,
        "--gain-mm-mv",
        5,
        10,
        20,
    ),
    *("--calibration-pulse", "left", "right", "none", "--separators", "yes", "no"),
)


def render(csv_root, target, *flags):
    """Render into <target>/i and <target>/m."""
    folders = ("--image-dir", target / "i", "--mask-dir", target / "m")
    return succeed(
        "scripts/batch_render_waveforms.py", "--csv-root", csv_root, "--grid", GRID_FILE, *folders, *flags
    )


@pytest.fixture(scope="module")
def two_records(tmp_path_factory):
    """A 250 Hz and a 1025 Hz record with all leads full: other layouts show other times of a lead."""
    root = tmp_path_factory.mktemp("two") / "records"
    for name, fs_hz in (("slow", 250), ("fast", 1025)):
        write_csv(root / f"{name}.csv", waves_mv(fs_hz))
    return root


@pytest.fixture(scope="module")
def varied(two_records, tmp_path_factory):
    """Every layout of two records, everything else drawn at random; rendered and built."""
    root = tmp_path_factory.mktemp("varied")
    render(two_records, root, *EVERYTHING)
    inputs = ("--input-root", two_records, "--mask", MASK, "--wave-root", root / "i")
    succeed("scripts/build_dataset.py", *inputs, "--output-root", root / "d")
    return root


def test_every_layout_shows_every_lead_and_its_rhythm_strips():
    shown = {}
    for name, layout in LAYOUTS.items():
        setup = PageSetup(layout=layout)
        placements = setup.placements(setup.page_on(setup.paper()))
        leads = [place.lead for place in placements]
        assert sorted(leads) == sorted((*LEADS, *layout.rhythm_leads))
        rows = {place.row for place in placements}
        shown[name] = (len(rows), max(sum(place.row == row for place in placements) for row in rows))
    sizes = ((4, 4), (3, 4), (6, 4), (6, 2), (7, 2), (12, 1), (4, 3))
    assert shown == dict(zip(LAYOUTS, sizes, strict=True))


def test_cabrera_order_turns_avr_upside_down():
    setup = PageSetup(layout=LAYOUTS["12x1"], lead_order="cabrera")
    placements = setup.placements(setup.page_on(setup.paper()))
    assert [place.label for place in placements][:6] == ["aVL", "I", "-aVR", "II", "aVF", "III"]
    upside_down = placements[2]
    assert upside_down.lead == "aVR"
    # 1 mV at 10 mm/mV and 200 dpi is 78.740 px, here below the zero line
    assert upside_down.y_px_of_mv(1.0) - upside_down.zero_y_px == pytest.approx(78.740, abs=1e-3)
    assert upside_down.mv_of_y_px(upside_down.y_px_of_mv(0.3)) == pytest.approx(0.3)


def test_at_50_mm_per_s_a_row_shows_five_seconds_at_twice_the_pitch():
    setup = PageSetup(paper_speed_mm_s=50)
    first, second, *_ = setup.placements(setup.page_on(setup.paper()))
    assert (first.start_s, first.end_s, second.start_s, second.end_s) == (0, 1.25, 1.25, 2.5)
    # a pulse of 0.2 s is 10 mm: rows start at 20 mm = 157.480 px; a column is 62.5 mm = 492.126 px
    assert first.x0_px == pytest.approx(157.480, abs=1e-3)
    assert second.x0_px - first.x0_px == pytest.approx(492.126, abs=1e-3)


def test_rows_that_do_not_fit_on_a_grid_are_refused():
    narrow = PaperGeometry(
        width_px=1000, height_px=800, px_per_mm_x=8, px_per_mm_y=8, major_x_px=0, major_y_px=0
    )
    with pytest.raises(InputError, match=r"125\.0 mm is too narrow: the rows end 265\.0 mm"):
        PageSetup().page_on(narrow)


def test_a_plain_page_of_another_layout_has_its_own_name_and_the_default_one_keeps_the_records(
    two_records, tmp_path
):
    render(two_records, tmp_path, "--layouts", "3x4+II", "6x2", "--variants", 2)
    names = {path.name.removesuffix(".page.json") for path in (tmp_path / "i").glob("*.page.json")}
    one = {"slow", "slow__3x4+II-1", "slow__6x2-0", "slow__6x2-1"}
    assert names == one | {name.replace("slow", "fast") for name in one}


def test_rhythm_leads_are_those_asked_for(two_records, tmp_path):
    render(two_records, tmp_path, "--layouts", "3x4+V1,II,V5", "3x4", "--rhythm-leads", "I", "aVF", "V2")
    page = read_page_description(tmp_path / "i" / "slow__3x4+I_aVF_V2-0.page.json")
    assert [place.lead for place in page.placements[12:]] == ["I", "aVF", "V2"]


def test_the_same_seed_gives_the_same_varied_pages_and_another_seed_others(varied, two_records, tmp_path):
    render(two_records, tmp_path / "again", *EVERYTHING, "--num-workers", 1)
    assert files_below(tmp_path / "again") == {
        name: data for name, data in files_below(varied).items() if name.startswith(("i/", "m/"))
    }
    render(two_records, tmp_path / "other", *EVERYTHING, "--seed", 1)
    descriptions = [
        [json.loads(path.read_text())["style"] for path in sorted((root / "i").glob("*.page.json"))]
        for root in (varied, tmp_path / "other")
    ]
    assert all(ours != theirs for ours, theirs in zip(*descriptions, strict=True))


def test_labels_of_varied_pages_are_the_traces_and_the_grid_of_their_own_style(varied):
    samples = read_manifest(varied / "d")
    assert len(samples) == 14
    for sample in samples:
        page = read_page_description(varied / "i" / f"{sample.name.removesuffix('-clean-0')}.page.json")
        classes, coverage = (
            read_classes(varied / "d" / sample.mask),
            read_grey(varied / "d" / sample.coverage),
        )
        assert classes.shape == (page.geometry.height_px, page.geometry.width_px)
        assert np.array_equal(classes == WAVEFORM, coverage >= 128)
        cores = draw_grid_mask(page.geometry.paper, page.style.grid) > 0
        assert not (classes == GRID)[~cores].any()
        assert (classes == GRID)[cores].mean() > 0.8


def test_untouched_pixels_of_varied_pages_are_the_paper_of_their_style(varied):
    for sample in read_manifest(varied / "d")[:4]:
        page = read_page_description(varied / "i" / f"{sample.name.removesuffix('-clean-0')}.page.json")
        image, paper = read_rgb(varied / "d" / sample.image), draw_grid(page.geometry.paper, page.style.grid)
        assert (image == paper).all(axis=2).mean() > 0.85


def test_pens_are_at_least_a_pixel_wide_at_any_resolution():
    for dpi in (100, 200, 400):
        paper = PageSetup(dpi=dpi).paper()
        for seed in range(20):
            style = varied_style(random_stream(seed, "pen"), paper)
            assert paper.px_of_points(style.pen_points) >= MIN_PEN_PX


def test_dotted_minor_lines_show_where_they_cross_alone():
    paper = PageSetup().paper()
    solid, dotted = draw_grid_mask(paper), draw_grid_mask(paper, GridStyle(minor="dotted"))
    # minor columns 8 and 16, minor rows 1692 and 1684 (1700 - 7.874 k, rounded); column 12 lies between lines
    assert dotted[1692, 8] == dotted[1684, 16] == 255
    assert solid[1692, 12] == 255 and dotted[1692, 12] == 0
    picture = draw_grid(paper, GridStyle(minor="dotted"))
    assert tuple(picture[1692, 8]) == GridStyle().minor_rgb and tuple(picture[1692, 12]) == (255, 255, 255)
    assert dotted[:, 39].all()  # major lines stay


def test_one_folder_for_ink_and_masks_is_refused(two_records, tmp_path):
    result = run_script(
        "scripts/batch_render_waveforms.py",
        *("--csv-root", two_records, "--grid", GRID_FILE, "--image-dir", tmp_path, "--mask-dir", tmp_path),
    )
    assert result.returncode == 2 and "give two folders" in result.stderr
    assert not any(tmp_path.iterdir())


def test_records_in_microvolts_and_cut_off_files_are_skipped_by_name(tmp_path):
    write_csv(tmp_path / "csv" / "good.csv", waves_mv(250))
    write_csv(tmp_path / "csv" / "microvolts.csv", waves_mv(250) * 1000)
    write_csv(tmp_path / "csv" / "cut_off.csv", waves_mv(250).iloc[:757])
    folders = ("--image-dir", tmp_path / "i", "--mask-dir", tmp_path / "m")
    result = run_script(
        "scripts/batch_render_waveforms.py", "--csv-root", tmp_path / "csv", "--grid", GRID_FILE, *folders
    )
    assert result.returncode == 1
    assert (
        "microvolts.csv: a lead's values span 400, which in mV is no ECG; are they microvolts"
        in result.stderr
    )
    assert "757 rows are no usual time at any rate that devices have; is the file cut off?" in result.stderr
    assert [path.name for path in (tmp_path / "i").glob("*.page.json")] == ["good.page.json"]
