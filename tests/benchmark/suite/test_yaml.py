"""YAML as people write it, and the traps in it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import PrunebenchError
from benchmark.suite.yaml import LARGEST, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-5", 3e-5),
        ("1E6", 1e6),
        ("1e5", 100000.0),
        ("-2.5e-3", -0.0025),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("-7", -7),
        ("0", 0),
        ("2:4", "2:4"),
        ("16:32", "16:32"),
        ("2024-01-01", "2024-01-01"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", None),
        ("1.2.3", "1.2.3"),
        ("1e", "1e"),
        ("e5", "e5"),
        ("[0.5, 1e-1]", [0.5, 0.1]),
        ("'3e-5'", "3e-5"),
        ("principled + none", "principled + none"),
    ],
)
def test_a_scalar_is_what_people_mean_by_it(text: str, value: Any) -> None:
    found = load_yaml(text, name="text")
    assert (found, type(found)) == (value, type(value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_python_writes_is_read_back(value: float) -> None:
    assert load_yaml(repr(value), name="text") == value


@given(st.integers())
def test_every_integer_is_read_back(value: int) -> None:
    assert load_yaml(str(value), name="text") == value


def test_settings_shared_by_an_anchor_are_read() -> None:
    text = "long: &long {steps: 9, lr: 1e-3}\ntraining: *long"
    assert load_yaml(text, name="text")["training"] == {"steps": 9, "lr": 1e-3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "suite.yaml, line 3, column 1: not valid YAML: key 'a' is given twice"),
        ("x: {lr: 1, lr: 2}", "line 1, column 12: .* key 'lr' is given twice"),
        ("1: a\n1: b", "key '1' is given twice"),
        ("a: [1, 2", "line 1, column 9: not valid YAML"),
        ("tasks: [principled[signed=true]]", "line 1"),
        ("a: b: c", "not valid YAML: mapping values are not allowed here"),
        ("\tx: 1", "not valid YAML: .*found character"),
        ("a: &x [*x]", "line 1, column 4: not valid YAML: a value contains itself"),
        ("a: &a {x: 1}\nb: {<<: *a, y: 2}", "line 2, column 5: not valid YAML: '<<' merges mappings in YAML 1.1 alone"),
        ("a: {<<: [{x: 1}, {x: 2}]}", "'<<' merges mappings"),
        ("<<: {x: 1}", "'<<' merges mappings"),
        ("a: *nobody", "not valid YAML: found undefined alias"),
        ("[" * 5000, "suite.yaml: not valid YAML: nested too deeply"),
        ("{" * 5000, "suite.yaml: not valid YAML: nested too deeply"),
        ("t: !!python/object/apply:os.system [echo]", "could not determine a constructor"),
        ("t: !!python/name:os.system", "could not determine a constructor"),
        ("[a]: b", "found unhashable key"),
        ("t: \x00", "unacceptable character"),
        ("--- a\n--- b", "expected a single document in the stream, but found another"),
        ("9" * 5000, "not valid YAML"),
    ],
)
def test_traps_of_yaml_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        load_yaml(text, name="suite.yaml")


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]" for i in range(9)]
    with pytest.raises(PrunebenchError, match="line 5, column 5: not valid YAML: more than 100000 values"):
        load_yaml("\n".join(lines), name="suite.yaml")


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("a: 1")
    assert load_yaml(path) == {"a": 1}
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(PrunebenchError, match=r"suite.yaml: not UTF-8 text \(invalid start byte at byte 3\)"):
        load_yaml(path)
    path.write_text("#" * (LARGEST + 1))
    with pytest.raises(PrunebenchError, match=f"suite.yaml: larger than {LARGEST} bytes"):
        load_yaml(path)
    with pytest.raises(PrunebenchError, match=r"none\.yaml: No such file or directory"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(PrunebenchError, match="not an ordinary file"):
        load_yaml(tmp_path)
