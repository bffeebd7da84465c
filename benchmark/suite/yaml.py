"""Loads YAML safely: scalars as in YAML 1.2, repeated and blank keys are errors, and the size is bounded.

PyYAML reads YAML 1.1, where 3e-5 is a word, 2:4 is 124, 2024-01-01 a date, `on` a truth value, and `<<` merges mappings, whose
order readers do not agree on.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import PrunebenchError
from benchmark.machine.safe_read import read_regular_file

LARGEST = 1 << 18
"""Bytes of the largest suite that is read."""

MOST = 100_000
"""Largest number of values in a suite, those behind aliases counted each time."""

DIGITS = 100
"""Longest number that is read, in characters."""

SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (r"[-+]?(0|[1-9][\d_]*)|0x[\da-fA-F]+", "-+0123456789"),
    "float": (r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+0123456789."),
    "merge": (r"<<", "<"),
}
"""Patterns of plain scalars and their first characters, tried in this order; anything else is text."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with these scalars, which refuses repeated keys, blank values, and values that contain themselves or explode."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own table; filled below

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _count(node, {}, set())
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":int", ":float")) and len(node.value) > DIGITS:
            problem = f"a number of {len(node.value)} characters, expected {DIGITS} at most"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if isinstance(node, yaml.ScalarNode) and any("\ud800" <= sign <= "\udfff" for sign in node.value):
            raise yaml.MarkedYAMLError(problem="half of a character (a lone surrogate)", problem_mark=node.start_mark)
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Hashable] = set()
        for key_node, value in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                problem = "'<<' merges mappings in YAML 1.1 alone: write the settings out, or give an alias to the whole value"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key}' is given twice", problem_mark=key_node.start_mark)
            seen.add(key if isinstance(key, Hashable) else id(key_node))
            if value.tag.endswith(":null") and not value.value and not unspaced(str(key)):
                problem = f"'{key_node.value}' is left blank: expected a value, or no such key"
                if re.fullmatch(r"\d{3}", str(key_node.value)):
                    problem += " (1,000 is written 1000)"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        return super().construct_mapping(node, deep)


for _name, (_pattern, _first) in SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))


def load_yaml(source: Path | str, name: str = "") -> Any:
    """The value in a file or a text; PrunebenchError with file and line where it cannot be read."""
    name = name or str(source)
    text = _text(source, name) if isinstance(source, Path) else source
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError as error:
        raise PrunebenchError(f"{name}: not valid YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        # Beside YAML's own errors, those of PyYAML's constructors: `!!bool maybe` is a KeyError in it.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = [getattr(error, "context", None), getattr(error, "problem", None)]
        reason = ", ".join(part for part in said if part) or str(error) or type(error).__name__
        if mark:
            if name_ := _bracketed(text, mark.line):
                reason += f'. In a list, a name with options needs quotes: "{name_}"'
            near = text.splitlines()[max(0, mark.line - 1) : mark.line + 1]
            reason += next((f". {hint}" for line in near if (hint := unspaced(line))), "")
        raise PrunebenchError(f"{name}{where}: not valid YAML: {reason}") from error


def _text(path: Path, name: str) -> str:
    """The text in a file; PrunebenchError, which begins with `name`, where it cannot be read."""
    try:
        return read_regular_file(path, LARGEST).decode()
    except OSError as error:
        raise PrunebenchError(f"{name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PrunebenchError(f"{name}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except ValueError as error:  # not an ordinary file, or too large
        raise PrunebenchError(f"{name}: {error}") from error


def unspaced(text: str) -> str:
    """What to write for `key:value`, which YAML reads as one word; empty for any other text."""
    found = re.match(r"\s*([A-Za-z_]\w*):([^\s:/\\].*)", text)
    return f"a colon needs a space behind it: {found[1]}: {found[2].strip()}" if found else ""


def _bracketed(text: str, line: int) -> str:
    """A plugin with options in brackets that stands without quotes in this line or the one before; empty if there is none."""
    lines = text.splitlines()[max(0, line - 1) : line + 1]
    found = [re.search(r"(?<![\"'\w/.-])[\w/.-]+\[[^\[\]]*=[^\[\]]*\]", part) for part in lines]
    return next((match[0] for match in reversed(found) if match), "")


def _count(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """Number of values in `node`, those behind aliases counted each time."""
    if id(node) in above:
        raise yaml.MarkedYAMLError(problem="a value contains itself", problem_mark=node.start_mark)
    if id(node) not in known:
        children = (
            [child for pair in node.value for child in pair] if isinstance(node, yaml.MappingNode) else node.value
        )
        nodes = children if isinstance(node, yaml.CollectionNode) else []
        above.add(id(node))
        known[id(node)] = 1 + sum(_count(child, known, above) for child in nodes)
        above.discard(id(node))
        if known[id(node)] > MOST:
            raise yaml.MarkedYAMLError(problem=f"more than {MOST} values", problem_mark=node.start_mark)
    return known[id(node)]
