"""Training and validation recordings, never mixed."""

import hashlib


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
