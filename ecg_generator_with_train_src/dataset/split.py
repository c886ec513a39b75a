"""Training and validation recordings, never mixed."""

import hashlib
from collections.abc import Iterable, Mapping

from ecg_generator_with_train_src.page.records import recording_of


def group_records(records: Iterable[str], patients: Mapping[str, str]) -> dict[str, str]:
    """The group of each record that must stay on one side: its patient where known, else its recording.

    What is known of one record of a recording (`02132_hr`) holds for the others (`02132_lr`).
    """
    records = list(records)
    patient_of = {recording_of(record): patients[record] for record in records if record in patients}
    return {
        record: f"patient {patient_of[recording]}" if recording in patient_of else recording
        for record, recording in ((record, recording_of(record)) for record in records)
    }


def split_groups(groups: list[str], val_fraction: float, seed: int) -> set[str]:
    """Choose the groups (recordings, or patients where known) that validate.

    The nearest whole number to the fraction, at least one of two or more groups if the fraction is not 0; which
    ones depends on the seed and their names alone, so that a group added later seldom moves another.
    """
    ranked = sorted(set(groups), key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    count = round(val_fraction * len(ranked))
    if val_fraction > 0 and len(ranked) > 1:
        count = min(max(count, 1), len(ranked) - 1)
    return set(ranked[:count])
