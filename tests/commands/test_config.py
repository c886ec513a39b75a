"""Configurations: what is read, and what is refused by which name."""

from pathlib import Path

import pytest
import yaml

from ecg_generator_with_train_src.common.errors import InputError
from experiment.config import Config, config_file, differing_key, dump_config, load_config

from conftest import REPOSITORY

CONFIGS = REPOSITORY / "experiment" / "configs"
RESOLVED = REPOSITORY / "tests" / "commands" / "resolved_configs"
MINIMAL = "run: {name: r}\ndata: {root: d}\n"


def load(tmp_path: Path, text: str, *overrides: str) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load_config(path, overrides)


def refusal(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["grid_wave_net", "demo_cpu"])
def test_shipped_configurations_state_every_key(name):
    text = (CONFIGS / f"{name}.yaml").read_text()
    config = load_config(CONFIGS / f"{name}.yaml")
    assert yaml.safe_load(text).keys() == Config.model_fields.keys()
    for section, values in yaml.safe_load(text).items():
        if isinstance(values, dict):
            assert values.keys() == type(getattr(config, section)).model_fields.keys(), section


def test_a_shipped_configuration_may_be_given_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_file(Path("demo_cpu")) == CONFIGS / "demo_cpu.yaml"
    assert config_file(Path("no_such")) == Path("no_such")
    Path("demo_cpu").write_text(MINIMAL)
    assert config_file(Path("demo_cpu")) == Path("demo_cpu")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_mean_what_they_meant(path):
    """A default that changes, changes these texts: look at each difference, then write them anew with

    python -c "import sys; from pathlib import Path; from experiment.config import *
    for path in map(Path, sys.argv[1:]):
        Path('tests/commands/resolved_configs', path.name).write_text(dump_config(load_config(path)))
    " experiment/configs/*.yaml
    """
    assert dump_config(load_config(path)) == (RESOLVED / path.name).read_text()


def test_run_names_of_the_readme():
    config = load_config(CONFIGS / "grid_wave_net.yaml")
    assert str(config.run.folder) == "runs/grid_wave_mix_run"
    assert config.data.root == "dataset_grid_wave_mix"


def test_defaults_then_file_then_overrides(tmp_path):
    text = MINIMAL + "optimizer: {lr: 2e-3, weight_decay: 0.1}\n"
    config = load(tmp_path, text, "optimizer.lr=3e-4", "model.widths=[8, 16]", "precision=bf16")
    assert config.optimizer.lr == 3e-4
    assert config.optimizer.weight_decay == 0.1
    assert config.optimizer.clip_norm == 1.0
    assert config.model.widths == (8, 16)
    assert config.precision == "bf16"


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("1E3", 1e3), ("-5.e-1", -0.5), (".5e+1", 5.0), ("1", 1.0), ("2.5", 2.5)],
)
def test_numbers_with_exponents_are_numbers(tmp_path, text, value):
    config_text = MINIMAL + f"optimizer: {{lr: {text}}}\nscheduler: {{min_lr: 1e-9}}\n"
    if value > 0:
        assert load(tmp_path, config_text).optimizer.lr == value
    else:
        assert "optimizer.lr" in refusal(tmp_path, config_text)


@pytest.mark.parametrize(
    ("override", "key", "says"),
    [
        ("optimizer.lrr=1", "optimizer.lrr", "did you mean lr?"),
        ("optimiser.lr=1", "optimiser", "did you mean optimizer?"),
        ("loss.zzz=1", "loss.zzz", "known here: class_weight_power"),
        ("optimizer.lr='3e-4'", "optimizer.lr", "valid number"),
        ("optimizer.lr=0", "optimizer.lr", "greater than 0"),
        ("optimizer.lr=.inf", "optimizer.lr", "finite"),
        ("scheduler.min_lr=0", "scheduler.min_lr", "greater than 0"),
        ("run.epochs=1.5", "run.epochs", "integer"),
        ("run.epochs=true", "run.epochs", "integer"),
        ("run.name=7", "run.name", "string"),
        ("run.name=../elsewhere", "run.name", "pattern"),
        ("run.seed=-1", "run.seed", "greater than or equal to 0"),
        ("run.steps_per_epoch=many", "run.steps_per_epoch", "'auto'"),
        ("precision=fp16", "precision", "'bf16'"),
        ("data.in_memory=maybe", "data.in_memory", "boolean"),
        ("data.root=", "data.root", "string"),
        ("model.widths=[16, thirty]", "model.widths.1", "integer"),
        ("model.widths=[16]", "model.widths", "at least 2"),
        ("model=small", "model", "section of keys"),
        ("optimizer.betas=[0.9]", "optimizer.betas.1", "missing"),
        ("model.widths=[8, 2000000]", "model.widths.1", "less than or equal to 1024"),
        ("model.widths=[8, 8, 8, 8, 8, 8, 8, 8, 8]", "model.widths", "at most 8"),
        ("run.steps_per_epoch=1000000001", "run.steps_per_epoch", "less than or equal to 1000000000"),
        ("run.epochs=9000000000000000000", "run.epochs", "less than or equal to 1000000000"),
        ("optimizer.warmup_steps=9000000000", "optimizer.warmup_steps", "less than or equal to 1000000000"),
        ("optimizer.lr=1e39", "optimizer.lr", "less than or equal to 1000000000000000000000000000000"),
        ("loss.class_weight_power=1000", "loss.class_weight_power", "less than or equal to 4"),
        ("data.crop_size=2", "data.crop_size", "greater than or equal to 16"),
        ("data.num_workers=100000", "data.num_workers", "less than or equal to 256"),
        # contradictions
        (
            "data.crop_size=100032",
            "data.batch_size",
            "16 crops of data.crop_size 100032 fill the memory; at most 0",
        ),
        (
            "data.val_batch_size=257",
            "data.val_batch_size",
            "257 crops of data.crop_size 512 fill",
        ),
        ("data.batch_size=6", "data.batch_size", "crops_per_page (8)"),
        ("data.crop_size=100", "data.crop_size", "multiple of 32"),
        ("model.widths=[8, 18]", "model.widths", "norm_groups (4)"),
        ("loss.class_weights=[1, 2]", "loss.class_weights", "3 classes"),
        ("scheduler.min_lr=0.1", "scheduler.min_lr", "above optimizer.lr"),
    ],
)
def test_refusals_name_the_key(tmp_path, override, key, says):
    message = refusal(tmp_path, MINIMAL, override)
    assert message.startswith(f"{tmp_path / 'c.yaml'}: {key}: ")
    assert says in message


def test_more_refusals(tmp_path):
    assert "run.name: is missing" in refusal(tmp_path, "run: {}\ndata: {root: d}\n")
    assert "loss.dice_weight" in refusal(
        tmp_path, MINIMAL, "loss.dice_weight=0", "loss.cross_entropy_weight=0"
    )
    assert "key 'lr' is given twice" in refusal(tmp_path, MINIMAL + "optimizer: {lr: 1.0, lr: 2.0}\n")
    assert "not valid YAML" in refusal(tmp_path, "run: [")
    assert "not a mapping" in refusal(tmp_path, "- run\n")
    assert "not of the form key=value" in refusal(tmp_path, MINIMAL, "optimizer.lr")
    assert "precision: input should be 'auto'" in refusal(tmp_path, MINIMAL, "precision.x=1")
    assert "precision is not a section" in refusal(tmp_path, MINIMAL + "precision: fp32\n", "precision.x=1")
    with pytest.raises(InputError, match=r"nowhere\.yaml: not found"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_dumped_configuration_reads_back_the_same(tmp_path):
    config = load(tmp_path, MINIMAL, "scheduler.min_lr=1e-7", "loss.class_weights=[1, 2.5, 0]")
    assert load(tmp_path, dump_config(config)) == config


def test_differing_key_ignores_what_makes_no_other_run(tmp_path):
    config = load(tmp_path, MINIMAL)
    assert differing_key(config, load(tmp_path, MINIMAL, "run.epochs=7", "data.num_workers=3")) is None
    changed = load(tmp_path, MINIMAL, "optimizer.lr=0.5", "scheduler.factor=0.25")
    assert differing_key(config, changed) == ("optimizer.lr", 3e-3, 0.5)
    assert differing_key(config, load(tmp_path, MINIMAL, "model.widths=[8, 16]"))[0] == "model.widths"
