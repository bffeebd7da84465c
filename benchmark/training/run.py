"""run(spec) -> Result: trains, prunes and evaluates one cell, from its spec to its record."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import Record
from benchmark.errors import PrunebenchError
from benchmark.machine import environment, parallel
from benchmark.plugins import registry
from benchmark.plugins.broken import BrokenPluginError
from benchmark.plugins.files import VARIABLE, brings_code, files_run
from benchmark.pruning.arguments import require_bool, require_whole
from benchmark.pruning.calibrate import Batches, Loss, calibrator
from benchmark.pruning.dense import Dense
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.masks import parse_scope
from benchmark.pruning.once import Once, Unpruned
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Calibrate, Pruner
from benchmark.pruning.schedules.base import Schedule
from benchmark.suite.consistency import check_spec, validated
from benchmark.suite.identity import identified, identity
from benchmark.suite.spec import RunSpec
from benchmark.training.checkpoint import Checkpointer, StartAgainError, checkpoint_path
from benchmark.training.compiled import Choice, compile_steps, eager, forget, repays
from benchmark.training.contract import require_contract, require_scores
from benchmark.training.cpu import prepare
from benchmark.training.make_record import make_record
from benchmark.training.optimizer import FlatOptimizer
from benchmark.training.teacher_cache import TeacherCache
from benchmark.training.train import Job, Progress, Run, silent, train
from criteria.base import Criterion
from criteria.regularizers.base import Forward, Regularizer
from tasks.base import Batch, Prepared, Setting, Task, TaskError
from tasks.pipeline.decided import moved

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Result:
    """A finished run: its record, its packed outcomes, the predicted text, and the trained weights."""

    record: Record
    outcomes: bytes
    predictions: list[str]
    model: nn.Module
    prepared: Prepared


@dataclass(frozen=True)
class Options:
    """Settings that are no part of a cell's id: device, cache, progress, where teachers come from.

    Some of them may change a result a little all the same: `device`, `compile` and `parts` how sums are rounded, `device` and `parts`
    what dropout draws. `split` decides what is scored.
    """

    device: str = "auto"
    cache: Path | None = None
    """Folder of tokenized data; None keeps it in memory."""
    trust_remote_code: bool = False
    progress: Progress = silent
    check: Callable[[Prepared], None] = silent
    """Called when the task is open, before training; raises if the cell must not run on this data or model."""
    watch: Callable[[Run], None] = silent
    """Called just before training starts; diagnostics attach observers here, which must not change the run."""
    split: str = "reported"
    """The split that the trained model is scored on. Tuning uses `heldout`, and never looks at the reported split."""
    teacher: Callable[[RunSpec, Prepared], dict[str, Tensor]] | None = None
    """Returns the weights of a dense run on the same data and model; by default that run is trained now."""
    teacher_cache: TeacherCache = field(default_factory=TeacherCache)
    """Keeps outputs of dense teachers for batches that other cells train on too."""
    checkpoints: Path | None = None
    """Folder where an unfinished run is saved and resumed from; None does not save it."""
    checkpoint_minutes: float = 10.0
    """Minutes of training between checkpoints; an interrupted run always saves one."""
    compile: Choice = False
    """Put training steps through torch.compile (compiled.py); "auto": on CUDA, in runs of 10,000 steps or more."""
    parts: int = 1
    """Parts in which each batch goes through the model, to save memory; noted in the record."""
    tell: Callable[[str], None] = silent
    """Called with messages for the user, for instance that a run resumes, or that a damaged checkpoint was set aside."""

    def __post_init__(self) -> None:
        """PrunebenchError for a setting that is not of its kind."""
        environment.pick_device(self.device)
        require_whole("parts", self.parts, 1)
        for name in ("cache", "checkpoints"):
            if not isinstance(getattr(self, name), Path | None):
                raise PrunebenchError(f"{name} {getattr(self, name)!r}: expected a pathlib.Path of a folder, or None")
        require_bool("trust_remote_code", self.trust_remote_code)
        if self.split not in ("reported", "heldout"):
            raise PrunebenchError(f"split {self.split!r}: expected 'reported' or 'heldout'")
        if self.compile != "auto" and not isinstance(self.compile, bool):
            raise PrunebenchError(f"compile {self.compile!r}: expected True, False or 'auto'")
        minutes = self.checkpoint_minutes
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes >= 0:
            raise PrunebenchError(f"checkpoint_minutes {minutes!r}: expected a number of minutes")
        for name in ("progress", "check", "watch", "tell", *(["teacher"] if self.teacher is not None else [])):
            if not callable(getattr(self, name)):
                raise PrunebenchError(f"{name} {getattr(self, name)!r}: expected a function")


def run(spec: RunSpec, options: Options | None = None) -> Result:
    """Train, prune and evaluate one cell; PrunebenchError, before any training, if the spec does not fit."""
    if not isinstance(spec, RunSpec):
        raise PrunebenchError(
            f"run: {spec!r}: expected a RunSpec, such as RunSpec(task='glue/sst2', criterion='magnitude', sparsity=0.5)"
        )
    if not isinstance(options, Options | None):
        raise PrunebenchError(f"run: options {options!r}: expected Options, or nothing")
    spec, options = validated(spec), options or Options()
    with suppress(StartAgainError):  # the checkpoint that could not be used has been set aside
        return _run(spec, options)
    return _run(spec, options)  # outside of the handler, whose traceback would keep the first model in memory


def _run(spec: RunSpec, options: Options) -> Result:
    spec = identified(spec)
    check_spec(spec)
    device = environment.pick_device(options.device)
    started = time.perf_counter()
    prepared = open_task(spec, options)
    options.check(prepared)
    if problem := spec.heldout_problem(prepared.counts["train"] + prepared.counts.get("heldout", 0)):
        raise PrunebenchError(f"{spec.task}: {problem}")
    if options.split not in prepared.counts:
        raise PrunebenchError(
            f"{spec.task}: split '{options.split}' is to be scored, and nothing is held out: set heldout above 0"
        )
    total = spec.training.total(prepared.rows["train"])
    if spec.is_trained and (problem := spec.training.warmup_problem(total)):
        raise PrunebenchError(f"{spec.task}: {problem}")
    require_contract(spec, total)
    regularizer: Regularizer = registry.configure("regularizers", spec.regularizer)
    environment.seed_everything(spec.seed)
    if not spec.is_trained:
        job: Job = _untrained(spec, prepared, regularizer, device, started)
    else:
        job = _trained(spec, prepared, regularizer, device, total, options, started)
    return _finished(job, options)


def _trained(
    spec: RunSpec,
    prepared: Prepared,
    regularizer: Regularizer,
    device: torch.device,
    total: int,
    options: Options,
    started: float,
) -> Run:
    """Train a cell for `total` steps, and prune it meanwhile where it is not a dense one."""
    model = build_model(spec, prepared, device)
    parallel.decorrelate(spec.seed)
    pruner = make_pruner(model, spec, total)
    job = Run(
        spec=spec,
        prepared=prepared,
        model=model,
        pruner=pruner,
        optimizer=FlatOptimizer(model, pruner.weights, spec.training),
        regularizer=regularizer,
        device=device,
        total=total,
        score=_scorer(spec, prepared, model, regularizer, device),
        progress=options.progress,
        parts=options.parts,
        compiled=repays(options.compile, device, total),
        started=started,
    )
    if job.compiled:
        compile_steps(model)
    if isinstance(pruner, Pruner):
        pruner.calibrate = calibration(job)
    before = time.perf_counter()
    teacher = _teacher(job, options)
    environment.reset_peak(device)
    job.started += time.perf_counter() - before  # a teacher's training is the cost of its own cell
    regularizer.begin(_remembered(job, teacher, options), teacher)
    if options.checkpoints is not None:
        _keep_checkpoints(job, options.checkpoints, options)
    options.watch(job)
    try:
        train(job)
    finally:
        if job.compiled:
            forget()
    return job


def _untrained(
    spec: RunSpec, prepared: Prepared, regularizer: Regularizer, device: torch.device, started: float
) -> Job:
    """A cell of 0 steps: the model as it comes, pruned once, with no optimizer, no gradient kept and no flat vector."""
    model = build_model(spec, prepared, device)
    environment.reset_peak(device)
    pruner: Once | Unpruned
    if spec.is_dense:
        pruner = Unpruned(model, spec.scope)
    else:
        pruner = Once(
            model,
            registry.configure("criteria", spec.criterion),
            sparsity=spec.sparsity,
            scope=spec.scope,
            seed=spec.seed,
            by_block=spec.calibration_inputs == "pruned",
        )
    job = Job(spec, prepared, model, pruner, regularizer, device, 0, started=started)
    if isinstance(pruner, Once):
        pruner.prune(*_loss_and_batches(job))
    return job


def _finished(job: Job, options: Options) -> Result:
    """The result of a run whose weights are what is to be reported: evaluated, recorded."""
    device, model, prepared = job.device, job.model, job.prepared
    trained = time.perf_counter()
    with environment.autocast(device, job.spec.precision), eager():
        evaluation = prepared.evaluate(model, options.split)
    if options.split == "reported":
        require_scores(job.spec, prepared, evaluation)
    outcomes = pack_outcomes(evaluation.outcomes)
    return Result(make_record(job, evaluation, outcomes, trained), outcomes, evaluation.predictions, model, prepared)


def _keep_checkpoints(job: Run, folder: Path, options: Options) -> None:
    """Resume `job` from its checkpoint, if there is one, and save it from now on."""
    identity = {
        "run": job.spec.id,
        "data": job.prepared.data_fingerprint,
        "model": job.prepared.model_fingerprint,
        "device": job.device.type,
    }
    path = checkpoint_path(folder, job.spec.id)
    checkpointer = Checkpointer(path, identity, options.checkpoint_minutes, options.tell)
    checkpointer.resume(job)
    job.after_step = checkpointer.after_step


def open_task(spec: RunSpec, options: Options) -> Prepared:
    """The spec's task on its data and model.

    PrunebenchError where they do not fit, or where a part of the model is drawn at random that a budget of 0 steps does not train, or
    where a command that only shows a board would run a stranger's functions; BrokenPluginError where a third party's task raises
    anything else.
    """
    if brings_code(spec.task) and not files_run():
        raise PrunebenchError(
            f"{spec.task}: functions of its folder are not run by commands that only show a board; {VARIABLE}=yes lets them, where "
            "you trust it"
        )
    task: Task = registry.configure("tasks", spec.task)
    setting = Setting(
        data=spec.data,
        model=spec.model,
        max_length=spec.training.max_length,
        heldout=spec.heldout,
        seed=spec.seed,
        train_examples=spec.training.train_examples,
        eval_examples=spec.training.eval_examples,
        cache=options.cache,
        code=identity("tasks", spec.task),
        trust_remote_code=options.trust_remote_code,
    )
    try:
        prepared = task.prepare(setting)
    except TaskError as error:
        raise PrunebenchError(f"{spec.task}: {error}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if registry.is_builtin("tasks", spec.task) or environment.is_out_of_memory(error):
            raise
        raise BrokenPluginError(f"{spec.task} cannot be opened: {type(error).__name__}: {error}") from error
    if not spec.is_trained and (drawn := sorted(prepared.drawn)):
        raise PrunebenchError(
            f"{spec.task}: training.steps is 0, and {drawn[0]} is not in the files of model {spec.model!r} but drawn at random "
            f"({len(drawn)} such parameters): a score would say nothing. Give a model that brings its head, or a budget"
        )
    return prepared


def open_few(spec: RunSpec, options: Options) -> Prepared:
    """`open_task` with eight examples of each split: what is wrong with data or model shows within seconds."""
    few = spec.training.model_copy(update={"train_examples": 8, "eval_examples": 8})
    return open_task(spec.model_copy(update={"training": few}), options)


def build_model(spec: RunSpec, prepared: Prepared, device: torch.device) -> nn.Module:
    """The cell's model on `device` as its run has it, prepared for training or in the spec's precision; sets the number of threads."""
    model = prepared.build(spec.seed)
    environment.prepare_threads(model)
    return prepare(model, device) if spec.is_trained else model.to(device=device, dtype=PRECISIONS[spec.precision])


def make_pruner(model: nn.Module, spec: RunSpec, total: int) -> Pruner | Dense:
    """The pruner that the spec asks for, over the model's prunable weights laid out flat."""
    weights = PrunableWeights(find_prunable(model, parse_scope(spec.scope).biases))
    if spec.is_dense:
        return Dense(weights)
    criterion: Criterion = registry.configure("criteria", spec.criterion)
    schedule: Schedule = registry.configure("schedules", spec.schedule)
    return Pruner(
        model,
        criterion,
        schedule,
        sparsity=spec.sparsity,
        total=total,
        scope=spec.scope,
        seed=spec.seed,
        weights=weights,
        peak=spec.training.lr,
    )


def _scorer(
    spec: RunSpec, prepared: Prepared, model: nn.Module, regularizer: Regularizer, device: torch.device
) -> Callable[[], float | None]:
    """What evaluations during training score: held-out data if a score is needed, the reported split under best_dev, else nothing."""
    split = "reported" if spec.selection == "best_dev" else "heldout"
    if spec.selection == "last" and not regularizer.needs_score:
        return lambda: None

    def score() -> float:
        with environment.autocast(device), eager():
            return prepared.evaluate(model, split).metrics[prepared.metric]

    return score


def calibration(job: Job) -> Calibrate:
    """Shows a criterion that needs calibration the first training batches of the run, the same for every criterion."""
    return calibrator(job.model, *_loss_and_batches(job), by_block=job.spec.calibration_inputs == "pruned")


def _loss_and_batches(job: Job) -> tuple[Loss, Batches]:
    """Functions for calibration: the mean loss of a batch, and the first batches of the run's training data, as many as asked for."""
    # Not the job itself: its pruner will hold these functions, and a cycle would keep the model's memory beyond the run.
    prepared, device, spec = job.prepared, job.device, job.spec

    def loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        # Not compiled: a compiled backward cannot be differentiated again.
        with environment.autocast(device, spec.precision), eager():
            losses = prepared.losses(model, batch)
            return losses.mean() if losses.numel() else losses.sum()

    def batches(count: int) -> list[Batch]:
        stream = prepared.batches("train", spec.training.batch_size, seed=1000 * spec.seed)
        return [moved(batch, lambda tensor: tensor.to(device)) for batch in islice(stream, count)]

    return loss, batches


def _teacher(job: Run, options: Options) -> nn.Module | None:
    """A dense model fine-tuned on the same task and seed, where the regularizer asks for one."""
    if not job.regularizer.needs_teacher:
        return None
    dense, prepared, device = job.spec.dense(), job.prepared, job.device
    # A teacher's training sets the global generators; the student's dropout must not depend on who trained it.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        weights = options.teacher(dense, prepared) if options.teacher else train_teacher(dense, options)
        teacher = prepared.build(dense.seed)
    teacher.load_state_dict(weights)
    return prepare(teacher, device).eval().requires_grad_(False)


def _remembered(job: Run, teacher: nn.Module | None, options: Options) -> Forward:
    """The task's forward, which reuses the teacher's outputs for a batch it has seen; only on a CPU, where that is exact."""
    if teacher is None or job.device.type != "cpu":
        return job.prepared.forward
    identity = f"{job.spec.dense().id} {job.prepared.data_fingerprint} {job.prepared.model_fingerprint}"
    return options.teacher_cache.forward(job.prepared.forward, teacher, identity)


def train_teacher(spec: RunSpec, options: Options) -> dict[str, Tensor]:
    """Weights of the dense run `spec`, trained now."""
    model = run(spec, replace(options, teacher=None)).model
    return {name: value.detach().cpu() for name, value in model.state_dict().items()}
