"""Diagnosing a mini board: what is trained again is the run itself, what is measured agrees, what is written is complete."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from benchmark.board.board import Board
from benchmark.diagnose.fidelity import Fidelity, Probing
from benchmark.diagnose.observed_run import observe_run
from benchmark.diagnose.shared_run import first_masking
from benchmark.diagnose.store import diagnosis_path, load_diagnosis
from benchmark.diagnose.train import train
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import configure, load
from benchmark.suite.identity import identity
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, run
from tests.benchmark.boards import Watched, make_board
from tests.benchmark.plugin_sources import PLUGIN
from tests.command import Command, Printed

MOVEMENT = "movement[score_schedule=weights]"
"""It has to be told the learning rate's share of its peak."""
ROWS = ["random", "sensitivity", MOVEMENT, "fisher"]
SCHEDULE = "cubic[window=1,initial=1,final=1]"
HOW = Probing(bins=2, singles=6, batches=1)
CPU = Options(device="cpu")


def cell(board: Board, criterion: str) -> RunSpec:
    return next(spec for spec in board.cells() if spec.criterion == criterion)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A finished board; its cells can be diagnosed, its records are not to be changed."""
    made = make_board(tmp_path_factory.mktemp("diagnosed") / "tiny", criteria=ROWS, schedule=SCHEDULE)
    run_cells(made, made.cells(), Watched(), Settings(device="cpu", save_weights=True))
    assert train(made, made.cells(), HOW, "cpu") == 0
    return made


def test_the_record_is_that_of_a_run_under_observation(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness itself, with all it measures, in a run whose outcome is kept."""
    import benchmark.diagnose.observed_run as watching

    kept = []

    def noting(spec: RunSpec, options: Options) -> None:
        kept.append(run(spec, options).record.outcomes_sha256)

    monkeypatch.setattr(watching, "run", noting)
    for name in ("sensitivity", MOVEMENT):
        observe_run(cell(board, name), CPU, HOW)
    assert kept == [board.record(cell(board, name)).outcomes_sha256 for name in ("sensitivity", MOVEMENT)]


def test_until_the_first_masking_a_pruned_run_is_the_dense_run(board: Board) -> None:
    shared = load_diagnosis(board.folder, board.cells()[0].id)
    assert shared
    assert shared.shared
    assert shared.shared.criteria == ROWS
    for name in ROWS:
        own = load_diagnosis(board.folder, cell(board, name).id)
        assert own
        assert own.fidelity == shared.shared.fidelity[name], name


def test_the_correlation_is_symmetric_and_one_with_itself(board: Board) -> None:
    dense = load_diagnosis(board.folder, board.cells()[0].id)
    assert dense
    assert dense.shared
    table = torch.tensor(
        [[rho if rho is not None else float("nan") for rho in row] for row in dense.shared.correlation]
    )
    assert torch.allclose(table, table.T)
    assert torch.allclose(table.diagonal(), torch.ones(len(ROWS)))
    assert table[0, 1:].abs().max() < 0.02  # random noise against anything


def test_only_fisher_and_sensitivity_predict_a_loss(board: Board) -> None:
    def predicted(name: str) -> bool:
        found: Fidelity | None = getattr(load_diagnosis(board.folder, cell(board, name).id), "fidelity", None)
        assert found
        return found.bins.predicted is not None

    assert [name for name in ROWS if predicted(name)] == ["sensitivity", "fisher"]


def test_what_was_diagnosed_is_not_diagnosed_again(board: Board) -> None:
    paths = [diagnosis_path(board.folder, spec.id) for spec in board.cells()]
    before = [path.stat().st_mtime_ns for path in paths]
    said: list[str] = []
    assert train(board, board.cells(), HOW, "cpu", said.append) == 0
    assert said == []
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_a_later_masking_can_be_probed(board: Board) -> None:
    churn, fidelity = observe_run(cell(board, "sensitivity"), CPU, Probing(at=0.7, bins=2, singles=2, batches=1))
    assert fidelity
    assert fidelity.step == 4
    assert [masking.step for masking in churn.maskings][-1] == 5
    assert churn.maskings[-1].sparsity == pytest.approx(0.5)


def test_the_first_masking_of_a_schedule() -> None:
    assert first_masking(configure("schedules", "cubic"), 100, 0.5, 0.0) == 21
    assert first_masking(configure("schedules", "cubic"), 100, 0.5, 0.5) == 51
    with pytest.raises(PrunebenchError, match="no masking comes after 110%"):
        first_masking(configure("schedules", "cubic"), 100, 0.5, 1.1)


def test_a_criterion_with_gates_of_its_own_does_not_listen(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["l0", "magnitude"], schedule=SCHEDULE)
    assert train(made, made.cells("*dense*"), HOW, "cpu") == 0
    found = load_diagnosis(made.folder, made.cells()[0].id)
    assert found
    assert found.shared
    assert found.shared.criteria == ["magnitude"]


def test_where_nobody_can_listen_it_is_said(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["l0"], schedule=SCHEDULE)
    said: list[str] = []
    assert train(made, made.cells("*dense*"), HOW, "cpu", said.append) == 0
    assert said == ["glue/sst2 dense seed 0: no criterion of this board can watch a dense run of it"]


def test_where_nothing_is_trained_there_is_nothing_to_watch(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["magnitude"], schedule="one_shot", training={"steps": 0})
    said: list[str] = []
    assert train(made, made.cells(), HOW, "cpu", said.append) == 0
    assert said == [f"{cell.cell}: nothing is trained in it, so there are no steps to watch" for cell in made.cells()]


def test_another_schedule_or_sparsity_is_another_moment(tmp_path: Path) -> None:
    """A dense cell's id knows of neither."""
    for changes in ({}, {"sparsities": [0.25]}, {"schedule": "cubic[initial=2,final=1,window=1]"}):
        made = make_board(tmp_path / "tiny", **{"criteria": ["magnitude"], "schedule": SCHEDULE, **changes})
        said: list[str] = []
        assert train(made, made.cells("*dense*"), HOW, "cpu", said.append) == 0
        assert said == ["glue/sst2 dense seed 0: diagnosed"]


MINE = PLUGIN.format(cls="Mine")
PLAN = '''"""Prunes at the third step."""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Schedule


@dataclass(frozen=True)
class Plan(Schedule):
    def sparsity(self, step, total, target):
        return target if step > 1 else 0.0

    def due(self, step, total):
        return step == 2
'''


def forget() -> None:
    """As a new process, which knows of no plugin's file."""
    load.cache_clear()
    identity.cache_clear()


@pytest.fixture
def new_process() -> Iterator[Callable[[], None]]:
    """Call it to be as a new process, and so before and after the test."""
    forget()
    yield forget
    forget()


def by_name(folder: Path) -> dict[str, object]:
    return {"criteria": ["magnitude", "mine.py"]}


def by_path(folder: Path) -> dict[str, object]:
    return {"criteria": ["magnitude", f"{folder / 'mine.py'}[power=3]"]}


def as_method(folder: Path) -> dict[str, object]:
    return {"criteria": ["magnitude", "Mine"], "methods": {"Mine": {"criterion": str(folder / "mine.py")}}}


def as_schedule(folder: Path) -> dict[str, object]:
    return {"criteria": ["magnitude"], "schedule": str(folder / "plan.py")}


PLUGINS: dict[str, tuple[Callable[[Path], dict[str, object]], str]] = {
    "a criterion's file by its name": (by_name, "mine.py"),
    "a criterion's file by its path": (by_path, "mine.py"),
    "a criterion's file in a method": (as_method, "mine.py"),
    "a schedule's file": (as_schedule, "plan.py"),
}


@pytest.mark.parametrize("form", PLUGINS)
def test_a_changed_file_of_a_plugin_is_measured_again_on_the_dense_run(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_process: Callable[[], None]
) -> None:
    """A dense cell's id does not know of the criteria that are compared on it."""
    suite, changing = PLUGINS[form]
    folder = tmp_path / "tiny"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, code in (("mine.py", MINE), ("plan.py", PLAN)):
        (folder / name).write_text(code)

    def diagnose() -> list[str]:
        new_process()
        made = make_board(folder, **{"schedule": SCHEDULE, **suite(folder)})
        said: list[str] = []
        assert train(made, made.cells("*dense*"), HOW, "cpu", said.append) == 0
        kept = diagnosis_path(folder, made.cells()[0].id).read_text()
        assert str(tmp_path) not in kept
        return said

    assert diagnose() == ["glue/sst2 dense seed 0: diagnosed"]
    assert diagnose() == []
    with (folder / changing).open("a") as file:
        file.write("\n# changed\n")
    assert diagnose() == ["glue/sst2 dense seed 0: diagnosed"]
    assert diagnose() == []


def test_settings_of_a_board_with_criteria_of_the_package_alone_name_no_code(board: Board) -> None:
    """Diagnoses that stand are not made again."""
    found = load_diagnosis(board.folder, board.cells()[0].id)
    assert found
    assert found.settings == asdict(HOW) | {"criteria": ROWS, "schedule": board.suite.schedule, "sparsity": 0.5}


def test_a_diagnosis_that_holds_paths_is_read_without_them(board: Board) -> None:
    found = load_diagnosis(board.folder, board.cells()[0].id)
    assert found
    assert found.shared
    raw = found.shared.model_dump(mode="json")
    raw["criteria"][0] = "/home/me/mine.py[power=3]"
    raw["fidelity"]["/home/me/mine.py[power=3]"] = raw["fidelity"].pop(ROWS[0])
    read = type(found.shared).model_validate(raw)
    assert read.criteria == ["mine.py[power=3]", *ROWS[1:]]
    assert set(read.fidelity) == {"mine.py[power=3]", *ROWS[1:]}


def test_two_files_of_one_name_cannot_be_compared(tmp_path: Path, new_process: Callable[[], None]) -> None:
    new_process()
    methods = {}
    for name in ("One", "Two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(MINE)
        methods[name] = {"criterion": str(tmp_path / name / "mine.py")}
    made = make_board(tmp_path / "tiny", criteria=["One", "Two"], methods=methods, schedule=SCHEDULE)
    said: list[str] = []
    assert train(made, made.cells("*dense*"), HOW, "cpu", said.append) == 1
    assert re.search("FAILED .*One/mine.py' and '.*Two/mine.py' are files of one name", said[0])


@pytest.mark.parametrize("source", ["data", "model"])
def test_other_sources_than_the_records_are_refused(board: Board, source: str, tmp_path: Path) -> None:
    """What was measured on them would stand under the ids of the records' cells."""
    folder = Path(shutil.copytree(board.folder, tmp_path / "tiny"))
    shutil.rmtree(folder / "diagnose")
    for path in folder.glob("records/*.json"):
        raw = json.loads(path.read_text())
        if f"{source}_fingerprint" in raw:
            path.write_text(json.dumps(raw | {f"{source}_fingerprint": "0" * 64}))
    made = Board.open(folder)
    said: list[str] = []
    assert train(made, made.cells("*random*"), HOW, "cpu", said.append) == 1
    assert f"the {source} of glue/sst2 changed since this board's records were made" in said[0]


def test_cells_that_fail_are_said_and_the_others_go_on(tmp_path: Path) -> None:
    made = make_board(tmp_path / "tiny", criteria=["magnitude"], schedule=SCHEDULE)
    said: list[str] = []
    assert train(made, made.cells(), Probing(at=2.0), "cpu", said.append) == 1
    assert said == [
        "FAILED glue/sst2 dense seed 0: no masking comes after 200% of 5 steps: choose an earlier moment by --at",
        "glue/sst2 magnitude 0.5 seed 0: diagnosed",
    ]


def test_the_command_prints_tables_and_writes_files_and_figures(board: Board, prunebench: Printed) -> None:
    code, printed = prunebench("diagnose", board.folder, "--figures", "svg")
    assert code == 0
    assert re.search(r"PLATON +on the dense run", printed)
    assert "Correlation of scores, SST-2\n" in printed
    assert "Churn" in printed
    assert "Overlap of kept weights, SST-2, 50 %\n" in printed
    assert "Chance: 0.333" in printed
    folder = board.folder / "diagnose"
    written = {path.name for path in folder.iterdir() if path.is_file()}
    assert {
        f"{name}.{end}" for name in ("fidelity", "churn", "correlation-glue-sst2") for end in ("md", "csv", "json")
    } <= written
    assert {f"{name}-glue-sst2.svg" for name in ("fidelity", "churn", "correlation")} <= written
    assert "layers-glue-sst2-0.5.md" in written
    assert str(cell(board, "fisher").id) in (folder / "fidelity.csv").read_text()
    assert "glue/sst2,sensitivity,on the dense run," in (folder / "fidelity.csv").read_text()  # data keeps the spelling
    for name in ("fidelity", "churn", "correlation"):
        drawn = (folder / f"{name}-glue-sst2.svg").read_text()
        assert "SST-2<" in drawn, name
        assert "glue/sst2<" not in drawn, name
    assert "PLATON<" in (folder / "fidelity-glue-sst2.svg").read_text()
    assert f"wrote {len(written)} files" in printed


def test_one_cell_by_its_record(board: Board, prunebench: Printed) -> None:
    spec = cell(board, MOVEMENT)
    code, printed = prunebench("diagnose", board.records_folder / f"{spec.id}.json", "--format", "markdown")
    assert code == 0
    assert "| Movement" in printed
    assert "PLATON" not in printed


def test_where_nothing_is_diagnosed_yet_it_is_said(tmp_path: Path, prunebench: Printed) -> None:
    made = make_board(tmp_path / "tiny")
    code, printed = prunebench("diagnose", made.folder)
    assert code == 0
    assert "nothing is diagnosed yet" in printed


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "html", "csv", "json"])
@pytest.mark.parametrize("trained", [False, True])
def test_what_programs_read_holds_the_tables_alone(
    format: str, trained: bool, board: Board, tmp_path: Path, command: Command
) -> None:
    """Lines about progress and files go to stderr, and so does that there is nothing yet."""
    folder = Path(shutil.copytree(board.folder, tmp_path / "tiny"))
    if trained:
        diagnosis_path(folder, cell(board, "random").id).unlink()
    else:
        shutil.rmtree(folder / "diagnose")
        shutil.rmtree(folder / "weights")
    how = ["--bins", "2", "--singles", "6", "--batches", "1", "--device", "cpu", "--only", "*random*"]
    code, out, err = command("diagnose", folder, "--format", format, *(["--train", *how] if trained else []))
    assert code == 0
    lines = ["wrote ", "glue/sst2 random 0.5 seed 0: diagnosed" if trained else "nothing is diagnosed yet"]
    assert [line in (out if format == "text" else err) for line in lines] == [True, True]
    assert [line in (err if format == "text" else out) for line in lines] == [False, False]
    if format == "json" and trained:
        assert json.loads(out)[0]["title"] == "Fidelity"
    if format == "csv" and trained:
        assert {row["criterion"] for row in csv.DictReader(out.partition("\n\n")[0].splitlines())} == {"random"}
    if not trained and format != "text":
        assert out == ""


PLACES = {
    "from the board": (".", "records/{}.json"),
    "from above": ("..", "tiny/records/{}.json"),
    "among the records": ("records", "{}.json"),
    "among the records, with a dot": ("records", "./{}.json"),
    "by a way round": ("records", "../records/{}.json"),
    "through a link to the record": (".", "link.json"),
    "through a link to the board": ("..", "alias/records/{}.json"),
}


@pytest.mark.parametrize("form", PLACES)
def test_a_record_is_found_from_wherever_it_is_named(
    form: str, board: Board, tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, name = PLACES[form]
    folder, spec = Path(shutil.copytree(board.folder, tmp_path / "tiny")), cell(board, MOVEMENT)
    (folder / "link.json").symlink_to(f"records/{spec.id}.json")
    (tmp_path / "alias").symlink_to("tiny")
    monkeypatch.chdir(folder / place)
    code, printed = prunebench("diagnose", name.format(spec.id), "--format", "markdown")
    assert code == 0
    assert "| Movement" in printed
    assert "PLATON" not in printed


@pytest.mark.parametrize("name", ["x.json", "./x.json", "sub/x.json", "records/../x.json", "/x.json"])
def test_a_file_that_is_no_record_is_refused_in_a_sentence(
    name: str, tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("sub", "records"):
        (tmp_path / folder).mkdir()
    for path in ("x.json", "sub/x.json"):
        (tmp_path / path).write_text("{}")
    monkeypatch.chdir(tmp_path)
    given = str(tmp_path) + name if name.startswith("/") else name
    code, printed = prunebench("diagnose", given)
    assert code == 2
    assert (
        printed == f"prunebench: {Path(given)}: expected a board's folder, or a record in one: BOARD/records/ID.json\n"
    )


def test_weights_that_are_not_the_records_are_one_sentence(board: Board, tmp_path: Path, prunebench: Printed) -> None:
    folder = Path(shutil.copytree(board.folder, tmp_path / "tiny"))
    path = folder / "weights" / f"{cell(board, 'random').id}.safetensors"
    path.write_bytes(b"damaged")
    code, printed = prunebench("diagnose", folder)
    assert (code, len(printed.splitlines())) == (2, 1)
    assert "glue/sst2 random 0.5 seed 0: its kept weights do not fit its record" in printed
    assert path.read_bytes() == b"damaged"
