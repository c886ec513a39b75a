"""A run's folder: what is cut when a run goes on, and what of it is drawn."""

import json

import pytest
from torch.utils.tensorboard import SummaryWriter

from ecg_generator_with_train_src.common.errors import InputError
from experiment.training.run_folder import RunFolder, cut_events

from small_runs import scalars_of, train_on_cpu


def test_log_and_pictures_are_cut_and_retries_put_in(tiny_dataset, tmp_path):
    settings = {"run__steps_per_epoch": 5, "run__log_every": 3, "run__epochs": 2, "run__sample_tiles": 1}
    assert train_on_cpu(tiny_dataset, tmp_path, **settings) == 0
    folder = RunFolder(tmp_path / "small")
    retry = {"kind": "retry", "step": 5, "reason": "r"}
    for _ in range(2):  # once more changes nothing
        folder.cut({"step": 5, "epoch": 1, "retries": [retry]})
        lines = folder.read_metrics()
        assert [(line["kind"], line["step"]) for line in lines] == [
            *(("train", 3), ("train", 5), ("val", 5), ("retry", 5))
        ]
        assert [path.name for path in folder.samples.iterdir()] == ["epoch_0001.png"]
        assert {step for values in scalars_of(folder.root).values() for step, _ in values} == {3, 5}
    folder.draw_curves()
    assert (folder.root / "curves.png").stat().st_size > 5000


SHARES = {"background": 0.9, "grid": 0.5, "waveform": 0.25}
TRAIN = {"kind": "train", "step": 1, "loss": 2.0, "lr": 1e-3, "crops_per_s": 9.0}
VAL = {"kind": "val", "step": 1, "loss": 2.0, "dice": SHARES}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[]", "file: Input should be an object"),
        (b"[" * 100_000, "file: Invalid JSON: recursion limit exceeded"),
        (b"\xff", "file: Invalid JSON"),
        (json.dumps({**TRAIN, "step": "x"}).encode(), "train.step: Input should be a valid integer"),
        (json.dumps({**TRAIN, "lr": -1.0}).encode(), "train.lr: Input should be greater than 0"),
        (json.dumps({**VAL, "dice": {"grid": 0.5}}).encode(), "val.dice: Dictionary should have at least 3"),
        (json.dumps({**TRAIN, "kind": "other"}).encode(), "file: Input tag 'other'"),
    ],
)
def test_a_damaged_line_of_the_log_is_left_out_with_a_warning(tmp_path, capsys, line, said):
    folder = RunFolder(tmp_path)
    good = [json.dumps(each).encode() for each in (TRAIN, VAL)]
    folder.metrics.write_bytes(b"\n".join([good[0], line, good[1], b""]))
    assert folder.read_metrics() == [TRAIN, VAL]
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: {folder.metrics}, line 2: {said}")
    assert warning.endswith("; the line is left out\n")
    folder.metrics.write_bytes(b"\n".join([*good, line]))  # torn by a kill
    assert folder.read_metrics() == [TRAIN, VAL]
    assert capsys.readouterr().err == ""


RETRY = {"kind": "retry", "step": 1, "reason": "r"}


@pytest.mark.parametrize("lines", [[], [VAL], [RETRY], [TRAIN, VAL, RETRY]])
def test_curves_are_drawn_of_whatever_the_log_still_holds(tmp_path, lines):
    """A user may have moved the log away while the run goes on."""
    folder = RunFolder(tmp_path)
    for line in lines:
        folder.log(line)
    folder.draw_curves()
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_pictures_of_other_names_stay(tmp_path):
    folder = RunFolder(tmp_path)
    folder.samples.mkdir()
    for name in ("epoch_best.png", "epoch_0001.png", "epoch_0003.png"):
        (folder.samples / name).write_bytes(b"")
    folder.cut({"step": 5, "epoch": 1, "retries": []})
    assert sorted(path.name for path in folder.samples.iterdir()) == ["epoch_0001.png", "epoch_best.png"]


def test_events_are_cut_and_those_that_a_kill_doubled_are_single(tmp_path):
    for _ in range(2):
        with SummaryWriter(str(tmp_path)) as writer:
            for step in range(1, 8):
                writer.add_scalar("a", step, step)
                writer.add_scalar("b", -step, step)
    torn = max(tmp_path.iterdir())
    torn.write_bytes(torn.read_bytes()[:-5])
    (tmp_path / ".events.killed").mkdir()
    cut_events(tmp_path, 5)
    assert len(list(tmp_path.iterdir())) == 1
    expected = [(step, float(step)) for step in range(1, 6)]
    assert scalars_of(tmp_path) == {"a": expected, "b": [(step, -value) for step, value in expected]}
    cut_events(tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_names_the_log(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics.symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(OSError, match="No space left") as refused:
        folder.log(TRAIN)
    assert refused.value.filename == str(folder.metrics)


def test_no_line_is_appended_to_what_a_link_leads_to(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    folder = RunFolder(tmp_path)
    folder.metrics.symlink_to("precious.txt")
    with pytest.raises(InputError, match="is a link to another file"):
        folder.log(TRAIN)
    assert (tmp_path / "precious.txt").read_text() == "mine"
