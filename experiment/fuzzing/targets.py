"""Which command reads which kind of file: the table that the fuzzer draws from. A new format is a new line here."""

import runpy
from dataclasses import dataclass

import experiment.training.run  # noqa: F401  (train_tpu.py loads it late)
from experiment.fuzzing.children import REPOSITORY
from experiment.fuzzing.mutate_bytes import BYTE_MUTATIONS, Mutation
from experiment.fuzzing.mutate_containers import (
    NPZ_MUTATIONS,
    SAFETENSORS_MUTATIONS,
    TAR_MUTATIONS,
    ZIP_MUTATIONS,
)
from experiment.fuzzing.mutate_pictures import PDF_MUTATIONS, PICTURE_MUTATIONS
from experiment.fuzzing.mutate_tables import CSV_MUTATIONS
from experiment.fuzzing.mutate_trees import JSON_LINES_MUTATIONS, JSON_MUTATIONS, YAML_MUTATIONS

MUTATIONS: dict[str, tuple[Mutation, ...]] = {  # by kind of file; damage to bytes befits every kind
    "csv": CSV_MUTATIONS,
    "image": PICTURE_MUTATIONS,
    "pdf": PDF_MUTATIONS,
    "json": JSON_MUTATIONS,
    "jsonl": JSON_LINES_MUTATIONS,
    "yaml": YAML_MUTATIONS,
    "npz": NPZ_MUTATIONS,
    "safetensors": SAFETENSORS_MUTATIONS,
    "tar": TAR_MUTATIONS,
    "zip": ZIP_MUTATIONS,
    "onnx": BYTE_MUTATIONS,
    "scan": BYTE_MUTATIONS,
    "wfdb": BYTE_MUTATIONS,
    "parquet": BYTE_MUTATIONS,
    "events": BYTE_MUTATIONS,
}


@dataclass(frozen=True)
class Reader:
    """A command with its flags, and what it needs of the material.

    Of the flags, `{file}` and `{folder}` are the damaged file and its folder. `needs` are names, or `name:other` with
    the name under which the command finds it. A command may write to the folders `out` and `tmp` alone.
    """

    script: str
    flags: str
    needs: str

    def arguments(self, victim: str) -> list[str]:
        """The words behind the script's name for a damaged file of this relative path."""
        folder = victim.rpartition("/")[0]
        return [word.replace("{file}", victim).replace("{folder}", folder) for word in self.flags.split()]


@dataclass(frozen=True)
class Target:
    """Files of one kind, as a pattern, one of which is damaged, and the command that reads them."""

    kind: str
    victims: str
    reader: Reader


_RENDER, _BUILD = "scripts/batch_render_waveforms.py", "scripts/build_dataset.py"
_RENDER_FLAGS = (
    "--csv-root records --grid grid.png --image-dir out/waves --mask-dir out/masks --num-workers 1"
)
_RENDER_NEEDS = "records grid.png grid.json"
_BUILD_FLAGS = (
    "--wave-root waves --mask mask.png --output-root out --val-fraction 0.5 --num-workers 1 --input-root"
)
_BUILD_NEEDS = "records waves mask.png"
RENDER = Reader(_RENDER, _RENDER_FLAGS, _RENDER_NEEDS)
RENDER_CLINIC = Reader(
    _RENDER, _RENDER_FLAGS.replace("records", "clinic"), _RENDER_NEEDS.replace("records", "clinic")
)
RENDER_WFDB = Reader(
    _RENDER, _RENDER_FLAGS.replace("records", "ptbxl/records500", 1), "ptbxl grid.png grid.json"
)
RENDER_AGAIN = Reader(_RENDER, _RENDER_FLAGS, f"{_RENDER_NEEDS} waves:out/waves masks:out/masks")
BUILD = Reader(_BUILD, f"{_BUILD_FLAGS} records", _BUILD_NEEDS)
BUILD_REAL = Reader(_BUILD, f"{_BUILD_FLAGS} real --real-pages 1", "real waves mask.png")
BUILD_ON = Reader(_BUILD, f"{_BUILD_FLAGS} records", f"{_BUILD_NEEDS} partial:out")
BUILD_AGAIN = Reader(_BUILD, f"{_BUILD_FLAGS} records", f"{_BUILD_NEEDS} dataset:out")
BUILD_ANEW = Reader(_BUILD, f"{_BUILD_FLAGS} records --overwrite", f"{_BUILD_NEEDS} dataset:out")

_SEE = "--output-dir out --device cpu --images"
_READ = f"--num-workers 1 {_SEE}"
_PAGE = "pages/png/page.png"
_PREDICT, _DIGITIZE = "experiment/predict.py", "experiment/digitize.py"
PREDICT_FILE = Reader(_PREDICT, f"{_SEE} {{file}}", "pages")
PREDICT_FOLDER = Reader(_PREDICT, f"{_SEE} {{folder}}", "pages")
PREDICT_WITH = Reader(_PREDICT, f"{_SEE} {_PAGE} --checkpoint {{file}}", "pages weights.safetensors")
PREDICT_BY_ONNX = Reader(_PREDICT, f"{_SEE} {_PAGE} --checkpoint onnx/net.safetensors", "pages onnx")
PREDICT_AND_SCORE = Reader(_PREDICT, f"{_SEE} pages/png --truth-root truth", "pages truth")
DIGITIZE_FILE = Reader(_DIGITIZE, f"{_READ} {{file}}", "pages")
DIGITIZE_FOLDER = Reader(_DIGITIZE, f"{_READ} {{folder}}", "pages")
DIGITIZE_RATES = Reader(_DIGITIZE, f"{_READ} {_PAGE} --train-csv {{file}}", "pages tables")
DIGITIZE_CORRECTED = Reader(_DIGITIZE, f"{_READ} {_PAGE} --corrections {{file}}", "pages tables")
SUBMIT = Reader(_DIGITIZE, f"{_READ} {_PAGE} --test-csv {{file}} --submission out/s.csv", "pages tables")

_TRAIN, _TRAIN_FLAGS = (
    "experiment/train_tpu.py",
    "--config config.yaml --device cpu run.root=out run.steps_per_epoch=2 data.val_max_tiles=2 nan.max_retries=1 "
    "data.num_workers=0",
)  # numbers in damaged files must not make a training long
TRAIN = Reader(_TRAIN, f"{_TRAIN_FLAGS} run.epochs=1", "config.yaml dataset")
TRAIN_ON = Reader(_TRAIN, f"{_TRAIN_FLAGS} run.epochs=2", "config.yaml dataset runs:out")
TRAIN_FROM = Reader(
    _TRAIN,
    f"{_TRAIN_FLAGS} run.epochs=1 run.initial_weights={{file}}",
    "config.yaml dataset weights.safetensors",
)
EXPORT = Reader(
    "experiment/export_weights.py", "--checkpoint {file} --output out/w.safetensors", "weights.safetensors"
)

_SCORE, _SCORE_FLAGS = "experiment/score.py", "--truth-root records --out out/scores.csv --num-workers 1"
SCORE = Reader(_SCORE, f"{_SCORE_FLAGS} --predictions readings", "records readings")
SCORE_WFDB = Reader(_SCORE, f"{_SCORE_FLAGS} --predictions signals", "records signals")
SCORE_CSV = Reader(_SCORE, f"{_SCORE_FLAGS} --predictions submission.csv", "records submission.csv")
SCORE_PARQUET = Reader(
    _SCORE, f"{_SCORE_FLAGS} --predictions submission.parquet", "records submission.parquet"
)

_PREPARE, _PREPARE_FLAGS = "scripts/prepare_original_data.py", "--output-root out --num-workers 1 --source"
PREPARE_TAR = Reader(_PREPARE, f"{_PREPARE_FLAGS} records.tar.gz", "records.tar.gz")
PREPARE_ZIP = Reader(_PREPARE, f"{_PREPARE_FLAGS} records.zip", "records.zip")
PREPARE_FOLDER = Reader(_PREPARE, f"{_PREPARE_FLAGS} source", "prepared/train-csvs:source")
PREPARE_AGAIN = Reader(_PREPARE, f"{_PREPARE_FLAGS} records.tar.gz", "records.tar.gz prepared:out")
IMPORT = Reader(
    "scripts/import_ptbxl.py",
    "--ptbxl-root ptbxl --ids tables/ids.txt --output-root out --num-workers 1",
    "ptbxl tables",
)

TARGETS: tuple[Target, ...] = (
    Target("csv", "records/*/*.csv", RENDER),
    Target("csv", "records/*.csv", RENDER),
    Target("csv", "records/*/*.csv", BUILD),
    Target("csv", "records/*.csv", BUILD),
    Target("csv", "clinic/*.csv", RENDER_CLINIC),
    Target("csv", "tables/rates.csv", DIGITIZE_RATES),
    Target("csv", "tables/test.csv", SUBMIT),
    Target("csv", "tables/corrections.csv", DIGITIZE_CORRECTED),
    Target("csv", "tables/ids.txt", IMPORT),
    Target("csv", "ptbxl/*.csv", IMPORT),
    Target("csv", "readings/*.csv", SCORE),
    Target("csv", "records/*/*.csv", SCORE),
    Target("csv", "submission.csv", SCORE_CSV),
    Target("csv", "source/*.csv", PREPARE_FOLDER),
    Target("image", "pages/[!p]*/page.*", PREDICT_FILE),
    Target("image", "pages/png/page.png", PREDICT_FOLDER),
    Target("image", "pages/[!p]*/page.*", DIGITIZE_FILE),
    Target("image", "pages/png/page.png", DIGITIZE_FOLDER),
    Target("image", "grid.png", RENDER),
    Target("image", "mask.png", BUILD),
    Target("image", "waves/*.png", BUILD),
    Target("image", "waves/grid/*.png", BUILD),
    Target("image", "real/*/*.jpg", BUILD_REAL),
    Target("image", "dataset/*/*/*.png", TRAIN),
    Target("image", "truth/val/masks/*.png", PREDICT_AND_SCORE),
    Target("pdf", "pages/pdf/*.pdf", PREDICT_FILE),
    Target("pdf", "pages/pdf/*.pdf", DIGITIZE_FOLDER),
    Target("pdf", "pages/scans/*.pdf", DIGITIZE_FILE),
    Target("scan", "pages/scans/*.[!p]*", PREDICT_FILE),
    Target("scan", "pages/scans/*.ppm", PREDICT_FILE),
    Target("scan", "pages/scans/*.pdf", DIGITIZE_FILE),
    Target("json", "waves/*.page.json", BUILD),
    Target("json", "out/waves/*.page.json", RENDER_AGAIN),
    Target("json", "grid.json", RENDER),
    Target("json", "dataset/dataset.json", TRAIN),
    Target("json", "out/dataset.json", BUILD_AGAIN),
    Target("json", "out/small/checkpoints/last.json", TRAIN_ON),
    Target("json", "out/.prepared.json", PREPARE_AGAIN),
    Target("json", "readings/*.json", SCORE),
    Target("jsonl", "dataset/manifest.jsonl", TRAIN),
    Target("jsonl", "truth/manifest.jsonl", PREDICT_AND_SCORE),
    Target("jsonl", "out/manifest.jsonl", BUILD_AGAIN),
    Target("jsonl", "out/manifest.jsonl", BUILD_ANEW),
    Target("jsonl", "out/manifest.partial.jsonl", BUILD_ON),
    Target("jsonl", "out/small/metrics.jsonl", TRAIN_ON),
    Target("yaml", "config.yaml", TRAIN),
    Target("yaml", "out/small/config.yaml", TRAIN_ON),
    Target("npz", "truth/val/truth/*.npz", PREDICT_AND_SCORE),
    Target("safetensors", "weights.safetensors", PREDICT_WITH),
    Target("safetensors", "weights.safetensors", EXPORT),
    Target("safetensors", "weights.safetensors", TRAIN_FROM),
    Target("safetensors", "out/small/checkpoints/*.safetensors", TRAIN_ON),
    Target("onnx", "onnx/net.onnx", PREDICT_BY_ONNX),
    Target("tar", "records.tar.gz", PREPARE_TAR),
    Target("zip", "records.zip", PREPARE_ZIP),
    Target("wfdb", "clinic/*.[hd]*", RENDER_CLINIC),
    Target("wfdb", "signals/*.[hd]*", SCORE_WFDB),
    Target("wfdb", "ptbxl/records500/00000/*", IMPORT),
    Target("wfdb", "ptbxl/records500/00000/*", RENDER_WFDB),
    Target("parquet", "submission.parquet", SCORE_PARQUET),
    Target("events", "out/small/events*", TRAIN_ON),
)


def load_commands() -> None:
    """Load all that the commands import, so that processes forked from this one start at once."""
    for script in sorted({target.reader.script for target in TARGETS}):
        runpy.run_path(str(REPOSITORY / script), run_name="loaded")
