"""experiment/fuzzing/targets.py. That its files and commands are sound is tested with the script."""

from experiment.fuzzing.targets import DIGITIZE_FOLDER, EXPORT, MUTATIONS, TARGETS, Reader

from conftest import REPOSITORY


def test_every_kind_of_file_has_a_command_that_reads_it_and_every_command_exists():
    assert {target.kind for target in TARGETS} == set(MUTATIONS)
    assert all((REPOSITORY / target.reader.script).is_file() for target in TARGETS)


def test_the_damaged_file_and_its_folder_are_named_in_the_flags():
    assert EXPORT.arguments("a/w.st") == ["--checkpoint", "a/w.st", "--output", "out/w.safetensors"]
    assert DIGITIZE_FOLDER.arguments("pages/png/page.png")[-2:] == ["--images", "pages/png"]
    assert Reader("s", "{file}", "").arguments("a b") == ["a b"]
