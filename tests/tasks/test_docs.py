"""docs/tasks.md names every task, option, file and revision; the task that docs/task.md teaches keeps the contract and runs."""

import re
from pathlib import Path

import pytest

from benchmark.commands.check import verdicts
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.catalogue import catalogue
from benchmark.suite.identity import identity
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.run import Options, open_task, run
from tasks.base import Task
from tasks.families.data_to_text import TextGeneration
from tasks.glue import Glue
from tasks.squad import Squad

TASKS = Path(__file__).parents[2] / "tasks"
DOCS = TASKS.parent / "docs"
TEXT = (DOCS / "tasks.md").read_text(encoding="utf-8")
BUILT_IN = [entry for entry in catalogue("tasks") if entry.owner == "prunebench"]
NAMES = [
    f"{entry.name}/{variant}" if variant else entry.name for entry in BUILT_IN for variant in entry.variants or ("",)
]


def test_every_task_has_a_row() -> None:
    assert {*NAMES} >= {"glue/wnli", "squad_v2", "conll", "webnlg/2017", "dart"}
    assert {*re.findall(r"^\| `([\w/*]+)` \| [^|]+ \| [^|]+ \| [^|]+ \| `", TEXT, flags=re.MULTILINE)} == {*NAMES}


def test_every_option_is_told_beside_its_tasks() -> None:
    rows = [
        re.findall(r"`([\w/*]+)`", row)
        for row in re.findall(r"^(\| `\w+`(?:, `\w+`)* \| `[^|]+)\|", TEXT, re.MULTILINE)
    ]
    for entry in BUILT_IN:
        family = f"{entry.name}/*" if entry.variants else entry.name
        for option in entry.options:
            assert any(option.name in row and family in row for row in rows), f"{entry.name}[{option.name}=...]"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("conll", "lm", "lm_eval/*")])
def test_metrics_and_published_counts_are_those_of_the_code(name: str) -> None:
    task: Task = registry.configure("tasks", name)
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\| `{task.metric}`", TEXT, flags=re.MULTILINE)
    if isinstance(task, Glue | Squad | TextGeneration):
        layout = task.layout("hub") if isinstance(task, TextGeneration) else task.layout()
        numbers = [
            int(number.replace(",", ""))
            for number in re.findall(r"[\d,]*\d", row.replace("v1.1", "").replace("v2.0", ""))
        ]
        assert layout.published["train"] in numbers
        assert layout.published["reported"] in (*numbers, sum(numbers[1:]))


def test_the_hubs_ids_and_revisions_are_those_of_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in TASKS.glob("*.py"))
    revisions = set(re.findall(r'"([0-9a-f]{40}|refs/[\w/]+)"', code))
    ids = set(re.findall(r'Hub\(\s*"([\w-]+/[\w-]+)"', code))
    assert len(ids) == 10
    assert {*re.findall(r"`([\w-]+/[\w-]+)`[^|`]* @ `[\w/]+`", TEXT)} == ids
    assert {*re.findall(r"@ `([\w/]+)`", TEXT)} == revisions


REVIEWS = "text,label\n" + "".join(
    f'"the {noun} was {word}, we {verb}",{label}\n'
    for noun in ("inn", "song", "play", "river")
    for verb in ("left", "stayed")
    for word, label in (("grim", "bad"), ("fine", "good"))
)


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    """The documentation's task, with data, as the string that names it."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "task.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "csv_text.py").write_text(code)
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text(REVIEWS)
    return f"{tmp_path}/csv_text.py[path={tmp_path},labels=bad+good]"


def test_the_task_of_the_documentation_keeps_the_contract(plugin: str) -> None:
    kind, told = verdicts(plugin)
    assert kind == "tasks"
    assert all(one.passed for one in told)
    assert {one.name: one.words for one in told}["metrics"].startswith("accuracy")


def test_the_task_of_the_documentation_runs_in_a_cell(plugin: str) -> None:
    training = Training(steps=20, batch_size=8, lr=5e-3, max_length=32)
    record = run(RunSpec(task=plugin, criterion="magnitude", sparsity=0.5, training=training)).record
    assert record.sparsity.met
    assert record.counts == {"train": 16, "reported": 16}
    assert record.metrics["accuracy"] > 80


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('labels.index(row["label"])', '1 - labels.index(row["label"])', "label"),  # of what is read
        (
            "encoded = self.tokenizer(texts,",
            'encoded = self.tokenizer(["the"] * len(texts),',
            "input_ids",
        ),  # of what is made of it
    ],
)
def test_a_task_whose_file_changed_does_not_take_what_other_code_cached(
    plugin: str, tmp_path: Path, old: str, new: str, changed: str
) -> None:
    found = []
    for _ in range(2):
        registry.load.cache_clear()
        identity.cache_clear()
        prepared = open_task(RunSpec(task=plugin), Options(cache=tmp_path / "cache"))
        found.append(next(iter(prepared.batches("train", 16, seed=None)))[changed].tolist())
        path = tmp_path / "csv_text.py"
        assert old in path.read_text() or new in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    assert found[0] != found[1]


def test_the_task_of_the_documentation_names_the_line_of_a_bad_row(plugin: str, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(REVIEWS + "hm,ugly\n")
    with pytest.raises(PrunebenchError, match=r"test.csv:18: label 'ugly' is none of bad, good"):
        run(RunSpec(task=plugin))
