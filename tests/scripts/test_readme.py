"""Both READMEs give the same commands, and what they name exists."""

import re

import pytest

from conftest import REPOSITORY, run_script

LANGUAGES = ("README.md", "README.zh-CN.md")
FENCE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(language):
    """The lines of all shell blocks, without comments, which are translated."""
    lines = "".join(FENCE.findall((REPOSITORY / language).read_text())).splitlines()
    return [line for line in lines if not line.startswith("#")]


def flags_of(language, script):
    """The flags in the table or the commands of the section that starts with the script's command."""
    sections = re.split(r"^##+ ", (REPOSITORY / language).read_text(), flags=re.MULTILINE)
    (section,) = [text for text in sections if f"python {script}" in text or f"bash {script}" in text][:1]
    table = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `--")]
    return set(re.findall(r"--[a-z][a-z-]+", " ".join(table)))


def test_both_languages_give_the_same_commands():
    assert commands(LANGUAGES[0]) == commands(LANGUAGES[1])
    assert "bash scripts/test.sh" in commands(LANGUAGES[0])


def test_the_users_own_commands_stand_as_they_were():
    text = "\n".join(commands("README.md"))
    for command in (
        "bash scripts/prepare_original_data.sh",
        "python scripts/batch_render_waveforms.py \\\n    --csv-root ori_csv/train-csvs \\\n"
        "    --grid ecg_generator_with_train_src/export/clean_ecg_grid.png \\\n"
        "    --image-dir data/wave_images \\\n    --mask-dir data/wave_masks",
        "python scripts/build_dataset.py \\\n    --input-root ori_csv/train \\\n"
        "    --mask image_data/complete_mask.png \\\n"
        "    --wave-root data/wave_images \\\n    --output-root dataset_grid_wave_mix \\\n    --overwrite",
        "python scripts/download_subset.py",
        "export PJRT_DEVICE=TPU\npython experiment/train_tpu.py --config experiment/configs/grid_wave_net.yaml",
    ):
        assert command in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_file_that_is_named_is_there(language):
    text = (REPOSITORY / language).read_text()
    named = set(re.findall(r"\b(?:scripts|experiment|image_data)/[\w/.-]+\.(?:py|sh|yaml|png)\b", text))
    assert len(named) > 8
    missing = [name for name in named if not (REPOSITORY / name).is_file()]
    assert not missing


@pytest.mark.parametrize(
    "script",
    [
        "scripts/batch_render_waveforms.py",
        "scripts/build_dataset.py",
        "scripts/download_subset.py",
        "scripts/import_ptbxl.py",
        "experiment/train_tpu.py",
        "experiment/predict.py",
        "experiment/digitize.py",
        "experiment/score.py",
    ],
)
def test_the_tables_name_all_flags_of_a_script_and_no_others(script):
    usage = run_script(script, "--help").stdout.split("\n\n")[0]
    own = set(re.findall(r"--[a-z][a-z-]+", usage)) - {"--help"}
    for language in LANGUAGES:
        assert flags_of(language, script) == own
