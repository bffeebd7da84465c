"""What the pruner refuses: values out of range, loops that cannot have been meant, gradients that are not finite."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import configure
from benchmark.pruning.once import Once
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.cubic import Cubic
from criteria.base import Criterion
from criteria.l0 import L0
from criteria.magnitude import Magnitude
from criteria.movement import Movement
from criteria.sensitivity import Sensitivity
from criteria.soft_movement import SoftMovement
from tests.benchmark.toys import Blocks, LastGradient, Steps, data, loss_of, one_matrix, step, weight_of, zeros

NAN, INF = float("nan"), float("inf")


def pruner_of(model: Any = None, **given: Any) -> Pruner:
    plain: dict[str, Any] = {"criterion": Magnitude(), "schedule": Steps(), "sparsity": 0.5, "total": 4} | given
    return Pruner(model or Blocks(), plain.pop("criterion"), plain.pop("schedule"), **plain)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *(("sparsity", value, r"share of the weights in \[0, 1\)") for value in (80, 1, 1.0, -0.2, NAN, INF, -INF)),
        *(("sparsity", value, r"share of the weights in \[0, 1\)") for value in (True, "0.8", None, [0.8])),
        ("sparsity", 80, "0.8 for 80 %"),
        *(("total", value, "whole number from 1 on") for value in (0, -3, 20.0, True, "20", None, NAN)),
        *(("seed", value, "whole number from 0 on") for value in (-1, 0.5, "0", None, 2**63)),
        ("criterion", "magnitude", r"configure\('criteria', 'magnitude'\)"),
        ("criterion", Magnitude, "expected a configured one"),
        ("schedule", "cubic", r"configure\('schedules', 'cubic'\)"),
        ("scope", "globl", "did you mean 'global'"),
        ("scope", None, "scope None: expected a name; choices: .*global"),
        ("scope", 5, "scope 5: expected a name"),
        *(("skip_frozen", value, "expected True or False") for value in ("no", 0, None)),
        *(("peak", value, "expected the highest learning rate") for value in (None, "1e-3", -1, NAN, INF, True)),
        ("weights", "all", "weights str: expected PrunableWeights of this model"),
        ("weights", 3, "weights int: expected PrunableWeights of this model"),
        ("criterion", None, "criterion None: expected a configured one"),
        ("schedule", None, "schedule None: expected a configured one"),
    ],
)
def test_the_constructor_checks_every_argument(name: str, value: object, said: str) -> None:
    with pytest.raises(PrunebenchError, match=said):
        pruner_of(**{name: value})


@pytest.mark.parametrize("sparsity", [1e-9, 0.9999999, 1 - 1e-12])
def test_a_share_that_prunes_nothing_or_everything_is_refused(sparsity: float) -> None:
    with pytest.raises(PrunebenchError, match=r"prunes (none|all) of [\d,]+ weights"):
        pruner_of(sparsity=sparsity)


@pytest.mark.parametrize("sparsity", [0, 0.0, 0.9, torch.tensor(0.5).item()])
def test_any_other_share_below_one_is_taken(sparsity: float) -> None:
    pruner = pruner_of(sparsity=sparsity)
    for _ in range(4):
        pruner.prune()
    pruner.finish()
    assert pruner.measure() == pytest.approx(sparsity, abs=1 / pruner.mask.numel())


@pytest.mark.parametrize(
    ("method", "answer", "said"),
    [
        *(("due", answer, "due gives .* at step 0: return True or False") for answer in ("no", None, 1.0, ())),
        ("holds", "no", "holds gives 'no' at step 0: return True or False"),
        ("sparsity", np.float32(0.5), r"sparsity gives .* at step 0: expected a plain number"),
        ("sparsity", "0.5", r"sparsity gives '0.5' at step 0: expected a plain number in \[0, 0.5\]"),
        *(("sparsity", share, f"sparsity gives {share} at step 0: expected") for share in (0.6, -0.1, NAN)),
    ],
)
def test_a_schedule_that_answers_otherwise_is_refused(method: str, answer: object, said: str) -> None:
    schedule = type("Said", (Steps,), {method: lambda *_: answer})()
    with pytest.raises(PrunebenchError, match=f"^Said.{said}"):
        pruner_of(schedule=schedule)


@pytest.mark.parametrize("answer", [True, np.True_, torch.tensor(True)])
def test_a_schedule_may_answer_with_any_librarys_bool(answer: object) -> None:
    pruner_of(schedule=type("Said", (Steps,), {"due": lambda *_: answer})(), total=1).prune()


@pytest.mark.parametrize(
    ("settings", "method", "said"),
    [
        ({"exact": False}, "keep", r"keep gave a tensor of torch.float32: expected a mask, bool, True = kept"),
        ({"elementwise": False}, "sweep", r"sweep gave a tensor of torch.float32: expected a mask, bool, True = kept"),
        ({"latent": True}, "gate", r"gate gave \[\] for a weight of shape"),
    ],
)
def test_a_criterion_that_gives_no_mask_is_refused(settings: dict[str, Any], method: str, said: str) -> None:
    def answer(_: Any, __: Any, weight: torch.Tensor, *___: Any) -> torch.Tensor:
        return weight.abs().mean() if method == "gate" else weight.abs()

    criterion = type("Said", (Magnitude,), {**settings, method: answer})()
    with pytest.raises(PrunebenchError, match=f"criterion Said: {said}"):
        pruner_of(criterion=criterion, scope="layer").prune()


def test_weights_that_are_trained_on_after_the_end_are_measured_as_they_are() -> None:
    pruner = pruner_of(sparsity=0.5, total=1)
    pruner.prune()
    pruner.finish()
    assert pruner.measure() == 0.5
    pruner.weights.vector.data.add_(1e-3)
    assert pruner.measure() < 0.1


@pytest.mark.parametrize("elementwise", [True, False])
@pytest.mark.parametrize(
    "write", [lambda _, grad: grad.abs_(), lambda weight, _: weight.mul_(0.9), lambda weight, grad: grad.mul_(weight)]
)
def test_an_observe_that_writes_to_what_it_is_shown_is_refused(write: Callable[..., Any], elementwise: bool) -> None:
    """The optimizer would have taken its step along what the criterion left."""
    own: dict[str, Any] = {"elementwise": elementwise, "observe": lambda *given: write(*given[2:4])}
    pruner = pruner_of(criterion=type("Mine", (Magnitude,), own)())
    with pytest.raises(PrunebenchError, match="Mine: observe changes the weights or their gradient in place"):
        pruner.observe(0.1)


class Scores(Magnitude):
    """Whatever a test wants of `score`."""

    def score(self, state: Any, weight: Any) -> Any:
        return FORMS[self.form](weight)  # type: ignore[attr-defined]


FORMS: dict[str, Callable[[Any], Any]] = {
    "in place": lambda weight: weight.abs_() + 0,
    "zeroed": lambda weight: weight.zero_() + 1,
    "one number": lambda weight: weight.abs().sum(),
    "no tensor": lambda weight: 1.0,  # noqa: ARG005
    "none": lambda weight: None,  # noqa: ARG005
    "too long": lambda weight: torch.cat([weight, weight]),
    "nan": lambda weight: weight * NAN,
    "infinite": lambda weight: weight.abs() * INF,
    "whole numbers": lambda weight: weight.abs().long(),
    "complex": lambda weight: torch.complex(weight, weight),
    "sparse": lambda weight: weight.to_sparse(),
    "learnt": lambda weight: nn.Parameter(weight.abs()),
    "of a graph": lambda weight: nn.Parameter(weight.clone()) * 2,
    "meta": lambda weight: weight.abs().to("meta"),
}


@pytest.mark.parametrize("elementwise", [True, False])
@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("in place", "score changes the weights in place"),
        ("zeroed", "score changes the weights in place"),
        ("one number", r"score gave \[\] for a weight of shape \[.*one value a weight"),
        ("no tensor", "score gave a float for a weight of shape"),
        ("none", "score gave a NoneType for a weight of shape"),
        ("too long", r"score gave \[.*\] for a weight of shape"),
        ("nan", "scores that are not finite in "),
        ("infinite", "scores that are not finite in "),
        ("whole numbers", ""),
        ("learnt", ""),
        ("of a graph", ""),
        ("meta", "score gave a tensor on the meta device, without numbers"),
        ("complex", r"score gave a tensor of torch.complex64, .*: expected real numbers in a dense tensor"),
        ("sparse", r"score gave a tensor of torch.float32, torch.sparse_coo: expected real numbers in a dense tensor"),
    ],
)
def test_scores_that_do_not_fit_are_told_by_name(form: str, said: str, elementwise: bool) -> None:
    made: Any = type("Mine", (Scores,), {"form": form, "elementwise": elementwise})
    pruner = pruner_of(criterion=made())
    if not said:
        assert pruner.scores().dtype == torch.float32
        pruner.prune()
        assert pruner.steps_taken == 1
        return
    with pytest.raises(PrunebenchError, match=f"(?s)Mine.*{said}"):
        pruner.scores()


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "a NoneType"),
        (torch.zeros(3), "a Tensor"),
        ([torch.zeros(3)], "a list"),
        ({"steps": 0}, "'steps': 0"),
        ({"sum": torch.zeros(3), "seen": None}, "'seen': None"),
        ({0: torch.zeros(3)}, "0: tensor"),
    ],
)
def test_a_state_that_no_checkpoint_holds_is_refused_at_once(state: object, said: str, trained: bool) -> None:
    """It ended a run with an AttributeError when its first checkpoint was saved."""
    criterion = type("Mine", (Magnitude,), {"init": lambda *_: state, "elementwise": False})()
    begin: Callable[[], object] = partial(pruner_of, criterion=criterion)
    if not trained:
        begin = partial(Once(Blocks(), criterion, sparsity=0.5).prune, loss_of, lambda count: [data()] * count)
    with pytest.raises(
        PrunebenchError, match=f"criterion Mine: init gave {said}.*: expected a dict of tensors by name"
    ):
        begin()


@pytest.mark.parametrize("kept", [None, 1.0, torch.ones(3, dtype=torch.bool)])
def test_a_mask_of_another_shape_is_told_by_name(kept: object) -> None:
    own: dict[str, Any] = {"exact": property(lambda _: False), "keep": lambda *_: kept}
    pruner = pruner_of(criterion=type("Mine", (Magnitude,), own)())
    with pytest.raises(PrunebenchError, match=r"Mine: keep gave .* for a weight of shape"):
        loop(pruner, 4)


def loop(pruner: Pruner, steps: int, observed: bool = True) -> None:
    for _ in range(steps):
        if observed:
            pruner.observe(0.1)
        pruner.prune()


@pytest.mark.parametrize(
    ("criterion", "steps", "said"),
    [
        (Magnitude(), 10, "after 10 of 20 steps"),
        (Magnitude(), 25, "after 25 of 20 steps"),
        (Magnitude(), 0, "after 0 of 20 steps, at sparsity 0 of 0.5"),
        (Sensitivity(), 19, "after 19 of 20 steps"),
    ],
)
def test_a_loop_that_cannot_have_been_meant_does_not_finish(criterion: Any, steps: int, said: str) -> None:
    pruner = pruner_of(criterion=criterion, total=20)
    loop(pruner, steps)
    with pytest.raises(PrunebenchError, match=said):
        pruner.finish()
    assert not pruner.settled


@pytest.mark.parametrize("criterion", [Sensitivity(), Movement()], ids=str)
@pytest.mark.parametrize(("before", "times"), [(0, 0), (0, 2), (1, 0), (2, 3)])
def test_a_step_that_was_not_shown_once_is_refused_at_once(before: int, times: int, criterion: Criterion) -> None:
    """Such as one that was shown with every part of accumulated gradients; it was told after the whole training."""
    pruner = pruner_of(criterion=criterion, total=20)
    loop(pruner, before)
    for _ in range(times):
        pruner.observe(0.1)
    said = rf"prune\(\) ends step {before + 1}, and \w+ was shown the gradients of {before + times} steps"
    with pytest.raises(PrunebenchError, match=said):
        pruner.prune()


def test_a_criterion_without_statistics_need_not_observe_and_settle_ends_early() -> None:
    pruner = pruner_of(total=5)
    loop(pruner, 5, observed=False)
    pruner.finish()
    early = pruner_of(total=100)
    loop(early, 5)
    early.settle()
    assert (early.settled, early.measure()) == (True, 0.5)


@pytest.mark.parametrize("name", ["wanda", "fisher", "grasp", "obert", "sparsegpt"])
def test_a_criterion_that_wants_calibration_does_not_rank_without(name: str) -> None:
    pruner = pruner_of(criterion=configure("criteria", name))
    pruner.observe(0.1)
    with pytest.raises(PrunebenchError, match=r"pruner\.calibrate is not set"):
        pruner.prune()
    with pytest.raises(PrunebenchError, match=r"pruner\.calibrate is not set"):
        pruner.finish()


@pytest.mark.parametrize("bad", [INF, -INF, NAN])
@pytest.mark.parametrize(
    "name", ["magnitude", "taylor", "sensitivity", "principled", "movement", "l0", "soft_movement"]
)
def test_a_step_with_gradients_that_are_not_finite_leaves_no_trace(name: str, bad: float) -> None:
    """Two models, one of which meets three steps more, which its optimizer skips: the same weights, masks and statistics."""
    models = [Blocks(), Blocks()]
    pruners = [
        pruner_of(model, criterion=configure("criteria", name), total=n)
        for model, n in zip(models, (6, 9), strict=True)
    ]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    for index in range(6):
        if index in (0, 2, 3):
            optimizers[1].zero_grad()
            loss_of(models[1], data()).backward()
            gradient = weight_of(models[1]).grad
            assert gradient is not None
            gradient[0, 0] = bad
            pruners[1].observe(0.1)
            pruners[1].prune()
        for model, pruner, optimizer in zip(models, pruners, optimizers, strict=True):
            step(model, pruner, optimizer, data())
    assert [(p.steps_taken, p.steps_observed, p.steps_skipped) for p in pruners] == [(6, 6, 0), (6, 6, 3)]
    for pruner in pruners:
        pruner.finish()
    assert torch.equal(pruners[0].mask, pruners[1].mask)
    assert torch.equal(pruners[0].weights.vector, pruners[1].weights.vector)
    for one, other in zip(pruners[0].states, pruners[1].states, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_large_gradients_whose_squares_overflow_are_finite() -> None:
    model = one_matrix([[1.0, 2.0]])
    pruner = pruner_of(model, criterion=LastGradient(), total=1)
    weight_of(model).grad = torch.tensor([[3e38, -3e38]])
    pruner.observe(0.1)
    assert pruner.steps_observed == 1
    assert pruner.states[0]["last.grad"].tolist() == pytest.approx([3e38, -3e38])


def test_the_caller_may_say_whether_gradients_are_finite() -> None:
    model = one_matrix([[1.0, 2.0]])
    pruner = pruner_of(model, criterion=LastGradient(), total=2)
    for finite in (False, True):
        weight_of(model).grad = torch.tensor([[1.0, 2.0]])
        pruner.observe(0.1, finite=finite)
        pruner.prune()
    assert (pruner.steps_observed, pruner.steps_skipped, pruner.steps_taken) == (1, 1, 1)
    pruner.finish()


def test_counts_survive_a_restore() -> None:
    pruner = pruner_of(criterion=Sensitivity(), total=6)
    loop(pruner, 2)
    pruner.observe(0.1, finite=False)
    pruner.prune()
    saved = pruner.state_dict()
    resumed = pruner_of(criterion=Sensitivity(), total=6)
    resumed.load_state_dict(saved)
    assert (resumed.steps_taken, resumed.steps_observed, resumed.steps_skipped) == (2, 2, 1)
    with pytest.raises(PrunebenchError, match=r"expected what state_dict\(\) of a Pruner of this model gave"):
        resumed.load_state_dict({k: v for k, v in saved.items() if k not in ("observed", "skipped")})


def replaced(model: Any) -> None:
    model.blocks[0].weight = torch.nn.Parameter(torch.randn_like(model.blocks[0].weight))


def exchanged(model: Any) -> None:
    model.blocks[0] = copy.deepcopy(model.blocks[0])


def removed(model: Any) -> None:
    model.blocks[0] = torch.nn.Identity()


def assigned(model: Any) -> None:
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)


def data_replaced(model: Any) -> None:
    model.blocks[0].weight.data = torch.randn_like(model.blocks[0].weight)


def parametrized(model: Any) -> None:
    torch.nn.utils.parametrizations.weight_norm(model.blocks[0])


AFTERWARDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a new parameter": (replaced, "has been replaced"),
    "a new layer": (exchanged, "has been replaced"),
    "no layer": (removed, "has been replaced"),
    "a state dict assigned": (assigned, "has been replaced"),
    "new data": (data_replaced, "has been replaced"),
    "another precision": (torch.nn.Module.double, "has been replaced"),
    "a parametrization": (parametrized, "has been replaced"),
    "frozen": (lambda model: model.blocks[0].requires_grad_(False), "was frozen"),
}


@pytest.mark.parametrize("criterion", [Magnitude(), Movement()])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("form", AFTERWARDS)
def test_weights_that_change_hands_are_refused(form: str, late: bool, criterion: Criterion) -> None:
    """They would stay dense while `measure` speaks of the vector that the Pruner holds."""
    change, said = AFTERWARDS[form]
    model = Blocks()
    pruner = Pruner(model, criterion, Steps(), sparsity=0.5, total=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if late:
        for _ in range(2):
            step(model, pruner, optimizer, data())
    change(model)
    with pytest.raises(PrunebenchError, match=f"blocks.0.weight {said} after the Pruner was made"):
        (pruner.finish if late else pruner.prune)()


def test_weights_loaded_in_place_are_fine() -> None:
    model = Blocks()
    pruner = pruner_of(model, total=1)
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    pruner.prune()
    pruner.finish()
    assert zeros(model) == round(0.5 * pruner.mask.numel())


@pytest.mark.parametrize("criterion", [Movement(), SoftMovement(), L0()], ids=str)
def test_weights_loaded_over_latent_ones_are_refused(criterion: Criterion) -> None:
    """Those that the Pruner holds underneath would be trained in their place."""
    model = Blocks()
    pruner = pruner_of(model, criterion=criterion)
    model.load_state_dict(Blocks(seed=1).state_dict())
    loss_of(model, data()).backward()
    with pytest.raises(PrunebenchError, match="make the Pruner once weights are loaded"):
        pruner.observe(0.1)


@pytest.mark.parametrize("criterion", [Movement(), SoftMovement(), L0()], ids=str)
@pytest.mark.parametrize("taken", [0, 2])
def test_a_model_and_a_pruner_are_restored_in_either_order(criterion: Criterion, taken: int) -> None:
    model = Blocks()
    pruner = pruner_of(model, criterion=criterion)
    loop(pruner, taken)
    saved, weights = pruner.state_dict(), copy.deepcopy(model.state_dict())
    for pruner_first in (False, True):
        other = Blocks(seed=1)
        resumed = pruner_of(other, criterion=criterion)
        if pruner_first:
            resumed.load_state_dict(saved)
        other.load_state_dict(weights)
        if not pruner_first:
            resumed.load_state_dict(saved)
        resumed.observe(0.1)
        assert torch.equal(resumed.weights.vector, saved["latent"])


@pytest.mark.parametrize("criterion", [LastGradient(), Sensitivity(), Movement()])
@pytest.mark.parametrize("form", ["a copy is trained", "cleared", "set to none", "zeroed"])
def test_gradients_that_are_all_zeros_are_refused(form: str, criterion: Criterion) -> None:
    """A ranking of nothing but ties."""
    model = Blocks()
    trained = copy.deepcopy(model) if form == "a copy is trained" else model
    pruner = Pruner(model, criterion, Steps(), sparsity=0.5, total=2)
    for _ in range(2):
        loss_of(trained, data()).backward()
        if form == "cleared":
            trained.zero_grad()
        elif form == "set to none":
            for parameter in trained.parameters():
                parameter.grad = None
        elif form == "zeroed":
            trained.zero_grad(set_to_none=False)
        pruner.observe(0.1)
        pruner.prune()
    with pytest.raises(PrunebenchError, match=f"all gradients that {type(criterion).__name__} was shown are zeros"):
        pruner.finish()


@pytest.mark.parametrize("lr", [NAN, INF, -1.0, -1, None, "1e-3", [1e-3], True])
def test_a_learning_rate_is_a_number_from_0_on(lr: Any) -> None:
    with pytest.raises(PrunebenchError, match="expected the learning rate of the coming step"):
        pruner_of().observe(lr)


def test_a_model_without_weights_in_memory_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="Blocks is on the meta device"):
        pruner_of(Blocks().to("meta"))


@pytest.mark.parametrize("saved", [None, {}, {"mask": torch.zeros(1)}, "state", Blocks().state_dict(), 5])
def test_a_state_of_something_else_is_refused(saved: Any) -> None:
    with pytest.raises(PrunebenchError, match=r"expected what state_dict\(\) of a Pruner of this model gave"):
        pruner_of().load_state_dict(saved)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"criterion": Sensitivity()}, "criterion Magnitude(), here Sensitivity("),
        ({"criterion": Movement()}, "criterion Magnitude(), here Movement("),
        ({"schedule": Cubic(window=5)}, "window=5"),
        ({"sparsity": 0.75}, "sparsity 0.5, here 0.75"),
        ({"scope": "layer"}, "scope global, here layer"),
        ({"total": 40}, "total 20, here 40"),
    ],
)
def test_a_state_of_another_pruner_is_refused_by_what_differs(changes: dict[str, Any], said: str) -> None:
    usual: dict[str, Any] = {"criterion": Magnitude(), "schedule": Cubic(window=10), "total": 20}
    saved = pruner_of(**usual).state_dict()
    pruner_of(**usual).load_state_dict(saved)
    with pytest.raises(PrunebenchError, match="this is the state of another pruner") as caught:
        pruner_of(**usual | changes).load_state_dict(saved)
    assert said in str(caught.value)


def test_a_state_of_a_smaller_model_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="of a Pruner of this model"):
        pruner_of().load_state_dict(pruner_of(Blocks(width=2)).state_dict())


ORDERS = {
    "as it should be": "observe step prune",
    "step first": "step observe prune",
    "step and prune first": "step prune observe",
    "step last": "observe prune step",
    "no step": "observe prune",
}


def turned(order: str, criterion: Criterion, rates: list[float]) -> Pruner:
    """A loop that takes a step of each rate, its calls in this order."""
    model = Blocks()
    pruner = pruner_of(model, criterion=criterion, total=len(rates))
    for rate in rates:
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        optimizer.zero_grad()
        loss_of(model, data()).backward()
        calls: dict[str, Callable[[], Any]] = {
            "observe": partial(pruner.observe, rate), "step": optimizer.step, "prune": pruner.prune
        }  # fmt: skip
        for call in ORDERS[order].split():
            calls[call]()
    return pruner


@pytest.mark.parametrize("criterion", [Sensitivity(), Movement(), LastGradient()], ids=str)
@pytest.mark.parametrize("order", ["step first", "step last", "no step"])
def test_an_optimizer_that_steps_elsewhere_or_not_at_all_is_refused(order: str, criterion: Criterion) -> None:
    known = criterion.latent and order == "step first"  # at the first step already
    said = (
        r"before the first optimizer\.step\(\)"
        if known
        else r"the weights moved in no step between .*: call optimizer\.step\(\)"
    )
    with pytest.raises(PrunebenchError, match=said):
        turned(order, criterion, [0.1] * 4).finish()


@pytest.mark.parametrize("rates", [[0.1] * 4, [0.0, 0.0, 0.1, 0.1], [0.0] * 4, [0.1, 0.0, 0.0, 0.0]], ids=str)
@pytest.mark.parametrize("criterion", [Sensitivity(), Movement(), LastGradient()], ids=str)
def test_an_optimizer_in_its_place_or_at_rest_is_fine(rates: list[float], criterion: Criterion) -> None:
    """Nothing is said of a warm-up from zero, nor of one that never left it."""
    turned("as it should be", criterion, rates).finish()


def test_a_criterion_that_learns_nothing_may_be_called_in_any_order() -> None:
    for order in ("step first", "step last"):
        turned(order, Magnitude(), [0.1] * 4).finish()


@pytest.mark.parametrize("criterion", [Sensitivity(), Movement()], ids=str)
def test_a_loop_that_observes_last_is_refused(criterion: Criterion) -> None:
    """Each mask would then lag a step behind its gradient."""
    with pytest.raises(PrunebenchError, match=r"prune\(\) ends step 1, and \w+ was shown the gradients of 0 steps"):
        turned("step and prune first", criterion, [0.1] * 4).finish()


def test_an_optimizer_of_other_parameters_is_refused() -> None:
    model = Blocks()
    pruner = pruner_of(model, criterion=Sensitivity())
    optimizer = torch.optim.AdamW(model.head.parameters(), lr=0.1)
    for _ in range(4):
        step(model, pruner, optimizer, data())
    with pytest.raises(PrunebenchError, match="with an optimizer of this model's parameters"):
        pruner.finish()


def ended(criterion: Criterion, spoil: Callable[[nn.Module, int], None], finish: bool = True) -> Pruner:
    """A loop of four steps, of whose gradients or weights `spoil` makes something else before they are shown."""
    model = Blocks()
    pruner = pruner_of(model, criterion=criterion)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for index in range(4):
        optimizer.zero_grad()
        loss_of(model, data()).backward()
        spoil(model, index)
        pruner.observe(0.1)
        optimizer.step()
        pruner.prune()
    (pruner.finish if finish else pruner.settle)()
    return pruner


def _gradient(model: nn.Module, name: str, value: float) -> None:
    parameter = model.get_parameter(name)
    assert parameter.grad is not None
    parameter.grad[0] = value


@pytest.mark.parametrize(("value", "finish"), [(NAN, True), (-INF, False)])
@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("name", ["blocks.0.bias", "head.weight", "head.bias"])
@pytest.mark.parametrize("criterion", [Sensitivity(), Movement(), Magnitude()], ids=str)
def test_a_model_that_ends_with_weights_that_are_not_finite_is_refused(
    criterion: Criterion, name: str, at: int, value: float, finish: bool
) -> None:
    """Its sparsity would be as asked, its answers nan: a bias or a head is never ranked, and criteria pass over such steps."""

    def spoil(model: nn.Module, index: int) -> None:
        if index == at:
            _gradient(model, name, value)

    with pytest.raises(PrunebenchError, match=r"not finite.*try a lower learning rate"):
        ended(criterion, spoil, finish)


def test_weights_that_are_not_finite_and_pruned_away_are_no_matter() -> None:
    def spoil(model: nn.Module, index: int) -> None:
        if index == 3:
            _gradient(model, "blocks.0.weight", 1e30)

    assert ended(Movement(), spoil).measure() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("criterion", [Sensitivity(), Magnitude()], ids=str)
def test_a_loop_all_of_whose_steps_were_skipped_is_refused(criterion: Criterion) -> None:
    model = Blocks()
    pruner = pruner_of(model, criterion=criterion)
    for _ in range(4):
        pruner.observe(0.1, finite=False)
        pruner.prune()
    with pytest.raises(PrunebenchError, match="the gradients were finite in none of 4 steps"):
        pruner.finish()


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("block", [0, 1])
def test_a_model_that_is_not_finite_to_begin_with_is_refused(block: int, value: float) -> None:
    model = Blocks()
    weight_of(model, block).data[0, 1] = value
    with pytest.raises(
        PrunebenchError,
        match=rf"blocks\.{block}\.weight holds 1 of 32 weights that are not finite, before any training",
    ):
        pruner_of(model)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_a_model_that_changes_its_precision_on_the_way_is_refused(kind: torch.dtype) -> None:
    model = Blocks()
    pruner = pruner_of(model, criterion=Sensitivity())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(model, pruner, optimizer, data())
    model.to(kind)
    with pytest.raises(PrunebenchError, match=r"blocks\.0\.weight became torch\.\w+ after the Pruner was made of fp32"):
        pruner.observe(0.1)


@pytest.mark.parametrize("shape", [(0,), (2,), (2, 3)], ids=str)
def test_a_learning_rate_that_is_several_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PrunebenchError, match=r"observe: lr has shape \(.*\): expected one number"):
        pruner_of().observe(torch.ones(shape))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [None, "bert", [Blocks()], Blocks().state_dict(), Blocks])
def test_what_is_no_model_is_named_by_its_type(model: object) -> None:
    """Not by all of its weights."""
    with pytest.raises(PrunebenchError, match=r"expected a torch\.nn\.Module") as caught:
        Pruner(model, Magnitude(), Steps(), sparsity=0.5, total=4)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 100
