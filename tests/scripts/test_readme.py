"""What the READMEs name exists, both languages say the same, and the English one is short and plain."""

import contextlib
import functools
import importlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from experiment.config import load_config

from conftest import REPOSITORY

LANGUAGES = ("README.md", "README.zh-CN.md")
BUILT = ("CONTRIBUTING.md", "CONTRIBUTING.zh-CN.md")
PAIRS = (LANGUAGES, BUILT)
DOCUMENTS = (*LANGUAGES, *BUILT, "RESULTS.md", "runs/README.md", "experiment/pretrained/README.md")
MAX_WORDS, MAX_WORDS_A_SENTENCE = 2500, 25

# What a user has or a command makes: these are named, and are not in the repository.
FROM_USERS = ("my_pages", "my_records", "ptb-xl-1.0.3", "test.csv", "DATASET")
MADE = (
    "ori_csv",
    "data",
    "dataset_grid_wave_mix",
    "downloaded_subset",
    "predictions",
    "readings",
    "scores.csv",
)
RUNS = ("grid_wave_mix_run", "small_run", "my_pages", "finetuned")
MADE_RUNS = tuple(f"runs/{name}" for name in RUNS)
MADE_NAMES = ("report.html", "train.csv", "env.json", "metrics.jsonl", "curves.png", "samples", "checkpoints")

FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:-m )?(?:[\w./]*\b)\w+\.(?:py|sh)\b|-m ecg_[\w.]+")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SUFFIXES = "py|sh|ya?ml|md|json|html|png|jpg|csv|safetensors"
PATH = re.compile(rf"(?<![\w/.~<-])(?:[\w-][\w.-]*/)+[\w.-]*|(?<![\w/.~<>-])[\w-]+\.(?:{SUFFIXES})\b")


def text_of(name: str) -> str:
    """A document's text."""
    return (REPOSITORY / name).read_text()


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for kind, body in FENCE.findall(text) if kind == language]


def commands(name: str) -> list[str]:
    """The lines of all shell blocks, without comments, which are translated."""
    return [line for line in "".join(blocks(text_of(name), "bash")).splitlines() if not line.startswith("#")]


def code(text: str) -> list[str]:
    """Every stretch of code of a document: inline ones, and the commands of shell blocks, each on one line."""
    joined = "".join(blocks(text, "bash")).replace("\\\n", " ")
    return [*INLINE.findall(FENCE.sub("", text)), *joined.splitlines()]


def tables(text: str) -> list[list[list[str]]]:
    """The tables: rows of cells, the header first, without the rule below it."""
    found = re.findall(r"(?:^\|.*\|\n)+", FENCE.sub("", text), re.MULTILINE)
    rows = [[row.strip("|").split("|") for row in table.splitlines()] for table in found]
    return [[table[0], *table[2:]] for table in rows]


@functools.cache
def tree() -> frozenset[str]:
    """The paths of all files and folders of the repository, caches apart."""
    tops = [path for path in REPOSITORY.iterdir() if not path.name.startswith(".") or path.name == ".ci"]
    skipped = {"__pycache__", *MADE}
    paths = [path for top in tops if top.name not in skipped for path in (top, *below(top))]
    return frozenset(path.relative_to(REPOSITORY).as_posix() for path in paths)


def below(folder: Path) -> Iterator[Path]:
    """All files and folders below a folder; links are followed."""
    for root, folders, files in os.walk(folder, followlinks=True):
        yield from (Path(root, name) for name in (*folders, *files))


@functools.cache
def file_names() -> frozenset[str]:
    """The names of all files and folders of the repository, without their folders."""
    return frozenset(Path(path).name for path in tree())


# flags


@functools.cache
def flags_of(command: str, subcommand: str = "") -> frozenset[str]:
    """The flags that a command's --help names in its usage; none for a shell script without a Python twin."""
    source = command.replace(".sh", ".py")
    if not (REPOSITORY / source).is_file():
        return frozenset()
    module = importlib.import_module(source.removesuffix(".py").replace("/", "."))
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        module.main([*filter(None, [subcommand]), "--help"])
    return frozenset(FLAG.findall(shown.getvalue().split("\n\n")[0]))


def command_file(word: str) -> str:
    """The file of a command as a document writes it: a path, a module after -m, or the file's name alone."""
    if word.startswith("-m "):
        return word.removeprefix("-m ").replace(".", "/") + ".py"
    if "/" in word:
        return word
    (path,) = [f"{folder}/{word}" for folder in ("scripts", "experiment") if f"{folder}/{word}" in tree()]
    return path


def used_flags(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Each flag that stands behind a command or in a table, with the flags that it may be."""
    for stretch in code(text):
        if (found := COMMAND.search(stretch)) and (flags := FLAG.findall(stretch[found.end() :])):
            word = stretch[found.end() :].split()[0]
            subcommand = word if command_file(found[0]) == "scripts/benchmark.py" else ""
            known = flags_of(command_file(found[0]), subcommand)
            yield from ((flag, known) for flag in flags)
    for header, *rows in tables(text):
        for first, meaning, *_ in rows:
            for flag in FLAG.findall(first):
                takers = COMMAND.findall(meaning) or COMMAND.findall(header[0])
                yield from ((flag, flags_of(command_file(taker))) for taker in takers)


def named_commands(text: str) -> set[str]:
    """The files of all commands that a document runs in its shell blocks."""
    return {command_file(word) for block in blocks(text, "bash") for word in COMMAND.findall(block)}


@pytest.mark.parametrize("name", [*LANGUAGES, *BUILT, "RESULTS.md"])
def test_every_flag_belongs_to_the_command_beside_it(name):
    used = list(used_flags(text_of(name)))
    assert len(used) > 8 or name not in LANGUAGES
    unknown = [flag for flag, known in used if flag not in known]
    assert not unknown


@pytest.mark.parametrize("name", [*LANGUAGES, *BUILT])
def test_flags_in_sentences_belong_to_some_command(name):
    text = text_of(name)
    known = frozenset({"--help"}).union(*map(flags_of, named_commands(text)))
    unknown = [
        stretch
        for stretch in code(text)
        if FLAG.match(stretch) and not known.issuperset(FLAG.findall(stretch))
    ]
    assert not unknown


def test_the_settings_that_are_given_exist():
    lines = [shlex.split(stretch) for stretch in code(text_of("README.md")) if "--config" in stretch]
    given = [(words, [word for word in words if re.match(r"\w+\.\w+=", word)]) for words in lines]
    for words, settings in given:
        if settings:
            load_config(REPOSITORY / words[words.index("--config") + 1], settings)
    assert sum(map(len, (settings for _, settings in given))) > 1


# paths and links


def is_there(path: str) -> bool:
    """Whether a path is in the repository, or is what a user has or a command makes."""
    path = path.rstrip("/")
    if path in tree():
        return True
    if any(path == made or path.startswith(f"{made}/") for made in (*MADE, *MADE_RUNS, *FROM_USERS)):
        return True
    return "/" not in path and (path in file_names() or path in MADE_NAMES)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_is_named_exists(name):
    text = re.sub(r"\w+://\S+", "", text_of(name))
    named = {path for stretch in code(text) for path in PATH.findall(stretch)}
    assert len(named) > 30 or name not in LANGUAGES
    missing = [
        path for path in sorted(named) if not is_there(path) and not is_there(f"{Path(name).parent}/{path}")
    ]
    assert not missing


@pytest.mark.parametrize("name", BUILT)
def test_the_tree_that_is_shown_is_the_repositorys(name):
    (shown,) = [block for block in blocks(text_of(name), "text") if block.startswith("scripts/")]
    folder, paths = "", []
    for line in shown.splitlines():
        entry = line.split()[0].rstrip("/")
        folder = folder if line.startswith(" ") else entry
        paths.append(f"{folder}/{entry}" if line.startswith(" ") else entry)
    assert not set(paths) - tree()
    rooms = {
        f"{package}/{path.name}"
        for package in ("experiment", "ecg_generator_with_train_src")
        for path in (REPOSITORY / package).iterdir()
        if (path / "__init__.py").is_file()
    }
    assert not rooms - set(paths)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(name):
    links = [link for link in LINK.findall(text_of(name)) if "://" not in link]
    assert not [
        link for link in links if not (REPOSITORY / name).parent.joinpath(link.partition("#")[0]).exists()
    ]


# both languages, and the commands of the user's README


@pytest.mark.parametrize("pair", PAIRS)
def test_both_languages_give_the_same_commands(pair):
    assert commands(pair[0]) == commands(pair[1])


@pytest.mark.parametrize("pair", PAIRS)
def test_both_languages_have_the_same_parts(pair):
    outlines = []
    for name in pair:
        text = text_of(name)
        links = sorted(link for link in LINK.findall(text) if link not in (*LANGUAGES, *BUILT))
        levels = [len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)]
        outlines.append((levels, links, sorted(INLINE.findall(FENCE.sub("", text)))))
    assert outlines[0] == outlines[1]


@pytest.mark.parametrize("pair", PAIRS)
def test_both_languages_give_the_same_figures(pair):
    rows = [[row for table in tables(text_of(name)) for row in table] for name in pair]
    figures = [[sorted(re.findall(r"\d+(?:\.\d+)?", " ".join(row))) for row in language] for language in rows]
    assert figures[0] == figures[1]


def test_the_users_own_commands_stand_as_they_were():
    text = "\n".join(commands("README.md"))
    for command in (
        "pip uninstall -y torch torchvision\n"
        "pip install torch~=2.5.0 torch_xla[tpu]~=2.5.0 torchvision"
        " -f https://storage.googleapis.com/libtpu-releases/index.html\n"
        "pip install -r requirements.txt numpy",
        "bash scripts/prepare_original_data.sh",
        "mkdir -p ori_csv\n"
        "gsutil cp -r gs://tpu-research-01-ecg-data/kaggle_ecg/ori_csv/* ori_csv/\n"
        "cd ori_csv && tar -zxvf train-csvs.tar.gz && cd ..",
        "python scripts/batch_render_waveforms.py \\\n    --csv-root ori_csv/train-csvs \\\n"
        "    --grid ecg_generator_with_train_src/export/clean_ecg_grid.png \\\n"
        "    --image-dir data/wave_images \\\n    --mask-dir data/wave_masks",
        "python scripts/build_dataset.py \\\n    --input-root ori_csv/train \\\n"
        "    --mask image_data/complete_mask.png \\\n"
        "    --wave-root data/wave_images \\\n    --output-root dataset_grid_wave_mix \\\n    --overwrite",
        "python scripts/download_subset.py",
        "export PJRT_DEVICE=TPU\npython experiment/train_tpu.py --config experiment/configs/grid_wave_net.yaml",
        "unset XLA_USE_BF16\npython experiment/train_tpu.py --config experiment/configs/grid_wave_net.yaml",
        "bash scripts/test.sh",
    ):
        assert command in text


# short and plain


def sentences(text: str) -> list[str]:
    """The sentences of a document's running text and of its tables' cells; a stretch of code is one word."""
    text = re.sub(r"<!--.*?-->|^#.*|^!\[.*|^\|[-|]+\|$", "", FENCE.sub("\n", text), flags=re.MULTILINE)
    text = LINK.sub("]", INLINE.sub("code", text))
    parts = re.split(r"\n\s*\n|^\* |^\||\|\n|\|", text, flags=re.MULTILINE)
    return [sentence for part in parts for sentence in re.split(r"[.!?][*)\"]*\s+", part) if sentence.strip()]


def test_sentences_are_told_apart():
    text = "# Title\n\nOne `a --c` [two](x). Three\nfour!\n\n| a b | c |\n|---|---|\n| d | e. F |\n\n* g\n* **h.** I\n"
    counted = [len(re.findall(r"\w+", sentence)) for sentence in sentences(text)]
    assert counted == [3, 2, 2, 1, 1, 1, 1, 1, 1, 1]


def test_the_english_readme_is_short():
    assert len(text_of("README.md").split()) < MAX_WORDS


def test_the_english_sentences_are_short():
    found = sentences(text_of("README.md"))
    assert len(found) > 100
    assert not [text for text in found if len(re.findall(r"[\w'/.,–-]*\w", text)) > MAX_WORDS_A_SENTENCE]


# licence


def test_the_licence_and_the_citation_are_there():
    assert "Apache License" in text_of("LICENSE") and "CC BY 4.0" in text_of("NOTICE")
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == "Apache-2.0"
