"""`prunebench tune`: the same number of trials for every row of a board, one study per row, task and sparsity.

Any number of runners may tune one board: each study has a lock, and its trials follow one another. An interrupt loses only the
current trial.
"""

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.board.board import Board
from benchmark.engine.sources import open_sources
from benchmark.errors import PrunebenchError
from benchmark.machine.environment import pick_device
from benchmark.machine.lock import locked
from benchmark.plugins.registry import spell
from benchmark.suite.spec import SEEDS, RunSpec
from benchmark.training.run import Options, open_task
from benchmark.training.teachers import Teachers
from benchmark.tune.sampler import require_optuna, suggest
from benchmark.tune.space import Point, Space, described, digest, space_of, start
from benchmark.tune.study import Study, Trial, load_study, save_study, study_path
from benchmark.tune.trial import attempt, trial_spec

Say = Callable[[str], None]


@dataclass(frozen=True)
class Search:
    """Settings of the search, the same for every row."""

    trials: int
    seed: int | None = None
    """Seed of trials and sampler; by default one that no cell of the board has."""
    rates: tuple[float, float] | None = None
    """Range of the learning rate; by default from a quarter to four times the suite's."""
    fixed_rate: bool = False
    """Do not search the learning rate."""
    device: str = "auto"
    trust_remote_code: bool = False

    def seed_for(self, board: Board) -> int:
        """The seed of every trial on `board`."""
        if self.seed is not None:
            return self.seed
        above = 1 + max(board.suite.seeds)
        return above if above in SEEDS else next(seed for seed in SEEDS if seed not in board.suite.seeds)


def rows_of(board: Board, only: str = "*") -> list[RunSpec]:
    """One cell, of the first seed, for every row, task and sparsity that `only` matches."""
    if board.suite.tuned:
        raise PrunebenchError(f"{board.folder}: this board holds tuned rows; tune the board that they come from")
    found: dict[tuple[object, ...], RunSpec] = {}
    for spec in board.cells(only):
        if not spec.is_dense:
            found.setdefault((spec.task, spec.row, spec.regularizer, spec.sparsity), spec)
    if not found:
        raise PrunebenchError(f"--only '{only}' matches dense cells alone: there is no row to tune")
    return list(found.values())


def tune(board: Board, search: Search, only: str = "*", say: Say = lambda _: None) -> None:
    """Run trials until the study of every row that `only` matches has `search.trials`; PrunebenchError first if one cannot be run."""
    require_optuna()
    pick_device(search.device)
    specs = [trial_spec(spec, search.seed_for(board)) for spec in rows_of(board, only)]
    for spec in specs:
        if (most := spec.training.train_examples) is not None:
            _require_heldout(spec, most)
    open_sources(board, specs, _options(board, search))
    waiting = [(spec, space_of(spec, search.rates, search.fixed_rate)) for spec in specs]
    for wait in (False, True):  # what another runner has is looked at again at the end
        busy = []
        for spec, space in waiting:
            with locked(board.locks, f"tune-{spec.id}", wait) as mine:
                if mine:
                    _bring(board, search, spec, space, say)
                else:
                    busy.append((spec, space))
        waiting = busy


def _bring(board: Board, search: Search, spec: RunSpec, space: Space, say: Say) -> None:
    """Run the missing trials of one study."""
    path, options = study_path(board.folder, spec), _options(board, search)
    study = _opened(board, spec, space, options)
    while (number := len(study.trials)) < search.trials:
        trial = attempt(spec, _next(study, spec, space), options)
        study = study.model_copy(update={"trials": [*study.trials, trial]})
        save_study(path, study)
        say(f"{study.name}: trial {number + 1} of {search.trials}: {told(trial)}")


def _opened(board: Board, spec: RunSpec, space: Space, options: Options) -> Study:
    """The saved study, or a new one."""
    prepared = open_task(spec, options)
    _require_heldout(spec, prepared.counts["train"] + prepared.counts["heldout"])
    fresh = Study(
        spec=spec.recorded(),
        space=described(space),
        space_hash=digest(space),
        metric=prepared.metric,
        lower_is_better=prepared.metric in prepared.lower_is_better,
        heldout_examples=prepared.counts["heldout"],
        data_fingerprint=prepared.data_fingerprint,
        model_fingerprint=prepared.model_fingerprint,
    )
    path = study_path(board.folder, spec)
    standing = load_study(path)
    if standing is None:
        return fresh
    standing.refuse_other(fresh, path)
    return standing


def _require_heldout(spec: RunSpec, examples: int) -> None:
    if problem := spec.heldout_problem(examples):
        raise PrunebenchError(f"{spec.task}: trials are scored on held-out training examples: {problem}")


def _next(study: Study, spec: RunSpec, space: Space) -> Point:
    """The next point: the suite's own values first, then the sampler's suggestion."""
    if not study.trials:
        return start(spec, space)
    return suggest(space, [(trial.point, study.utility(trial)) for trial in study.trials], spec.seed)


def _options(board: Board, search: Search) -> Options:
    plain = Options(search.device, board.cache / "data", search.trust_remote_code, split="heldout")
    return Teachers(board, plain).options


def told(trial: Trial) -> str:
    """A trial as one line of text."""
    point = ", ".join(f"{name}={spell(value)}" for name, value in trial.point.items())
    score = f"{trial.score:.2f}" if trial.state == "done" else f"{trial.state} ({trial.reason})"
    return f"{score} with {point}, {trial.seconds:.1f} s"
