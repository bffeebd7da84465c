"""YAML as people write it: safe loading only, `3e-5` is a number, a key given twice is an error, size bounded."""

import re
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import PrunebenchError

LARGEST = 1 << 20
"""Bytes: no suite is larger."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads floats by YAML 1.2 (PyYAML's 1.1 takes 3e-5 for a word) and refuses repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key}' is given twice", problem_mark=key_node.start_mark)
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?([eE][-+]?\d+)$|^[-+]?\.\d+([eE][-+]?\d+)?$"),
    list("-+0123456789."),
)


def load_yaml(source: Path | str, name: str = "") -> Any:
    """The value in a file or a text; PrunebenchError with file and line where it cannot be read."""
    name = name or str(source)
    try:
        if isinstance(source, Path):
            if source.stat().st_size > LARGEST:
                raise PrunebenchError(f"{name}: larger than {LARGEST} bytes")
            source = source.read_text(encoding="utf-8")
        return yaml.load(source, Loader=_Loader)
    except OSError as error:
        raise PrunebenchError(f"{name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PrunebenchError(f"{name}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise PrunebenchError(f"{name}{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
