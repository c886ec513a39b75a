"""A package that is not installed is named with the extra that brings it."""

import pytest

from ecg_generator_with_train_src.common.packages import missing_package, package_remedy

REQUIREMENTS = [
    "numpy<3,>=1.26",
    'pandas<3,>=2.1; extra == "data"',
    'pandas<3,>=2.1; extra == "train"',
    'torch_xla<2.10,>=2.5; (platform_system == "Linux") and extra == "train"',
    "torch<2.10,>=2.5; extra == 'train'",
]


@pytest.mark.parametrize(
    ("package", "extra"),
    [("pandas", "data"), ("torch", "train"), ("torch_xla", "train"), ("numpy", None), ("x", None)],
)
def test_a_missing_package_is_said_to_come_with_the_first_extra_that_has_it(package, extra):
    said = missing_package(package, REQUIREMENTS)
    expected = f"{package} is not installed; in the repository, pip install '.[{extra}]' brings it"
    assert said == (expected if extra else None)


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named 'x'", name="experiment.x"), ValueError("x")]
)
def test_other_errors_have_no_remedy(error):
    assert package_remedy(error) is None
