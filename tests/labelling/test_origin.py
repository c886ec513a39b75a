"""The origin of results: what changes a page's results changes it, and nothing else does."""

import argparse
import json

from ecg_generator_with_train_src.common.files import sha256_of
from experiment.labelling.origin import has_origin, run_origin


def origin_of(tmp_path, weights: bytes = b"w", **flags) -> dict:
    (tmp_path / "net.safetensors").write_bytes(weights)
    return run_origin(argparse.Namespace(**flags), weights=tmp_path / "net.safetensors")


def test_weights_and_options_are_noted_as_json_can_hold_them(tmp_path):
    origin = origin_of(tmp_path, layout="3x4", paths=(tmp_path,), device="cpu", num_workers=3)
    assert origin["weights_sha256"] == sha256_of(b"w")
    assert origin["options"] == {"layout": "3x4", "paths": [str(tmp_path)]}
    assert json.loads(json.dumps(origin)) == origin


def test_other_weights_options_or_images_are_another_origin(tmp_path):
    origin = {**origin_of(tmp_path, tile=512, device="cpu"), "image_sha256": "1"}
    about = {**origin, "status": "sure", "image": "a.png"}
    assert has_origin(about, origin)
    assert has_origin(about, {**origin_of(tmp_path, tile=512, device="cuda"), "image_sha256": "1"})
    others = [
        {**origin_of(tmp_path, tile=256), "image_sha256": "1"},
        {**origin_of(tmp_path, b"other", tile=512), "image_sha256": "1"},
        {**origin, "image_sha256": "2"},
        {**origin, "correction": {"gain_mm_mv": 5.0}},
        {**origin, "truth_sha256": "3"},
        {**origin, "fs_hz": 250.0},
    ]
    assert not any(has_origin(about, other) for other in others)
