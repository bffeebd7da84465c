"""`prunebench check` finds the plugin's kind and its contract."""

import re
from pathlib import Path

import pytest

from benchmark.commands.check import kind_of, verdicts
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from tests.command import Command
from tests.tasks.tiny import checkpoint, write_sst2

CRITERION = '''"""Keeps large weights."""

from dataclasses import dataclass

from torch import Tensor

from criteria.base import Criterion, State


@dataclass(frozen=True)
class Mine(Criterion):
    power: float = 2.0
    """Of the weight."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs() ** self.power
'''


def test_a_name_tells_its_kind_of_plugin() -> None:
    assert kind_of("principled[signed=true]") == "criteria"
    assert kind_of("none") == "regularizers"
    assert kind_of("cubic") == "schedules"
    assert kind_of("glue/rte") == "tasks"
    with pytest.raises(PrunebenchError, match="did you mean 'principled'"):
        kind_of("principle")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CRITERION)
    kind, told = verdicts(f"{path}[power=1]")
    assert kind == "criteria"
    assert told
    assert all(one.passed for one in told)


def test_a_task_is_checked_on_data_of_its_own(tmp_path: Path) -> None:
    data = str(write_sst2(tmp_path))
    kind, told = verdicts("glue/sst2", data=data, model=str(checkpoint(tmp_path / "model", "distilbert")))
    assert all(one.passed for one in told)
    assert (kind, {one.name: one.words for one in told}["facts"]) == ("tasks", "24 train, 8 heldout, 8 reported")
    with pytest.raises(PrunebenchError, match="--data: no folder 'nowhere'; expected mini, hub or a folder"):
        verdicts("glue/rte", data="nowhere")
    with pytest.raises(PrunebenchError, match="'magnitude' is checked without data or model: only tasks take data"):
        verdicts("magnitude", data=data)


DECORATOR = "@dataclass(frozen=True)\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n", "defines no class named after the file; expected Mine, found none"),
        (
            CRITERION.replace("(Criterion)", ""),
            "class Mine has no base class that says its kind: derive it from one of criteria",
        ),
        (
            CRITERION.replace(DECORATOR, ""),
            "criterion Mine of mine is no dataclass: write @dataclass(frozen=True) above class Mine",
        ),
        (
            CRITERION.replace("Mine", "Yours"),
            "expected Mine, found Yours; rename the class, or name it as mine.py:Yours",
        ),
        (
            CRITERION.replace("Mine", "Yours").replace(DECORATOR, ""),
            "expected Mine, found Yours; rename the class, or name it as mine.py:Yours",
        ),
        (
            CRITERION.replace("Mine", "Yours").replace("(Criterion)", "") + "\n\nclass Other(Criterion): pass\n",
            "expected Mine, found Other; rename the class, or name it as mine.py:Other",
        ),
        ("from criteria.magnitude import Magnitude as Mine\n", "expected Mine, found none"),
        ("Mine = 3\n", "expected Mine, found none"),
        ("import nowhere_at_all\n", "plugin '{path}' cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_file_that_is_no_plugin_says_what_it_lacks(tmp_path: Path, source: str, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    registry.load.cache_clear()
    with pytest.raises(PrunebenchError) as caught:
        verdicts(str(path))
    first, *rest = str(caught.value).splitlines()
    assert said.format(path=path) in first
    assert not rest or "cannot be imported" in first, "one line, but for a traceback"
    assert str(caught.value).count("Traceback") == ("cannot be imported" in first)


@pytest.mark.parametrize(
    ("kind", "source"),
    [("regularizers", "REGULARIZER"), ("schedules", "SCHEDULE"), ("tasks", "TASK"), ("criteria", "CRITERION")],
)
def test_the_kind_of_a_file_shows_in_its_base_class(tmp_path: Path, kind: str, source: str) -> None:
    path = tmp_path / "any_name.py"
    path.write_text(globals()[source])
    (cls,) = re.findall(r"class (\w+)\(", globals()[source])
    assert kind_of(f"{path}:{cls}") == kind
    with pytest.raises(PrunebenchError, match=f"expected AnyName, found {cls}"):
        kind_of(str(path))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("return weight.abs() ** undefined", "NameError: name 'undefined' is not defined"),
        ("return weight.abs().reshape(7, -1) + torch.zeros(len(weight) + 1)", r"RuntimeError: .*(shape|size).*"),
        ("return weight.abs() / {}['power']", "KeyError: 'power'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_one_error_has_one_traceback(tmp_path: Path, wrong: str, told: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import torch\n" + CRITERION.replace("return weight.abs() ** self.power", wrong))
    registry.load.cache_clear()
    failed = [one.words for one in verdicts(str(path))[1] if not one.passed]
    assert sum("Traceback" in words for words in failed) == 1
    assert re.fullmatch(told, failed[0].splitlines()[-1])
    assert f'File "{path}"' in failed[0]
    assert "criteria/checks" not in failed[0]
    assert set(failed[1:]) == {"as shape, above"}


def test_one_advice_is_given_once_whatever_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "any_name.py"
    path.write_text(REGULARIZER)
    registry.load.cache_clear()
    told = {one.name: one.words for one in verdicts(f"{path}:Loud")[1] if not one.passed}
    first, *rest = told.values()
    assert "take the mean over decisions, not the sum" in first
    assert len(rest) == 4
    assert set(rest) == {"as classification: averages, above"}


def test_a_method_with_other_arguments_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CRITERION.replace("state: State, weight: Tensor", "weight: Tensor"))
    registry.load.cache_clear()
    failed = [one.words for one in verdicts(str(path))[1] if not one.passed]
    assert "Mine.score() takes 2 positional arguments but 3 were given" in failed[0]
    assert set(failed[1:]) == {"as shape, above"}


def test_the_command_says_what_passed_and_what_failed(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CRITERION.replace("return weight.abs()", "return -weight.abs()"))
    code, printed, _ = command("check", path)
    assert code == 1
    assert "passed  shape: " in printed
    assert printed.count("passed  ") > 5
    assert re.search("FAILED  planted example: .*take out the minus", printed)
    assert printed.endswith("breaks the contract of criteria: planted example\n")


def test_the_command_tells_what_was_skipped(command: Command) -> None:
    code, printed, _ = command("check", "magnitude")
    assert code == 0
    *lines, last = printed.splitlines()
    told = [line.split()[0] for line in lines]
    assert set(told) == {"passed", "skipped"}
    assert "skipped gates: because it has no latent weights" in lines
    assert last == (
        f"magnitude keeps the contract of criteria: {told.count('passed')} checks passed, {told.count('skipped')} skipped"
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("Bad-Name.py", "BadName"), ("my idea.py", "MyIdea"), ("two.words.py", "TwoWords")]
)
def test_the_class_that_a_file_should_define_can_be_written(tmp_path: Path, name: str, expected: str) -> None:
    path = tmp_path / name
    path.write_text("x = 1\n")
    with pytest.raises(PrunebenchError, match=f"expected {expected}, found none$"):
        registry.configure("criteria", str(path))
    path.write_text(CRITERION.replace("Mine", expected))
    registry.load.cache_clear()
    assert type(registry.configure("criteria", str(path))).__name__ == expected


def test_a_slip_is_told_whatever_the_kind_would_be(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CRITERION.replace("    def score", "    def oberve(self): pass\n\n    def score"))
    with pytest.raises(PrunebenchError, match=r"^criterion Mine of \S+: oberve .*did you mean observe") as caught:
        verdicts(str(path))
    assert "\n" not in str(caught.value)


REGULARIZER = '''"""Adds nothing, in words."""

from dataclasses import dataclass

from criteria.regularizers.base import Regularizer


@dataclass
class Loud(Regularizer):
    def loss(self, losses, logits, model, batch):
        return losses.sum()
'''

SCHEDULE = '''"""Falls and never arrives."""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Schedule


@dataclass(frozen=True)
class Falling(Schedule):
    def sparsity(self, step, total, target):
        return target * (1 - step / total) / 2

    def due(self, step, total):
        return True
'''

TASK = '''"""Reads nothing."""

from dataclasses import dataclass
from typing import ClassVar

from tasks.base import Task, TaskError


@dataclass(frozen=True)
class Nothing(Task):
    headline: ClassVar[str] = "accuracy"

    def prepare(self, setting):
        raise TaskError("no file")

    def aggregate(self, outcomes):
        return {"accuracy": 0.0}
'''


@pytest.mark.parametrize(
    ("name", "source", "kind", "failed", "passed"),
    [
        ("loud", REGULARIZER, "regularizers", "spans: averages", "spans: goes on"),
        ("falling", SCHEDULE, "schedules", "monotone", "deterministic"),
        ("nothing", TASK, "tasks", "facts", "options"),
    ],
)
def test_every_kind_is_told_all_its_verdicts(
    tmp_path: Path, name: str, source: str, kind: str, failed: str, passed: str
) -> None:
    path = tmp_path / f"{name}.py"
    path.write_text(source)
    found, told = verdicts(str(path))
    states = {one.name: one.passed for one in told}
    assert found == kind
    assert not states[failed]
    assert states[passed]
    assert len(states) == len(told)
    assert sum(not state for state in states.values()) > 1
    assert all(one.words for one in told)


def test_one_reason_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "nothing.py"
    path.write_text(TASK)
    words = [one.words for one in verdicts(str(path))[1] if not one.passed]
    assert words[0].startswith("Nothing cannot be opened")
    assert set(words[1:]) == {"as facts, above"}
