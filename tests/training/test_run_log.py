"""The log: each line in metrics.jsonl and among the TensorBoard scalars, cut where a run goes back."""

from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from experiment.training.run_folder import RunFolder
from experiment.training.run_log import RunLog

from small_runs import scalars_of


def test_a_line_is_logged_twice_and_cut_in_both_when_the_run_goes_back(tmp_path):
    log = RunLog(RunFolder(tmp_path))
    log.open({"step": 0, "epoch": 0, "retries": []})
    dice = dict.fromkeys(CLASS_NAMES, 0.5)
    lines = [
        {"kind": "train", "step": step, "epoch": 1, "loss": 1 / step, "lr": 0.25, "dice": dice}
        for step in (1, 2, 4)
    ]
    for line in lines:
        log.write(line)
    log.open({"step": 2, "epoch": 0, "retries": []})
    log.close()
    assert log.folder.read_metrics() == lines[:2]
    assert scalars_of(tmp_path) == {
        "train/epoch": [(1, 1.0), (2, 1.0)],
        "train/loss": [(1, 1.0), (2, 0.5)],
        "train/lr": [(1, 0.25), (2, 0.25)],
        **{f"train/dice/{name}": [(1, 0.5), (2, 0.5)] for name in CLASS_NAMES},
    }
