"""Who a third-party plugin is, and what a broken one stops: its own cells."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.board.board import Board
from benchmark.board.record import load_record, record_path
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.broken import BrokenPluginError
from benchmark.suite.identity import identified, identity, sources
from benchmark.suite.spec import Plugins, RunSpec, portable_plugin
from benchmark.suite.suite import Suite
from tests.benchmark.boards import TINY, write_suite
from tests.benchmark.plugin_sources import PLUGIN

MINE = PLUGIN.format(cls="Mine")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What is known of a file is known for the process; each test is a new one."""
    for known in (registry.load, identity):
        known.cache_clear()
    yield
    for known in (registry.load, identity):
        known.cache_clear()


def again() -> None:
    """As a new process."""
    registry.load.cache_clear()
    identity.cache_clear()


def cell(criterion: Path | str) -> RunSpec:
    return identified(RunSpec(task="glue/sst2", criterion=str(criterion), sparsity=0.5))


def installed(monkeypatch: pytest.MonkeyPatch, value: str, version: str = "1.2") -> None:
    """Pretend that a distribution provides the criterion `mine`."""
    point = EntryPoint("mine", value, "prunebench.criteria")._for(SimpleNamespace(name="pack", version=version))  # type: ignore[attr-defined]

    def points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [point] if group == "prunebench.criteria" and name in (None, "mine") else []

    monkeypatch.setattr(registry, "entry_points", points)


# Identity.


def test_built_in_plugins_have_none() -> None:
    assert cell("magnitude").plugins == Plugins()
    assert cell("magnitude").id == RunSpec(task="glue/sst2", criterion="magnitude", sparsity=0.5).id


def test_a_changed_file_is_another_cell(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    before = cell(path)
    assert len(before.plugins.criterion) == 16
    assert before.plugins.task == before.plugins.schedule == ""
    again()
    assert cell(path).id == before.id
    again()
    path.write_text(MINE + "\n")
    after = cell(path)
    assert after.id != before.id
    with pytest.raises(PrunebenchError, match=f"changed since.*{before.plugins.criterion}.*{after.plugins.criterion}"):
        identified(before)


def test_where_a_file_lies_does_not_matter(tmp_path: Path) -> None:
    cells = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(MINE)
        cells.append(cell(f"{tmp_path / folder / 'mine.py'}[power=3]"))
    assert cells[0].id == cells[1].id == cells[0].recorded().id
    assert cells[0].recorded().criterion == "mine.py[power=3]"
    assert portable_plugin("a/b.py:Class[x=1/2.py]") == "b.py:Class[x=1/2.py]"
    assert portable_plugin("principled[signed=true]") == "principled[signed=true]"
    with pytest.raises(ValueError, match=r"two files are called mine.py"):
        Suite.model_validate(TINY | {"criteria": [str(tmp_path / folder / "mine.py") for folder in ("one", "two")]})


def test_a_plugin_beside_its_suite_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rows = ["mine.py[power=3] + label_smoothing", "magnitude"]
    folder = write_suite(tmp_path / "board", criteria=rows)
    (folder / "mine.py").write_text(MINE)
    board = Board.open(folder)
    assert board.suite.criteria == [f"{folder / 'mine.py'}[power=3] + label_smoothing", "magnitude"]
    recorded = [spec.recorded().criterion for spec in board.cells()]
    assert recorded == ["dense", "mine.py[power=3]", "magnitude"]


def test_a_package_is_its_version_and_all_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "identity_pack").mkdir()
    for name in ("__init__", "inner", "helper"):
        (tmp_path / "identity_pack" / f"{name}.py").write_text(MINE if name == "inner" else "")
    installed(monkeypatch, "identity_pack.inner:Mine")
    first = cell("mine").plugins.criterion
    assert first.startswith("pack 1.2 ")
    again()
    (tmp_path / "identity_pack" / "helper.py").write_text("x = 1\n")
    second = cell("mine").plugins.criterion
    assert second != first
    again()
    installed(monkeypatch, "identity_pack.inner:Mine", version="1.3")
    assert cell("mine").plugins.criterion == second.replace("1.2", "1.3")


def test_sources_of_a_module_a_namespace_and_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "identity_one.py").write_text("")
    (tmp_path / "identity_space" / "part").mkdir(parents=True)
    (tmp_path / "identity_space" / "part" / "__init__.py").write_text("")
    assert sources(EntryPoint("x", "identity_one:C", "g")) == [tmp_path / "identity_one.py"]
    assert sources(EntryPoint("x", "identity_space.part:C", "g")) == [
        tmp_path / "identity_space" / "part" / "__init__.py"
    ]
    assert sources(EntryPoint("x", "identity_none.part:C", "g")) == []


def test_the_dense_cell_knows_only_the_task() -> None:
    spec = RunSpec(
        task="t.py", criterion="c.py", sparsity=0.5, plugins=Plugins(task="1", criterion="2", regularizer="3")
    )
    assert spec.dense().plugins == Plugins(task="1")


# Broken plugins.


def test_the_traceback_is_the_plugins_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def fails():\n    raise RuntimeError('on purpose')\n\nfails()\n")
    with pytest.raises(BrokenPluginError) as caught:
        registry.load("criteria", str(path))
    message = str(caught.value)
    assert f'File "{path}", line 2, in fails' in message
    assert "RuntimeError: on purpose" in message
    assert "importlib" not in message
    assert "registry.py" not in message


def test_a_broken_plugin_stops_its_own_cells_only(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.py", tmp_path / "mine.py"
    bad.write_text("import not_there_at_all\n")
    good.write_text(MINE)
    suite = {"criteria": [str(bad), str(good)], "regularizers": ["none"]}
    board = Board.open(write_suite(tmp_path / "board", **suite))
    done = run_cells(board, board.cells(), Silent())
    failed = [spec for spec in board.cells() if spec.id in done.failed]
    assert [spec.criterion for spec in failed] == [str(bad)]
    assert "No module named 'not_there_at_all'" in done.failed[failed[0].id]
    assert len(done.finished) == 2
    (kept,) = [spec for spec in board.cells() if spec.criterion == str(good)]
    record = load_record(record_path(board.records_folder, kept.id))
    assert record.spec.criterion == "mine.py"
    assert record.spec.plugins.criterion == kept.plugins.criterion != ""
