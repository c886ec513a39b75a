"""Measure what labelling a page and reading its signals cost, compared with the network alone."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ecg_generator_with_train_src.common import image_files
from ecg_generator_with_train_src.common.command_line import available_cores
from ecg_generator_with_train_src.dataset.format import read_manifest
from ecg_generator_with_train_src.page.geometry import PX_PER_MM
from experiment.benchmarks.commands import build_pages, copy_records, median_s, render_pages, run_on_images
from experiment.benchmarks.stages import print_stages
from experiment.labelling.network_flags import checkpoint_of, load_predictor
from experiment.labelling.predictor import page_scale
from experiment.labelling.tiled_look import tile_starts
from experiment.runtime.choose import run_networks
from experiment.runtime.network import RuntimeOptions

PHOTO_SIZE_PX = (4000, 3000)
PHOTOS = (12, 37)  # megapixels of usual phones


@dataclass(frozen=True)
class NetworkRun:
    """Which records are drawn, on how many pages of each kind, and which network labels them on which device."""

    csv_root: Path
    num_pages: int
    checkpoint: Path | None
    device: str

    @property
    def flags(self) -> tuple:
        """The flags of predict.py and digitize.py."""
        checkpoint = ("--checkpoint", self.checkpoint) if self.checkpoint else ()
        return *checkpoint, "--device", self.device


def benchmark_predict(run: NetworkRun) -> None:
    """Predict --num-pages scans of 2200x1700 and as many photos of 4000x3000. Speeds are those that predict.py prints,
    without start-up. The network alone is timed in this process, on as many tiles."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        copy_records(run.csv_root, work / "records1", 1)
        render_pages(work, 1, 1)
        build_pages(work, 1, 1)
        page = image_files.read_rgb(next((work / "dataset1").glob("*/images/*.png")))
        for kind, image in (("scan", page), ("photo", cv2.resize(page, PHOTO_SIZE_PX))):
            page_s, peak_mib = predict_copies(work / kind, image, run)
            network_s = network_page_s(run, image)
            print(
                f"{kind} {image.shape[1]}x{image.shape[0]}: {page_s:.2f} s a page, {page_s / network_s:.2f} of the "
                f"network alone ({network_s:.2f} s), peak memory {peak_mib:.0f} MiB"
            )


def benchmark_stages(run: NetworkRun, images: list[Path]) -> None:
    """Say where the time goes on some pictures, or on a drawn scan and photos of 12 and 37 megapixels."""
    with tempfile.TemporaryDirectory() as folder:
        print_stages(images or drawn_pictures(Path(folder), run), run.checkpoint, run.device)


def drawn_pictures(work: Path, run: NetworkRun) -> list[Path]:
    """Files of a drawn page: a scan, and photos of PHOTOS megapixels."""
    copy_records(run.csv_root, work / "records1", 1)
    render_pages(work, 1, 1)
    pictures = {"scan": _drawn(work, "scan_bw")}
    photo = _drawn(work, "photo_print")
    for megapixels in PHOTOS:
        larger = (megapixels * 1e6 / (photo.shape[0] * photo.shape[1])) ** 0.5
        pictures[f"photo of {megapixels} MP"] = cv2.resize(
            photo, None, fx=larger, fy=larger, interpolation=cv2.INTER_CUBIC
        )
    paths = [work / f"{name}.jpg" for name in pictures]
    for path, image in zip(paths, pictures.values(), strict=True):
        path.write_bytes(image_files.encode_jpeg(image, 92))
    return paths


def _drawn(work: Path, profile: str) -> np.ndarray:
    """The page of a work folder's only record, degraded."""
    build_pages(work, 1, 1, profile)
    return image_files.read_rgb(work / "dataset1" / read_manifest(work / "dataset1")[0].image)


def benchmark_read(run: NetworkRun, layouts: list[str]) -> None:
    """Read --num-pages pages of each layout on all cores. Speeds are those that digitize.py and predict.py print, which
    leave out start-up, except that of digitize's workers. Run it twice: the first run on a machine compiles."""
    for layout in layouts:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            records = work / f"records{run.num_pages}"
            copy_records(run.csv_root, records, run.num_pages)
            render_pages(work, run.num_pages, available_cores(), layout)
            build_pages(work, run.num_pages, available_cores())
            images = work / f"dataset{run.num_pages}" / "train" / "images"
            predict_s, _ = run_on_images("experiment/predict.py", images, work / "predictions", *run.flags)
            read_s, peak_mib = run_on_images(
                "experiment/digitize.py",
                images,
                work / "readings",
                *run.flags,
                "--train-csv",
                records / "train.csv",
            )
            print(
                f"{layout}: {read_s:.2f} s a page, {read_s / predict_s:.2f} of predict.py's {predict_s:.2f} s, "
                f"peak memory of a process {peak_mib:.0f} MiB"
            )


def predict_copies(folder: Path, image: np.ndarray, run: NetworkRun) -> tuple[float, float]:
    """Seconds per page and peak memory in MiB of predict.py on --num-pages copies of one image."""
    folder.mkdir()
    data = image_files.encode_jpeg(image, 92)
    for number in range(run.num_pages):
        (folder / f"page{number}.jpg").write_bytes(data)
    return run_on_images("experiment/predict.py", folder, folder / "predictions", *run.flags)


def network_page_s(run: NetworkRun, image: np.ndarray) -> float:
    """Seconds that the network alone takes for the tiles of a page."""
    found: list[float] = []

    def measure(runtime) -> int:
        predictor = load_predictor(runtime, run.checkpoint)
        scale = PX_PER_MM / page_scale(image, None)[0]
        shape = tuple(round(side * scale) for side in image.shape[:2])
        sides = predictor.sides(shape)
        rows, columns = (len(tile_starts(length, side)) for length, side in zip(shape, sides, strict=True))
        tiles = np.zeros((predictor.network.batch, *sides, 3), np.uint8)
        found.append(
            median_s(lambda: predictor.tile_probabilities(tiles)) * rows * columns / predictor.network.batch
        )
        return 0

    run_networks(RuntimeOptions(device=run.device), [checkpoint_of(run.checkpoint)], measure)
    return found[0]
