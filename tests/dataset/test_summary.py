"""Frequencies and statistics of a dataset are those of its files."""

import numpy as np

from ecg_generator_with_train_src.common.image_files import read_classes, read_rgb
from ecg_generator_with_train_src.dataset.format import read_dataset_info, read_manifest


def test_statistics_are_those_of_the_training_files(tiny_dataset):
    info, samples = read_dataset_info(tiny_dataset), read_manifest(tiny_dataset)
    train = [sample for sample in samples if sample.split == "train"]
    pixels = np.concatenate([read_rgb(tiny_dataset / sample.image).reshape(-1, 3) for sample in train])
    histograms = [np.bincount(channel, minlength=256) / len(pixels) for channel in pixels.T]
    level = np.arange(256) / 255
    mean = np.array([histogram @ level for histogram in histograms])
    std = np.array(
        [np.sqrt(histogram @ (level - m) ** 2) for histogram, m in zip(histograms, mean, strict=True)]
    )
    np.testing.assert_allclose(info.image_mean, mean, atol=1e-9)
    np.testing.assert_allclose(info.image_std, std, atol=1e-9)
    counts = sum(
        np.bincount(read_classes(tiny_dataset / sample.mask).ravel(), minlength=3) for sample in train
    )
    np.testing.assert_allclose(info.class_frequencies, counts / counts.sum(), atol=1e-12)
    for sample in samples:
        found = np.bincount(read_classes(tiny_dataset / sample.mask).ravel(), minlength=3)
        assert sample.class_pixels == tuple(found)
