"""What tables and figures call tasks, metrics and methods: the names of the field's papers.

A suite's `labels` come first, then the tables below, then the `label` of a plugin. Records, CSV and JSON keep the full spelling.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from benchmark.errors import PrunebenchError
from benchmark.plugins import labels as of_plugins
from benchmark.plugins.catalogue import label_of
from benchmark.plugins.registry import parse
from benchmark.suite.labels import method_of
from benchmark.suite.spec import DENSE, portable_plugin, portable_row

if TYPE_CHECKING:
    from benchmark.suite.suite import Suite

T = TypeVar("T")

TASKS = {
    "glue/cola": "CoLA",
    "glue/sst2": "SST-2",
    "glue/mrpc": "MRPC",
    "glue/stsb": "STS-B",
    "glue/qqp": "QQP",
    "glue/mnli": "MNLI",
    "glue/qnli": "QNLI",
    "glue/rte": "RTE",
    "glue/wnli": "WNLI",
    "squad": "SQuAD",
    "squad_v2": "SQuAD 2.0",
    "conll2003": "CoNLL-2003",
    "e2e": "E2E",
    "webnlg/2017": "WebNLG",
    "webnlg/2020": "WebNLG 2020",
    "dart": "DART",
    "lm/wikitext2": "WikiText-2",
    "lm/ptb": "PTB",
    "lm/c4": "C4",
    "lm_eval/arc_challenge": "ARC-c",
    "lm_eval/arc_easy": "ARC-e",
    "lm_eval/boolq": "BoolQ",
    "lm_eval/hellaswag": "HellaSwag",
    "lm_eval/openbookqa": "OBQA",
    "lm_eval/piqa": "PIQA",
    "lm_eval/rte": "RTE",
    "lm_eval/winogrande": "WinoGrande",
}
MODELS = {
    "mini": "Mini model",
    "minilm-l6-h384": "MiniLM (6 layers)",
    "all-MiniLM-L6-v2": "MiniLM (6 layers)",
    "MiniLM-L6-H384-uncased": "MiniLM (6 layers)",
    "MiniLM-L12-H384-uncased": "MiniLM (12 layers)",
    "bert-base-uncased": "BERT-base",
    "bert-base-cased": "BERT-base (cased)",
    "bert-large-uncased": "BERT-large",
    "distilbert-base-uncased": "DistilBERT",
    "roberta-base": "RoBERTa-base",
    "roberta-large": "RoBERTa-large",
    "deberta-v3-base": "DeBERTaV3-base",
    "deberta-v3-large": "DeBERTaV3-large",
    "electra-base-discriminator": "ELECTRA-base",
    "gpt2": "GPT-2",
    "gpt2-medium": "GPT-2 medium",
    "gpt2-large": "GPT-2 large",
    "distilgpt2": "DistilGPT-2",
}
"""Models by the last part of their hub id or folder."""
MATCHED = {"accuracy": "MNLI-m", "accuracy_mm": "MNLI-mm"}
"""MNLI has two evaluation sets, which papers print as two tasks."""
FAMILIES = {"squad": "squad", "squad_v2": "squad", "e2e": "text", "webnlg": "text", "dart": "text"}
"""Tasks that stand together though their names do not begin alike."""

METRICS = {
    "accuracy": "Acc.",
    "accuracy_mm": "Acc.",
    "matthews_correlation": "Mcc",
    "pearson": "Pear.",
    "spearman": "Spear.",
    "f1": "F1",
    "exact_match": "EM",
    "precision": "Prec.",
    "recall": "Rec.",
    "bleu": "BLEU",
    "bleu_script": "BLEU (script)",
    "chrf": "chrF",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "nist": "NIST",
    "ter": "TER",
    "ter_score": "TER",
    "perplexity": "Ppl.",
    "acc": "Acc.",
    "acc_norm": "Acc. norm.",
    "average": "avg.",
}

CRITERIA = {
    DENSE: "Dense",
    **of_plugins.CRITERIA,
    # Methods that stand in published tables alone.
    "platon": "PLATON",
    "prune_ofa": "Prune OFA",
    "smp_s": "SMP-S",
    "smp_l": "SMP-L",
}


TUNED = " (tuned)"
"""How the spelling of a tuned row's criterion ends."""
PRIVATE = 0xE000
"""The first of the private Unicode characters that stand for LaTeX. Escaping removes them from all texts of a board."""


@dataclass(frozen=True)
class Names:
    """The words of a board: its suite's `labels` and the labels that its plugins give, both by the spelling of records."""

    labels: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, str] = field(default_factory=dict)
    latex: Mapping[str, str] = field(default_factory=dict)
    """What stands in a paper for some of the labels."""

    @property
    def placeholders(self) -> dict[str, str]:
        """The private characters that stand for LaTeX, and the LaTeX."""
        return {chr(PRIVATE + number): latex for number, latex in enumerate(self.latex.values())}

    def in_latex(self) -> "Names":
        """These names with a private character for each label that has LaTeX, because LaTeX must not be escaped."""
        return replace(self, labels={**self.labels, **dict(zip(self.latex, self.placeholders, strict=True))})

    def label(self, text: str) -> str:
        """The suite's label, of a tuned row that of the row itself and `(tuned)`; empty where it gives none."""
        if text in self.labels:
            return self.labels[text]
        plain = self.labels.get(text.replace(TUNED, "", 1), "")
        return plain and plain + TUNED

    def task(self, text: str) -> str:
        """`glue/sst2` is SST-2; options are left out."""
        return self.label(text) or _base(text, lambda name: TASKS.get(name) or self.plugins.get(name) or name)

    def scored(self, task: str, metric: str) -> str:
        """The task with this metric: MNLI has one name for each of its two evaluation sets."""
        if task == "glue/mnli" and task not in self.labels:
            return MATCHED.get(metric, self.task(task))
        return self.task(task)

    def metric(self, text: str) -> str:
        """`matthews_correlation` is Mcc; a metric nobody named is itself."""
        return METRICS.get(text, text)

    def measure(self, text: str) -> str:
        """A metric in a sentence: `perplexity` is itself, `ter` is TER."""
        return text if text == "perplexity" else self.metric(text)

    def method(self, text: str) -> str:
        """`principled[signed=true] + self_regularization` is PINS (signed) + self-reg.; a regularizer `none` is left out."""
        criterion, _, regularizer = text.partition(" + ")
        name = self._plugin(criterion, CRITERIA)
        if regularizer in ("", "none"):
            return name
        return self.label(text) or f"{name} + {self.regularizer(regularizer)}"

    def regularizer(self, text: str) -> str:
        """`self_regularization[teacher=best]` is self-reg. (teacher best)."""
        return self._plugin(text, of_plugins.REGULARIZERS)

    def model(self, text: str) -> str:
        """`bert-base-uncased` is BERT-base."""
        return self.label(text) or MODELS.get(text, text)

    def word(self, field: str, value: object) -> str:
        """The words of a value of a table's field."""
        text = str(value)
        if field == "sparsity":
            return percent(value) if isinstance(value, float) else self.method(text) if text else ""
        if field == "seed":
            return f"seed {text}"
        by_field = {
            "task": self.task,
            "metric": self.metric,
            "criterion": self.method,
            "regularizer": lambda name: "" if name in ("", "none") else self.regularizer(name),
            "method": self.method,
            "row": self.method,
            "with": self.method,
            "model": self.model,
        }
        return by_field[field](text) if field in by_field else text

    def _plugin(self, text: str, known: Mapping[str, str]) -> str:
        plain = text.removesuffix(TUNED)
        name = _base(plain, lambda name: known.get(name) or self.plugins.get(name) or name, _options)
        return self.label(text) or name + text[len(plain) :]


STANDARD = Names()
"""The usual names, without labels of a suite or of plugins."""


def names_of(suite: "Suite") -> Names:
    """The names of a board. A plugin's file is read, never run, and its label left out where another row or task has that name."""
    found: dict[str, str] = {}
    for kind, texts in (
        ("tasks", suite.tasks),
        ("criteria", [criterion for criterion, _ in suite.rows]),
        ("regularizers", [regularizer for _, regularizer in suite.rows]),
    ):
        for text in texts:
            name = text.partition("[")[0]
            if label := label_of(kind, name):
                found[portable_plugin(name)] = label
    plain = {name: _capital(name) for name in suite.methods} | {key: label.text for key, label in suite.labels.items()}
    names = Names(plain, found, {key: label.latex for key, label in suite.labels.items() if label.latex})
    rows = [DENSE, *(portable_row(method_of(*row)) for row in suite.rows)]
    tasks = [portable_row(task).partition("[")[0] for task in suite.tasks]
    shared = _alike(rows, names.method) | _alike(tasks, names.task)
    return replace(names, plugins={name: label for name, label in found.items() if name not in shared})


def _alike(texts: Iterable[str], word: Callable[[str], str]) -> set[str]:
    """Plugins of rows or tasks that share their words, whatever their case."""
    words = {text: " ".join(word(text).lower().split()) for text in texts}
    taken = Counter(words.values())
    alike = [text for text, said in words.items() if taken[said] > 1]
    return {part.partition("[")[0] for text in alike for part in text.split(" + ")}


def _capital(name: str) -> str:
    """`Magnitude at the start` for a method of that name in small letters, as other rows begin; `oBERT` stays."""
    return name[:1].upper() + name[1:] if name.partition(" ")[0].islower() else name


def family(task: str) -> str:
    """What a table that is too wide is split by: `glue` of `glue/rte`."""
    name = task.partition("[")[0].partition("/")[0]
    return FAMILIES.get(name, name)


def percent(sparsity: float) -> str:
    """0.8 is 80 %."""
    return f"{100 * sparsity:.6g} %"


def distinct(values: Iterable[T], word: Callable[[T], str]) -> dict[T, str]:
    """The words of each value; two values that share theirs are spelled in full."""
    words = {value: word(value) for value in values}
    taken = Counter(words.values())
    return {value: text if not text or taken[text] == 1 else str(value) for value, text in words.items()}


def listed(words: Iterable[str]) -> str:
    """`a, b and c`."""
    found = list(dict.fromkeys(words))
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def _base(text: str, name_of: Callable[[str], str], options_of: Callable[[dict[str, str]], str] | None = None) -> str:
    try:
        name, options = parse(text)
    except PrunebenchError:
        return text
    return name_of(name) + (options_of(options) if options_of and options else "")


def _options(options: Mapping[str, str]) -> str:
    """` (signed, no window, beta1 0.9)`."""
    said = [{"true": key, "false": f"no {key}"}.get(text, f"{key} {text}") for key, text in options.items()]
    return f" ({', '.join(said)})".replace("_", " ")
