"""Zero-shot tasks of EleutherAI's lm-evaluation-harness, run by it on the pruned model in memory.

    lm_eval/hellaswag                               calibrated (and trained) on WikiText-2, as lm/wikitext2 has it
    lm_eval/arc_easy[score=acc_norm,text=c4]
    lm_eval/mine[include=my/tasks]                  a task of one's own, in the harness's YAML format

The harness reads the documents, writes the prompts and scores the answers (https://github.com/EleutherAI/lm-evaluation-harness);
its version, the task's version and the number of shots are the signature of every metric. A document is an example. Metrics that
are means over documents are kept document by document, so that paired tests resample them, with their standard errors; what the
harness makes of a whole corpus stands in the record alone.
"""

import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from tasks.base import Evaluation, Outcomes, Setting, Task, TaskError, in_eval_mode
from tasks.formats.sources import Layout, hash_text
from tasks.lm import CORPORA, LOGITS, Lm, PreparedLm, Window
from tasks.pipeline.batching import sample
from tasks.pipeline.checkpoints import fewer_messages
from tasks.pipeline.features import Feature, pack
from tasks.pipeline.prepared import Split

PERCENT = frozenset({"acc", "acc_norm", "acc_mutual_info", "acc_bytes", "exact_match", "f1", "mcc", "em"})
"""Metrics that the harness gives as shares; they are reported in percent, all others as they are."""

ERRORS = frozenset({"wer", "cer", "ter"})
"""The harness's metrics of which less is better and which are means over documents."""

KEPT = ("prediction", "label")
"""Outcomes that are no metrics."""

FEW_SHOT_SEED = 1234
"""Seed of the choice of examples in a prompt: the harness's own default."""

MOST = 64
"""Requests in a batch."""


@dataclass(frozen=True)
class LmEval(Task):
    """A task of the harness, and the text that calibrates the criteria."""

    variants: ClassVar[tuple[str, ...]] = ("*",)

    score: str = "acc"
    """The headline metric, by the harness's name."""
    shots: int = 0
    """Solved examples in each prompt."""
    text: str = "wikitext2"
    """What is calibrated and trained on: wikitext2, ptb or c4 as the task lm has them, or a text file."""
    include: str = ""
    """Folder of tasks of one's own, in the harness's YAML format, in which alone the task is looked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shots < 0:
            raise TaskError(f"shots is {self.shots}; expected 0 or more")

    @property
    def metric(self) -> str:
        """The option `score`."""
        return self.score

    @property
    def lower_is_better(self) -> frozenset[str]:  # type: ignore[override]
        """The score, where less of it is better."""
        return ERRORS & {self.score}

    def prepare(self, setting: Setting) -> "PreparedLmEval":
        """Read, check and tokenize."""
        if find_spec("lm_eval") is None:
            raise TaskError("tasks lm_eval/* need the lm-evaluation-harness: pip install 'prunebench[lm-eval]'")
        if setting.heldout:
            raise TaskError("the harness's tasks are for evaluation: nothing can be held out of them (selection: last)")
        text = Lm(self.text) if self.text in CORPORA else Lm(path=self.text, train=self.text)
        data, layout = (setting.data, text.layout()) if text.variant else text.own_files(setting.data)
        hub = layout.hub and replace(layout.hub, splits=dict.fromkeys(layout.files, layout.hub.splits["train"]))
        trained = Layout(dict.fromkeys(layout.files, layout.files["train"]), hub)
        return PreparedLmEval(self, replace(setting, data=data), trained, text)

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """The mean of every metric over the documents, and its standard error `*_stderr` (n - 1) where there are two or more."""
        found: dict[str, float] = {}
        for name, values in outcomes.items():
            if name in KEPT:
                continue
            scale = 100.0 if name in PERCENT else 1.0
            found[name] = scale * float(values.mean())
            if len(values) > 1:
                found[f"{name}_stderr"] = scale * float(values.std(ddof=1)) / len(values) ** 0.5
        return found

    def floor(self, outcomes: Outcomes) -> dict[str, float]:
        """The accuracy of always choosing the same place, where documents are choices; by length, too, all choose alike."""
        label = outcomes.get("label")
        if label is None:
            return {}
        best = 100.0 * float(np.bincount(label.astype(np.int64)).max()) / len(label)
        return {name: best for name in ("acc", "acc_norm") if name in outcomes}


class PreparedLmEval(PreparedLm):
    """A task of the harness opened for a decoder; its training examples are windows of a text, its reported ones documents."""

    task: LmEval

    def __init__(self, task: LmEval, setting: Setting, layout: Layout, text: Lm) -> None:
        self.harness_task = load_task(task)
        self.chosen: list[int] = []
        super().__init__(task, setting, layout, text)
        documents = "\n".join(json.dumps(one, sort_keys=True, default=str) for one in self._documents())
        parts = (self.source.fingerprint("train"), self._version, documents)
        self.data_fingerprint = hash_text("\n".join(parts))
        split = self.harness_task.config.test_split or self.harness_task.config.validation_split
        self.splits["reported"] = f"{self.harness_task.config.dataset_path or task.variant} ({split}), by the harness"
        self._check_score()

    @property
    def signatures(self) -> dict[str, str]:
        """How every metric is computed."""
        return {self.task.score: self._version}

    @property
    def floor(self) -> dict[str, float]:
        """The commonest place of the right choice."""
        label = self._labels()
        if label is None:
            return {}
        return self.task.floor(dict.fromkeys(["label", *self.harness_task.higher_is_better()], label))

    @property
    def _version(self) -> str:
        return f"lm-eval {version('lm-eval')}, {self.task.variant} version {self.harness_task.VERSION}, {self.task.shots} shots"

    def evaluate(self, model: nn.Module, split: str) -> Evaluation:
        """The harness's scores of `model` on the documents."""
        if split != "reported":
            raise TaskError(f"no split {split!r}: the harness's tasks are for evaluation")
        with in_eval_mode(model), torch.no_grad(), quietly():
            found = self._run(model)
            outcomes = self._of_documents(found)
        metrics = self.task.aggregate(outcomes)
        for name, metric, _, value in self._results(found):
            metrics.setdefault(name, value * (100.0 if metric in PERCENT else 1.0))
        return Evaluation(metrics, outcomes)

    def _encoded(self, split: str, limit: int | None) -> Split[Window]:
        """Windows of the text to train on; of the documents a row for each request, which the harness itself does not need."""
        if split == "train":
            return super()._encoded(split, limit)
        count = len(self.harness_task.eval_docs)
        self.read_counts[split] = count
        self.chosen = [int(at) for at in sample(count, limit)]
        with quietly():
            self.harness_task.set_config("num_fewshot", self.task.shots)
            self.harness_task.set_fewshot_seed(FEW_SHOT_SEED)
            self.harness_task.build_all_requests(samples=self.chosen, rank=0, world_size=1)
        rows: list[list[Feature]] = [[] for _ in self.chosen]
        for request in self.harness_task.instances:
            written = "".join(part for part in request.args if isinstance(part, str))
            ids = self.tokenizer(written)["input_ids"][-self.setting.max_length :]
            rows[request.doc_id].append({"input_ids": ids or [self.tokenizer.eos_token_id]})
        return Split([tuple(row["input_ids"]) for (row, *_) in rows], pack(rows))  # type: ignore[arg-type]

    def _run(self, model: nn.Module) -> Mapping[str, Any]:
        from lm_eval import evaluate
        from lm_eval.models.huggingface import HFLM

        length = self.setting.max_length
        batch = max(1, min(MOST, LOGITS // ((self.checkpoint.vocabulary or 1) * length)))
        wrapped = HFLM(model, backend="causal", tokenizer=self.tokenizer, batch_size=batch, max_length=length)
        name = self.harness_task.task_name
        # Not simple_evaluate, which sets every random seed and describes the machine for half a minute.
        found: Mapping[str, Any] = evaluate(
            wrapped, {"tasks": {name: self.harness_task}, "groups": {}}, samples={name: self.chosen}, bootstrap_iters=0
        )
        return found

    def _of_documents(self, found: Mapping[str, Any]) -> Outcomes:
        """Metrics of each document, of those that are their means; the choices made and the right ones where there are such."""
        logged = found["samples"][self.harness_task.task_name]
        outcomes: Outcomes = {}
        for name, metric, kind, whole in self._results(found):
            values = [one.get(metric) for one in logged if one["filter"] == kind]
            if not all(isinstance(value, int | float | np.number) for value in values):
                continue
            kept = np.array(values, np.float64)
            if len(kept) == len(self.chosen) and np.isclose(kept.mean(), whole, rtol=1e-9, atol=1e-12):
                outcomes[name] = kept
        label = self._labels()
        if label is not None:
            responses = [one["filtered_resps"] for one in logged if one["filter"] == logged[0]["filter"]]
            answers = [[float(response[0]) for response in one] for one in responses]
            outcomes |= {"prediction": np.array([int(np.argmax(one)) for one in answers]), "label": label}
        return outcomes

    def _results(self, found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, float]]:
        """(name here, metric, filter, value) of the harness's numbers; the filter stands in the name where it is not the first."""
        first = found["samples"][self.harness_task.task_name][0]["filter"]
        for key, value in found["results"][self.harness_task.task_name].items():
            metric, _, kind = key.partition(",")
            if kind and not metric.endswith("_stderr") and isinstance(value, int | float | np.number):
                yield metric if kind == first else f"{metric}_{kind}", metric, kind, float(value)

    def _labels(self) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Place of the right choice in each document; None where there are no choices."""
        if self.harness_task.OUTPUT_TYPE != "multiple_choice":
            return None
        found = [self.harness_task.doc_to_target(document) for document in self._documents()]
        return np.array(found, np.int64) if all(isinstance(one, int) and one >= 0 for one in found) else None

    def _documents(self) -> list[Any]:
        with quietly():  # reading a row draws random numbers, too
            documents = self.harness_task.eval_docs
            return [documents[at] for at in self.chosen]

    def _check_score(self) -> None:
        """TaskError where the task has no such metric, it is no mean, or its direction is another than known here."""
        known: Mapping[str, bool | None] = self.harness_task.higher_is_better()
        score = self.task.score
        if score not in known:
            raise TaskError(f"lm_eval/{self.task.variant} has no metric {score!r}: score is one of {', '.join(known)}")
        aggregation = getattr(self.harness_task.aggregation().get(score), "__name__", "")
        if aggregation != "mean":
            raise TaskError(
                f"{score} of lm_eval/{self.task.variant} is one number of the whole corpus ({aggregation}), which no paired test can "
                "resample: score is a mean over documents (for perplexity there is the task lm)"
            )
        if known[score] is not None and known[score] == (score in ERRORS):
            raise TaskError(
                f"the harness calls {score} {'higher' if known[score] else 'lower'} is better: not known here"
            )


def load_task(task: LmEval) -> Any:
    """The harness's task; TaskError where there is none, or it is a group, or its documents cannot be had."""
    from lm_eval.tasks import TaskManager

    name = task.variant
    if task.include and not Path(task.include).is_dir():
        raise TaskError(f"include: no folder {task.include!r}")
    with quietly():
        manager = TaskManager(include_path=task.include or None, include_defaults=not task.include)
        if name not in manager.all_subtasks:
            groups = [*manager.all_groups, *manager.all_tags]
            what = "a group of tasks: name one of them" if name in groups else "no task of the harness"
            raise TaskError(f"lm_eval/{name}: {what}{_near(name, manager.all_subtasks)}")
        try:
            found = manager.load(name)["tasks"][name]
            len(found.eval_docs)
        except Exception as error:  # the library's, the hub's and the network's errors alike
            raise TaskError(f"lm_eval/{name}: its documents cannot be had: {type(error).__name__}: {error}") from error
    return found


@contextmanager
def quietly() -> Iterator[None]:
    """No bars of progress inside; and whatever is drawn there, the random numbers outside go on as they were."""
    states = random.getstate(), np.random.get_state(legacy=True)
    try:
        with torch.random.fork_rng(devices=[]), fewer_messages(), redirect_stderr(io.StringIO()):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _near(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names, 5)
    return f"; near: {', '.join(near)}" if near else ""
