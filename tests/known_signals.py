"""Signals with known scores, and tables of them in the competition's form."""

import numpy as np
import pandas as pd

from ecg_generator_with_train_src.page.records import LEADS

FS_HZ = 100
KNOWN_MV = {  # the example of the competition's metric, fs 1
    "I": [0.1, 0.3, 0.4],
    "II": [0.6, 0.6, 0.4, 0.2, 0.3, 0.4, 0.5, 0.2, 0.7, 0.2, 0.3, 0.4],
    "III": [0.6, 0.6, 0.4],
    "aVR": [0.2, 0.3, 0.4],
    "aVL": [0.5, 0.2, 0.7],
    "aVF": [0.2, 0.3, 0.4],
    "V1": [0.8, 0.6, 0.7],
    "V2": [0.2, 0.3, -0.1],
    "V3": [0.5, 0.6, 0.7],
    "V4": [0.2, 0.9, 0.4],
    "V5": [0.5, 0.6, 0.7],
    "V6": [0.1, 0.3, 0.4],
}


def submission_table(pages: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows of signals (12, samples) with NaN behind the shorter leads, in the competition's form."""
    rows = [
        (f"{page}_{row}_{lead}", value)
        for page, signals_mv in pages.items()
        for lead, signal_mv in zip(LEADS, signals_mv, strict=True)
        for row, value in enumerate(signal_mv[np.isfinite(signal_mv)])
    ]
    return pd.DataFrame(rows, columns=["id", "value"])


def write_submission(table: pd.DataFrame, path):
    table.to_parquet(path, index=False) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


def heartbeats_mv(fs_hz: float) -> np.ndarray:
    """10 s of beats at 75 a minute, (12, samples): P, QRS and T waves as bells on a level of 0 mV.

    In lead k of LEADS, R is 1 mV, S -0.3 mV and the ST segment 0.1 mV high, all times 1 + k/10. The first R stands at
    0.4 s; from its middle, P begins at about -0.2 s, QRS at -0.04 s and ends at 0.05 s, T ends at about 0.35 s.
    """
    time_s = np.arange(round(10 * fs_hz)) / fs_hz
    after_s = (time_s - 0.4 + 0.4) % 0.8 - 0.4  # from the nearest R

    def bell(height_mv: float, middle_s: float, width_s: float) -> np.ndarray:
        return height_mv * np.exp(-(((after_s - middle_s) / width_s) ** 2) / 2)

    beat_mv = (
        bell(0.15, -0.15, 0.02) + bell(1.0, 0.0, 0.01) + bell(-0.3, 0.035, 0.006) + bell(0.3, 0.26, 0.035)
    )
    segment_mv = 0.1 * ((after_s > 0.055) & (after_s < 0.25))
    return np.stack([(1 + k / 10) * (beat_mv + segment_mv) for k in range(len(LEADS))])
