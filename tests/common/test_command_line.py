"""What every command shares: its help shows defaults that exist, and no absolute paths."""

from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.command_line import EXIT_FAULT, make_parser, run

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


def test_a_missing_module_of_the_program_itself_is_its_fault(capsys):
    def main():
        import ecg_generator_with_train_src.no_such_module  # noqa: F401

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == EXIT_FAULT
    assert "ModuleNotFoundError" in capsys.readouterr().err
