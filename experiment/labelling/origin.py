"""Where results are from: program, weights, options, image. What an earlier run left of the same origin is kept."""

import argparse
import json
from pathlib import Path

from ecg_generator_with_train_src import __version__
from ecg_generator_with_train_src.common.files import sha256_of_file

# Flags that change nothing in the results of a page, or of which each page notes what they mean for it
# fmt: off
_NOT_OF_PAGES = {
    "images", "output_dir", "overwrite", "max_megapixels", "device", "runtime", "num_workers", "dask_scheduler",
    "strict", "submission", "checkpoint", "truth_root", "corrections", "fs_hz", "train_csv", "test_csv",
}
_OF_PAGES = (
    "program", "options", "weights_sha256", "print_weights_sha256", "row_weights_sha256", "image_sha256",
    "truth_sha256", "fs_hz", "fs_from", "correction",
)
# fmt: on


def run_origin(arguments: argparse.Namespace, **weights: Path) -> dict:
    """What all pages of a run share, as values that JSON can hold: `options`, and digests of the files of weights."""
    options = {name: value for name, value in vars(arguments).items() if name not in _NOT_OF_PAGES}
    return {
        "program": f"ecg_generator_with_train_src {__version__}",
        **{f"{name}_sha256": sha256_of_file(path) for name, path in weights.items()},
        "options": json.loads(json.dumps(options, default=str)),
    }


def has_origin(about: dict, origin: dict) -> bool:
    """Whether what was written about a page says that it is of this origin."""
    return all(about.get(key) == origin.get(key) for key in _OF_PAGES)
