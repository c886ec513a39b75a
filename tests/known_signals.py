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
