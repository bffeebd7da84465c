"""Trains cells of a board again under observation, and keeps what was seen. No record is written, and of
records only the fingerprints of data and model are read."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from benchmark.board.board import Board
from benchmark.diagnose.fidelity import Probing
from benchmark.diagnose.observed_run import observe_run
from benchmark.diagnose.shared_run import can_observe_dense, compare_on_dense_run
from benchmark.diagnose.store import Diagnosis, load_diagnosis, save_diagnosis
from benchmark.engine.sources import refuse_other_sources
from benchmark.errors import PrunebenchError
from benchmark.machine.lock import locked
from benchmark.suite.spec import RunSpec, portable_plugin
from benchmark.training.run import Options
from benchmark.training.teachers import Teachers

Say = Callable[[str], None]


def train(
    board: Board,
    cells: Sequence[RunSpec],
    probing: Probing,
    device: str = "auto",
    say: Say = lambda _: None,
    trust_remote_code: bool = False,
) -> int:
    """Diagnose the cells that were not diagnosed with these settings; 1 where one failed, else 0."""
    options = Teachers(board, Options(device, board.cache / "data", trust_remote_code)).options
    failed = 0
    for spec in cells:
        if not spec.is_trained:
            say(f"{spec.cell}: nothing is trained in it, so there are no steps to watch")
            continue
        if spec.is_dense and not _texts(_pruned(board, spec)):
            say(f"{spec.cell}: no criterion of this board can watch a dense run of it")
            continue
        settings = _settings(board, spec, probing)
        standing = load_diagnosis(board.folder, spec.id)
        if standing is not None and standing.settings == settings:
            continue
        with locked(board.locks, f"diagnose-{spec.id}", wait=False) as mine:
            if not mine:
                say(f"{spec.cell}: another process is at it")
                continue
            try:
                save_diagnosis(board.folder, _diagnosed(board, spec, probing, options, settings))
                say(f"{spec.cell}: diagnosed")
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a plugin's SystemExit too
                failed = 1
                say(f"FAILED {spec.cell}: {error or type(error).__name__}")
    return failed


def _diagnosed(board: Board, spec: RunSpec, probing: Probing, options: Options, settings: dict[str, Any]) -> Diagnosis:
    options = replace(options, check=partial(refuse_other_sources, board, spec))
    found = Diagnosis(id=spec.id, spec=spec.recorded(), settings=settings)
    if not spec.is_dense:
        churn, fidelity = observe_run(spec, options, probing)
        return found.model_copy(update={"churn": churn, "fidelity": fidelity})
    others = _pruned(board, spec)
    _require_apart(_texts(others))
    shared = compare_on_dense_run(spec, _texts(others), others[0].schedule, _target(others), options, probing)
    return found.model_copy(update={"shared": shared})


def _settings(board: Board, spec: RunSpec, probing: Probing) -> dict[str, Any]:
    """What the measurement depends on besides the cell; a dense one also on which criteria are compared, by what schedule and at
    what sparsity, and on the code of those that are not built in. (A pruned cell's id knows its plugins' code.)"""
    if not spec.is_dense:
        return asdict(probing)
    others = _pruned(board, spec)
    names = [portable_plugin(text) for text in _texts(others)]
    schedule = portable_plugin(others[0].schedule)
    code = _code(others)
    return (
        asdict(probing)
        | {"criteria": names, "schedule": schedule, "sparsity": _target(others)}
        | ({"plugins": code} if code else {})
    )


def _code(cells: Sequence[RunSpec]) -> dict[str, str]:
    """What identifies the code of the compared criteria and of their schedule; empty where all are built in."""
    known = {cell.criterion: cell.plugins.criterion for cell in cells}
    found = {f"criterion {portable_plugin(text)}": known[text] for text in _texts(cells)}
    found[f"schedule {portable_plugin(cells[0].schedule)}"] = cells[0].plugins.schedule
    return {name: identity for name, identity in found.items() if identity}


def _require_apart(texts: Sequence[str]) -> None:
    """PrunebenchError for two files of one name, which the tables could not tell apart."""
    seen: dict[str, str] = {}
    for text in texts:
        if (other := seen.setdefault(portable_plugin(text), text)) != text:
            raise PrunebenchError(f"'{other}' and '{text}' are files of one name: rename one, to tell them apart")


def _pruned(board: Board, spec: RunSpec) -> list[RunSpec]:
    return [cell for cell in board.suite.cells() if cell.task == spec.task and not cell.is_dense]


def _target(cells: Sequence[RunSpec]) -> float:
    return max(cell.sparsity for cell in cells)


def _texts(cells: Sequence[RunSpec]) -> list[str]:
    return [text for text in dict.fromkeys(cell.criterion for cell in cells) if can_observe_dense(text)]
