"""The examples in the docstrings give what they say."""

import doctest
import importlib

import pytest

MODULES = (
    "ecg_generator_with_train_src.dataset.page_names",
    "ecg_generator_with_train_src.degrade.apply",
    "ecg_generator_with_train_src.page.compose",
    "ecg_generator_with_train_src.page.page",
    "ecg_generator_with_train_src.page.records",
    "ecg_generator_with_train_src.register.registration",
    "experiment.labelling.predictor",
    "experiment.read_image",
    "experiment.reading.read_page",
    "experiment.reading.rectify",
    "experiment.reading.trace_decoding",
    "experiment.scoring.signal_metric",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name):
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0
    assert failed == 0  # pytest shows what doctest printed
