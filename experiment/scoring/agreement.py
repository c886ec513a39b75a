"""How far readings and records agree in what clinicians measure (Bland and Altman, Lancet 1986; 327: 307-310).

A difference is the reading's value less the record's. The mean of the differences is the bias; some 95 % of them lie
between the limits of agreement, 1.96 standard deviations to either side of it. Values that only the record has are
counted as missed, those that the record itself lacks as lacking.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_generator_with_train_src.common.files import atomic_path
from ecg_generator_with_train_src.page.records import RECORD_DURATION_S, read_signal_mv
from experiment.scoring.clinical_measures import UNITS, Measured, measure, nothing_measured
from experiment.scoring.compare import ScoredPage, TrueRecords, compared_samples, was_read

LIMITS_SD = 1.96


@dataclass(frozen=True)
class MeasuredPage:
    """What was measured on the record that a page shows, and on what was read from it."""

    truth: Measured
    reading: Measured


def measure_file(records: TrueRecords, page: ScoredPage) -> MeasuredPage:
    """Measure one prediction and its truth. Raises InputError that names the file at fault."""
    truth_mv = records.read(page.record).signal_mv.T
    fs_hz = truth_mv.shape[1] / RECORD_DURATION_S
    if not was_read(page.path.with_suffix(".json")):
        return MeasuredPage(measure(truth_mv, np.isfinite(truth_mv), fs_hz), nothing_measured())
    predicted_mv = read_signal_mv(page.path).T
    shown = compared_samples(page.path, truth_mv, predicted_mv)
    return MeasuredPage(measure(truth_mv, shown, fs_hz), measure(predicted_mv, shown, fs_hz))


def agreement_rows(pages: dict[ScoredPage, MeasuredPage]) -> pd.DataFrame:
    """One row per page, lead and measure: page, record, type, lead, measure, unit, truth, reading."""
    rows = [
        (
            page.name,
            page.record,
            page.page_type,
            lead,
            name,
            UNITS[name],
            value,
            both.reading.values[lead, name],
        )
        for page, both in sorted(pages.items(), key=lambda item: item[0].name)
        for (lead, name), value in both.truth.values.items()
    ]
    return pd.DataFrame(
        rows, columns=["page", "record", "type", "lead", "measure", "unit", "truth", "reading"]
    )


def write_agreement(path: Path, rows: pd.DataFrame) -> None:
    """Write the rows as a CSV."""
    with atomic_path(path) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6g")


def agreement_table(rows: pd.DataFrame) -> Iterator[str]:
    """A table for people: one line per page type and measure."""
    numbers = f"{'values':>6} {'missed':>6} {'lacking':>7} {'bias':>8} {'limits of agreement':>20}"
    yield f"{'page type':<14} {'measure':<18} {numbers}"
    for page_type, of_type in rows.groupby("type", sort=True):
        for name, unit in UNITS.items():
            yield agreement_line(page_type, f"{name}, {unit}", of_type[of_type["measure"] == name])


def agreement_line(page_type: str, label: str, rows: pd.DataFrame) -> str:
    """The line of one measure: how many values were compared, how many only the record has, how many it lacks."""
    difference = (rows["reading"] - rows["truth"]).dropna()
    missed = int((rows["truth"].notna() & rows["reading"].isna()).sum())
    lacking = len(rows) - len(difference) - missed
    bias, spread = difference.mean(), LIMITS_SD * difference.std(ddof=1)
    limits = f"{_number(bias - spread)} to {_number(bias + spread)}"
    return f"{page_type:<14} {label:<18} {len(difference):6d} {missed:6d} {lacking:7d} {_number(bias):>8} {limits:>20}"


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def failure_lines(pages: dict[ScoredPage, MeasuredPage]) -> Iterator[str]:
    """How many leads NeuroKit2 found no beats in, and why: one line per reason; nothing if it always did."""
    for side, what in (("truth", "records"), ("reading", "readings")):
        reasons = Counter(why for both in pages.values() for why in getattr(both, side).failures.values())
        for why, number in reasons.most_common():
            yield f"no beats in {number} leads of {what}: {why}"
