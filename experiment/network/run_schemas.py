"""What a run notes about itself and must find when it goes on: checkpoints' JSON files, weights' headers, the log."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Json, TypeAdapter, model_validator

from ecg_generator_with_train_src.common.classes import CLASS_NAMES
from ecg_generator_with_train_src.common.inner_paths import InnerPath
from ecg_generator_with_train_src.page.geometry import PX_PER_MM

FORMAT_VERSION = 1
SAME_SCALE = 1e-3
Number = Annotated[int, Field(ge=0, lt=2**63)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Row = Annotated[list[Number], Field(min_length=len(CLASS_NAMES), max_length=len(CLASS_NAMES))]
OfClasses = Annotated[dict[Literal[CLASS_NAMES], Share], Field(min_length=len(CLASS_NAMES))]


class _Noted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class SchedulerRecord(_Noted):
    """What ReduceLROnPlateau counts; `best` is None before the first validation."""

    best: float | None
    num_bad_epochs: Number
    cooldown_counter: Number
    last_epoch: Number


class BestEpoch(_Noted):
    """The epoch of a checkpoint that is the best so far."""

    epoch: Number
    mean_dice: Share
    loss: float


class Validation(_Noted):
    """The result of a validation."""

    loss: float
    dice: OfClasses
    iou: OfClasses


class MeterSums(_Noted):
    """What was counted in an epoch that is not over."""

    loss: float
    images: float
    matrix: Annotated[list[Row], Field(min_length=len(CLASS_NAMES), max_length=len(CLASS_NAMES))]


class RunRecord(_Noted):
    """A checkpoint's JSON file: where the run stands, and which state file belongs to it."""

    format_version: Literal[FORMAT_VERSION]
    state_file: InnerPath
    state_sha256: str
    epoch: Number
    step: Number
    epoch_step: Number
    epoch_steps: Annotated[Number, Field(ge=1)]
    dataset_sha256: str
    precision: Literal["fp32", "bf16"]
    bf16_off: bool
    lr: Rate
    scheduler: SchedulerRecord
    best_epochs: dict[Literal["best", "best_loss"], BestEpoch]
    scores: Validation | dict[str, None]  # empty before the first validation
    retries: list["RetryLine"]
    meter: MeterSums | None = None

    @model_validator(mode="after")
    def _epochs_have_a_best(self) -> "RunRecord":
        if self.epoch and len(self.best_epochs) < 2:
            raise ValueError("an epoch has ended, but best_epochs are missing")
        return self

    @model_validator(mode="after")
    def _epoch_is_not_longer_than_it_is(self) -> "RunRecord":
        if self.epoch_step > self.epoch_steps:
            raise ValueError(
                f"epoch_step {self.epoch_step} is beyond the {self.epoch_steps} steps of an epoch"
            )
        return self


class WeightsHeader(BaseModel):
    """The header of a weights file, whose values are text."""

    config: Json[dict[str, Any]]
    step: Annotated[str, Field(pattern=r"^\d{1,18}$")]
    classes: Json[tuple[str, ...]]
    px_per_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _labels_these_pages(self) -> "WeightsHeader":
        if self.classes != CLASS_NAMES:
            raise ValueError(f"its classes are {', '.join(self.classes)}, not {', '.join(CLASS_NAMES)}")
        if abs(self.px_per_mm / PX_PER_MM - 1) > SAME_SCALE:
            raise ValueError(f"it sees pages at {self.px_per_mm:g} px/mm, not at {PX_PER_MM:g}")
        return self


class _Line(BaseModel):
    """A line of metrics.jsonl. More may stand in it than is needed to go on."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    step: Number


class TrainLine(_Line):
    """Some steps of training."""

    kind: Literal["train"]
    loss: float
    lr: Rate


class ValLine(_Line):
    """A validation."""

    kind: Literal["val"]
    loss: float
    dice: OfClasses


class RetryLine(_Line):
    """A return to an earlier checkpoint."""

    kind: Literal["retry"]


LOG_LINE = TypeAdapter(Annotated[TrainLine | ValLine | RetryLine, Field(discriminator="kind")])


def as_values(record: RunRecord) -> dict[str, Any]:
    """What a run goes on with, as plain values: all but the state file's name and digest."""
    left_out = {"format_version", "state_file", "state_sha256"} | (
        {"meter"} if record.meter is None else set()
    )
    return record.model_dump(exclude=left_out)
