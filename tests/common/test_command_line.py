"""What every command shares: its help shows defaults that exist, and no absolute paths."""

from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.command_line import EXIT_FAULT, make_parser, missing_package, run

from conftest import REPOSITORY


def test_help_shows_defaults_that_exist_and_no_absolute_path_of_the_project():
    parser = make_parser("python x.py\n\nDoes what it does.")
    parser.add_argument("--needed", type=Path, required=True, help="is needed")
    parser.add_argument("--count", type=int, default=3, help="100%% a number")
    parser.add_argument("--file", type=Path, default=REPOSITORY / "runs" / "net", help="100%% a file")
    text = parser.format_help()
    assert "python x.py\n\nDoes what it does." in text
    assert "is needed\n" in text and "None" not in text
    assert "100% a number (default: 3)\n" in text
    assert "100% a file (default: runs/net)\n" in text
    assert str(REPOSITORY) not in text


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


def test_a_missing_module_of_the_program_itself_is_its_fault(capsys):
    def main():
        import ecg_generator_with_train_src.no_such_module  # noqa: F401

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == EXIT_FAULT
    assert "ModuleNotFoundError" in capsys.readouterr().err
