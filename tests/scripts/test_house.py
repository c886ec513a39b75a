"""The house keeps its rules: sizes, names, and a test file for every module. The source is parsed, never imported."""

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import REPOSITORY

PACKAGES = ("ecg_generator_with_train_src", "experiment", "scripts")
MOST_LINES = {"file": 400, "class": 200, "function": 60}
ENTRY_POINTS = {"main", "parse_arguments"}  # every command has its own; a list of flags may be long
GENERATOR, TESTS = "ecg_generator_with_train_src", "tests"
TESTED_ELSEWHERE = {  # modules without a test file of their name, and the file that tests them
    f"{GENERATOR}/batch_render_waveforms.py": "scripts/test_batch_render_waveforms.py",
    f"{GENERATOR}/build_dataset.py": "scripts/test_build_dataset.py",
    f"{GENERATOR}/common/classes.py": "scoring/test_page_scores.py",
    f"{GENERATOR}/degrade/apply.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/degrade/camera_poses.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/degrade/optics.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/degrade/paper_wear.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/degrade/printing.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/degrade/profiles.py": "degrade/test_build_profiles.py",
    f"{GENERATOR}/degrade/screen.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/degrade/strengths.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/degrade/textures.py": "degrade/test_draw_strengths.py",
    f"{GENERATOR}/record_files/signals.py": "record_files/test_text_tables.py",
    "experiment/benchmarks/commands.py": "benchmarks/test_benchmark.py",
    "experiment/benchmarks/network.py": "benchmarks/test_benchmark.py",
    "experiment/benchmarks/pages.py": "benchmarks/test_benchmark.py",
    "experiment/benchmarks/runtimes.py": "benchmarks/test_benchmark.py",
    "experiment/benchmarks/stages.py": "benchmarks/test_benchmark.py",
    "experiment/benchmarks/training.py": "benchmarks/test_benchmark.py",
    "experiment/fuzzing/material.py": "scripts/test_fuzz.py",
    "experiment/labelling/network_flags.py": "commands/test_predict.py",
    "experiment/labelling/overlays.py": "commands/test_predict.py",
    "experiment/labelling/page_probability.py": "commands/test_predict.py",
    "experiment/labelling/predictor.py": "commands/test_predict.py",
    "experiment/labelling/predict_pages.py": "commands/test_predict.py",
    "experiment/labelling/see_page.py": "labelling/test_print_reader.py",
    "experiment/backend/options.py": "backend/test_launch.py",
    "experiment/network/loaders.py": "network/test_onnx_export.py",
    "experiment/network/onnx_note.py": "network/test_onnx_export.py",
    "experiment/network/scales.py": "commands/test_predict.py",
    "experiment/network/shipped.py": "network/test_pretrained.py",
    "experiment/runtime/network.py": "runtime/test_choose.py",
    "experiment/runtime/openvino_cpu.py": "network/test_onnx_export.py",
    "experiment/runtime/torch_device.py": "network/test_onnx_export.py",
    f"{GENERATOR}/common/html_report.py": "labelling/test_report_html.py",
    "experiment/network/print_net.py": "training/test_print_training.py",
    "experiment/network/row_net.py": "reading/test_second_look.py",
    "experiment/network/run_schemas.py": "network/test_checkpoints.py",
    "experiment/train_print_reader.py": "training/test_print_training.py",
    "experiment/train_row_reader.py": "training/test_row_training.py",
    "experiment/training/row_material.py": "training/test_row_training.py",
    "experiment/training/small_networks.py": "training/test_print_training.py",
    "experiment/reading/knot_paths.py": "reading/test_trace_knots.py",
    "experiment/reading/layout_evidence.py": "reading/test_layout_guesses.py",
    "experiment/reading/printed_text.py": "reading/test_calibration.py",
    "experiment/reading/grid_directions.py": "reading/test_rectify.py",
    "experiment/reading/submission_table.py": "commands/test_digitize.py",
    "experiment/reading/curve_page.py": "reading/test_read_drawing.py",
    "experiment/reading/find_layout.py": "reading/test_read_page.py",
    "experiment/reading/output_files.py": "commands/test_digitize.py",
    "experiment/training/confusion.py": "scoring/test_dice.py",
    "experiment/scoring/page_truth.py": "scoring/test_page_scores.py",
    "experiment/scoring/score_tables.py": "commands/test_score.py",
    "scripts/common_recordings.py": "scripts/test_import_ptbxl.py",
}


def modules() -> list[Path]:
    """All source modules, from the repository's root, package files apart."""
    paths = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")]
    return sorted(path.relative_to(REPOSITORY) for path in paths if path.name != "__init__.py")


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse((REPOSITORY / path).read_text(encoding="utf-8")) for path in modules()}


def too_long(path: Path, tree: ast.Module) -> Iterator[str]:
    if (lines := len((REPOSITORY / path).read_text(encoding="utf-8").splitlines())) > MOST_LINES["file"]:
        yield f"{path}: {lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            lines = node.end_lineno - node.lineno + 1
            if lines > MOST_LINES[kind] and node.name not in ENTRY_POINTS:
                yield f"{path}: {kind} {node.name} has {lines} lines"


def test_files_classes_and_functions_are_short(trees):
    assert [line for path, tree in trees.items() for line in too_long(path, tree)] == []


def test_no_two_public_functions_or_classes_share_a_name(trees):
    places = defaultdict(list)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                places[node.name].append(str(path))
    allowed = ENTRY_POINTS
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in allowed} == {}


def own_test(path: Path, stems: Counter) -> list[Path]:
    """The test files of a module's name; those in a folder of its folder's name if other modules share that name."""
    found = (REPOSITORY / TESTS).rglob(f"test_{path.stem}.py")
    return [test for test in found if stems[path.stem] == 1 or test.parent.name == path.parent.name]


def test_every_module_has_a_test_file():
    stems = Counter(path.stem for path in modules())
    without = {str(path) for path in modules() if not own_test(path, stems)}
    assert sorted(without - TESTED_ELSEWHERE.keys()) == []
    assert sorted(TESTED_ELSEWHERE.keys() - without) == [], "these have a test file of their own, or are gone"
    assert [test for test in TESTED_ELSEWHERE.values() if not (REPOSITORY / TESTS / test).is_file()] == []


def imported(tree: ast.Module) -> Iterator[str]:
    """The top-level names that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_no_module_has_the_name_of_a_standard_module_or_a_dependency(trees):
    lists = "".join(path.read_text() for path in REPOSITORY.glob("requirements*.txt"))
    required = re.findall(r"^[\w.-]+", lists, re.MULTILINE)
    taken = {name for tree in trees.values() for name in imported(tree)} - set(PACKAGES)
    taken |= {name.lower().replace("-", "_") for name in required} | set(sys.stdlib_module_names)
    assert [str(path) for path in trees if path.stem in taken] == []
