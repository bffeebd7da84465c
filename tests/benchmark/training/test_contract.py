"""A third party's plugin that breaks its contract gets no row: its cell fails with the sentence, the board goes on."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.commands.run import run_board
from benchmark.engine.cell import Settings
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.broken import BrokenPluginError, SlipError
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.contract import require_contract, require_scores
from tasks.base import Evaluation
from tests.benchmark.boards import make_board

HEADS = {
    "criteria": "from criteria.base import Criterion as Base\nFROZEN = True\n",
    "regularizers": "from criteria.regularizers.base import Regularizer as Base\nFROZEN = False\n",
    "schedules": "from benchmark.pruning.schedules.base import Schedule as Base\nFROZEN = True\n",
    "tasks": "from tasks.base import Task as Base\nFROZEN = True\n",
}
HEAD = "from dataclasses import dataclass\nfrom typing import ClassVar\nimport torch\n"
SCORE = "def score(self, state, weight): return weight.abs()"
SCHEDULE = (
    "def sparsity(self, step, total, target): return target",
    "def due(self, step, total): return step == total - 1",
)
WORKING = {
    "criteria": (SCORE,),
    "regularizers": (),
    "schedules": SCHEDULE,
    "tasks": ("def prepare(self, setting): raise NotImplementedError", "def aggregate(self, outcomes): return {}"),
}


def written(folder: Path, kind: str, *lines: str) -> str:
    """A plugin of this kind with these lines in its class, in a file of its own."""
    path = folder / "mine.py"
    body = "".join(f"    {line}\n" for line in ("pass", *lines))
    path.write_text(f"{HEAD}{HEADS[kind]}\n@dataclass(frozen=FROZEN)\nclass Mine(Base):\n{body}")
    return str(path)


def cell(**plugins: str) -> RunSpec:
    given = {"criterion": "magnitude", "sparsity": 0.5, **plugins}
    return RunSpec(task="glue/sst2", training=Training(steps=20), **given)  # type: ignore[arg-type]


BREACHES = [
    ("criteria", f"calibration: ClassVar[int] = 0\n    {SCORE}", "Mine.calibration is 0: expected how many"),
    ("criteria", "def score(self, state, weight): return weight.abs_()", "changes the weight in place"),
    (
        "criteria",
        "def score(self, state, weight): weight.data.neg_(); return weight.abs()",
        "changes the weight in place",
    ),
    (
        "criteria",
        "def score(self, state, weight): state['n'] = state.get('n', weight * 0) + 1; return weight.abs()",
        "state",
    ),
    ("criteria", "def score(self, state, weight): return weight.abs().sum()", r"gives \(\) for a weight of shape"),
    ("criteria", "def score(self, state, weight): return weight.abs().sum(-1, keepdim=True)", "one number a weight"),
    ("criteria", "def score(self, state, weight): return 1.0", "gives float for a weight of shape"),
    ("criteria", "def score(self, state, weight): return weight.abs().log()", "not finite"),
    ("criteria", "def score(self, state, weight): return torch.zeros_like(weight)", "nothing is ranked"),
    (
        "criteria",
        "def score(self, state, weight): return weight.flatten()[0].expand(weight.shape).clone()",
        "the same score, .*: nothing is ranked",
    ),
    ("criteria", "def score(self, state, weight): return torch.rand(weight.shape)", "generator in init"),
    ("criteria", "def score(self, state, weight): return 1.0 + weight.abs().double() * 1e-9", "ties.*return fp32"),
    ("criteria", "def version(self, state): return 0", "would not be ranked again"),
    (
        "criteria",
        "def score(self, state, weight): return weight.abs() / (weight.abs().mean() + 1e-9)",
        "scores the flat vector unlike its matrices.*set elementwise",
    ),
    (
        "criteria",
        "exact = False\n    def keep(self, state, weight, step): return weight.abs()",
        "keep gives torch.float32",
    ),
    ("criteria", "exact = False", "is not exact but has no rule of its own: define keep"),
    ("criteria", "def gate(self, state, weight, mask, training): return mask", "gate is never asked: set latent"),
    (
        "criteria",
        "latent = True\n    def gate(self, state, weight, mask, training): return torch.ones_like(weight)",
        "lets pruned weights through in evaluation",
    ),
    (
        "criteria",
        "elementwise = False\n    def compensate(self, state, weight, mask): mask.zero_()",
        "compensate changes the mask",
    ),
    ("regularizers", "def loss(self, losses, logits, model, batch): return losses", "a tensor without dimensions"),
    ("regularizers", "def loss(self, losses, logits, model, batch): return losses.mean() / 0", "finite"),
    ("regularizers", "def loss(self, losses, logits, model, batch): return losses.mean().detach()", "no gradient"),
    (
        "regularizers",
        "def loss(self, losses, logits, model, batch): next(model.parameters()).data.mul_(0.9); return losses.mean()",
        "changes student",
    ),
    ("regularizers", "def loss(self, losses, logits, model, batch): return losses.sum()", "not the sum"),
    ("regularizers", "def loss(self, losses, logits, model, batch): return losses.mean() * 0", "nothing is trained"),
    (
        "regularizers",
        "def evaluated(self, model, score, sparsity): [w.data.mul_(2) for w in model.parameters()]",
        "evaluated changes the student",
    ),
    ("regularizers", "def evaluated(self, model, score, sparsity): model.eval()", "in eval mode"),
    (
        "regularizers",
        "def evaluated(self, model, score, sparsity): self.loss = lambda losses, *rest: losses.mean() * 0",
        "after two evaluations, so nothing is trained",
    ),
    ("schedules", "def sparsity(self, step, total, target): return torch.tensor(target)", "return a plain number"),
    ("schedules", "def rewind(self, step, total): return 0 if step == 3 else None", "which is not due"),
    (
        "schedules",
        "def rewind(self, step, total): return total + 5 if step == total - 1 else None",
        "an earlier moment",
    ),
    ("schedules", "def sparsity(self, step, total, target): return 1.0", r"keep it in \[0, target"),
    ("schedules", "def sparsity(self, step, total, target): return target * (1 - step / total)", "falls"),
    ("schedules", "def sparsity(self, step, total, target): return target / 2", "target"),
    *(
        (
            "schedules",
            f"def due(self, step, total): return {answer}",
            f"due gives .* at step {step}: return True or False",
        )
        for answer, step in (("'no'", 0), ("step if step % 5 == 4 else False", 4), ("[]", 0), ("None", 0), ("1.0", 0))
    ),
    ("schedules", "def holds(self, step, total): return 'no'", "holds gives 'no' at step 0: return True or False"),
]
OPTION = {"criteria": "criterion", "regularizers": "regularizer", "schedules": "schedule"}


@pytest.mark.parametrize(("kind", "line", "said"), BREACHES)
def test_what_breaks_the_contract_is_refused(tmp_path: Path, kind: str, line: str, said: str) -> None:
    plugin = written(tmp_path, kind, *WORKING[kind], line)
    with pytest.raises(PrunebenchError, match=f"(?s)'{plugin}' breaks its contract: .*{said}"):
        require_contract(cell(**{OPTION[kind]: plugin}), 20)


@pytest.mark.parametrize("kind", OPTION)
def test_what_keeps_it_passes(tmp_path: Path, kind: str) -> None:
    require_contract(cell(**{OPTION[kind]: written(tmp_path, kind, *WORKING[kind])}), 20)


def test_it_is_tried_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    line = f"def score(self, state, weight): open({str(marks)!r}, 'a').write('x'); return weight.abs()"
    plugin = written(tmp_path, "criteria", line)
    require_contract(cell(criterion=plugin), 20)
    tried = marks.read_text()
    require_contract(cell(criterion=plugin), 20)
    assert tried == marks.read_text() != ""


@pytest.mark.parametrize(
    ("kind", "line", "meant"),
    [
        ("criteria", "def oberve(self, state, weight, grad, step): pass", "observe"),
        ("criteria", "def observeInputs(self, state, weight, inputs): pass", "observe_inputs"),
        ("criteria", "elementwize: ClassVar[bool] = False", "elementwise"),
        ("criteria", "elementwize: bool = False", "elementwise"),
        ("criteria", "latnet = True", "latent"),
        ("criteria", "Latent = True", "latent"),
        ("criteria", "calibraton: ClassVar[int] = 4", "calibration"),
        ("criteria", "exat = property(lambda self: False)", "exact"),
        ("regularizers", "def losss(self, losses, logits, model, batch): return losses.mean()", "loss"),
        ("regularizers", "def evaluate(self, model, score, sparsity): pass", "evaluated"),
        ("regularizers", "need_teacher = True", "needs_teacher"),
        ("regularizers", "needs_scores = property(lambda self: True)", "needs_score"),
        ("schedules", "hodl: ClassVar[bool] = True", "hold"),
        ("schedules", "def hold_s(self, step, total): return True", "holds"),
        ("schedules", "def rewinds(self, step, total): return 0", "rewind"),
        ("tasks", "varients: ClassVar[tuple[str, ...]] = ('a', 'b')", "variants"),
        ("tasks", "headlines: ClassVar[str] = 'accuracy'", "headline"),
        ("tasks", "def constant(self, outcomes): return iter(())", "constants"),
    ],
)
def test_names_that_were_meant_to_be_others(tmp_path: Path, kind: str, line: str, meant: str) -> None:
    with pytest.raises(SlipError, match=f"is no part of the contract: did you mean {meant}\\?"):
        registry.load(kind, written(tmp_path, kind, *WORKING[kind], line))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("criteria", "scope: float = 0.5"),
        ("criteria", "def _oberve(self): pass"),
        ("criteria", "def norm(self, weight): return weight.norm()"),
        ("regularizers", "alpha: float = 0.5"),
        ("schedules", "step_size: int = 3"),
        ("tasks", "lowercase: bool = False"),
    ],
)
def test_names_of_ones_own_pass(tmp_path: Path, kind: str, line: str) -> None:
    plugin = written(tmp_path, kind, line, *WORKING[kind])
    assert registry.load(kind, plugin).__name__ == "Mine"


@pytest.mark.parametrize("kind", WORKING)
@pytest.mark.parametrize("default", ['float("nan")', "-float('nan')", "torch.nan"])
def test_a_default_that_is_no_number_is_the_plugins_fault(tmp_path: Path, kind: str, default: str) -> None:
    plugin = written(tmp_path, kind, f"power: float = {default}", *WORKING[kind])
    with pytest.raises(BrokenPluginError, match="Mine of mine: the default of power is nan: expected a number"):
        registry.load(kind, plugin)


@pytest.mark.parametrize(
    ("kind", "line", "said"),
    [
        ("criteria", "elementwise = 'no'", "elementwise is 'no': expected True or False"),
        ("criteria", "latent: ClassVar[int] = 0", "latent is 0: expected True or False"),
        ("criteria", "def latent(self): return False", "latent is the method latent: expected True or False"),
        ("criteria", "def exact(self): return False", "exact is read, not called: write @property above def exact"),
        ("regularizers", "needs_teacher = 'false'", "needs_teacher is 'false': expected True or False"),
        ("regularizers", "def needs_teacher(self): return True", "needs_teacher is the method needs_teacher: expected"),
        ("regularizers", "def needs_score(self): return False", "needs_score is read, not called: write @property"),
        ("schedules", "hold = None", "hold is None: expected True or False"),
        ("schedules", "def hold(self): return False", "hold is the method hold: expected True or False"),
        (
            "tasks",
            "def metric(self): return 'accuracy'",
            "metric is read, not called: write @property above def metric",
        ),
    ],
)
def test_what_is_read_and_not_called_is_no_method_and_no_text(tmp_path: Path, kind: str, line: str, said: str) -> None:
    with pytest.raises(BrokenPluginError, match=f"Mine of mine: {said}"):
        registry.load(kind, written(tmp_path, kind, *WORKING[kind], line))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("criteria", "latent = property(lambda self: True)"),
        ("criteria", "exact = False"),
        ("regularizers", "needs_score: ClassVar[bool] = True"),
        ("schedules", "hold: bool = False"),
        ("criteria", "@__import__('functools').cached_property\n    def latent(self): return True"),
        ("schedules", "__slots__ = ('hold',)"),
    ],
)
def test_a_property_or_an_option_may_stand_for_a_setting(tmp_path: Path, kind: str, line: str) -> None:
    assert registry.load(kind, written(tmp_path, kind, *WORKING[kind], line)).__name__ == "Mine"


RAISES = ["SystemExit(3)", "GeneratorExit('x')", "Own('x')", "RuntimeError('x')"]


@pytest.mark.parametrize("raised", RAISES)
@pytest.mark.parametrize("where", ["load", "configure", "cell"])
def test_whatever_a_plugin_raises_the_board_goes_on(
    tmp_path: Path, where: str, raised: str, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = ["def score(self, state, weight): return weight.abs()"]
    methods += [f"def observe(self, state, weight, grad, step): raise {raised}"] if where == "cell" else []
    methods += [f"def __post_init__(self): raise {raised}"] if where == "configure" else []
    plugin = Path(written(tmp_path, "criteria", *methods))
    text = "class Own(BaseException): pass\n" + plugin.read_text()
    plugin.write_text(text + f"raise {raised}\n" * (where == "load"))
    registry.load.cache_clear()
    training = {"steps": 2, "batch_size": 4, "lr": 0.001, "max_length": 16, "train_examples": 16, "eval_examples": 8}
    board = make_board(tmp_path / "board", criteria=[str(plugin), "magnitude"], training=training)
    assert run_board(board, "*", Settings(device="cpu")) == 1
    printed = capsys.readouterr().out
    assert "2 cells run, 0 done before, 1 failed." in printed
    assert raised.partition("(")[0] in printed.rpartition("FAILED glue/sst2")[2]
    assert printed.count("Traceback") == (where != "cell")  # once, and not wherever the failure is told


@pytest.mark.parametrize("refusal", ["ValueError('above 1')", "TypeError('above 1')", "AssertionError('above 1')"])
def test_an_option_that_a_plugin_refuses_is_bad_input(tmp_path: Path, refusal: str) -> None:
    plugin = written(tmp_path, "criteria", SCORE, f"def __post_init__(self): raise {refusal}")
    with pytest.raises(PrunebenchError, match=f"^criterion '{plugin}': above 1$"):
        registry.configure("criteria", plugin)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "def __post_init__(self): self.scale = 2",
            "cannot be set up: FrozenInstanceError: cannot assign to field 'scale'",
        ),
        ("def score(self, state, weight): return (", "cannot be imported: SyntaxError: '(' was never closed"),
    ],
)
def test_a_plugin_s_error_is_told_once_for_all_its_cells(
    tmp_path: Path, line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = written(tmp_path, "criteria", SCORE, line)
    training = {"steps": 2, "batch_size": 4, "lr": 0.001, "max_length": 16, "train_examples": 16, "eval_examples": 8}
    board = make_board(tmp_path / "board", criteria=[plugin], sparsities=[0.5, 0.8, 0.9], training=training)
    assert run_board(board, "*", Settings(device="cpu")) == 1
    closing = capsys.readouterr().out.rpartition(" run, ")[2]
    assert closing.count(said) == 1
    assert closing.count(f"as glue/sst2 {plugin} 0.5 seed 0, above") == 2


def test_an_interrupt_is_no_plugin_s_fault(tmp_path: Path) -> None:
    plugin = written(tmp_path, "criteria", SCORE, "def __post_init__(self): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        registry.configure("criteria", plugin)
    plugin = written(
        tmp_path, "criteria", SCORE, "def observe(self, state, weight, grad, step): raise KeyboardInterrupt"
    )
    registry.load.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        require_contract(cell(criterion=plugin), 20)


SCORES: dict[str, tuple[str, dict[str, Any], str]] = {
    "text": ("50.0", {"accuracy": "50.0"}, "accuracy = '50.0': expected a plain number"),
    "a truth value": ("1.0", {"accuracy": True}, "accuracy = True: expected a plain number"),
    "another than its outcomes give": ("50.0", {"accuracy": 60.0}, "accuracy = 60.0, aggregate of its outcomes 50.0"),
    "no percentage": ("1e9", {"accuracy": 1e9}, "is 1e\\+09: percent"),
    "random": ("__import__('random').random()", {"accuracy": 0.5}, "take the metrics from there"),
    "without the headline": ("50.0", {"f1": 50.0}, "accuracy"),
    "by the examples' order": ("float(outcomes['label'][0])", {"accuracy": 0.0}, "in reverse order"),
    "of other outcomes": ("50.0", {"accuracy": 50.0, "count": 3}, r"shape \(3,\) for 4 reported examples"),
    "sound": ("50.0", {"accuracy": 50.0}, ""),
}


@pytest.mark.parametrize("form", SCORES)
def test_a_task_whose_scores_no_record_should_hold(tmp_path: Path, form: str) -> None:
    aggregate, metrics, message = SCORES[form]
    metrics = dict(metrics)
    size = metrics.pop("count", 4)
    path = written(
        tmp_path,
        "tasks",
        "headline: ClassVar[str] = 'accuracy'",
        "def prepare(self, setting): raise NotImplementedError",
        f"def aggregate(self, outcomes): return {{'accuracy': {aggregate}}}",
    )
    prepared: Any = SimpleNamespace(metric="accuracy", counts={"reported": 4}, floor={}, lower_is_better=frozenset())
    evaluation = Evaluation(metrics, {"label": np.arange(size)})
    with pytest.raises(BrokenPluginError, match=message) if message else nullcontext():
        require_scores(RunSpec(task=path), prepared, evaluation)
