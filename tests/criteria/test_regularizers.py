"""Regularizers by hand-computed values and autograd."""

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from criteria.regularizers.base import Regularizer
from criteria.regularizers.distillation import Distillation
from criteria.regularizers.l2_sp import L2Sp
from criteria.regularizers.label_smoothing import LabelSmoothing
from criteria.regularizers.none import NoneRegularizer
from criteria.regularizers.rdrop import Rdrop
from criteria.regularizers.self_regularization import SelfRegularization

Batch = Mapping[str, Tensor]

LN3 = math.log(3)
BATCH: Batch = {"index": torch.tensor([0])}


class Fixed(nn.Module):
    """A model whose logits are its weights."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.modes: list[bool] = []


def forward(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross-entropy with class 0, or the squared distance from 0."""
    assert isinstance(model, Fixed)
    model.modes.append(model.training)
    logits = model.logits * 1.0
    if logits.shape[1] == 1:
        return logits[:, 0].square(), logits
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64), reduction="none"), logits


def loss_of(regularizer: Regularizer, model: Fixed) -> Tensor:
    return regularizer.loss(*forward(model, BATCH), model, BATCH)


def begun(regularizer: Regularizer, teacher: nn.Module | None = None) -> Regularizer:
    regularizer.begin(forward, teacher)
    return regularizer


def gradient(loss: Tensor, model: Fixed) -> Tensor:
    return torch.autograd.grad(loss, model.logits)[0]


# none


def test_none_is_the_mean() -> None:
    model = Fixed([[0.0, 0.0], [0.0, LN3]])
    assert loss_of(NoneRegularizer(), model).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


# distillation


def test_distillation_by_hand() -> None:
    student, teacher = Fixed([[0.0, 0.0]]), Fixed([[0.0, 2 * LN3]])
    # at T = 2 the teacher says (1/4, 3/4), the student (1/2, 1/2)
    divergence = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    loss = loss_of(begun(Distillation(alpha=0.25, temperature=2.0), teacher), student)
    assert loss.item() == pytest.approx(0.75 * math.log(2) + 0.25 * 4 * divergence)


def test_distillation_regression_by_hand() -> None:
    loss = loss_of(begun(Distillation(alpha=0.25), Fixed([[5.0]])), Fixed([[2.0]]))
    assert loss.item() == pytest.approx(0.75 * 4 + 0.25 * 9)


def test_distillation_gradient_pulls_to_the_teacher() -> None:
    student, teacher = Fixed([[0.0, 0.0]]), Fixed([[0.0, 2 * LN3]])
    loss = loss_of(begun(Distillation(alpha=1.0, temperature=2.0), teacher), student)
    # d/dz T^2 KL = T (p - q)
    torch.testing.assert_close(gradient(loss, student), 2 * torch.tensor([[0.25, -0.25]]))
    assert teacher.logits.grad is None


def test_distillation_teacher_is_in_eval_mode_and_student_is_not() -> None:
    student, teacher = Fixed([[0.0, 0.0]]), Fixed([[0.0, 1.0]])
    teacher.train()
    loss_of(begun(Distillation(), teacher), student)
    assert teacher.modes == [False]
    assert student.training


def test_distillation_without_teacher_is_refused() -> None:
    assert Distillation.needs_teacher
    with pytest.raises(ValueError, match="expected a dense model fine-tuned on the same task and seed"):
        Distillation().begin(forward, None)


def test_distillation_from_oneself_is_the_scaled_task_loss() -> None:
    student = Fixed([[0.3, -1.2, 0.5]])
    loss = loss_of(begun(Distillation(alpha=0.4), student), student)
    assert loss.item() == pytest.approx(0.6 * loss_of(NoneRegularizer(), student).item())


# self_regularization


def teaching(options: SelfRegularization, teacher: Fixed) -> SelfRegularization:
    options.begin(forward, None)
    options.evaluated(teacher, 50.0 if options.needs_score else None, 0.0)
    return options


def test_self_regularization_is_the_task_loss_before_any_evaluation() -> None:
    model = Fixed([[0.0, LN3]])
    assert loss_of(begun(SelfRegularization()), model).item() == loss_of(NoneRegularizer(), model).item()


def test_an_unsure_student_listens_to_the_label_alone() -> None:
    student = Fixed([[0.0, 0.0]])
    loss = loss_of(teaching(SelfRegularization(), Fixed([[9.0, -9.0]])), student)
    assert loss.item() == pytest.approx(math.log(2))


def test_a_certain_student_listens_to_the_teacher_alone() -> None:
    student = Fixed([[60.0, 0.0]])
    loss = loss_of(teaching(SelfRegularization(), Fixed([[0.0, 0.0]])), student)
    # alpha = 1; the student at T = 2 says log p = (0, -30)
    assert loss.item() == pytest.approx(4 * 0.5 * 30)


def test_self_regularization_by_hand() -> None:
    student, teacher = Fixed([[0.0, LN3]]), Fixed([[0.0, 2 * LN3]])
    alpha = 1 - (0.25 * math.log(4) + 0.75 * math.log(4 / 3)) / math.log(2)
    root = math.sqrt(3)  # the student at T = 2: (1, sqrt 3) / (1 + sqrt 3)
    teacher_term = 4 * (0.25 * math.log(1 + root) + 0.75 * math.log((1 + root) / root))
    loss = loss_of(teaching(SelfRegularization(), teacher), student)
    assert loss.item() == pytest.approx(alpha * teacher_term + (1 - alpha) * math.log(4), rel=1e-6)


def test_confidence_has_no_gradient() -> None:
    student, teacher = Fixed([[0.2, 1.0, -0.4], [2.0, 0.1, 0.0]]), Fixed([[1.0, 0.0, 0.5], [0.3, 0.3, 0.9]])
    regularizer = teaching(SelfRegularization(), teacher)
    losses, logits = forward(student, BATCH)
    alpha = torch.tensor(regularizer.confidence(logits).tolist())
    soft = F.softmax(teacher.logits.detach() / 2, dim=-1)
    constant = (alpha * 4 * F.cross_entropy(logits / 2, soft, reduction="none") + (1 - alpha) * losses).mean()
    torch.testing.assert_close(gradient(loss_of(regularizer, student), student), gradient(constant, student))
    assert not regularizer.confidence(logits).requires_grad


def test_confidence_counts_real_classes() -> None:
    lowest = torch.finfo(torch.float32).min
    logits = torch.tensor([[0.0, 0.0, lowest, lowest], [0.0, 0.0, 0.0, 0.0], [1.0, lowest, lowest, lowest]])
    confidence = SelfRegularization().confidence(logits)
    torch.testing.assert_close(confidence, torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)


def test_self_regularization_in_regression() -> None:
    loss = loss_of(teaching(SelfRegularization(regression_alpha=0.25), Fixed([[5.0]])), Fixed([[2.0]]))
    assert loss.item() == pytest.approx(0.75 * 4 + 0.25 * 9)


def taught_by(regularizer: Regularizer) -> float:
    """Which teacher is in charge, by the first logit of its weights."""
    return regularizer.state()["teacher.logits"][0, 0].item()


def test_latest_always_adopts() -> None:
    regularizer = begun(SelfRegularization())
    for value, score in ((1.0, None), (2.0, 90.0), (3.0, 10.0)):
        regularizer.evaluated(Fixed([[value, 0.0]]), score, 0.1 * value)
        assert taught_by(regularizer) == value


def test_best_adopts_what_is_at_least_as_good() -> None:
    regularizer = begun(SelfRegularization(teacher="best"))
    assert regularizer.needs_score
    seen = []
    for value, score in ((1.0, 50.0), (2.0, 49.0), (3.0, 50.0), (4.0, math.nan), (5.0, 51.0)):
        regularizer.evaluated(Fixed([[value, 0.0]]), score, 0.1 * value)
        seen.append(taught_by(regularizer))
    assert seen == [1.0, 1.0, 3.0, 3.0, 5.0]
    with pytest.raises(ValueError, match="no held-out score"):
        regularizer.evaluated(Fixed([[6.0, 0.0]]), None, 0.6)


def test_latest_needs_no_score() -> None:
    assert not SelfRegularization().needs_score
    assert not SelfRegularization.needs_teacher


def test_teacher_is_one_module_written_in_place() -> None:
    """The student's weights may be views of one flat vector; the teacher must neither follow them nor be built anew."""
    student = Fixed([[1.0, 0.0]])
    flat = torch.tensor([1.0, 0.0, 7.0])
    student.logits.data = flat[:2].view(1, 2)
    student.logits.grad = torch.ones(1, 2)
    regularizer = SelfRegularization()
    regularizer.begin(forward, None)
    regularizer.evaluated(student, None, 0.0)
    teacher = regularizer._snapshot
    assert isinstance(teacher, Fixed)
    place = teacher.logits.data_ptr()
    flat.fill_(9.0)
    assert teacher.logits.tolist() == [[1.0, 0.0]]
    assert teacher.logits.grad is None
    assert not teacher.logits.requires_grad
    assert student.logits.requires_grad
    regularizer.evaluated(student, None, 0.1)
    assert regularizer._snapshot is teacher
    assert (teacher.logits.data_ptr(), teacher.logits.tolist()) == (place, [[9.0, 9.0]])


def test_best_score_survives_a_checkpoint() -> None:
    first = begun(SelfRegularization(teacher="best"))
    first.evaluated(Fixed([[1.0, 0.0]]), 1 / 3, 0.0)
    resumed = begun(SelfRegularization(teacher="best"))
    resumed.restore(first.state(), Fixed([[8.0, 8.0]]))
    resumed.evaluated(Fixed([[2.0, 0.0]]), math.nextafter(1 / 3, 0), 0.1)
    assert taught_by(resumed) == 1.0
    resumed.evaluated(Fixed([[2.0, 0.0]]), 1 / 3, 0.1)
    assert taught_by(resumed) == 2.0


def test_begin_forgets_the_run_before() -> None:
    regularizer = teaching(SelfRegularization(), Fixed([[1.0, 0.0]]))
    regularizer.begin(forward, None)
    assert regularizer.state() == {}


# rdrop


def test_rdrop_by_hand() -> None:
    model = Fixed([[0.0, 0.0]])
    losses, first = forward(model, BATCH)

    def second_pass(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """As if dropout had changed the logits to (0, ln 3)."""
        assert isinstance(model, Fixed)
        logits = model.logits + torch.tensor([[0.0, LN3]])
        return F.cross_entropy(logits, torch.tensor([0]), reduction="none"), logits

    regularizer = Rdrop(alpha=0.5)
    regularizer.begin(second_pass, None)
    loss = regularizer.loss(losses, first, model, BATCH)
    forth = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    back = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2 + 0.5 * (forth + back) / 2)


def test_rdrop_without_dropout_is_the_task_loss() -> None:
    model = Fixed([[0.2, 1.0, -0.4], [2.0, 0.1, 0.0]])
    loss = loss_of(begun(Rdrop(alpha=3.0)), model)
    plain = loss_of(NoneRegularizer(), model)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(gradient(loss, model), gradient(plain, model))


def test_rdrop_regression_pulls_on_both_passes() -> None:
    first, second = torch.tensor([[1.0]], requires_grad=True), torch.tensor([[3.0]], requires_grad=True)
    disagreement = Rdrop().disagreement(first, second)
    assert disagreement.tolist() == [4.0]
    assert [g.item() for g in torch.autograd.grad(disagreement.sum(), (first, second))] == [-4.0, 4.0]


# label_smoothing


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.7])
def test_label_smoothing_is_torchs(epsilon: float) -> None:
    model = Fixed([[0.2, 1.0, -0.4], [2.0, 0.1, 0.0]])
    reference = F.cross_entropy(model.logits, torch.zeros(2, dtype=torch.int64), label_smoothing=epsilon)
    torch.testing.assert_close(loss_of(LabelSmoothing(epsilon=epsilon), model), reference)


def test_label_smoothing_spreads_over_real_classes_only() -> None:
    wide = Fixed([[0.2, 1.0, -1e9, -0.4]])
    torch.testing.assert_close(loss_of(LabelSmoothing(), wide), loss_of(LabelSmoothing(), Fixed([[0.2, 1.0, -0.4]])))


def test_label_smoothing_leaves_regression_alone() -> None:
    assert loss_of(LabelSmoothing(), Fixed([[2.0]])).item() == 4.0


# l2_sp


def test_l2_sp_by_hand() -> None:
    model = Fixed([[1.0, 2.0, 3.0]])
    regularizer = begun(L2Sp(alpha=0.1))
    plain = loss_of(NoneRegularizer(), model)
    assert loss_of(regularizer, model).item() == plain.item()
    with torch.no_grad():
        model.logits.copy_(torch.tensor([[1.5, 0.0, 1.0]]))  # the second is pruned
    plain, loss = loss_of(NoneRegularizer(), model), loss_of(regularizer, model)
    assert (loss - plain).item() == pytest.approx(0.1 / 2 * (0.25 + 4))
    pull = gradient(loss, model) - gradient(plain, model)
    torch.testing.assert_close(pull, torch.tensor([[0.05, 0.0, -0.2]]))


# Bad options.


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Distillation, {"alpha": 1.5}, r"alpha=1.5 is not in \[0, 1\]"),
        (Distillation, {"temperature": 0.0}, "temperature=0.0"),
        (SelfRegularization, {"teacher": "newest"}, "teacher='newest' is unknown; choices: latest, best"),
        (SelfRegularization, {"temperature": -1.0}, "temperature=-1.0"),
        (SelfRegularization, {"regression_alpha": math.nan}, "regression_alpha=nan"),
        (Rdrop, {"alpha": -1.0}, "alpha=-1.0"),
        (LabelSmoothing, {"epsilon": 1.0}, "epsilon=1.0"),
        (L2Sp, {"alpha": math.nan}, "alpha=nan"),
    ],
)
def test_bad_options_are_refused(kind: type[Regularizer], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)
