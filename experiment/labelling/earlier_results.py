"""What must stand in the results of an earlier run for reports and scores to be made of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ecg_generator_with_train_src.common.classes import CLASS_NAMES

Count = Annotated[int, Field(ge=0, lt=2**53)]
Row = Annotated[list[Count], Field(min_length=len(CLASS_NAMES), max_length=len(CLASS_NAMES))]
OfClasses = Annotated[dict[Literal[CLASS_NAMES], float], Field(min_length=len(CLASS_NAMES))]
OfDistances = Annotated[dict[Literal["1_px", "2_px"], float | None], Field(min_length=2)]


class _Result(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Lead(_Result):
    confidence: float


class UnreadReading(_Result):
    """The JSON of a page that digitize.py could not read."""

    status: Literal["unread"]
    reasons: Annotated[list[str], Field(min_length=1)]
    fs_hz: float
    leads: list[_Lead] = []
    rectified: dict[str, Any] = {}


class WholeReading(UnreadReading):
    """The JSON of a page that it read."""

    status: Literal["sure", "check"]
    reasons: list[str]
    layout: str
    lead_order: str
    paper_speed_mm_s: float
    gain_mm_mv: float
    rotation_deg: float


class TallyCounts(_Result):
    """The counts of a page that predict.py scored."""

    model_config = ConfigDict(extra="forbid")

    pages: Count
    confusion: Annotated[list[Row], Field(min_length=len(CLASS_NAMES), max_length=len(CLASS_NAMES))]
    curve_points: Count
    hits: Annotated[list[Count], Field(min_length=2, max_length=2)]
    predicted: Count
    stray: Count
    offset_sum_px: float
    offsets: Count


class LabelledPage(_Result):
    """A line of predictions.jsonl."""

    width_px: Count
    height_px: Count
    pitch_px: float
    rotation_deg: float
    confidence: float
    warnings: list[str]


class ScoredLabels(LabelledPage):
    """A line of a page that was scored."""

    kind: str
    dice: OfClasses
    iou: OfClasses
    hit_rate: OfDistances
    stray: float | None
    counts: TallyCounts


READING = TypeAdapter(Annotated[UnreadReading | WholeReading, Field(discriminator="status")])
_LABELS, _SCORED_LABELS = TypeAdapter(LabelledPage), TypeAdapter(ScoredLabels)


def is_whole_reading(about: dict) -> bool:
    """Whether a page's JSON has all that is needed of it."""
    return _fits(READING, about)


def is_whole_prediction(line: dict) -> bool:
    """Whether a page's line of predictions.jsonl has all that is needed of it."""
    return _fits(_SCORED_LABELS if {"counts", "dice", "kind"} & line.keys() else _LABELS, line)


def _fits(adapter: TypeAdapter, values: dict) -> bool:
    try:
        adapter.validate_python(values)
    except ValidationError:
        return False
    return True
