"""Suites, plugin strings and what the packages may contain: fuzzed, bounded, without pickle, without surprises."""

import ast
import json
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark.board.board import Board
from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import record_path, save_record
from benchmark.commands.verify import verify_board
from benchmark.commands.views import View, table_text
from benchmark.errors import PrunebenchError
from benchmark.plugins import files as plugin_files
from benchmark.plugins import registry
from benchmark.plugins.classes import KINDS
from benchmark.plugins.registry import configure
from benchmark.plugins.spelling import canonical
from benchmark.report.escape import for_terminal
from benchmark.suite.read import load_suite, parse_changes
from benchmark.suite.spec import RunSpec, Training
from benchmark.suite.yaml import LARGEST, load_yaml
from tasks.base import Setting, TaskError
from tasks.glue import Glue
from tasks.pipeline.checkpoints import open_checkpoint
from tests.benchmark.boards import TINY
from tests.benchmark.report.factory import make_record
from tests.command import Command
from tests.faults.boards import OUTCOMES, finished
from tests.faults.disk import files

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [path for name in ("benchmark", "criteria", "tasks") for path in sorted((ROOT / name).rglob("*.py"))]

WORDS = st.sampled_from(
    ["mini", "hub", "glue/sst2", "magnitude", "random", "none", "distillation", "cubic", "global", "2:4", "block[2,2]", "~x",
     "../x", "/etc/passwd", "x.py", "a + b", "sensitivity[beta1=0.5]", "sensitivity[beta1=nan]", "\x00", "é" * 300, "heldout"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["title", "model", "data", "tasks", "criteria", "regularizers", "sparsities", "seeds", "schedule", "scope", "selection",
     "heldout", "call_point", "training", "overrides", "tuned"]
)  # fmt: skip


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("suite") / "suite.yaml"


def read(path: Path, content: bytes) -> None:
    """Loads or raises ours, soon."""
    path.write_bytes(content)
    began = time.monotonic()
    with suppress(PrunebenchError):
        assert load_suite(path).cells()
    assert time.monotonic() - began < 20
    assert files(path.parent).keys() == {"suite.yaml"}


@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass")))
@example(b"a: !!bool maybe")
@example(b"a: !!int ''")
@example(b"a: !!float x")
@example(b"a: !!timestamp x")
@example(b"a: !!binary x")
@example(b"!!set {a, b}")
@example(b"? [a]\n: b")
@example(b"&a {*a : 1}")
@example(b"<<: 7")
@example(b"\xff\xfe\x00")
def test_any_bytes_are_a_suite_or_refused_soon(suite: Path, content: bytes) -> None:
    read(suite, content)


@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_values_of_a_suite_are_taken_or_refused_soon(suite: Path, changes: dict[str, Any]) -> None:
    try:
        content = yaml.safe_dump(TINY | changes, allow_unicode=True).encode()
    except (yaml.YAMLError, UnicodeEncodeError):
        return
    read(suite, content)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": list(range(3000)), "sparsities": [i / 900 for i in range(1, 900)]},
        {"seeds": [2**53]},
        {"seeds": [7] * 10_000},
        {"seeds": list(range(6000)), "tasks": ["glue/sst2", "squad"], "sparsities": [i / 99 for i in range(1, 99)]},
        {"criteria": ["magnitude"] * 10_001},
        {"criteria": ["x" * 100_000]},
        {"criteria": [" " * 100_000 + "]"]},
        {"criteria": ["a[" + "," * 1900 + "]"]},
        {"overrides": {f"*{i}": {} for i in range(2000)}},
        {"title": "x" * LARGEST},
    ],
    ids=range(10),
)
def test_what_asks_for_too_much_is_refused_soon(suite: Path, changes: dict[str, Any]) -> None:
    suite.write_text(yaml.safe_dump(TINY | changes, default_flow_style=True, width=10**9))
    began = time.monotonic()
    with pytest.raises(PrunebenchError):
        load_suite(suite)
    assert time.monotonic() - began < 15


def test_a_suite_that_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "suite.yaml")
    with pytest.raises(PrunebenchError, match="no board there"):
        Board.open(tmp_path)
    with pytest.raises(PrunebenchError, match="not an ordinary file"):
        load_yaml(tmp_path / "suite.yaml")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_change_is_parsed_or_refused(key: str, value: str) -> None:
    with suppress(PrunebenchError):
        parse_changes([f"{key}={value}", key])


@given(
    st.sampled_from(sorted(KINDS)),
    st.text(max_size=40)
    | st.builds(
        "{}[{}={}]".format,
        st.sampled_from(["sensitivity", "magnitude", "distillation", "cubic", "glue/rte", "iterative", "squad"]),
        st.sampled_from(["beta1", "window", "temperature", "rounds", "variant", "__class__", "metrics"])
        | st.text(max_size=5),
        st.sampled_from(["nan", "inf", "1e999", "9" * 5000, "-1", "none", "true", "[", "]", "", "0"])
        | st.text(max_size=9),
    ),
)
@example("criteria", "~nobody/x.py")
@example("criteria", "x" * 300 + ".py")
@example("criteria", "\x00.py")
@example("criteria", "/dev/zero.py")
@example("tasks", "../../etc/passwd")
@example("tasks", "mini.generate")
@example("criteria", "base")
def test_any_plugin_string_is_configured_or_refused(kind: str, text: str) -> None:
    for read_ in (configure, canonical):
        with suppress(PrunebenchError):
            read_(kind, text)


@given(st.text())
def test_a_terminal_gets_lines_and_nothing_else(text: str) -> None:
    shown = for_terminal(text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert shown.count("\n") == text.count("\n")


# What the packages contain.

WRITERS = {"write_text", "write_bytes", "save_pretrained", "savefig", "save_file", "tofile", "to_csv", "dump"}
ALLOWED = {
    "tasks/pipeline/whole.py": "the one place that writes",
    "tasks/pipeline/prepared.py": "save_pretrained into a folder that export renames",
    "tasks/mini/pretrain.py": "makes the embedded checkpoints, by hand",
    "benchmark/report/figures/style.py": "draws into memory",
    "benchmark/machine/environment.py": "resets a counter of the kernel below /proc",
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def calls(path: Path) -> list[tuple[str, ast.Call]]:
    tree = parsed(path)
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def writes(name: str, call: ast.Call) -> bool:
    """Whether a call writes a file past the atomic module."""
    last = name.rpartition(".")[2]
    if last == "open" and not name.startswith(("os.", "Board", "self.", "Image")):
        modes = [
            part.value for part in (*call.args, *(k.value for k in call.keywords)) if isinstance(part, ast.Constant)
        ]
        return any(isinstance(mode, str) and re.fullmatch(r"[wax]b?\+?|r\+b?|[wax]\+?b", mode) for mode in modes)
    return "." in name and last in WRITERS and not name.startswith(("atomic.", "yaml.", "json."))


def test_every_write_goes_through_one_place() -> None:
    """Development tools that make synthetic data, and engines that log events by appending, are named where they are."""
    found = {
        path.relative_to(ROOT).as_posix(): name for path in PACKAGES for name, call in calls(path) if writes(name, call)
    }
    found = {
        path: name for path, name in found.items() if not path.startswith(("benchmark/bench/", "benchmark/engine/"))
    }
    assert found.keys() <= ALLOWED.keys(), found


def test_no_pickle_anywhere() -> None:
    """Nothing that reads or writes the packages' own files can hold code."""
    for path in PACKAGES:
        tree = parsed(path)
        names = {alias.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
        names |= {(n.module or "").partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not names & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}, path
        for name, call in calls(path):
            keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
            if name == "torch.load":
                assert keywords.get("weights_only") == "True", path
            if name in ("np.load", "numpy.load"):
                assert keywords.get("allow_pickle") == "False", path
            assert name not in ("eval", "exec", "yaml.unsafe_load", "yaml.full_load", "os.system"), path
            if name == "yaml.load":
                assert keywords.get("Loader") == "_Loader", path
            assert keywords.get("shell") != "True", path
            assert keywords.get("trust_remote_code", "") != "True", path


def test_commands_print_through_one_place() -> None:
    for path in sorted((ROOT / "benchmark" / "cli").glob("*.py")):
        if path.name != "app.py":
            assert "typer.echo" not in path.read_text(), f"{path.name}: print by echo of benchmark.cli.app"
            assert not any(name == "print" for name, _ in calls(path)), path


# Code of others.


def test_a_record_cannot_name_a_file_to_run(tmp_path: Path) -> None:
    """A task's file keeps its path in a record; a table reads the board's own, which the suite names, and no other."""
    trap, ran = tmp_path / "trap.py", tmp_path / "ran"
    trap.write_text(f"open({str(ran)!r}, 'w')\n")
    board = finished(tmp_path / "board")
    spec = RunSpec(task=str(trap), criterion="magnitude", sparsity=0.5, training=Training(steps=5))
    save_record(board.records_folder, make_record(spec), pack_outcomes(OUTCOMES))
    assert record_path(board.records_folder, spec.id).exists()
    for format in ("text", "json"):
        table_text(board, format, View(against="best"))
    verify_board(board, tell=lambda _: None)
    assert not ran.exists()


def test_a_model_runs_its_own_code_only_where_it_is_let(tmp_path: Path) -> None:
    """Without the flag nothing of it is run; with it, its records say so."""
    folder, ran = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(ROOT / "tasks" / "mini" / "encoder", folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Own"}
    config["model_type"] = "own-kind"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(
        f"open({str(ran)!r}, 'w')\nfrom transformers import BertConfig\n\nclass Own(BertConfig):\n    model_type = 'own-kind'\n"
    )
    with pytest.raises(TaskError):
        Glue(variant="sst2").prepare(Setting(model=str(folder)))
    assert not ran.exists()
    mine = tmp_path / "mine"
    shutil.copytree(ROOT / "tasks" / "mini" / "encoder", mine)
    config["model_type"] = "bert"
    (mine / "config.json").write_text(json.dumps(config))
    (mine / "own.py").write_text((folder / "own.py").read_text().replace("'own-kind'", "'bert'"))
    known = Glue(variant="sst2").prepare(Setting(model=str(mine), max_length=32))
    assert not ran.exists()
    assert known.notes == Glue(variant="sst2").prepare(Setting(max_length=32)).notes
    assert not known.checkpoint.own_code
    assert replace(known.checkpoint, trust_remote_code=True).own_code
    assert not replace(open_checkpoint("mini", "encoder"), trust_remote_code=True).own_code


def test_a_strangers_board_can_be_looked_at_without_running_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Commands that show run no plugin file; a variable lets them; commands that run cells do, unless it forbids them."""
    ran = tmp_path / "ran"
    board = finished(tmp_path / "board")
    (board.folder / "trap.py").write_text(f"open({str(ran)!r}, 'w')\n")
    suite = TINY | {"criteria": ["random", "trap.py"], "regularizers": ["none"]}
    (board.folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    for name, shown in {
        "status": "2 done, 0 failed, 1 missing",
        "table": "Random",
        "verify": "2 of 3 cells have a record",
        "statistics": "no column is complete",
        "report": "report.html",
    }.items():
        assert shown in command(name, board.folder)[1]
    assert not ran.exists()
    for said, name, runs in (("no", "run", False), ("yes", "status", True), ("", "run", True)):
        ran.unlink(missing_ok=True)
        registry.load.cache_clear()
        monkeypatch.setenv(plugin_files.VARIABLE, said)
        command(name, board.folder)
        assert ran.exists() == runs, (said, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[power=2]",
        "[power=2.0]",
        "[power=3,name=x]",
        "[name=x, power=3]",
        "[exact=false]",
        "[exact=true,power=0.50]",
        *(
            f"[{option}]"
            for option in ("whole=1e-3", "whole=2.50", "whole=2.0", "rate=0.50", "rate=none", "many=04", "name=1.0")
        ),
    ],
)
def test_options_read_from_the_source_are_spelled_as_by_the_plugin_itself(tmp_path: Path, text: str) -> None:
    """So that a cell has one id, whether its plugin file is run or only read."""
    path = tmp_path / "mine.py"
    path.write_text(
        '''"""Mine."""
from dataclasses import dataclass
from criteria.magnitude import Magnitude

@dataclass(frozen=True)
class Mine(Magnitude):
    """Mine."""

    power: float = 2.0
    whole: float = 2
    rate: float | None = None
    many: 'int' = 3
    exact: bool = True
    name: str = "y"
'''.replace("exact", "round")
    )
    written = f"{path}{text}".replace("exact", "round")
    registry.load.cache_clear()
    plugin_files.only_look(False)
    run = canonical("criteria", written)
    plugin_files.only_look(True)
    try:
        assert canonical("criteria", written) == run
    finally:
        plugin_files.only_look(False)
