"""What the files that describe a dataset may say."""

import pytest
from pydantic import TypeAdapter, ValidationError

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import InnerPath, read_dataset_info, read_manifest


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b", "", "C:/a", "a\0b"])
def test_a_samples_files_lie_inside_its_dataset(path):
    with pytest.raises(ValidationError, match="no path inside the dataset's folder"):
        TypeAdapter(InnerPath).validate_python(path)


def test_a_missing_or_damaged_description_is_named_with_its_remedy(tmp_path):
    for read, name in ((read_dataset_info, "dataset.json"), (read_manifest, "manifest.jsonl")):
        with pytest.raises(InputError, match=rf"{name}: not found; build the dataset"):
            read(tmp_path)
        (tmp_path / name).write_text("{}\n")
        with pytest.raises(InputError, match=rf"{name}.*: Field required; build.* again with --overwrite"):
            read(tmp_path)
