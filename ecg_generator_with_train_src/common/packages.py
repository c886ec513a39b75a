"""Packages that only some commands need, and what is said where one of them is not installed."""

import re

PROJECT_NAME = "kaggle-ecg-analysis"  # as pip knows it


def package_remedy(error: Exception) -> str | None:
    """How to get the package whose import failed; None for any other error, a missing module of our own included."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    return missing_package(error.name.partition(".")[0], _own_requirements())


def missing_package(package: str, requirements: list[str]) -> str | None:
    """How to get a package that is not installed, by the `requirements` of the project; None if no extra has it."""
    for line in requirements:
        if found := re.match(rf"{re.escape(package)}\b.*extra == ['\"]([\w-]+)", line):
            return f"{package} is not installed; in the repository, pip install '.[{found[1]}]' brings it"
    return None


def _own_requirements() -> list[str]:
    import importlib.metadata  # it loads slowly, and few need it

    try:
        return importlib.metadata.requires(PROJECT_NAME) or []
    except importlib.metadata.PackageNotFoundError:  # the project runs where it lies, without being installed
        return []
