"""python scripts/make_sample_records.py --num-records 24 --seed 0 --output-root data/sample_records

Simulate 12-lead records in the competition's layout, to try everything without any download:
<root>/<id>/<id>.csv in mV with the competition's gaps, and <root>/train.csv with the sampling rates.
NeuroKit2 simulates leads I, II and V1-V6; the other limb leads follow from I and II by Einthoven's and
Goldberger's relations. Records that are already there are kept: a record depends on its name alone.
"""

import functools
import time
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_generator_with_train_src.common.batch import run_batch
from ecg_generator_with_train_src.common.command_line import (
    add_num_workers,
    add_seed,
    make_parser,
    positive_int,
    run,
)
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import remove_stale_temporaries, write_text
from ecg_generator_with_train_src.common.random_stream import random_stream
from ecg_generator_with_train_src.page.layouts import DEFAULT_SETUP
from ecg_generator_with_train_src.page.records import LEADS, RECORD_DURATION_S

RATES_HZ = (250, 256, 500, 512, 1000, 1025)  # sampling rates of the competition's records
PEAK_MV = {"I": 0.8, "II": 1.1, "V1": 0.9, "V2": 1.4, "V3": 1.3, "V4": 1.5, "V5": 1.3, "V6": 1.0}
MARGIN_S = 1.0  # simulated at both ends and cut off, because the ends of a simulation are flat


def main(argv: list[str] | None = None) -> None:
    """Write the records and their table."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--num-records",
        type=positive_int,
        default=24,
        help="number of records; their sampling rates take turns",
    )
    parser.add_argument(
        "--output-root", type=Path, default=Path("data/sample_records"), help="folder of the records"
    )
    add_seed(parser)
    add_num_workers(parser)
    args = parser.parse_args(argv)
    start_s = time.perf_counter()
    rates_hz = {f"sample{args.seed}_{k:04d}": RATES_HZ[k % len(RATES_HZ)] for k in range(args.num_records)}
    for folder in (args.output_root, *(csv_path(args.output_root, name).parent for name in rates_hz)):
        remove_stale_temporaries(folder)
    missing = [
        (name, fs_hz) for name, fs_hz in rates_hz.items() if not csv_path(args.output_root, name).is_file()
    ]
    work = functools.partial(make_record, args.output_root)
    for _, outcome in run_batch(work, missing, num_workers=args.num_workers, description="simulate"):
        if isinstance(outcome, InputError):
            raise outcome
    rows = [f"{name},{fs_hz},{int(RECORD_DURATION_S * fs_hz)}" for name, fs_hz in rates_hz.items()]
    write_text(args.output_root / "train.csv", "\n".join(["id,fs,sig_len", *rows]) + "\n")
    duration_s = time.perf_counter() - start_s
    kept = len(rates_hz) - len(missing)
    print(f"simulated {len(missing)} records, kept {kept} -> {args.output_root} in {duration_s:.1f} s")


def csv_path(root: Path, name: str) -> Path:
    """Where the competition's layout has a record."""
    return root / name / f"{name}.csv"


def make_record(root: Path, task: tuple[str, int]) -> None:
    """Simulate one record and write what the default page shows of it."""
    name, fs_hz = task
    signal_mv = simulate(fs_hz, random_stream(0, name))
    signal_mv[~DEFAULT_SETUP.shown(fs_hz, len(signal_mv))] = np.nan
    table = pd.DataFrame(signal_mv, columns=LEADS)
    write_text(csv_path(root, name), table.to_csv(index=False, float_format="%.4f"))


def simulate(fs_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Twelve leads in mV, shape (10 fs_hz, 12), varied in rate, amplitude, noise and baseline."""
    import neurokit2

    simulated = neurokit2.ecg_simulate(
        duration=int(RECORD_DURATION_S + 2 * MARGIN_S),
        sampling_rate=fs_hz,
        method="multileads",
        heart_rate=int(rng.integers(48, 115)),
        heart_rate_std=float(rng.uniform(0.5, 5)),
        noise=0,
        random_state=int(rng.integers(2**31)),
    )
    rows = slice(int(MARGIN_S * fs_hz), int((MARGIN_S + RECORD_DURATION_S) * fs_hz))
    time_s = np.arange(rows.stop - rows.start) / fs_hz
    noise_mv = rng.uniform(0.002, 0.02)
    leads = {}
    for lead, peak_mv in PEAK_MV.items():
        lead_mv = simulated[lead].to_numpy()[rows]
        lead_mv = lead_mv / np.abs(lead_mv).max() * peak_mv * rng.uniform(0.5, 1.5)
        leads[lead] = lead_mv + baseline_wander(time_s, rng) + rng.normal(0, noise_mv, len(time_s))
    return np.column_stack([with_limb_leads(leads)[lead] for lead in LEADS])


def baseline_wander(time_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Breathing and drift: two slow sines of up to 0.1 mV."""
    amplitude_mv, rate_hz, phase = (
        rng.uniform(0, 0.1, 2),
        rng.uniform(0.05, 0.4, 2),
        rng.uniform(0, 2 * np.pi, 2),
    )
    return (amplitude_mv[:, None] * np.sin(2 * np.pi * rate_hz[:, None] * time_s + phase[:, None])).sum(
        axis=0
    )


def with_limb_leads(leads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add III = II - I (Einthoven) and aVR, aVL, aVF (Goldberger)."""
    one, two = leads["I"], leads["II"]
    return {**leads, "III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}


if __name__ == "__main__":
    run(main)
