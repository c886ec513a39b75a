"""Which samples a dataset is to have, and on which side of the split they stand."""

from dataclasses import replace

import pytest

from ecg_generator_with_train_src.common.batch import SkipReport
from ecg_generator_with_train_src.dataset.plan import PlanOptions, pair_pages_with_records, plan_samples

OPTIONS = PlanOptions(
    profiles=("clean",), draw_profiles=None, variants=1, real_pages=0, val_fraction=0.34, seed=0
)


@pytest.fixture
def pages(own):
    return pair_pages_with_records(own / "wave_images", own / "csv", SkipReport(own / "skipped.tsv"))


def planned(own, pages, **changes):
    return {task.name: task for task in plan_samples(pages, own / "csv", replace(OPTIONS, **changes), {})}


def test_two_rates_of_a_recording_stay_on_one_side_at_every_seed(own, pages):
    sides = set()
    for seed in range(8):
        tasks = planned(own, pages, seed=seed)
        split = {name: task.split for name, task in tasks.items()}
        assert split["02132_hr-clean-0"] == split["02132_lr-clean-0"]
        assert sorted(split.values()).count("val") in (1, 2)
        sides.add(tuple(split.values()))
        assert tasks["02132_hr-clean-0"].recording == tasks["02132_lr-clean-0"].recording == "02132"
    assert len(sides) > 1  # the seed does choose


def test_a_patient_stays_on_one_side(own, pages):
    (own / "csv" / "train.csv").write_text("id,fs,patient_id\na,50,p\nb,50,\n02132_hr,50,p\n02132_lr,50,\n")
    for seed in range(4):
        tasks = planned(own, pages, seed=seed, val_fraction=0.5)
        split = {name.removesuffix("-clean-0"): task.split for name, task in tasks.items()}
        assert split["a"] == split["02132_hr"] == split["02132_lr"] != split["b"]


def test_each_page_goes_through_every_profile_in_every_variant(own, pages):
    tasks = planned(own, pages, profiles=("clean", "scan_bw"), variants=2)
    of_a = [name for name in tasks if name.startswith("a-")]
    assert of_a == ["a-clean-0", "a-clean-1", "a-scan_bw-0", "a-scan_bw-1"]
    assert len(tasks) == 16


def test_profiles_are_drawn_for_each_page_of_its_own(own, pages):
    drawn = planned(own, pages, profiles=("clean", "scan_bw", "scan_color"), draw_profiles=1)
    assert len(drawn) == 4
    assert len({task.profile for task in drawn.values()}) > 1
    assert drawn == planned(own, pages, profiles=("clean", "scan_bw", "scan_color"), draw_profiles=1)


def test_real_pages_are_named_after_their_type_and_number(own, pages):
    for name in ("a-0005.jpg", "a-0005-2.jpg"):
        (own / "csv" / name).touch()
    tasks = planned(own, pages, real_pages=None)
    real = [task for task in tasks.values() if task.real_page]
    assert [(task.name, task.profile) for task in real] == [
        ("a-real-0005-0", "real-0005"),
        ("a-real-0005-1", "real-0005"),
    ]
    assert {task.split for task in real} == {tasks["a-clean-0"].split}
