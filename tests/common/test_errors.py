"""Errors as the one line that a user sees."""

import errno

import pytest
from pydantic import BaseModel, ValidationError

from ecg_generator_with_train_src.common.errors import describe_os_error, first_problem, item_fault


def test_a_fault_is_one_line_and_keeps_its_stack_trace():
    try:
        raise ValueError("two\n  lines")
    except ValueError as error:
        fault = item_fault(error, "17.csv: odd")
    assert str(fault) == "17.csv: odd (ValueError: two lines)"
    assert fault.trace.startswith("Traceback") and "test_errors.py" in fault.trace


def test_what_the_system_refuses_names_the_file_where_it_is_known():
    with pytest.raises(FileNotFoundError) as refused:
        open("/no/such/file")  # noqa: SIM115, PTH123
    assert describe_os_error(refused.value) == "/no/such/file: No such file or directory"
    assert describe_os_error(OSError("disk on fire")) == "disk on fire"
    full = OSError(errno.ENOSPC, "No space left on device", "/out/a.png")
    assert describe_os_error(full) == "/out/a.png: disk full; free some space, then run again to go on"


def test_the_first_problem_of_a_model_is_named_by_its_field():
    class Inner(BaseModel):
        number: int

    class Outer(BaseModel):
        inner: Inner

    with pytest.raises(ValidationError) as refused:
        Outer.model_validate({"inner": {"number": "x"}})
    assert first_problem(refused.value).startswith("inner.number: Input should be a valid integer")
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate_json("{")
    assert first_problem(refused.value).startswith("file: ")
