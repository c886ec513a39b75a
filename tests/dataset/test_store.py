"""The dataset's folder, broken off at any moment: the next build ends as if nothing had happened."""

from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.dataset.format import Sample, read_dataset_info, read_manifest
from ecg_generator_with_train_src.dataset.store import DatasetStore

from helpers import PowerCut, files_below

SUMMARY = {
    "class_frequencies": (0.7, 0.2, 0.1),
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.1, 0.1, 0.1),
    "num_samples": {"train": 3, "val": 0},
    "num_recordings": {"train": 3, "val": 0},
    "seed": 0,
    "generator_version": "1",
}


def sample(name: str, version: str, split: str = "train") -> Sample:
    return Sample(
        name=name,
        split=split,
        record=name,
        recording=name,
        profile="clean",
        seed=0,
        image=f"{split}/images/{name}.png",
        mask=f"{split}/masks/{name}.png",
        coverage=f"{split}/coverage/{name}.png",
        truth=f"{split}/truth/{name}.npz",
        width_px=1,
        height_px=1,
        px_per_mm=1.5,
        page_to_image={},
        style={},
        digests={},
        inputs_sha256=version,
        class_pixels=(1, 0, 0),
        rgb_sum=(1, 1, 1),
        rgb_square_sum=(1, 1, 1),
    )


def build(root: Path, names: str, version: str, *, overwrite: bool = False, split: str = "train") -> int:
    """What build_dataset.py does with its store: make the samples that are not known or of other inputs."""
    store = DatasetStore(root, {"version": version} if overwrite else {}, overwrite=overwrite)
    samples, made = [], 0
    for name in names:
        wanted = sample(name, version, split)
        whole = all((root / path).is_file() for path in wanted.files)
        if store.known.get(name) != wanted or not whole:
            for path in wanted.files:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(f"{path} of {version}")
            store.add(wanted)
            made += 1
        samples.append(wanted)
    store.finish(samples, **SUMMARY)
    return made


def cut_power_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the step-th change of the disk be the last."""
    steps = iter(range(step))

    def counted(change):
        def changed(self, *arguments, **options):
            if next(steps, None) is None:
                raise PowerCut
            return change(self, *arguments, **options)

        return changed

    for name in ("unlink", "replace", "write_text", "mkdir"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))


def states_after_power_cuts(tmp_path: Path, prepare, action):
    """For every step of `action`: a folder in which it was cut off there."""
    for step in range(500):
        root = tmp_path / str(step)
        prepare(root)
        with pytest.MonkeyPatch.context() as monkeypatch:
            cut_power_at(monkeypatch, step)
            try:
                action(root)
            except PowerCut:
                pass
            else:
                assert step > 10  # the action has that many steps at least
                return
        yield root
    raise AssertionError("it never ended")


def is_consistent(root: Path) -> bool:
    """A folder that says it is whole has every file of its samples, each of the version that its line says."""
    if not (root / "dataset.json").exists():
        return True
    read_dataset_info(root)
    return all(
        (root / path).read_text() == f"{path} of {line.inputs_sha256}"
        for line in read_manifest(root)
        for path in line.files
    )


@pytest.mark.parametrize(
    ("before", "now", "split"),
    [("", "abc", "train"), ("abc", "abc", "train"), ("abc", "bcd", "train"), ("abc", "ab", "val")],
)
def test_a_build_cut_off_anywhere_is_ended_by_the_next(tmp_path, before, now, split):
    def prepare(root: Path) -> None:
        if before:
            build(root, before, "old")

    build(tmp_path / "unbroken", now, "new", split=split)
    expected = files_below(tmp_path / "unbroken")
    for root in states_after_power_cuts(tmp_path, prepare, lambda root: build(root, now, "new", split=split)):
        assert is_consistent(root)
        build(root, now, "new", split=split)
        assert files_below(root) == expected


def test_an_overwrite_cut_off_anywhere_is_ended_by_the_next(tmp_path):
    def overwrite(root: Path) -> int:
        return build(root, "bcd", "new", overwrite=True)

    overwrite(tmp_path / "unbroken")
    expected = files_below(tmp_path / "unbroken")
    for root in states_after_power_cuts(tmp_path, lambda root: build(root, "abc", "old"), overwrite):
        assert is_consistent(root)
        overwrite(root)
        assert files_below(root) == expected


def test_an_overwrite_that_was_killed_goes_on_with_what_it_had_begun(tmp_path):
    build(tmp_path, "abc", "old")
    store = DatasetStore(tmp_path, {"version": "new"}, overwrite=True)
    for path in sample("b", "new").files:
        (tmp_path / path).write_text(f"{path} of new")
    store.add(sample("b", "new"))  # killed here
    assert build(tmp_path, "bcd", "new", overwrite=True) == 2
    assert build(tmp_path, "bcd", "new", overwrite=True) == 3  # of a finished one, all is made again


def test_a_line_torn_by_a_kill_is_made_again(tmp_path):
    store = DatasetStore(tmp_path, {}, overwrite=False)
    for name in "ab":
        for path in sample(name, "new").files:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(f"{path} of new")
        store.add(sample(name, "new"))
    journal = tmp_path / "manifest.partial.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert build(tmp_path, "ab", "new") == 1


def test_samples_that_are_kept_are_not_touched(tmp_path):
    assert build(tmp_path, "abc", "old") == 3
    assert build(tmp_path, "abc", "old") == 0
    assert build(tmp_path, "abcd", "old") == 1


def test_a_dataset_of_other_options_is_refused_naming_the_first_that_differs(tmp_path):
    store = DatasetStore(tmp_path, {"seed": 0, "fraction": 0.2, "gone": 1}, overwrite=False)
    store.finish([sample("a", "1")], **SUMMARY)
    before = files_below(tmp_path)
    for options, said in (
        ({"seed": 1, "fraction": 0.2, "gone": 1}, r"another seed \(0, now 1\)"),
        ({"seed": 0, "fraction": 0.3, "gone": 1}, r"another fraction \(0\.2, now 0\.3\)"),
        ({"seed": 0, "fraction": 0.2}, r"another gone \(1, now None\)"),
        ({"seed": 0, "fraction": 0.2, "gone": 1, "new": 2}, r"another new \(None, now 2\)"),
    ):
        with pytest.raises(InputError, match=said):
            DatasetStore(tmp_path, options, overwrite=False)
        assert files_below(tmp_path) == before


def test_names_of_any_script_are_listed(tmp_path):
    name = "пациент-患者"
    build(tmp_path, [name], "old")
    assert [line.name for line in read_manifest(tmp_path)] == [name]
    assert build(tmp_path, [name], "old") == 0


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("place", ["manifest.jsonl", "manifest.partial.jsonl"])
def test_no_manifest_names_a_file_outside_the_dataset_to_remove(tmp_path, place, overwrite):
    root, precious = tmp_path / "dataset", tmp_path / "precious.txt"
    precious.write_text("mine")
    build(root, "ab", "1", overwrite=True)
    lines = (root / "manifest.jsonl").read_text().replace("train/truth/a.npz", "../precious.txt")
    if place == "manifest.jsonl":
        (root / place).write_text(lines)
    else:
        (root / place).write_text(('{"version": "1"}\n' if overwrite else "{}\n") + lines)
        (root / "dataset.json").unlink()
    try:
        build(root, "b", "2", overwrite=overwrite)
    except InputError as error:
        assert "'../precious.txt' is no path inside its folder" in str(error)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("link", ["train", "val/truth"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_nothing_is_written_or_removed_behind_a_link_that_leads_out(tmp_path, link, overwrite):
    root, other = tmp_path / "dataset", tmp_path / "other"
    build(root, "ab", "1", overwrite=True)
    (root / link).parent.mkdir(exist_ok=True)
    if (root / link).exists():
        (root / link).rename(other)
    else:
        other.mkdir()
    (root / link).symlink_to(other)
    before = files_below(tmp_path)
    with pytest.raises(InputError, match=r"a link leads out of .*dataset; remove the link"):
        build(root, "b", "2", overwrite=overwrite)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("first", [b"", b"null", b"[" * 9999, b'{"\xff": 1}', b"{", b"\0" * 50])
def test_a_journal_with_damaged_options_is_refused_or_built_anew(tmp_path, first):
    build(tmp_path / "d", "ab", "1", overwrite=True)
    (tmp_path / "d/dataset.json").unlink()
    manifest = tmp_path / "d/manifest.jsonl"
    (tmp_path / "d/manifest.partial.jsonl").write_bytes(first + b"\n" + manifest.read_bytes())
    with pytest.raises(
        InputError, match=r"d: built with another version \(None, now 2\); --overwrite builds"
    ):
        DatasetStore(tmp_path / "d", {"version": "2"}, overwrite=False)
    build(tmp_path / "d", "b", "2", overwrite=True)
    build(tmp_path / "new", "b", "2", overwrite=True)
    assert files_below(tmp_path / "d") == files_below(tmp_path / "new")


def test_temporaries_are_removed_in_the_datasets_own_folders_alone(tmp_path):
    root, other = tmp_path / "dataset", tmp_path / "other/inner"
    build(root, "ab", "1", overwrite=True)
    other.mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "other")
    own, foreign = (folder / ".a.png.abcd1234.tmp.png" for folder in (root / "train/images", other))
    for path in (own, foreign):
        path.write_bytes(b"")
    build(root, "b", "2", overwrite=True)
    assert (own.exists(), foreign.exists()) == (False, True)
