"""Which files of a folder are predictions."""

import os

from experiment.scoring.compare import find_predictions


def test_what_calls_itself_a_readings_json_and_is_no_file_costs_nothing(tmp_path):
    csv_path = tmp_path / "101-0003.csv"
    csv_path.write_text("I\n0.5\n")
    csv_path.with_suffix(".json").mkdir()
    os.mkfifo(tmp_path / "102-0003.json")
    (tmp_path / "103-0003.json").write_text('{"status": "unread"}')
    assert find_predictions(tmp_path) == [csv_path, tmp_path / "103-0003.csv"]
