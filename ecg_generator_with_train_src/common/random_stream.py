"""One random stream a sample, whatever worker draws it."""

import hashlib
import json

import numpy as np


def random_stream(seed: int, *parts: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the parts (record, variant, purpose) alone."""
    digest = hashlib.sha256(json.dumps([seed, *parts]).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))
