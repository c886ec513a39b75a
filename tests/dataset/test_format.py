"""What the files that describe a dataset may say."""

import pytest
from pydantic import ValidationError

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import DatasetInfo, Sample, read_dataset_info, read_manifest

KNOWN = {"name": "a", "split": "train", "image": "train/images/a.png", "mask": "train/masks/a.png"}
KNOWN |= {"coverage": "train/coverage/a.png", "truth": "train/truth/a.npz"}


def problems(**changes) -> str:
    with pytest.raises(ValidationError) as refused:
        Sample.model_validate(KNOWN | changes)
    return "; ".join(problem["msg"] for problem in refused.value.errors() if problem["type"] != "missing")


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b", "", "C:/a", "a\0b"])
def test_a_samples_files_lie_inside_its_dataset(path):
    assert problems(truth=path) == f"Value error, {path!r} is no path inside its folder"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("train/truth/b.npz", "a"),
        ("val/truth/a.npz", "a"),
        ("train/images/a.npz", "a"),
        ("notes.txt", "a"),
        ("train/truth/mine/a.npz", "mine/a"),
    ],
)
def test_a_samples_files_are_those_of_its_name_and_no_others(tiny_dataset, path, name):
    sample = read_manifest(tiny_dataset)[0].model_dump()
    named = {kind: sample[kind].replace(sample["name"], name) for kind in ("image", "mask", "coverage")}
    with pytest.raises(
        ValidationError, match=rf"'{path}' is no file of train/truth called {name}|'train/images"
    ):
        Sample.model_validate({**sample, **named, "name": name, "truth": path})


def test_a_missing_or_damaged_description_is_named_with_its_remedy(tmp_path):
    for read, name in ((read_dataset_info, "dataset.json"), (read_manifest, "manifest.jsonl")):
        with pytest.raises(InputError, match=rf"{name}: not found; build the dataset"):
            read(tmp_path)
        (tmp_path / name).write_text("{}\n")
        with pytest.raises(InputError, match=rf"{name}.*: Field required; build the dataset .* --overwrite"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"class_frequencies": (0.0, 0.0, 0.0)}, "class_frequencies sum to 0, not to 1"),
        ({"class_frequencies": (0.9, 0.2, -0.1)}, "greater than or equal to 0"),
        ({"image_mean": (0.5, 1e308, 0.5)}, "less than or equal to 1"),
        ({"image_std": (0.1, 0.0, 0.1)}, "greater than 0"),
    ],
)
def test_frequencies_and_statistics_are_those_of_pictures(tiny_dataset, changes, why):
    info = read_dataset_info(tiny_dataset).model_dump()
    with pytest.raises(ValidationError, match=why):
        DatasetInfo.model_validate(info | changes)


def test_a_sample_has_the_size_of_a_picture():
    assert "less than or equal to 50000" in problems(width_px=10**9)
    assert "finite number" in problems(px_per_mm=float("nan"))
