"""What a pruning criterion is: state it keeps, gradients it watches, scores it gives.

A criterion is pure mathematics on tensors. It never sees a model, a task, a schedule or a mask file: the harness ranks its
scores, applies the masks and trains. So a plain criterion is a docstring and one method:

    @dataclass(frozen=True)
    class Magnitude(Criterion):
        def score(self, state, weight):
            return weight.abs()

Hyperparameters are the fields of the frozen dataclass, statistics live in `State`, data are arguments.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from criteria.common.options import require_types
from criteria.common.search import Range

State = dict[str, Tensor]
"""Named statistics of one weight tensor, kept by the caller and saved in checkpoints. Tensors only."""


@dataclass(frozen=True)
class Step:
    """Where training stands: optimizer steps taken and planned, the rate of the coming one, and the sparsity schedule.

    `peak` is the highest learning rate of the run (0: not known) and `matrices` the number of prunable matrices of the model.
    """

    index: int
    total: int
    lr: float
    sparsity: float = 0.0
    target: float = 0.0
    peak: float = 0.0
    matrices: int = 1

    @property
    def rate(self) -> float:
        """The learning rate of the coming step as a share of its peak; 1 where the peak is not known."""
        return self.lr / self.peak if self.peak > 0 else 1.0

    @property
    def progress(self) -> float:
        """The share of the target sparsity that the schedule has reached, in [0, 1]."""
        return min(1.0, self.sparsity / self.target) if self.target > 0 else 0.0


class Choose(Protocol):
    """Chooses which weights of some neighbouring columns of a matrix stay; of the whole matrix as many go as the scope asks."""

    @property
    def group(self) -> int:
        """So many columns must be asked about together, from a multiple of it on: m of an n:m pattern, else 1."""

    def __call__(self, scores: Tensor, start: int) -> Tensor:
        """Mask (bool, True = kept) of the columns from `start` on, whose scores [out, columns] these are."""


class Criterion(ABC):
    """Ranks weights: the higher the score, the longer a weight is kept.

    `weight` is one fp32 tensor: the whole model's prunable weights as one vector [n] where `elementwise`, else one matrix
    [out, in] a call (or, see `stacks`, several). `grad` has its shape. Methods with a default of "nothing" are optional; the harness
    pays for layer inputs, per-example gradients or Hessian products only when the method that takes them is overridden.
    """

    label: ClassVar[str] = ""
    """What tables and figures call it; the name of the class in words if left empty."""

    elementwise: ClassVar[bool] = True
    """Each score depends on its own weight's history alone: the flat vector and the matrices give the same scores."""

    latent: ClassVar[bool] = False
    """Pruned weights keep a value underneath: the forward pass uses weight * gate, and `grad` is taken at that product."""

    stacks: ClassVar[bool] = False
    """Of criteria that see matrices: the methods that are overridden also take several matrices of one shape at once, [matrices, out,
    in], each as if it were alone. On a GPU, where every operation costs a launch, they get such stacks. Not together with
    calibration or `compensate`."""

    calibration: ClassVar[int] = 8
    """How many training batches to show to `observe_inputs`, `observe_example` or `observe_hessian` before each masking."""

    search: ClassVar[Mapping[str, Range]] = {}
    """Options that tuning may set, and their ranges (criteria/common/search.py); the others keep the value that the suite's row
    gives them."""

    def __post_init__(self) -> None:
        """ValueError where an option is not of its type; a subclass that checks more calls this first."""
        require_types(self)

    def searched(self) -> Mapping[str, Range]:
        """The part of `search` that can change a ranking with the other options as they are."""
        return self.search

    @property
    def exact(self) -> bool:
        """Whether the harness prunes exactly the requested count by rank; if not, `keep` decides how many."""
        return True

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """Statistics before the first step; any randomness comes from `generator` (on the CPU)."""
        return {}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Bring `state` up to date, once a step: after backward and clipping, before the optimizer moves `weight`.

        Change its tensors in place, or set new ones under the names that `init` gave; never `weight` or `grad` themselves.
        """

    @abstractmethod
    def score(self, state: State, weight: Tensor) -> Tensor:
        """Finite scores shaped like `weight`, from the statistics and the weights as they are when masks are recomputed."""

    def predicted(self, state: State, weight: Tensor) -> Tensor | None:
        """What the loss is expected to change by when each weight alone goes to zero, in units of the loss, shaped like `weight`.

        For diagnostics only. None where the score is a rank and no prediction.
        """
        return None

    def version(self, state: State) -> int | None:
        """A number that changes whenever scores change, where these depend on `state` alone: until then the mask is not ranked again.

        None, the default, says nothing: every masking ranks.
        """
        return None

    # What some criteria need besides the training gradient. Override to ask for it.

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        """Calibration: `inputs` [tokens, in] is what the layer of the matrix `weight` [out, in] was fed (needs matrices)."""

    def observe_example(self, state: State, weight: Tensor, grad: Tensor) -> None:
        """Calibration: `grad` is the loss gradient of one single training example, shaped like `weight`."""

    def observe_hessian(self, state: State, weight: Tensor, grad: Tensor, product: Tensor) -> None:
        """Calibration: `grad` g of one batch and `product` H g, the Hessian of all prunable weights times g."""

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        """Called before the first calibration batch of each masking: the place to reset what calibration accumulates."""

    def gate(self, state: State, weight: Tensor, mask: Tensor, training: bool) -> Tensor:
        """Latent criteria: what multiplies the weight in the forward pass; the mask itself unless gates are soft or random."""
        return mask

    def keep(self, state: State, weight: Tensor, step: Step) -> Tensor:
        """Criteria that are not `exact`: the mask (bool, True = kept) that their own rule gives at this step."""
        return torch.ones_like(weight, dtype=torch.bool)

    def compensate(self, state: State, weight: Tensor, mask: Tensor) -> None:
        """Adjust the kept weights in place for the loss of the others, just before those are zeroed (needs matrices)."""

    def sweep(self, state: State, weight: Tensor, choose: Choose) -> Tensor:
        """The mask [out, in] of one matrix, its kept weights adjusted in place on the way (needs matrices).

        Asked where the scope settles each matrix by itself. Override it to choose column by column, from weights already adjusted.
        """
        mask = choose(self.score(state, weight), 0)
        self.compensate(state, weight, mask)
        return mask

    def overrides(self, method: str) -> bool:
        """Whether this criterion defines the optional `method` itself, that is, asks the harness for what it takes."""
        return getattr(type(self), method) is not getattr(Criterion, method)
