"""Sound files of every kind that the commands read, made by the commands themselves: what the fuzzer damages."""

import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb
import yaml
from PIL import Image

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_bytes, write_text
from ecg_generator_with_train_src.common.image_files import encode_classes, read_classes, read_rgb
from ecg_generator_with_train_src.dataset.format import Sample, read_manifest
from ecg_generator_with_train_src.page.records import LEADS, find_records, read_record, read_signal_mv
from experiment.fuzzing.children import REPOSITORY, STDERR, Child, Limits, command
from experiment.fuzzing.sample_files import HEIC, curves_pdf, write_dicom_capture
from experiment.scoring.submission import write_submission

GRID = "ecg_generator_with_train_src/export/clean_ecg_grid.png"
MASK = "image_data/complete_mask.png"
RECORD, OTHER_RECORD = "sample0_0000", "sample0_0001"
CROP = np.s_[
    1000:1500, 100:600
]  # a part of the page, with several leads of it, that is one tile for the network
LIMITS = Limits(seconds=300, memory_mib=8000)
TRAINING = {
    "run": {
        "name": "small",
        "root": "runs",
        "epochs": 1,
        "steps_per_epoch": 2,
        "log_every": 1,
        "sample_tiles": 1,
    },
    "data": {
        "root": "dataset",
        "crop_size": 32,
        "crops_per_page": 2,
        "batch_size": 2,
        "val_batch_size": 2,
        "val_max_tiles": 2,
        "num_workers": 0,
    },
    "model": {"widths": [8, 16], "norm_groups": 4},
    "optimizer": {"lr": 3e-3, "betas": [0.9, 0.99], "warmup_steps": 1},
    "loss": {"class_weights": "auto"},
    "precision": "fp32",
}


def make_material(root: Path) -> None:
    """Fill the folder `root`/work. Raises InputError with what a command said that did not end well."""
    work = root / "work"
    work.mkdir(parents=True)
    shutil.copy(REPOSITORY / GRID, work / "grid.png")
    shutil.copy((REPOSITORY / GRID).with_suffix(".json"), work / "grid.json")
    shutil.copy(REPOSITORY / MASK, work / "mask.png")
    _run(work, "scripts/make_sample_records.py", "--num-records 2 --output-root records --num-workers 1")
    folders = "--grid grid.png --image-dir waves --mask-dir masks --num-workers 1"
    _run(work, "scripts/batch_render_waveforms.py", f"--csv-root records {folders}")
    roots = "--input-root records --wave-root waves --mask mask.png --output-root dataset"
    _run(work, "scripts/build_dataset.py", f"{roots} --val-fraction 0.5 --num-workers 1")
    _make_pages(work)
    _make_tables(work)
    _make_run(work)
    _make_sources(work)
    _make_readings(work)
    _make_clinic(work)


def _run(work: Path, script: str, flags: str) -> None:
    ended = Child(command(script, flags.split()), work, LIMITS).wait()
    if ended.code:
        raise InputError(f"{script}: exit code {ended.code}: {(work.parent / STDERR).read_text()[-500:]}")


def _make_pages(work: Path) -> None:
    """One part of a page in every format that pages come in, its truth, and a whole page beside its record."""
    sample = read_manifest(work / "dataset")[0]
    page = work / "dataset" / sample.image
    image = read_rgb(page)
    for suffix in ("png", "jpg", "tif", "webp", "bmp", "gif", "avif", "jp2", "pdf"):
        (work / "pages" / suffix).mkdir(parents=True)
        Image.fromarray(image[CROP]).save(work / "pages" / suffix / f"page.{suffix}")
    _make_scans(work / "pages" / "scans", image[CROP])
    _make_truth(work, sample)
    real = work / "real" / RECORD
    shutil.copytree(work / "records" / RECORD, real)
    Image.fromarray(image).resize((1100, 850)).save(real / f"{RECORD}-0003.jpg", quality=90)


def _make_scans(folder: Path, image: np.ndarray) -> None:
    """Pages of phones, archives and machines."""
    write_bytes(folder / "photo.heic", HEIC)
    Image.fromarray(image).save(folder / "scan.ppm")
    write_dicom_capture(folder / "capture.dcm", image)
    seconds = np.arange(0, 5, 0.01)
    signals_mv = np.exp(-np.square((seconds[:, None] % 0.8 - 0.4) / 0.02)) * [0.5, 1.0, 0.5]
    write_bytes(folder / "curves.pdf", curves_pdf(signals_mv, ["I", "II", "III"], fs_hz=100.0))


def _make_truth(work: Path, sample: Sample) -> None:
    """A dataset of that part alone."""
    mask = read_classes(work / "dataset" / sample.mask)[CROP]
    names = {"image": "val/images/page.png", "mask": "val/masks/page.png", "truth": "val/truth/page.npz"}
    write_bytes(work / "truth" / names["mask"], encode_classes(mask))
    for kind, source in (("image", "pages/png/page.png"), ("truth", f"dataset/{sample.truth}")):
        goal = work / "truth" / names[kind]
        goal.parent.mkdir(parents=True)
        shutil.copy(work / source, goal)
    height_px, width_px = mask.shape
    part = sample.model_copy(update={**names, "split": "val", "width_px": width_px, "height_px": height_px})
    write_text(work / "truth/manifest.jsonl", part.model_dump_json() + "\n")


def _make_tables(work: Path) -> None:
    tables = work / "tables"
    tables.mkdir()
    (tables / "rates.csv").write_text("id,fs,sig_len\npage,250,2500\n")
    rows = "".join(f"page,{lead},250,{2500 if lead == 'II' else 625}\n" for lead in LEADS)
    (tables / "test.csv").write_text(f"id,lead,fs,number_of_rows\n{rows}")
    (tables / "corrections.csv").write_text("page,layout,paper_speed_mm_s,rotation_deg\npage,3x4+II,25,0\n")
    (tables / "ids.txt").write_text("65 # a record\n66\n")


def _make_run(work: Path) -> None:
    """A finished run of two steps, its configuration, and its weights by themselves and as ONNX."""
    (work / "config.yaml").write_text(yaml.safe_dump(TRAINING, sort_keys=False))
    _run(work, "experiment/train_tpu.py", "--config config.yaml --device cpu")
    shutil.copy(work / "runs/small/checkpoints/best.safetensors", work / "weights.safetensors")
    flags = "--checkpoint weights.safetensors --output onnx/net.safetensors --onnx"
    _run(work, "experiment/export_weights.py", flags)
    partial = work / "partial"
    shutil.copytree(work / "dataset", partial)
    options = json.loads((partial / "dataset.json").read_text())["options"]
    (partial / "dataset.json").unlink()
    lines = [json.dumps(options), (partial / "manifest.jsonl").read_text()]
    (partial / "manifest.partial.jsonl").write_text("\n".join(lines))
    (partial / "manifest.jsonl").unlink()


def _make_sources(work: Path) -> None:
    """Archives of the records, an output folder that was filled from one, and a small PTB-XL."""
    with (
        tarfile.open(work / "records.tar.gz", "w:gz") as tar,
        zipfile.ZipFile(work / "records.zip", "w") as zipped,
    ):
        for name, path in find_records(work / "records").items():
            tar.add(path, f"train-csvs/{name}.csv")
            zipped.write(path, f"train-csvs/{name}.csv")
    flags = "--source records.tar.gz --output-root prepared --num-workers 1"
    _run(work, "scripts/prepare_original_data.py", flags)
    folder = work / "ptbxl/records500/00000"
    folder.mkdir(parents=True)
    rows = "ecg_id,patient_id,filename_lr,filename_hr\n"
    for number in (65, 66):
        signal_uv = np.cumsum(np.random.default_rng(number).integers(-30, 31, (5000, 12)), axis=0).astype(
            np.int16
        )
        form = {"units": ["mV"] * 12, "adc_gain": [1000.0] * 12, "baseline": [0] * 12, "fmt": ["16"] * 12}
        names = [lead.upper() for lead in LEADS]
        wfdb.wrsamp(
            f"{number:05d}_hr", 500, sig_name=names, d_signal=signal_uv, write_dir=str(folder), **form
        )
        rows += f"{number},1.0,records100/00000/{number:05d}_lr,records500/00000/{number:05d}_hr\n"
    (work / "ptbxl/ptbxl_database.csv").write_text(rows)


def _make_readings(work: Path) -> None:
    """Readings of two pages, one of them unread, and two submissions."""
    (work / "readings").mkdir()
    submitted = {}
    for name, path in find_records(work / "records").items():
        shutil.copy(path, work / "readings" / f"{name}-0003.csv")
        (work / "readings" / f"{name}-0003.json").write_text('{"status": "sure", "reasons": []}\n')
        columns = zip(LEADS, read_signal_mv(path).T, strict=True)
        submitted[name] = {lead: values[np.isfinite(values)] for lead, values in columns}
    (work / "readings" / f"{OTHER_RECORD}-0005.json").write_text(
        '{"status": "unread", "reasons": ["dark"]}\n'
    )
    for suffix in ("csv", "parquet"):
        write_submission(work / f"submission.{suffix}", submitted)


def _make_clinic(work: Path) -> None:
    """The records as a clinic may have them: one in WFDB, one as a table of its own shape; and a reading in WFDB."""
    (work / "clinic").mkdir()
    (work / "signals").mkdir()
    records = {name: read_record(path) for name, path in find_records(work / "records").items()}
    for folder, name in (("clinic", RECORD), ("signals", f"{RECORD}-0003")):
        record = records[RECORD]
        form = {"units": ["mV"] * 12, "adc_gain": [1000.0] * 12, "baseline": [0] * 12, "fmt": ["16"] * 12}
        leads = {"sig_name": list(LEADS), "p_signal": record.signal_mv}
        wfdb.wrsamp(name, fs=record.fs_hz, write_dir=str(work / folder), **leads, **form)
    other = pd.DataFrame(records[OTHER_RECORD].signal_mv * 1000, columns=[f"Lead {lead}" for lead in LEADS])
    other.insert(0, "Time", np.arange(len(other)) / records[OTHER_RECORD].fs_hz)
    table = other.to_csv(index=False, sep=";", decimal=",")
    header, rows = table.split("\n", 1)
    units = ";".join(["s", *["uV"] * len(LEADS)])
    write_text(work / "clinic" / f"{OTHER_RECORD}.csv", f"# a clinic's export\n{header}\n{units}\n{rows}")
