"""Tables of scores: one line per page type and per lead for people, and a CSV for programs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_generator_with_train_src.common.files import atomic_path
from ecg_generator_with_train_src.common.names import shown, table_cell
from ecg_generator_with_train_src.page.records import LEADS
from experiment.scoring.compare import ScoredPage, Scores
from experiment.scoring.signal_metric import PageScore, score_db


def type_table(scores: Scores) -> Iterator[str]:
    """A table for people: one line per page type, and one for all pages. `SNR dB` is computed over the pages together,
    as in the competition; `mean dB` is the mean of the pages' own scores."""
    numbers = f"{'pages':>5} {'unread':>6} {'SNR dB':>7} {'mean dB':>7} {'RMSE mV':>8} {'corr.':>6}"
    yield f"{'page type':<14} {numbers}   lowest"
    types = sorted({page.page_type for page in scores})
    for name in types:
        yield type_line(name, {page: score for page, score in scores.items() if page.page_type == name})
    if len(types) > 1:
        yield type_line("all", scores)


def type_line(name: str, scores: Scores) -> str:
    """The line of some pages: both means in dB, RMSE over all samples, mean correlation, and the worst page."""
    samples = sum(score.samples.sum() for score in scores.values())
    rmse_mv = np.sqrt(sum(score.noise_mv2.sum() for score in scores.values()) / samples)
    correlation = np.mean([np.nanmean(score.correlation) for score in scores.values()])
    unread = sum(not score.read for score in scores.values())
    mean_db = np.mean([score.db for score in scores.values()])
    worst = min(scores, key=lambda page: scores[page].ratio)
    return (
        f"{name:<14} {len(scores):5d} {unread:6d} {score_db(score.ratio for score in scores.values()):7.2f} "
        f"{mean_db:7.2f} {rmse_mv:8.4f} {correlation:6.3f}   {scores[worst].db:.2f} {shown(worst.name)}"
    )


def lead_table(scores: Scores) -> Iterator[str]:
    """A table for people: one line per lead. Its SNR, too, is computed over the pages together."""
    ratios = np.array([score.lead_ratios for score in scores.values()])
    noise_mv2 = sum(score.noise_mv2 for score in scores.values())
    rmse_mv = np.sqrt(noise_mv2 / np.maximum(sum(score.samples for score in scores.values()), 1))
    correlations = np.array([score.correlation for score in scores.values()])
    yield f"{'lead':<14} {'SNR dB':>7} {'RMSE mV':>8} {'corr.':>6}"
    for k, lead in enumerate(LEADS):
        known = correlations[np.isfinite(correlations[:, k]), k]
        if len(known):
            yield f"{lead:<14} {score_db(ratios[:, k]):7.2f} {rmse_mv[k]:8.4f} {known.mean():6.3f}"
        else:
            yield f"{lead:<14} not in any record"


def write_scores(path: Path, scores: Scores) -> None:
    """Write the table for programs: for each page, a row `all` and one row per lead."""
    ordered = sorted(scores, key=lambda page: page.name)
    table = pd.concat([page_rows(page, scores[page]) for page in ordered])
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def page_rows(page: ScoredPage, score: PageScore) -> pd.DataFrame:
    """The rows of one page."""
    return pd.DataFrame(
        {
            "page": table_cell(page.name),
            "record": table_cell(page.record),
            "type": table_cell(page.page_type),
            "lead": ["all", *LEADS],
            "samples": [score.samples.sum(), *score.samples],
            "snr_db": [score.db, *(score_db([ratio]) for ratio in score.lead_ratios)],
            "rmse_mv": [score.rmse_mv, *score.lead_rmse_mv],
            "correlation": [np.nanmean(score.correlation), *score.correlation],
            "shift_samples": [None, *score.shift],
            "offset_mv": [None, *score.offset_mv],
        }
    )
