"""Text, YAML and JSON from outside: what is wrong with a file becomes one line that names it, the line and the remedy.

Text is UTF-8, or UTF-16 or UTF-32 with the mark that editors write in front of it. YAML is plain values alone: no
aliases, which blow a small file up to gigabytes, and no tags of other types. Numbers have at most 64 bits.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ecg_generator_with_train_src.common.bounds import input_lines, read_input
from ecg_generator_with_train_src.common.errors import InputError, first_problem

LARGEST_NUMBER = 2**63 - 1
_MARKS = {  # longest first: the mark of UTF-16 begins that of UTF-32
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SAVE_AS = "save it again as UTF-8 text"
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # as escapes in quotes give them

Model = TypeVar("Model", bound=BaseModel)


def read_text(path: Path) -> str:
    """The text of a file. Raises InputError naming file and line if it is missing or no text."""
    try:
        return _decode(read_input(path), path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _decode(data: bytes, source: Path) -> str:
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{source}, line {line}: byte 0x{data[error.start]:02X} is not {encoding.upper()}; {_SAVE_AS}"
        ) from error
    if (at := text.find("\0")) >= 0:
        raise InputError(f"{source}, line {_line(text, at)}: holds a NUL character; {_SAVE_AS}")
    return text


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def read_json(path: Path, model: type[Model], remedy: str) -> Model:
    """What a JSON file says, as a model. Raises InputError: the file, the first thing wrong, and the remedy."""
    try:
        return parse_json(read_input(path), model, path, remedy)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; {remedy}") from error


def read_json_lines(path: Path, model: type[Model], remedy: str) -> Iterator[Model]:
    """The same of each line of a file. Raises InputError, which names the line too."""
    try:
        for number, line in enumerate(input_lines(path), start=1):
            if line:
                yield parse_json(line, model, f"{path}, line {number}", remedy)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; {remedy}") from error


def parse_json(data: bytes | str, model: type[Model], source: Path | str, remedy: str) -> Model:
    """A model of JSON text. Raises InputError, which names `source` and the first bad field."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise InputError(f"{source}: {first_problem(error)}; {remedy}") from error


def parse_values(text: str, source: Path | str) -> Any:
    """The plain values of a JSON text that no model describes. Raises InputError, which names `source`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not valid JSON ({error})") from error


def parse_yaml(text: str, source: Path | str) -> Any:
    """The plain values of a YAML text. Raises InputError, which names `source`, the line and what is wrong there."""
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.reader.ReaderError as error:
        where, why = _line(text, error.position), f"character {error.character:#x} is not allowed"
    except yaml.MarkedYAMLError as error:
        where, why = (error.problem_mark or error.context_mark).line + 1, error.problem or error.context
    except RecursionError:
        where, why = loader.get_mark().line + 1, "nested too deeply"
    except (ValueError, LookupError) as error:  # of PyYAML's scanner, which takes some escapes for granted
        where, why = loader.get_mark().line + 1, str(error)
    raise InputError(f"{source}, line {where}: not valid YAML: {' '.join(why.split())}; mend this line")


class _Loader(yaml.SafeLoader):
    """Plain values, each given once. Unlike PyYAML, it reads 3e-4 as a number."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            raise _refusal(f"alias *{event.anchor}: write the value itself instead", event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node, deep=False):
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _refusal(f"no value of the type {kind} ({error})", node.start_mark) from error
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise _refusal("a number of more than 64 bits", node.start_mark)
        if isinstance(value, str) and _NO_TEXT.search(value):
            raise _refusal("a character that stands for nothing in text", node.start_mark)
        return value

    def construct_undefined(self, node):
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise _refusal(f"tag {tag}: write a plain value instead", node.start_mark)

    def construct_mapping(self, node, deep=False):
        if isinstance(node, yaml.MappingNode):
            for key, times in Counter(map(_text_key, node.value)).items():
                if times > 1:
                    raise _refusal(f"key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _text_key(pair: tuple[yaml.Node, yaml.Node]) -> str:
    key, _ = pair
    if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
        raise _refusal("a key that is no text: put it in quotes", key.start_mark)
    return key.value


def _refusal(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    f"tag:yaml.org,2002:{kind}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
    for kind in _PLAIN
} | {None: _Loader.construct_undefined}
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
