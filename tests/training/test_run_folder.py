"""A run's folder: what is cut when a run goes on, and what of it is drawn."""

from torch.utils.tensorboard import SummaryWriter

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
