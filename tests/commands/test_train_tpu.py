"""The command that trains: its help, and what it says of bad input."""

from conftest import run_script
from small_runs import arguments, environment


def test_command_line_errors_are_one_line(tmp_path):
    words = arguments(tmp_path / "no", tmp_path, "--device", "cpu")
    result = run_script("experiment/train_tpu.py", *words, env=environment())
    assert result.returncode == 2
    assert result.stderr == (
        f"error: {tmp_path}/no/dataset.json: not found; build the dataset with scripts/build_dataset.py --overwrite\n"
    )
