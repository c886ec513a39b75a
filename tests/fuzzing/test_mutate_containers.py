"""experiment/fuzzing/mutate_containers.py."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save

from experiment.fuzzing.mutate_containers import hostile_npz, hostile_safetensors, hostile_tar, hostile_zip
from experiment.fuzzing.mutate_trees import PRECIOUS_PATHS

from record_sources import tar_gz, zip_of

FILES = {"train-csvs/7.csv": b"I\n0\n"}


def names_and_types(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(member.name, member.type) for member in tar]


def test_tars_keep_their_members_and_get_one_that_leads_outside():
    found = [names_and_types(hostile_tar(tar_gz(FILES), np.random.default_rng(seed))) for seed in range(40)]
    assert all(members[0] == ("train-csvs/7.csv", tarfile.REGTYPE) for members in found)
    added = {member for members in found for member in members[1:]}
    assert any(name in PRECIOUS_PATHS for name, _ in added)
    assert {tarfile.SYMTYPE, tarfile.LNKTYPE} & {kind for _, kind in added}


def test_zips_keep_their_members_and_get_one_more():
    found = set()
    for seed in range(30):
        data = hostile_zip(zip_of(FILES), np.random.default_rng(seed))
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as opened:
                found |= {info.filename for info in opened.infolist()}
        except zipfile.BadZipFile:
            pass
    assert {"train-csvs/7.csv", "train-csvs/link.csv", "train-csvs/bomb.csv"} <= found


def test_arrays_are_lost_reshaped_and_no_longer_finite():
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(4.0), y=np.arange(4))
    kinds = set()
    for seed in range(150):
        try:
            with np.load(io.BytesIO(hostile_npz(buffer.getvalue(), np.random.default_rng(seed)))) as file:
                kinds.add((tuple(file.files), *(str(file[name].dtype) for name in file.files)))
        except (ValueError, EOFError, zipfile.BadZipFile):
            kinds.add("unreadable")
    assert {"unreadable", (("y",), "int64"), (("y", "x"), "int64", "float64")} <= kinds


@pytest.mark.parametrize("seed", range(40))
def test_weights_keep_a_length_that_fits_their_header(seed):
    data = save({"w": torch.arange(6.0)}, metadata={"config": json.dumps({"widths": [8, 16]})})
    made = hostile_safetensors(data, np.random.default_rng(seed))
    assert len(made) - 8 - int.from_bytes(made[:8], "little") == 24
