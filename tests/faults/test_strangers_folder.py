"""Commands that only look, started in a folder full of traps: nothing of it runs, whatever a file there is called."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmark.plugins.catalogue import catalogue
from benchmark.plugins.locate import find_module
from benchmark.plugins.spelling import canonical
from benchmark.suite.spec import RunSpec
from tests.benchmark.boards import make_board

ROOT = Path(__file__).resolve().parents[2]
TRAP = "import pathlib\nwith open({mark!r}, 'a') as file:\n    file.write({name!r})\nraise SystemExit(3)\n"
OURS = ("benchmark", "criteria", "tasks")
MODULES = (
    *("json", "typing", "pathlib", "contextlib", "multiprocessing", "pickle", "signal", "hashlib", "sqlite3"),
    *("numpy", "torch", "yaml", "msgspec", "pydantic", "typer", "rich", "matplotlib", "scipy", "filelock"),
    *("sitecustomize", "usercustomize", "conftest", "evil"),
)
MINE = '''"""Mine."""
from dataclasses import dataclass
from evil.deep import Magnitude

open({mark!r}, "a").write("the plugin file")

@dataclass(frozen=True)
class Mine(Magnitude):
    """Mine."""
'''
LOOKING = (
    "--help",
    "status .",
    "table .",
    "table . --format json",
    "statistics .",
    "plot . --format svg",
    "report .",
    "verify .",
    "merge . .",
    "list",
    "list criteria",
)
AS_THE_CONSOLE_SCRIPT = """
import sys
from benchmark.cli import main
for line in {lines!r}:
    sys.argv = ["prunebench", *line.split()]
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    print("CODE", code, line)
"""


def set_traps(folder: Path, mark: Path, names: tuple[str, ...]) -> None:
    """Modules and packages that leave a mark when they are imported, and a distribution that claims to be installed."""
    for name in names:
        package = folder / name
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(TRAP.format(mark=str(mark), name=name))
        (folder / f"{name}.py").write_text(TRAP.format(mark=str(mark), name=name))
    (folder / "matplotlibrc").write_text("text.usetex: true\nsavefig.format: png\n")
    claim = folder / "evil-1.0.dist-info"
    claim.mkdir()
    (claim / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (claim / "entry_points.txt").write_text("[prunebench.criteria]\nmagnitude=evil.deep:X\n")


@pytest.fixture
def stranger(finished_copy: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A finished board with a plugin file of its own and traps around it; where a mark would be left."""
    folder, mark = tmp_path / "stranger", tmp_path / "MARK"
    shutil.copytree(finished_copy, folder)
    suite = yaml.safe_load((folder / "suite.yaml").read_text())
    suite["criteria"].append("mine.py")
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    (folder / "mine.py").write_text(MINE.format(mark=str(mark)))
    return folder, mark


def test_the_command_runs_nothing_of_the_folder_it_looks_at(stranger: tuple[Path, Path], tmp_path: Path) -> None:
    folder, mark = stranger
    set_traps(folder, mark, (*OURS, *MODULES))
    script = tmp_path / "bin" / "script.py"  # Python puts a script's own folder first, as for an installed command
    script.parent.mkdir()
    script.write_text(AS_THE_CONSOLE_SCRIPT.format(lines=LOOKING))
    done = subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True, check=False)
    codes = [line for line in done.stdout.splitlines() if line.startswith("CODE")]
    refused = {"verify .": 1, "merge . .": 2}  # its numbers were never measured, and it is one board
    assert codes == [f"CODE {refused.get(line, 0)} {line}" for line in LOOKING], (
        done.stdout[-2000:] + done.stderr[-2000:]
    )
    assert not mark.exists(), mark.read_text()


# What Python itself loads before it comes to the module, as contextlib, only -P keeps apart.
@pytest.mark.parametrize(
    ("launcher", "names"),
    [(["-m"], tuple(name for name in MODULES if name != "contextlib")), (["-P", "-m"], (*OURS, *MODULES))],
    ids=["python -m", "python -P -m"],
)
def test_so_does_the_module(stranger: tuple[Path, Path], launcher: list[str], names: tuple[str, ...]) -> None:
    folder, mark = stranger
    set_traps(folder, mark, names)
    command = [sys.executable, *launcher, "benchmark", "status", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "3 of 4 done" in done.stdout, done.stdout + done.stderr
    assert not mark.exists(), mark.read_text()


def test_processes_of_a_run_import_nothing_from_the_current_folder(tmp_path: Path) -> None:
    board, stranger, mark = make_board(tmp_path / "board"), tmp_path / "stranger", tmp_path / "MARK"
    stranger.mkdir()
    set_traps(stranger, mark, (*OURS, *MODULES))
    words = ["run", str(board.folder), "--only", "*dense*", "--jobs", "2", "--device", "cpu"]
    command = [sys.executable, "-P", "-m", "benchmark", *words]
    done = subprocess.run(command, cwd=stranger, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 cell run" in done.stdout
    assert not mark.exists(), mark.read_text()


def test_every_interpreter_that_the_package_starts_is_kept_from_the_current_folder() -> None:
    started = []
    for path in (ROOT / "benchmark").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                started.append((path.name, ast.unparse(node.elts[1])))
    assert started
    assert [place for place in started if place[1] != "'-P'"] == []


# Sources are read, whatever they are, and never imported.


def make_package(folder: Path, mark: Path) -> None:
    """`pack` runs into a trap when it is imported; pack/inner.py and space/pack2/inner.py hold a class."""
    for place in ("pack", "space/pack2"):
        (folder / place).mkdir(parents=True)
        (folder / place / "__init__.py").write_text(TRAP.format(mark=str(mark), name=place))
        (folder / place / "inner.py").write_text('"""Inner."""\nclass Inner:\n    power: float = 2.0\n')


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("pack", "pack/__init__.py"),
        ("pack.inner", "pack/inner.py"),
        ("space.pack2.inner", "space/pack2/inner.py"),
        ("pack.absent", None),
        ("absent.inner", None),
        ("pack.inner.deeper", None),
        ("json.absent", None),
        ("", None),
        ("pack.", None),
        (".pack", None),
    ],
)
def test_a_module_is_found_without_importing_what_lies_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, file: str | None
) -> None:
    mark = tmp_path / "MARK"
    make_package(tmp_path, mark)
    monkeypatch.syspath_prepend(tmp_path)
    found = find_module(module)
    assert (found.origin if found else None) == (str(tmp_path / file) if file else None)
    assert not mark.exists()
    assert "pack" not in sys.modules


CLASS = "from dataclasses import dataclass\n{above}@dataclass(frozen=True)\nclass Mine({base}):\n    power: float = {default}\n"
SOURCES = {
    "derived from itself": CLASS.format(above="", base="Mine", default="2.0"),
    "derived in a circle": CLASS.format(above="class A(B): pass\nclass B(A): pass\n", base="A", default="2.0"),
    "many ways to one class": CLASS.format(
        above="".join(f"class A{i}(A{i + 1}, A{i + 1}): pass\n" for i in range(60)), base="A0", default="2.0"
    ),
    "base in a file that is no Python": CLASS.format(above="from broken import Base\n", base="Base", default="2.0"),
    "base nowhere": CLASS.format(above="from no.such.place import Base\n", base="Base", default="2.0"),
    "default nested deeply": CLASS.format(above="", base="object", default="-" * 3000 + "1"),
    "default in brackets": CLASS.format(above="", base="object", default="[" * 150 + "]" * 150),
    "default not hashable": CLASS.format(above="", base="object", default="{[]: 1}"),
    "default of many digits": CLASS.format(above="", base="object", default="0x" + "f" * 5000),
    "variants of nothing": CLASS.format(above="", base="object", default="2.0") + "    variants = tuple()\n",
    "no Python": "class Mine(\n",
    "a null byte": "class Mine:\0\n",
    "brackets without end": "(" * 100_000,
    "signs without end": f"x = {'-' * 20_000}1",
    "not UTF-8": "# \udcff\nclass Mine: pass\n",
    "empty": "",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_odd_sources_are_read_or_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    from benchmark.commands.list import _entry_lines
    from benchmark.errors import PrunebenchError
    from benchmark.plugins import files
    from benchmark.plugins.catalogue import entry_of, label_of
    from benchmark.plugins.classes import KINDS

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(files._Command, "only_looks", True)
    (tmp_path / "broken.py").write_text("def (")
    path = tmp_path / "mine.py"
    path.write_bytes(source.encode(errors="surrogateescape"))
    assert _entry_lines(entry_of(KINDS["criteria"], "mine", path, "me"), (), None)
    assert isinstance(label_of("criteria", str(path)), str)
    assert canonical("criteria", str(path)) == str(path)
    try:
        assert canonical("criteria", f"{path}[power=3]").startswith(str(path))
    except PrunebenchError as error:
        assert "no option power" in str(error)  # noqa: PT017 - either is right, a traceback is not


@pytest.mark.parametrize(
    ("only_looks", "said", "opens"), [(True, "", False), (True, "yes", True), (False, "", True), (False, "no", False)]
)
def test_functions_of_a_folder_of_the_harness_run_where_plugin_files_do(
    monkeypatch: pytest.MonkeyPatch, only_looks: bool, said: str, opens: bool
) -> None:
    from benchmark.errors import PrunebenchError
    from benchmark.plugins import files
    from benchmark.training.run import Options, open_task
    from tasks.lm_eval import LmEval

    class OpenedError(Exception): ...

    def prepare(task: LmEval, setting: object) -> None:
        raise OpenedError

    monkeypatch.setattr(LmEval, "prepare", prepare)
    monkeypatch.setattr(files._Command, "only_looks", only_looks)
    monkeypatch.setenv(files.VARIABLE, said)
    spec = RunSpec(task="lm_eval/choices[include=theirs]")
    with pytest.raises(
        OpenedError if opens else PrunebenchError, match=None if opens else "PRUNEBENCH_PLUGIN_FILES=yes"
    ):
        open_task(spec, Options())
    with pytest.raises(OpenedError):
        open_task(spec.model_copy(update={"task": "lm_eval/choices"}), Options())


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("lm_eval/choices[include=theirs]", True), ("lm_eval/choices[shots=2, include =theirs]", True),
        (" lm_eval/choices[include= theirs]", True), ("lm_eval/choices[shots=2]", False), ("lm_eval/include", False),
        ("glue/sst2", False), ("lm[path=include=x]", False),
    ],
)  # fmt: skip
def test_tasks_that_bring_functions_are_known_however_they_are_spelled(task: str, found: bool) -> None:
    from benchmark.plugins.files import brings_code

    assert brings_code(task) == found


def test_listing_reads_installed_plugins_and_does_not_import_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "MARK"
    make_package(tmp_path, mark)
    claim = tmp_path / "pack-1.0.dist-info"
    claim.mkdir()
    (claim / "METADATA").write_text("Metadata-Version: 2.1\nName: pack\nVersion: 1.0\n")
    points = "[prunebench.{}]\ninner=pack.inner:Inner\nabsent=pack.absent:X\n"
    (claim / "entry_points.txt").write_text(
        "".join(points.format(kind) for kind in ("criteria", "regularizers", "schedules", "tasks"))
    )
    monkeypatch.syspath_prepend(tmp_path)
    for kind in ("criteria", "regularizers", "schedules", "tasks"):
        found = {entry.name: entry for entry in catalogue(kind)}
        assert [option.name for option in found["inner"].options] == ["power"]
        assert found["absent"].summary == "cannot be found: pack.absent:X"
    assert not mark.exists()
