"""Damage to JSON, JSON lines and YAML that stays readable as such, or nearly: hostile values, keys and encodings."""

import json
from typing import Any

import numpy as np
import yaml

from experiment.fuzzing.mutate_bytes import Mutation, flip_bits

ABSOLUTE_PRECIOUS = "/var/tmp/ecg_fuzz_precious.txt"  # a file that no command may touch
PRECIOUS_PATHS = ("../precious.txt", "../../precious.txt", "../../../precious.txt", ABSOLUTE_PRECIOUS)
HOSTILE_JSON = (  # texts that stand in the place of a value
    *("null", "true", "0", "-1", "0.5", "1e-308", "1e5", "1e9", "1e308", "-1e308", "1e400"),
    *("NaN", "Infinity", "100000", "4294967296", "18446744073709551616", "9" * 5000),
    *('""', '"\\u0000"', '"\\ud800"', '"-1"', '"="', '"' + "x" * 10**6 + '"'),
    *("[]", "{}", "[[[[]]]]", "[" * 100_000, "[" * 900 + "]" * 900, "[0" + ",0" * 10**5 + "]"),
    *(json.dumps(path) for path in PRECIOUS_PATHS),
)
_PLACE = "@place of a hostile value@"


def hostile_value(data: bytes, rng: np.random.Generator) -> bytes:
    """One value, anywhere in the tree, becomes a hostile one."""
    holders = list(_holders(tree := _parsed(data)))
    if not holders:
        return HOSTILE_JSON[int(rng.integers(len(HOSTILE_JSON)))].encode()
    holder, key = holders[int(rng.integers(len(holders)))]
    holder[key] = _PLACE
    return json.dumps(tree).replace(json.dumps(_PLACE), _choice(HOSTILE_JSON, rng)).encode()


def scaled_number(data: bytes, rng: np.random.Generator) -> bytes:
    """One number is many times as large or small, or of the other sign."""
    tree = _parsed(data)
    numbers = [(holder, key) for holder, key in _holders(tree) if type(holder[key]) in (int, float)]
    if not numbers:
        return flip_bits(data, rng)
    holder, key = numbers[int(rng.integers(len(numbers)))]
    holder[key] = type(holder[key])(holder[key] * _choice((-1, 0, 10, 1000, 10**6, 10**9), rng))
    return json.dumps(tree).encode()


def lost_or_renamed_key(data: bytes, rng: np.random.Generator) -> bytes:
    """One key is missing, or has another name."""
    tree = _parsed(data)
    keys = [(holder, key) for holder, key in _holders(tree) if isinstance(holder, dict)]
    if not keys:
        return flip_bits(data, rng)
    holder, key = keys[int(rng.integers(len(keys)))]
    value = holder.pop(key)
    if rng.random() < 0.5:
        holder[f"{key}s"] = value
    return json.dumps(tree).encode()


def doubled_key(data: bytes, rng: np.random.Generator) -> bytes:
    """One key stands there twice, first with null."""
    tree = _parsed(data)
    keys = [key for holder, key in _holders(tree) if isinstance(holder, dict)]
    name = json.dumps(_choice(keys, rng)) if keys else '"a"'
    return json.dumps(tree).replace(f"{name}:", f"{name}: null, {name}:", 1).encode()


def one_line(data: bytes, rng: np.random.Generator) -> bytes:
    """One line of several is mutated as JSON."""
    lines = data.splitlines()
    number = int(rng.integers(max(len(lines), 1)))
    before, line, after = lines[:number], b"".join(lines[number : number + 1]), lines[number + 1 :]
    return b"\n".join([*before, _choice(JSON_MUTATIONS, rng)(line, rng), *after]) + b"\n"


def shuffled_lines(data: bytes, rng: np.random.Generator) -> bytes:
    """Lines are lost, doubled and in another order."""
    lines = data.splitlines()
    if not lines:
        return b"\n"
    return b"\n".join(lines[k] for k in rng.integers(len(lines), size=len(lines) + 1)) + b"\n"


def yaml_value(data: bytes, rng: np.random.Generator) -> bytes:
    """A configuration with one value changed, written as JSON, which is YAML too."""
    try:
        text = json.dumps(yaml.safe_load(data))
    except (yaml.YAMLError, ValueError, TypeError):
        return flip_bits(data, rng)
    return _choice(JSON_MUTATIONS, rng)(text.encode(), rng)


def other_encoding(data: bytes, rng: np.random.Generator) -> bytes:
    """The text as editors of other systems save it, with a comment that is not ASCII."""
    text = data.decode("utf-8", "replace") + "\n# Größe\n"
    encoding = _choice(("latin-1", "utf-16", "utf-16-be", "utf-32", "utf-8-sig", "cp037"), rng)
    return text.encode(encoding, "replace")


def hostile_yaml(data: bytes, rng: np.random.Generator) -> bytes:
    """Constructs of YAML that cost memory or time, build objects, or are no plain values."""
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9)]
    return (
        data
        + b"\n"
        + _choice(
            (
                "\n".join(bomb),
                "deep: " + "[" * 20_000,
                "deep: " + "{a: " * 2000 + "1" + "}" * 2000,
                "\n".join(f"key{k}: {k}" for k in range(60_000)),
                "evil: !!python/object/apply:os.system [touch escaped]",
                "number: " + "9" * 5000,
                "? [a, b]\n: 1\n1: 2\nnull: 3",
                "---\nrun: {}\n",
                "time: 2026-01-01\nbase: 1:30:00\nhex: 0x10",
                "self: &self [*self]",
                "<<: [1, 2]",
                "\trun: 1",
                "nul: \x00",
                "bell: \x07",
                "%YAML 9.9\n---\n",
            ),
            rng,
        ).encode()
    )


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return [data.decode("latin-1")]


def _holders(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) of a tree, its root apart."""
    found, waiting = [], [tree]
    while waiting:
        holder = waiting.pop()
        pairs = (
            holder.items()
            if isinstance(holder, dict)
            else enumerate(holder if isinstance(holder, list) else ())
        )
        for key, value in pairs:
            found.append((holder, key))
            waiting.append(value)
    return found


def _choice(options, rng: np.random.Generator):
    return options[int(rng.integers(len(options)))]


JSON_MUTATIONS: tuple[Mutation, ...] = (
    hostile_value,
    hostile_value,
    scaled_number,
    lost_or_renamed_key,
    doubled_key,
)
JSON_LINES_MUTATIONS: tuple[Mutation, ...] = (one_line, one_line, one_line, shuffled_lines)
YAML_MUTATIONS: tuple[Mutation, ...] = (yaml_value, yaml_value, hostile_yaml, other_encoding)
