"""The training configuration: a YAML file, checked key by key, and `key=value` overrides on top of it.

    config = load_config(Path("experiment/configs/grid_wave_net.yaml"), ["optimizer.lr=3e-4"])

The defaults are in this file; the YAML file overrides them, and the command line overrides both. Unknown keys, wrong
types and values that contradict each other raise InputError, which names the key by its dotted path. What each key
means is explained in experiment/configs/grid_wave_net.yaml.
"""

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.common.errors import InputError, first_problem
from ecg_generator_with_train_src.common.text_files import LARGEST_NUMBER, parse_yaml, read_text

MOST_COUNT = 10**9
MOST_NUMBER = 1e30  # single precision ends at 3e38
Positive = Annotated[float, Field(gt=0, le=MOST_NUMBER)]
NotNegative = Annotated[float, Field(ge=0, le=MOST_NUMBER)]
PageWeight = Annotated[float, Field(ge=0, le=10_000)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=MOST_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MOST_COUNT)]
Width = Annotated[int, Field(ge=1, le=1024)]

CONFIGS = Path(__file__).resolve().with_name("configs")
SHIPPED = "shipped"  # run.initial_weights: those that the package has

MOST_BATCH_PIXELS = 2**26  # of a batch's crops: 256 of 512 pixels

MOST_SECTIONS = 2  # before the last part of a key: data.profile_weights.clean
MISSING = "missing"  # the value that differing_key gives for a key that one side lacks


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class RunConfig(_Section):
    """Where a run is stored, how long it trains and how often it reports."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    root: str = "runs"
    seed: Annotated[int, Field(ge=0, le=LARGEST_NUMBER)] = 0
    epochs: Count = 100
    steps_per_epoch: Count | Literal["auto"] = "auto"
    log_every: Count = 50
    sample_tiles: Annotated[int, Field(ge=0, le=64)] = 4
    hang_minutes: Positive = 30.0
    initial_weights: str | None = None

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return Path(self.root) / self.name


class DataConfig(_Section):
    """The dataset and how crops are drawn from it."""

    root: str
    crop_size: Annotated[int, Field(ge=16)] = 512
    crops_per_page: Count = 8
    augment: bool = True
    profile_weights: dict[str, PageWeight] = {}
    batch_size: Count = 16
    val_batch_size: Count = 16
    val_max_tiles: Count | Literal["all"] = "all"
    in_memory: bool | Literal["auto"] = "auto"
    num_workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"


class ModelConfig(_Section):
    """Shape of GridWaveNet."""

    widths: Annotated[tuple[Width, ...], Field(min_length=2, max_length=8)] = (64, 32, 64, 96, 128, 128)
    norm_groups: Count = 4

    @property
    def stride(self) -> int:
        """The sides of an image must be multiples of this number of pixels."""
        return 2 ** (len(self.widths) - 1)


class LossConfig(_Section):
    """What the network learns to predict, and the weights of the two parts of the loss and of the classes."""

    waveform_target: Literal["coverage", "mask"] = "coverage"
    cross_entropy_weight: NotNegative = 1.0
    dice_weight: NotNegative = 1.0
    class_weights: tuple[NotNegative, ...] | Literal["auto"] = "auto"
    class_weight_power: Annotated[float, Field(ge=0, le=4)] = 0.25
    dice_smooth_px: Positive = 50.0


class OptimizerConfig(_Section):
    """The optimizer, AdamW."""

    lr: Positive = 3e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)
    weight_decay: NotNegative = 0.01
    clip_norm: Positive = 1.0
    warmup_steps: CountOrZero = 100


class SchedulerConfig(_Section):
    """ReduceLROnPlateau, which watches the validation loss."""

    factor: Fraction = 0.5
    patience: CountOrZero = 4
    threshold: NotNegative = 1e-3
    cooldown: CountOrZero = 0
    min_lr: Positive = 1e-6


class NanConfig(_Section):
    """What happens when the loss or a gradient is not finite."""

    max_bad_steps: Count = 20
    max_retries: CountOrZero = 3


class Config(_Section):
    """A whole training configuration."""

    run: RunConfig
    data: DataConfig
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    nan: NanConfig = NanConfig()
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self


def _contradictions(config: Config):
    """Yield `key: what contradicts what` for each contradiction."""
    data, model, loss = config.data, config.model, config.loss
    if data.batch_size % data.crops_per_page:
        yield f"data.batch_size: {data.batch_size} is not a multiple of data.crops_per_page ({data.crops_per_page})"
    for key, number in (("batch_size", data.batch_size), ("val_batch_size", data.val_batch_size)):
        if number * data.crop_size**2 > MOST_BATCH_PIXELS:
            most = MOST_BATCH_PIXELS // data.crop_size**2
            yield f"data.{key}: {number} crops of data.crop_size {data.crop_size} fill the memory; at most {most}"
    if data.crop_size % model.stride:
        yield f"data.crop_size: {data.crop_size} is not a multiple of {model.stride}, as model.widths requires"
    yield from _model_contradictions(model)
    if loss.cross_entropy_weight == loss.dice_weight == 0:
        yield "loss.dice_weight: 0, and loss.cross_entropy_weight is 0 too: nothing is left to minimise"
    if loss.class_weights != "auto" and len(loss.class_weights) != len(CLASS_NAMES):
        yield f"loss.class_weights: {len(loss.class_weights)} values, but {len(CLASS_NAMES)} classes"
    if config.scheduler.min_lr > config.optimizer.lr:
        yield f"scheduler.min_lr: {config.scheduler.min_lr:g} is above optimizer.lr ({config.optimizer.lr:g})"


def _model_contradictions(model: ModelConfig):
    for width in model.widths:
        if width % model.norm_groups:
            yield f"model.widths: {width} is not a multiple of model.norm_groups ({model.norm_groups})"


def config_file(given: Path) -> Path:
    """A configuration's file, from its path, or from the name of one that the package has, such as demo_cpu."""
    own = CONFIGS / f"{given}.yaml"
    return own if own.is_file() and not given.exists() else given


def load_config(path: Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Read and check `path` with `key=value` overrides. Raises InputError naming the file and the key."""
    if not path.is_file():
        raise InputError(
            f"{path}: not found; give a configuration such as experiment/configs/grid_wave_net.yaml"
        )
    values = parse_yaml(read_text(path), path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: is not a mapping of sections such as run, data and model")
    for override in overrides:
        _apply_override(values, override)
    return check_config(values, str(path))


def check_config(values: dict[str, Any], source: str) -> Config:
    """A Config of plain values. Raises InputError, which starts with `source` and names the first bad key."""
    try:
        # Through JSON, types are checked strictly, and a YAML list may still become a tuple.
        return Config.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise InputError(f"{source}: {_first_problem(error)}") from error


def check_model_config(values: Any, source: str) -> ModelConfig:
    """The shape of a network from plain values. Raises InputError, which starts with `source`."""
    try:
        model = ModelConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise InputError(f"{source}: model: {first_problem(error)}") from error
    for problem in _model_contradictions(model):
        raise InputError(f"{source}: {problem}")
    return model


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"] if not _is_union_branch(part))
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{_suggestion(problem['loc'])}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{key}: is missing, and has no default"
    if not key:  # a contradiction names its key itself
        return message
    return f"{key}: {_all_messages(error, key)}, not {problem['input']!r}"


def _is_union_branch(part: int | str) -> bool:
    """Whether Pydantic put this part of a path there for a branch of a union, such as 'int' or 'literal[…]'."""
    return isinstance(part, str) and (part in {"int", "bool", "float", "constrained-int"} or "[" in part)


def _all_messages(error: ValidationError, key: str) -> str:
    """The messages of all union branches of one key, joined: `input should be 'auto' or a valid integer`."""
    messages = [
        problem["msg"].replace("an object", "a section of keys")
        for problem in error.errors()
        if ".".join(str(part) for part in problem["loc"] if not _is_union_branch(part)) == key
    ]
    return " or ".join(message[0].lower() + message[1:] for message in messages)


def _suggestion(location: tuple) -> str:
    section: Any = Config
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    known = sorted(section.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"{override}: not of the form key=value, as in optimizer.lr=3e-4")
    *sections, last = key.split(".")
    if len(sections) > MOST_SECTIONS:
        raise InputError(f"{override}: no setting has so many parts; keys are such as optimizer.lr")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"{override}: {section} is not a section of keys")
    values[last] = parse_yaml(text, override)


def dump_config(config: Config) -> str:
    """The whole configuration with its defaults, as YAML that load_config reads back unchanged."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


# Settings that may change when a run is resumed.
FREE_KEYS = frozenset(
    {
        *("run.name", "run.root", "run.epochs", "run.log_every", "run.sample_tiles", "run.hang_minutes"),
        *("data.root", "data.val_batch_size", "data.in_memory", "data.num_workers"),
        *("nan.max_bad_steps", "nan.max_retries"),
    }
)


def differing_key(old: Config, new: Config) -> tuple[str, Any, Any] | None:
    """The first key, with both values, in which `new` is not the same run as `old`; None if there is none."""
    old_values, new_values = _flatten(old.model_dump(mode="json")), _flatten(new.model_dump(mode="json"))
    for key in [*old_values, *new_values]:
        before, after = old_values.get(key, MISSING), new_values.get(key, MISSING)
        if key not in FREE_KEYS and before != after:
            return key, before, after
    return None


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
