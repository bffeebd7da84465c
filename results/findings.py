"""The tables of FINDINGS.md and APPENDIX.md, computed from the records of the boards beside them; nothing is trained.

    python results/findings.py            writes every table of the pages again, between its markers
    python results/findings.py NAME       prints one

A line compares two rows over the seeds that both have: the mean difference; its 95 % interval under resampling of the test items
(these models, other items); and Student's interval over the paired seeds (other seeds, these items). Only the second says something
about methods rather than about these runs, and three seeds make it wide. Neither is corrected for the number of comparisons; the table
`family` is: it holds all of them together, with Holm's correction of the p values over seeds.
"""

import csv
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import Record
from benchmark.commands.views import aggregate, shown
from benchmark.plugins.files import only_look
from benchmark.report.cells import Cell, Run
from benchmark.report.facts import passes_over_data
from benchmark.report.marks import bimodal, passes
from benchmark.report.numbers import number
from benchmark.report.statistics.intervals import Floats, Interval, additive, percentiles, sd, t_interval
from benchmark.report.statistics.multiple import holm
from benchmark.report.statistics.resampling import bootstrap, same_items
from benchmark.suite.labels import method_of
from benchmark.suite.spec import DENSE

HERE = Path(__file__).resolve().parent
PAGES = (HERE / "FINDINGS.md", HERE / "APPENDIX.md")
HEAD = ["task", "sparsity", "first", "second", "seeds", "first scores", "second scores", "difference",
        "95 % over items", "95 % over seeds"]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of a board."""

    criterion: str
    regularizer: str = "none"
    board: str = "minilm-sst2"

    @property
    def words(self) -> str:
        """As a table says it, the board too where it is a board of its own."""
        name = method_of(self.criterion, self.regularizer)
        return name if self.board in (*MAIN, *REGULARIZED) else f"{name} ({self.board})"


MAIN = ("minilm-glue", "minilm-squad-ner", "gpt-data-to-text", "gpt-webnlg")
BUDGETS = {
    "SST-2 at 0.9": {f"{steps} steps": f"minilm-budget-{steps}" for steps in (120, 480, 1920)},
    "CoNLL-2003 at 0.8": {f"{steps} steps": f"minilm-conll-{steps}" for steps in (150, 600)},
}
"""Boards that differ in their budget alone, by task and budget."""
ALL_BUDGETS = tuple(board for boards in BUDGETS.values() for board in boards.values())
FINE_TUNINGS = {
    "MRPC at 0.9": "minilm-mrpc",
    "CoLA at 0.5": "minilm-cola-15-50",
    "CoLA at 0.8": "minilm-cola-15-80",
    "CoLA at 0.9": "minilm-cola-15",
    "STS-B at 0.9": "minilm-stsb-15",
}
"""Boards of tasks that are pruned over all their epochs, by the head of their column."""
DATA_TO_TEXT = {"E2E": "gpt-e2e-100", "WebNLG 2017": "gpt-webnlg-100"}
ENCODERS = {"SQuAD": "minilm-squad-600", "CoNLL-2003": "minilm-conll-600"}
"""Boards of several tasks under one protocol, one board a task, by the head of its column; the first has the rows that are shown."""
REGULARIZED = ("minilm-sst2", "minilm-stsb")
"""Their plain rows are those of minilm-glue."""
RESAMPLES = 1000
"""Bootstrap samples of the test items behind each interval over items."""
FOUR = ("magnitude", "movement", "sensitivity", "principled")
QUANTITY, DENSE_RUN = "within, |change|", "on the dense run"
SELF = "self_regularization"
ONE_SHOT = {"30 %": ("smollm2-oneshot", 0.3), "50 %": ("smollm2-oneshot", 0.5), "70 %": ("smollm2-oneshot", 0.7),
            "2:4": ("smollm2-2-4", 0.5)}  # fmt: skip
ONE_SHOT_ROWS = {
    "random": "random",
    "magnitude": "magnitude",
    "taylor": "taylor",
    "obert": "obert",
    "wanda": "wanda by row",
    "sparsegpt": "sparsegpt",
}
"""The rows of smollm2-2-4, and what they are called on smollm2-oneshot."""
HANDBOOK = "lm[path=handbook.txt]"
HEADLINE = (
    "random",
    "magnitude",
    "movement",
    "taylor",
    "sensitivity",
    "principled",
    "principled[signed=true]",
)


def pairs(first: str, second: str) -> list[tuple[Row, Row]]:
    """The same two rows on every main board."""
    return [(Row(first, board=board), Row(second, board=board)) for board in MAIN]


SPARSITIES = (Row("principled", board="minilm-sparsities"), Row("magnitude", board="minilm-sparsities"))

TABLES: dict[str, list[tuple[Row, Row]]] = {
    "principled-sensitivity": pairs("principled", "sensitivity"),
    "principled-magnitude": [*pairs("principled", "magnitude"), SPARSITIES],
    "principled-taylor": pairs("principled", "taylor"),
    "signed": pairs("principled[signed=true]", "principled"),
    "parts": [
        (Row(f"principled[{option}=false]", board="minilm-ablations"), Row("principled"))
        for option in ("lr_term", "uncertainty")
    ],
    "call-point": [(Row(name, board="minilm-call-point"), Row(name)) for name in ("sensitivity", "principled")],
    "self-regularization": [
        (Row(name, SELF, board), Row(name, board=board))
        for board in (*REGULARIZED, "minilm-squad-ner")
        for name in FOUR
    ],
    "distillation": [
        (Row(name, "distillation", board), Row(name, board=board)) for board in REGULARIZED for name in FOUR
    ],
    "tuned": [(Row(f"{name} (tuned)", board="minilm-tuning-tuned"), Row(name, board="minilm-tuning")) for name in FOUR],
    "teacher": [
        (Row("principled", f"{SELF}[teacher=best]", "minilm-teachers"), Row("principled", SELF, "minilm-teachers")),
        (Row("principled", SELF, "minilm-teachers"), Row("principled", board="minilm-teachers")),
    ],
}


@cache
def opened(board: str) -> Board:
    """A board of this folder, without its model and its data."""
    only_look(True)
    return Board.open(HERE / board)


@cache
def records(board: str) -> dict[tuple[str, str, str, float, int], Record]:
    """The records of a board by task, row, regularizer, sparsity and seed; none where there is no such board."""
    if not (HERE / board / "suite.yaml").is_file():
        return {}
    found = shown(opened(board), whole=True)
    return {(r.spec.task, r.spec.row, r.spec.regularizer, r.spec.sparsity, r.spec.seed): r for r in found}


def runs(row: Row, task: str, sparsity: float) -> dict[int, Record]:
    """The row's records at one place, by seed."""
    return {
        key[4]: record
        for key, record in records(row.board).items()
        if key[:4] == (task, row.criterion, row.regularizer, sparsity)
    }


def places(row: Row) -> list[tuple[str, float]]:
    """Tasks that pass their board's gate, and sparsities, at which the row has records."""
    found = {(key[0], key[3]) for key in records(row.board) if key[1:3] == (row.criterion, row.regularizer)}
    return sorted((task, sparsity) for task, sparsity in found if counts(row.board, task))


@cache
def counts(board: str, task: str) -> bool:
    """Whether all dense runs of a task pass the board's gate, so that its rows are compared."""
    dense = [record for key, record in records(board).items() if key[0] == task and record.spec.is_dense]
    return all(passes(record, opened(board).suite.gate) for record in dense)


class Compared(NamedTuple):
    """Two rows at one place, and their records over the seeds that both have."""

    task: str
    sparsity: float
    first: Row
    second: Row
    ours: list[Record]
    theirs: list[Record]


def comparisons(compared: Sequence[tuple[Row, Row]]) -> Iterator[Compared]:
    """One for every place that both rows have records at; what two boards share is compared once."""
    seen = set()
    for first, second in compared:
        for task, sparsity in places(first):
            sides = runs(first, task, sparsity), runs(second, task, sparsity)
            seeds = sorted(sides[0].keys() & sides[1].keys())
            ours, theirs = ([side[seed] for seed in seeds] for side in sides)
            ids = tuple(record.id for record in (*ours, *theirs))
            if seeds and ids not in seen:
                seen.add(ids)
                yield Compared(task, sparsity, first, second, ours, theirs)


def lines(compared: Sequence[tuple[Row, Row]]) -> Iterator[list[str]]:
    """One line for every comparison."""
    for task, sparsity, first, second, ours, theirs in comparisons(compared):
        words = [task, f"{sparsity:g}", first.words, second.words, str(len(ours))]
        yield words + difference(ours, theirs, first, second)


def difference(ours: list[Record], theirs: list[Record], first: Row, second: Row) -> list[str]:
    """Scores of both sides by seed, their mean difference and its two intervals."""
    gap, items = gaps(ours, theirs), over_items(ours, theirs, first, second)
    over_seeds = t_interval(gap)
    scores = [" ".join(f"{record.score:.1f}" for record in side) for side in (ours, theirs)]
    return [*scores, f"{gap.mean():+.1f}", f"{items.low:+.1f} to {items.high:+.1f}",
            "one seed" if len(ours) == 1 else f"{over_seeds.low:+.1f} to {over_seeds.high:+.1f}"]  # fmt: skip


def over_items(ours: list[Record], theirs: list[Record], first: Row, second: Row) -> Interval:
    """The interval over items of the difference of the means over seeds."""
    score_all, metric = aggregate(ours[0].spec.task), ours[0].metric
    sides = [
        [load_outcomes(HERE / row.board / "records", record) for record in side]
        for row, side in ((first, ours), (second, theirs))
    ]
    items = same_items([*sides[0], *sides[1]])
    means = [
        additive(metric, bootstrap(side, lambda outcomes: score_all(outcomes)[metric], metric, items, RESAMPLES, seed=0))
        .mean(axis=0)
        for side in sides
    ]  # fmt: skip
    return percentiles(means[0] - means[1])


def gaps(ours: list[Record], theirs: list[Record]) -> Floats:
    """By how much each run of the first is above its seed's run of the second; perplexities by their logarithm."""
    metric = ours[0].metric
    first, second = (additive(metric, [record.score for record in side]) for side in (ours, theirs))
    return first - second


def by_seed(ours: dict[int, Record], theirs: dict[int, Record]) -> Floats:
    """`gaps` over the seeds that both have."""
    seeds = sorted(ours.keys() & theirs.keys())
    return gaps([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds])


def p_value(gap: Floats) -> float:
    """Paired t test over seeds; 1 where all gaps are one number, whose spread says nothing of other seeds."""
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(gap, 0).pvalue) if gap.std() > 1e-9 else 1.0


def best_of_dev() -> str:
    """How much the best of the looks at the reported split promises over the last step of the same run."""
    rows = []
    gains: dict[int, list[float]] = {}
    for (task, name, _, sparsity, seed), record in sorted(records("minilm-best-dev").items()):
        seen = [point.score for point in record.curve if point.score is not None]
        if sparsity and seen:
            gains.setdefault(seed, []).append(record.score - seen[-1])
            rows.append([task, f"{sparsity:g}", name, str(seed), f"{seen[-1]:.1f}", f"{record.score:.1f}",
                         f"{record.score - seen[-1]:+.1f}", str(record.selected.step)])  # fmt: skip
    for seed, found in sorted(gains.items()):  # the rows of one seed share their data: no interval over all runs
        rows.append(["mean", "", f"{len(found)} rows", str(seed), "", "", f"{np.mean(found):+.1f}", ""])
    head = ["task", "sparsity", "row", "seed", "last step", "best look", "optimism", "chosen step"]
    return tabulate(rows, head, "pipe", disable_numparse=True)


def family() -> str:
    """The comparisons of this script with more than one seed, those with the smallest p first: all that survive, and the next five."""
    found = []
    for one in comparisons([pair for compared in TABLES.values() for pair in compared]):
        if len(one.ours) > 1:
            gap = gaps(one.ours, one.theirs)
            found.append((p_value(gap), one.task, f"{one.sparsity:g}", one.first.words, one.second.words, gap))
    found.sort(key=lambda row: row[0])
    adjusted = holm([one[0] for one in found])
    most = int((adjusted < 0.05).sum()) + 5
    rows = [
        [str(place), *names, f"{gap.mean():+.1f}", f"{p:.4f}", f"{corrected:.3f}"]
        for place, ((p, *names, gap), corrected) in enumerate(zip(found[:most], adjusted, strict=False), 1)
    ]
    head = [f"of {len(found)}", "task", "sparsity", "first", "second", "difference", "p", "p, Holm"]
    return tabulate(rows, head, "pipe", disable_numparse=True)


def headline() -> str:
    """Mean and standard deviation over the seeds of every plain row, tasks and sparsities of the main boards side by side."""
    columns = [
        (board, task, sparsity)
        for board in MAIN
        for task, sparsity in sorted({(key[0], key[3]) for key in records(board) if key[3]})
    ]
    rows = [
        [
            name,
            *(
                cell(Row(name, board=board), task, sparsity if name != DENSE else 0.0)
                for board, task, sparsity in columns
            ),
        ]
        for name in (DENSE, *HEADLINE)
    ]
    head = ["criterion"]
    for board, task, sparsity in columns:
        metric = next(record.metric for key, record in records(board).items() if key[0] == task)
        head.append(f"{task} ({metric}) {sparsity:g}" + ("" if counts(board, task) else ", not counted"))
    return tabulate(rows, head, "pipe", disable_numparse=True)


def sparsities() -> str:
    """The plain rows over the sparsities of their board, and what principled is better than magnitude by."""
    board = "minilm-sparsities"
    shares = sorted({key[3] for key in records(board) if key[3]})
    rows = [
        [name, *(cell(Row(name, board=board), "glue/sst2", s if name != DENSE else 0.0) for s in shares)]
        for name in (DENSE, *HEADLINE)
    ]
    lead = list(lines([(Row("principled", board=board), Row("magnitude", board=board))]))
    for interval, name in ((8, "items"), (9, "seeds")):
        rows.append([f"principled - magnitude, 95 % over {name}", *(f"{line[7]} ({line[interval]})" for line in lead)])
    return tabulate(rows, ["row", *(f"{s:g}" for s in shares)], "pipe", disable_numparse=True)


def one_place(board: str, name: str) -> dict[int, Record]:
    """A row's records by seed, on a board that has one task and one sparsity."""
    suite, (criterion, _, regularizer) = opened(board).suite, name.partition(" + ")
    row = Row(criterion, regularizer or "none", board)
    return runs(row, suite.tasks[0], 0.0 if name == DENSE else suite.sparsities[0])


def passed(board: str) -> bool:
    """Whether the one task of a board passes its gate."""
    return counts(board, opened(board).suite.tasks[0])


@cache
def leads(first: str, boards: tuple[str, ...]) -> dict[tuple[str, str], tuple[Floats, float]]:
    """What `first` is above each other row of each board by, for each seed, and the p value: a family of its own, Holm over all.

    A board whose task does not pass its gate is in no comparison.
    """
    found = {}
    for board in boards:
        for name in opened(board).suite.criteria if passed(board) else ():
            if name != first:
                found[name, board] = by_seed(one_place(board, first), one_place(board, name))
    p = holm([p_value(gap) for gap in found.values()])
    return {key: (gap, float(one)) for (key, gap), one in zip(found.items(), p, strict=True)}


def said(gap: Floats, p: float) -> str:
    """A difference over seeds, its interval of 95 % and its p value."""
    over, small = t_interval(gap), "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"{gap.mean():+.1f} ({over.low:+.1f} to {over.high:+.1f}), {small}"


def beside(first: str, columns: dict[str, str], family: tuple[str, ...]) -> str:
    """The rows of boards, by the head of their columns, and what `first` is better than each by where the task passes its gate."""
    criteria = {board: opened(board).suite.criteria for board in columns.values()}
    names = [name for name in dict.fromkeys(chain.from_iterable(criteria.values())) if name != first]
    rows = []
    for name in (DENSE, *names, first):
        row = [name]
        for board in columns.values():
            found = one_place(board, name) if name not in names or name in criteria[board] else {}
            row.append(mean_of(list(found.values()), opened(board).suite.gate) if found else "")
            if (name, board) in leads(first, family):
                row.append(said(*leads(first, family)[name, board]))
            elif passed(board):
                row.append("")
        rows.append(row)
    head = ["row"]
    for label, board in columns.items():
        head += [label, f"{first} - row"] if passed(board) else [f"{label}, not counted"]
    return tabulate(rows, head, "pipe", disable_numparse=True)


def with_epochs(boards: dict[str, str], family: tuple[str, ...] = ()) -> str:
    """The rows of boards side by side, and what principled is better than each by: one family over them, or over those of `family`."""
    columns = {f"{label} ({epochs(board)})": board for label, board in boards.items()}
    return beside("principled", columns, family or tuple(boards.values()))


def epochs(board: str) -> str:
    """Passes over the training examples in a run of a board of one task."""
    return f"{passes_over_data(one_place(board, DENSE)[0]):.2g} epochs"


def over_magnitude(boards: dict[str, str]) -> str:
    """A line for each board: its main rows, and what principled is better than magnitude by; one family over all rows and boards."""
    names = (DENSE, "random", "magnitude", "taylor", "sensitivity", "principled")
    found = []
    for label, board in boards.items():
        suite = opened(board).suite
        rows = [next(row for row in (DENSE, *suite.criteria) if row.partition("[")[0] == name) for name in names]
        scores = [mean_of(list(one_place(board, row).values()), suite.gate) for row in rows]
        gap = leads("principled", tuple(boards.values())).get(("magnitude", board))
        seeds = len(suite.seeds)
        found.append([label, epochs(board), str(seeds), *scores, said(*gap) if gap else "not counted"])
    return tabulate(found, ["task", "budget", "seeds", *names, "principled - magnitude"], "pipe", disable_numparse=True)


def over_magnitude_by_budget() -> str:
    """`over_magnitude` of the boards that differ in their budget alone."""
    return over_magnitude({f"{task}, {steps}": boards[steps] for task, boards in BUDGETS.items() for steps in boards})


def narrowing() -> str:
    """By how much a larger budget changes what principled is better than magnitude and random masks by, over the seeds."""
    rows = []
    for task, boards in BUDGETS.items():
        for (small, first), (large, second) in combinations(boards.items(), 2):
            for name in ("magnitude", "random"):
                smaller, larger = (
                    by_seed(one_place(board, "principled"), one_place(board, name)) for board in (first, second)
                )
                over = t_interval(larger - smaller)
                rows.append(
                    [task, name, f"{small} to {large}", f"{smaller.mean():+.1f}", f"{larger.mean():+.1f}",
                     f"{(larger - smaller).mean():+.1f}", f"{over.low:+.1f} to {over.high:+.1f}"]
                )  # fmt: skip
    head = ["task", "row", "budget", "principled - row, smaller", "larger", "change", "95 % over seeds"]
    return tabulate(rows, head, "pipe", disable_numparse=True)


def movement() -> str:
    """Movement pruning as published beside random masks and beside its own scores without their sign: a family of two."""
    return beside("movement as published", {"50 %": "minilm-movement"}, ("minilm-movement",))


@cache
def one_shot_runs(name: str, level: str) -> tuple[Row, dict[int, Record]]:
    """A row of the boards of SmolLM2 at a level of `ONE_SHOT`, and its records by seed."""
    board, sparsity = ONE_SHOT[level]
    row = Row(ONE_SHOT_ROWS.get(name, name) if board == "smollm2-oneshot" else name, board=board)
    return row, runs(row, HANDBOOK, 0.0 if name == DENSE else sparsity)


def one_shot() -> str:
    """Perplexities of SmolLM2 pruned once: mean and standard deviation over the calibration seeds."""
    rows = []
    for name in (DENSE, *ONE_SHOT_ROWS):
        found = [[record.score for record in one_shot_runs(name, level)[1].values()] for level in ONE_SHOT]
        rows.append([name, *(f"{number(float(np.mean(one)), 1)} ± {number(sd(one), 1)}" for one in found)])
    return tabulate(rows, ["row", *ONE_SHOT], "pipe", disable_numparse=True)


def one_shot_pairs() -> str:
    """What sparsegpt is below each other row, in nats of a token: a family of its own, Holm over all its comparisons."""
    rows, p = [], []
    for level in ONE_SHOT:
        best, lowest = one_shot_runs("sparsegpt", level)
        for name in ONE_SHOT_ROWS:
            row, found = one_shot_runs(name, level)
            if name != "sparsegpt":
                seeds = sorted(found.keys() & lowest.keys())
                ours, theirs = [found[seed] for seed in seeds], [lowest[seed] for seed in seeds]
                gap, items = gaps(ours, theirs), over_items(ours, theirs, row, best)
                over = t_interval(gap)
                p.append(p_value(gap))
                rows.append(
                    [level, name, str(len(seeds)), f"{gap.mean():+.2f}", f"{items.low:+.2f} to {items.high:+.2f}",
                     f"{over.low:+.2f} to {over.high:+.2f}"]
                )  # fmt: skip
    for row_, corrected in zip(rows, holm(p), strict=True):
        row_.append(f"{corrected:.3f}" if corrected >= 0.001 else "< 0.001")
    head = [
        "sparsity",
        "row",
        "seeds",
        "row - sparsegpt",
        "95 % over windows",
        "95 % over seeds",
        f"p, Holm over {len(p)}",
    ]
    return tabulate(rows, head, "pipe", disable_numparse=True)


def one_shot_cost() -> str:
    """What pruning SmolLM2 once took at half sparsity: seconds by the clock of a busy machine, and the peak of memory."""
    rows = []
    for name in ONE_SHOT_ROWS:
        found = [record.cost for record in one_shot_runs(name, "50 %")[1].values()]
        seconds, peak = [cost.criterion_seconds for cost in found], [cost.peak_bytes / 2**30 for cost in found]
        rows.append([name, f"{min(seconds):.0f} to {max(seconds):.0f}", f"{max(peak):.1f}"])
    return tabulate(rows, ["row", "seconds of pruning", "peak GiB"], "pipe", disable_numparse=True)


def fidelity() -> str:
    """Fidelity of scores to the size of the measured change on one dense run, beside what training with them came to."""
    with (HERE / "minilm-sst2" / "diagnose" / "fidelity.csv").open(encoding="utf-8", newline="") as file:
        wanted = [
            row for row in csv.DictReader(file) if row["quantity"] == QUANTITY and row["regularizer"] == DENSE_RUN
        ]
    found = {row["criterion"]: float(row["mean"]) for row in wanted}
    rows = [
        [name, f"{value:.2f}", *(cell(Row(name), "glue/sst2", sparsity) for sparsity in (0.8, 0.9))]
        for name, value in sorted(found.items(), key=lambda item: item[1])
    ]
    return tabulate(rows, ["criterion", "fidelity", "SST-2 at 0.8", "SST-2 at 0.9"], "pipe", disable_numparse=True)


def overlap() -> str:
    """Jaccard's overlap of the weights that two rows keep; on the diagonal of one row's two seeds."""
    with (HERE / "minilm-sst2" / "diagnose" / "overlap-glue-sst2-0.9.csv").open(encoding="utf-8", newline="") as file:
        found = {(line["row"], line["with"]): line["mean"] for line in csv.DictReader(file)}
    names = list(dict.fromkeys(name for name, _ in found))
    rows = [[name, *(f"{float(found[name, other]):.3f}" for other in names)] for name in names]
    return tabulate(rows, ["kept by", *names], "pipe", disable_numparse=True)


def cell(row: Row, task: str, sparsity: float) -> str:
    """The row's scores at one place: mean and standard deviation, or each seed's where some are at the floor and others are not;
    and how many they are where it is not three."""
    found = list(runs(row, task, sparsity).values())
    return mean_of(found, opened(row.board).suite.gate) + (f" (n = {len(found)})" if len(found) not in (0, 3) else "")


def mean_of(found: Sequence[Record], gate: float) -> str:
    """Mean and standard deviation over seeds, or each seed's score where some are at the floor and others are not."""
    if not found:
        return "missing"
    found = sorted(found, key=lambda record: record.spec.seed)
    scores, first = [record.score for record in found], found[0]
    runs_ = tuple(Run(record.score, (record.id,), record.spec.seed) for record in found)
    if bimodal(Cell(first.metric, runs_, len(runs_), floor=first.floor.get(first.metric)), gate):
        return " / ".join(f"{score:.1f}" for score in scores)
    return f"{np.mean(scores):.1f}" + (f" ± {sd(scores):.1f}" if len(scores) > 1 else "")


def table(name: str) -> str:
    """One table in Markdown."""
    if name in WHOLE:
        return WHOLE[name]()
    return tabulate(list(lines(TABLES[name])), HEAD, "pipe", disable_numparse=True)


WHOLE: dict[str, Callable[[], str]] = {
    "best-of-dev": best_of_dev,
    "budget-sst2": partial(with_epochs, BUDGETS["SST-2 at 0.9"], ALL_BUDGETS),
    "budget-conll": partial(with_epochs, BUDGETS["CoNLL-2003 at 0.8"], ALL_BUDGETS),
    "data-to-text": partial(with_epochs, DATA_TO_TEXT),
    "encoders": partial(with_epochs, ENCODERS),
    "family": family,
    "fidelity": fidelity,
    "headline": headline,
    "movement": movement,
    "fine-tunings": partial(with_epochs, FINE_TUNINGS),
    "narrowing": narrowing,
    "magnitude-by-budget": over_magnitude_by_budget,
    "magnitude-in-fine-tunings": partial(over_magnitude, FINE_TUNINGS),
    "one-shot": one_shot,
    "one-shot-cost": one_shot_cost,
    "one-shot-pairs": one_shot_pairs,
    "overlap": overlap,
    "sparsities": sparsities,
}
"""Tables with a function of their own; those of `TABLES` are lists of pairs of rows."""


def rewritten(page: str) -> str:
    """`page` with every table made again."""
    marked = re.compile(r"<!-- table (\S+) -->\n.*?<!-- /table -->", re.DOTALL)
    return marked.sub(lambda found: f"<!-- table {found[1]} -->\n\n{table(found[1])}\n\n<!-- /table -->", page)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(table(sys.argv[1]))
    else:
        for path in PAGES:
            path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
