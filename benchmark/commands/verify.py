"""`prunebench verify`: checks that every finished cell agrees with itself: id, schema, checksums, counts, metrics, sparsity, weights.

Reads, and changes nothing. What is wrong makes the exit code 1; what is only worth knowing (a file that belongs to no cell) is
named and does not.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmark.board.board import Board
from benchmark.board.record import (
    FAILED,
    OUTCOMES,
    PREDICTIONS,
    RECORD,
    Record,
    RecordError,
    load_record,
    record_path,
)
from benchmark.board.weights import read_weights, weight_problems, weights_path
from benchmark.commands.verify_others import Finding, Others
from benchmark.commands.verify_outcomes import (
    Found,
    found_of,
    outcome_problems,
    rounding_noise,
)
from benchmark.commands.verify_spec import spec_problems, unread
from benchmark.engine.sources import refuse_other_sources
from benchmark.errors import PrunebenchError
from benchmark.machine.safe_read import MAX_RECORD, read_regular_file
from benchmark.pruning.masks import parse_scope
from benchmark.pruning.prunable import find_prunable
from benchmark.report.numbers import count_of
from benchmark.suite.spec import RunSpec
from benchmark.training.run import PRECISIONS, Options, open_few
from tasks.base import ModelError, Prepared
from tasks.pipeline.checkpoints import RANDOM

ENDINGS = (PREDICTIONS, FAILED, RECORD, OUTCOMES)


def verify_board(
    board: Board,
    cells: Sequence[RunSpec] | None = None,
    rerun: Callable[[RunSpec, Record], Finding] | None = None,
    more: Sequence[Finding] = (),
    tell: Callable[[str], None] = print,
) -> bool:
    """Tell every finding and a summary; whether anything is wrong.

    Of all cells, with whatever else lies among the records, where no `cells` are given. `rerun` runs a cell again and compares.
    """
    chosen = board.suite.cells() if cells is None else cells
    found: list[Finding] = []
    strangers = _strangers(board) if cells is None else iter(())
    parts = model_findings(board, chosen), verify(board, chosen, rerun), strangers
    for finding in chain(more, *parts):  # a cell that is run again takes its time
        found.append(finding)
        tell(str(finding))
    records = sum(record_path(board.records_folder, spec.id).exists() for spec in chosen)
    wrong = sum(finding.wrong for finding in found)
    notes = len(found) - wrong
    tell(f"{records} of {len(chosen)} cells have a record: {wrong} wrong, {count_of(notes, 'note')}")
    return wrong > 0


def verify(
    board: Board, cells: Sequence[RunSpec], rerun: Callable[[RunSpec, Record], Finding] | None = None
) -> Iterator[Finding]:
    """What is found about the finished ones of `cells`, one after the other."""
    others = Others()
    for spec in cells:
        record = _read(board, spec)
        if isinstance(record, Finding):
            yield record
        if not isinstance(record, Record):
            continue
        found = found_of(board, record)
        yield from (Finding(spec.named, words) for words in record_problems(board, found))
        yield from (Finding(spec.named, words, wrong=False) for words in rounding_noise(found))
        yield from others.add(found)
        if rerun is not None:
            yield rerun(spec, record)
    yield from others.findings()


def _read(board: Board, spec: RunSpec) -> Record | Finding | None:
    """The record of a cell, or what keeps it from being read; None of a cell that has not finished."""
    path = record_path(board.records_folder, spec.id)
    if not path.exists():
        return Finding(spec.named, f"{path.name} is a link to nothing") if path.is_symlink() else None
    try:
        return load_record(path)
    except RecordError as error:
        return Finding(spec.named, error.reason)


def model_findings(board: Board, cells: Sequence[RunSpec]) -> Iterator[Finding]:
    """Whether the model folder of each task with a record holds its model, and the one that the records were made with.

    A folder that is not at hand, a hub's model among them, is noted and not fetched; what the package brings is sound.
    """
    finished: dict[tuple[str, str], list[RunSpec]] = {}
    for spec in cells:
        if record_path(board.records_folder, spec.id).exists():
            finished.setdefault((spec.task, spec.model), []).append(spec)
    absent: dict[str, None] = {}
    for (task, model), of_model in finished.items():
        zeros = [spec for spec in of_model if _dense_zeros(board, spec)]
        place = model.removeprefix(RANDOM)
        if unread(task) or (place == "mini" and not zeros):
            continue
        if place != "mini" and not Path(place).expanduser().exists():  # a folder, or a GGUF file
            absent[model] = None
            continue
        yield from _opened(board, of_model[0], zeros)
    for model in absent:
        yield Finding(f"model {model}", "is not at hand and was not looked at (--model FOLDER)", wrong=False)


def _opened(board: Board, spec: RunSpec, zeros: Sequence[RunSpec]) -> Iterator[Finding]:
    """What is found when the model of `spec` is opened; `zeros` are dense cells of it whose records count zeros."""
    try:
        prepared = open_few(spec, Options())
        refuse_other_sources(board, spec, prepared)
        for one in zeros:
            yield from _zeros_beyond(board.record(one), prepared)
    except PrunebenchError as error:
        yield Finding(
            spec.task, str(error).removeprefix(f"{spec.task}: "), wrong=isinstance(error.__cause__, ModelError)
        )


def _dense_zeros(board: Board, spec: RunSpec) -> bool:
    """Whether the cell is a dense one whose readable record counts zeros."""
    if not spec.is_dense:
        return False
    try:
        return board.record(spec).sparsity.zeros > 0
    except RecordError:  # said elsewhere
        return False


def _zeros_beyond(record: Record, prepared: Prepared) -> Iterator[Finding]:
    """Zeros of a dense record that its model does not bring: nothing prunes there, and training makes no weight exactly zero."""
    spec = record.spec
    model = prepared.build(spec.seed).to(PRECISIONS[spec.precision])
    own = {one.name: int((one.parameter == 0).sum()) for one in find_prunable(model, parse_scope(spec.scope).biases)}
    for layer in record.sparsity.layers:
        if layer.zeros > own.get(layer.name, 0):
            words = f"dense, and has {layer.zeros} zeros of {layer.size} in {layer.name}, its model {own.get(layer.name, 0)}"
            yield Finding(spec.named, words)
            return


def record_problems(board: Board, found: Found) -> Iterator[str]:
    """What is wrong with a readable record, its outcomes, its teacher and its kept weights."""
    record = found.record
    yield from spec_problems(record)
    yield from _written_once(record_path(board.records_folder, record.id))
    yield from outcome_problems(found)
    if record.teacher is not None:
        if record.teacher != record.spec.dense().id:
            yield f"names {record.teacher} as its teacher, expected {record.spec.dense().id}"
        elif not record_path(board.records_folder, record.teacher).exists():
            yield f"its teacher, the dense cell {record.teacher}, has no record"
    path = weights_path(board.weights_folder, record.id)
    if path.is_file():
        try:
            yield from weight_problems(record, read_weights(path))
        except (OSError, ValueError) as error:
            yield f"kept weights {path.name}: {error}"


def of_exported(board: Board, folder: Path, cells: Sequence[RunSpec] | None) -> list[Finding]:
    """The weights of an exported folder, compared with the record that its card names (or that of the one cell given)."""
    from safetensors.torch import load_file

    spec = cells[0] if cells else _of_card(board, folder)
    weights: dict[str, Tensor] = {}
    try:
        for path in sorted(folder.glob("*.safetensors")):
            weights |= load_file(path)
    except Exception as error:  # the library's own error and the file system's
        return [Finding(str(folder), f"unreadable weights ({error})")]
    problems = [Finding(str(folder), words) for words in weight_problems(board.record(spec), weights)]
    return problems or [Finding(str(folder), f"the sparsity of {spec.named}, as recorded", wrong=False)]


def _of_card(board: Board, folder: Path) -> RunSpec:
    if not folder.is_dir():
        raise PrunebenchError(f"{folder}: no such folder; expected one that export wrote")
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PrunebenchError(f"{folder}: no model card that names a record; name the cell with --cell") from error
    found = [spec for spec in board.suite.cells() if f"`{spec.id}`" in text]
    if len(found) != 1:
        raise PrunebenchError(f"{folder}: its model card names no cell of this board; name it with --cell")
    return found[0]


def _written_once(path: Path) -> Iterator[str]:
    """Keys that the record's file gives twice: a reader takes the last, whoever looks at the file may see the first."""
    twice: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = Counter(name for name, _ in found)
        twice.extend(name for name, times in names.items() if times > 1)
        return dict(found)

    with suppress(OSError, ValueError, RecursionError):  # it was loaded, or that has been said
        json.loads(read_regular_file(path, MAX_RECORD), object_pairs_hook=pairs)
    if twice:
        yield f"its file gives '{twice[0]}' twice"


def _strangers(board: Board) -> Iterator[Finding]:
    """Files among the records that belong to no finished cell."""
    known = {spec.id for spec in board.suite.cells()}
    if not board.records_folder.is_dir():
        return
    for path in sorted(board.records_folder.iterdir()):
        ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), "")
        run_id = path.name.removesuffix(ending)
        finished = record_path(path.parent, run_id).exists()
        if not ending:
            yield Finding(path.name, "is nothing that a run leaves", wrong=False)
        elif ending == RECORD and run_id not in known:
            yield _stranger(path)
        elif ending in (OUTCOMES, PREDICTIONS) and not finished:
            yield Finding(path.name, "belongs to no record: its run did not end", wrong=False)
        elif ending == FAILED and finished:
            yield Finding(path.name, "is of a cell that has been finished since", wrong=False)


def _stranger(path: Path) -> Finding:
    try:
        record = load_record(path)
    except RecordError as error:
        return Finding(path.name, f"belongs to no cell of this suite, and {error.reason}")
    return Finding(path.name, f"belongs to no cell of this suite ({record.spec.cell})", wrong=False)
