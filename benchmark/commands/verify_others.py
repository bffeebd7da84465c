"""What the records of one board must have in common, and what no two of them can: losses before pruning, curves, splits, layers.

Until something is pruned, every row of one task, seed and budget trains the same model on the same batches, so on one CPU their
losses are equal. A record with another seed's results is found by them, unless all records of both seeds were changed.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from math import isclose

from benchmark.board.record import Record
from benchmark.commands.verify_outcomes import Found, corpus_metrics, label_problems
from benchmark.commands.verify_spec import unread
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.masks import parse_scope
from benchmark.suite.spec import RunSpec

NEAR = 1e-6
"""Relative difference of losses that is rounding: once in 140 groups of this repository's records they differed, by 6e-8."""


@dataclass(frozen=True)
class Finding:
    """One line: what it is about, and what was found."""

    about: str
    words: str
    wrong: bool = True

    def __str__(self) -> str:
        return f"{'WRONG' if self.wrong else 'note '} {self.about}: {self.words}"


@dataclass
class Others:
    """Takes the records of a board one by one, and keeps of each what later ones are compared with."""

    tasks: dict[str, Found] = field(default_factory=dict)
    """The first record of each task, with its outcomes."""
    corpus: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Metrics of each task that outcomes do not give."""
    firsts: dict[Hashable, Record] = field(default_factory=dict)
    """The first record of each kind that has something in common."""
    curves: dict[Hashable, RunSpec] = field(default_factory=dict)
    """Who has each training curve."""
    losses: dict[Hashable, list[tuple[RunSpec, dict[int, float]]]] = field(default_factory=lambda: defaultdict(list))
    """Losses by step until something is pruned, of the records that share them."""

    def add(self, found: Found) -> Iterator[Finding]:
        """What is off between a record and those before it."""
        record, spec, training = found.record, found.record.spec, found.record.spec.training
        if spec.task not in self.tasks and unread(spec.task):
            words = "its metrics are not made again, for its file is not run here (PRUNEBENCH_PLUGIN_FILES=yes runs it)"
            yield Finding(spec.task, words, wrong=False)
        self.corpus[spec.task] |= corpus_metrics(found)
        first = self.tasks.setdefault(spec.task, found)
        for words in (*_source(record, first.record), *label_problems(found, first)):
            yield Finding(spec.named, words)
        limits = (spec.task, record.data_fingerprint, spec.heldout, training.train_examples, training.eval_examples)
        yield from self._same(record, ("counts",), limits)
        yield from self._same(record, ("splits",), (*limits, spec.seed))
        yield from self._same(record, ("floor", "signatures"), (*limits, training.max_length, _machine(record)))
        layers = ("layers", spec.task, record.model_fingerprint, parse_scope(spec.scope).biases)
        other = self.firsts.setdefault(layers, record)
        if [(one.name, one.size) for one in record.sparsity.layers] != [
            (one.name, one.size) for one in other.sparsity.layers
        ]:
            yield Finding(spec.named, f"has other layers than {other.spec.named}")
        if record.curve:
            yield from self._twin(record)
            self._keep_losses(record)

    def _same(self, record: Record, names: tuple[str, ...], kind: tuple[Hashable, ...]) -> Iterator[Finding]:
        other = self.firsts.setdefault((names, kind), record)
        for name in names:
            found, expected = getattr(record, name), getattr(other, name)
            if found != expected:
                yield Finding(record.spec.named, f"its {name} are {found}, those of {other.spec.named} {expected}")

    def _twin(self, record: Record) -> Iterator[Finding]:
        """Two runs with one curve: the same run twice, unless what tells their cells apart has no effect."""
        spec = record.spec
        other = self.curves.setdefault(
            (spec.task, *((point.step, point.loss, point.sparsity) for point in record.curve)), spec
        )
        if other is spec:
            return
        drawn = other.seed != spec.seed and record.counts.get("train", 0) > spec.training.batch_size
        wrong = drawn or other.sparsity != spec.sparsity
        why = "which no two such runs have" if wrong else "so what tells them apart has no effect, or one is a copy"
        yield Finding(spec.named, f"has the training curve of {other.named}, {why}", wrong)

    def _keep_losses(self, record: Record) -> None:
        spec = record.spec
        own_parts = any("parts, for want of memory" in note for note in record.notes)
        if record.environment.get("precision") != "fp32" or own_parts or _trains_otherwise(spec):
            return
        shared = (
            spec.task,
            spec.regularizer,
            spec.heldout,
            spec.selection,
            spec.seed,
            spec.training,
            spec.plugins.task,
        )
        kind = (*shared, record.data_fingerprint, record.model_fingerprint, _machine(record))
        self.losses[kind].append(
            (spec, {p.step: p.loss for p in record.curve if p.sparsity == 0 and p.loss is not None})
        )

    def findings(self) -> Iterator[Finding]:
        """What shows only when all records are known: who has other losses than most before anything was pruned."""
        for members in self.losses.values():
            for step in sorted({step for _, losses in members for step in losses}):
                told = [(spec, losses[step]) for spec, losses in members if step in losses]
                usual = Counter(loss for _, loss in told).most_common(1)[0][0]
                like = next(spec for spec, loss in told if loss == usual)
                if off := [(spec, loss) for spec, loss in told if not isclose(loss, usual, rel_tol=NEAR)]:
                    for spec, loss in off:
                        yield Finding(spec.named, _other_loss(loss, usual, step, like))
                    break
        for task, names in self.corpus.items():
            if names:
                words = f"{', '.join(sorted(names))} cannot be made again from outcomes: only --rerun checks them"
                yield Finding(task, words, wrong=False)


def _source(record: Record, other: Record) -> Iterator[str]:
    """Where two records of one task are of different data or models."""
    for name in ("data_fingerprint", "model_fingerprint"):
        if getattr(record, name) != getattr(other, name):
            yield f"has another {name.replace('_', ' ')} than {other.spec.named}"


def _other_loss(loss: float, usual: float, step: int, like: RunSpec) -> str:
    return (
        f"has the loss {loss:.7g} up to step {step}, {like.named} {usual:.7g}: seed, budget and machine are the same and "
        "nothing was pruned yet, so one of them has another run's results"
    )


def _machine(record: Record) -> Hashable:
    """Machine and versions, whatever the day."""
    return tuple(sorted((name, text) for name, text in record.environment.items() if name != "date"))


def _trains_otherwise(spec: RunSpec) -> bool:
    """Whether the criterion changes training before anything is pruned, or may.

    Gates do, a rule of its own may prune and take it back between two points of the curve, and of a file that is not run here nobody
    knows.
    """
    if spec.is_dense:
        return False
    if unread(spec.criterion):
        return True
    try:
        criterion = registry.configure("criteria", spec.criterion)
    except PrunebenchError:
        return True
    return criterion.overrides("gate") or not criterion.exact
