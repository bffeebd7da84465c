"""Pruning a pretrained model in one go, without a step of training:

    once = Once(model, criterion, sparsity=0.5, scope="row")
    once.prune(loss, batches)

There is no optimizer and no vector of all weights: matrices are pruned where they lie, in any floating type, and the criterion
sees each in fp32. Where the scope settles each matrix by itself, statistics of layer inputs or of single examples are held for one
block at a time; where matrices compete, for all of them. Gradients of single examples, taken block by block too, are those of the
model as it then is: with the blocks before it pruned. Criteria that watch training steps are shown one gradient of each calibration
batch instead, at the dense weights, with nothing clipped and nothing moved; their statistics, and those of Hessian products, are
held for all matrices at once.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.machine.stopwatch import Stopwatch
from benchmark.pruning.alphapruning import alpha_sparsities
from benchmark.pruning.arguments import require_sparsity, require_whole
from benchmark.pruning.blockwise import blocks_of_matrices
from benchmark.pruning.calibrate import (
    GRADIENTS,
    Batches,
    Fed,
    Loss,
    a_block_later,
    calibration,
    gradients_of,
    show_by_block,
    show_inputs,
)
from benchmark.pruning.masks import Quota, make_mask, parse_scope
from benchmark.pruning.owl import owl_sparsities
from benchmark.pruning.prunable import Listed, find_prunable
from benchmark.pruning.scores import bad_scores, fitting_state, score, sweep
from benchmark.pruning.walk import Batch
from criteria.base import Criterion, State, Step
from tasks.base import in_eval_mode

SHOWN = ("observe", "observe_inputs", *GRADIENTS)
"""The methods of a criterion that are shown calibration batches."""


class Once:
    """Prunes `model` to `sparsity` in [0, 1) at once; PrunebenchError for what does not fit.

    `by_block`: layer inputs come from pruned earlier blocks, else from the dense model.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Criterion,
        *,
        sparsity: float,
        scope: str = "global",
        seed: int = 0,
        by_block: bool = True,
    ) -> None:
        require_sparsity(sparsity)
        require_whole("seed", seed, 0)
        require_trainless(criterion)
        self.model, self.criterion, self.target, self.by_block = model, criterion, sparsity, by_block
        self.scope = parse_scope(scope)
        self.weights = Listed(find_prunable(model, self.scope.biases))
        self.scope.check(self.weights.shapes, sparsity)
        self.stopwatch = Stopwatch(self.weights.matrices[0].parameter.device)
        self.scheduled = 0.0
        """Sparsity in force: the target once `prune` is done."""
        self._generator = torch.Generator().manual_seed(seed)
        self._states: dict[int, State] = {}

    @property
    def seconds(self) -> float:
        """Time spent in pruning, calibration included."""
        return self.stopwatch.seconds

    def prune(self, loss: Loss, batches: Batches) -> None:
        """Calibrate on what `batches` gives, choose, compensate and zero; each module ends in the mode that it was in."""
        try:
            with in_eval_mode(self.model), self.stopwatch.running():
                wanted = self.scope.shares_by == "inputs" or any(map(self.criterion.overrides, SHOWN))
                shown = calibration(self.criterion, batches) if wanted else []
                quotas = self._quotas(loss, shown)
                if quotas is None:
                    self._together(loss, shown)
                else:
                    self._each(quotas, loss, shown)
        finally:
            self._states.clear()
        self.scheduled = self.target

    def measure(self) -> float:
        """The share of the prunable weights that are zero."""
        parameters = [matrix.parameter for matrix in self.weights.matrices]
        zeros = sum(int((parameter == 0).sum()) for parameter in parameters)
        return zeros / sum(parameter.numel() for parameter in parameters)

    def _quotas(self, loss: Loss, shown: Sequence[Batch]) -> list[Quota] | None:
        """How much of each matrix goes; None where they compete."""
        matrices = self.weights.matrices
        match self.scope.shares_by:
            case "shapes":
                return self.scope.quotas(self.weights.shapes, self.target)
            case "inputs":
                sparsities = owl_sparsities(self.model, matrices, loss, shown, self.target)
            case "spectra":
                sparsities = alpha_sparsities(self.model, matrices, self.target, self.scope.tau)
        return self.scope.apportioned(sparsities, self.weights.shapes, self.target)

    def _together(self, loss: Loss, shown: Sequence[Batch]) -> None:
        """One mask from the scores of all matrices."""
        places = range(len(self.weights.matrices))
        self._observed(places, loss, shown)
        for method in GRADIENTS:
            self._gradients(method, places, loss, shown)
        if self.criterion.overrides("observe_inputs"):
            show_inputs(self.criterion, [self._fed(i) for i in places], self.model, loss, shown)
        scores = [score(self.criterion, self._state(i), self._weight(i)).float() for i in places]
        for i, part in enumerate(scores):
            if said := bad_scores(self.criterion, part, self._name(i)):
                raise PrunebenchError(said)
        flat = torch.cat([part.reshape(-1) for part in scores])
        mask = make_mask(flat, self.weights.shapes, self.scope, self.target)
        for i, kept in enumerate(mask.split([part.numel() for part in scores])):
            weight, kept = self._weight(i), kept.view(scores[i].shape)
            self.criterion.compensate(self._state(i), weight, kept)
            self._write(i, weight, kept)

    def _each(self, quotas: Sequence[Quota], loss: Loss, shown: Sequence[Batch]) -> None:
        """Each matrix by itself, block by block where calibration allows it."""
        done: set[int] = set()

        def settle(places: Iterable[int]) -> None:
            for i in places:
                weight = self._weight(i)
                self._write(i, weight, sweep(self.criterion, self._state(i), weight, quotas[i], self._name(i)))
                self._states.pop(i)
                done.add(i)

        everything = range(len(quotas))
        self._observed(everything, loss, shown)
        self._gradients("observe_hessian", everything, loss, shown)
        if self.criterion.overrides("observe_inputs"):
            self._gradients("observe_example", everything, loss, shown)
            names = [self._name(i) for i in everything]
            settled = settle if self.by_block else a_block_later(settle)
            show_by_block(self.criterion, names, self._fed, self.model, loss, shown, settled)
        elif self.criterion.overrides("observe_example"):
            for block in blocks_of_matrices(self.model, self.weights.matrices):
                self._gradients("observe_example", block.places, loss, shown)
                settle(block.places)
        settle(i for i in everything if i not in done)

    def _observed(self, places: Sequence[int], loss: Loss, shown: Sequence[Batch]) -> None:
        """The gradient of each batch, as if each were a step at a rate of 0."""
        if not self.criterion.overrides("observe"):
            return
        parameters = [self.weights.matrices[i].parameter for i in places]
        for index, batch in enumerate(shown):
            step = Step(index, len(shown), 0.0, self.target, self.target, matrices=len(self.weights.matrices))
            grads = gradients_of(loss(self.model, batch), parameters)
            for i, grad in zip(places, grads, strict=True):
                self.criterion.observe(self._state(i), self._weight(i), self._seen(i, grad), step)

    def _gradients(self, method: str, places: Sequence[int], loss: Loss, shown: Sequence[Batch]) -> None:
        """What `method` of the criterion wants of these matrices, where it has it."""
        if not self.criterion.overrides(method):
            return
        parameters = [self.weights.matrices[i].parameter for i in places]
        for parts in GRADIENTS[method](self.model, loss, shown, parameters):
            for i, *tensors in zip(places, *parts, strict=True):
                getattr(self.criterion, method)(
                    self._state(i), self._weight(i), *(self._seen(i, one.detach()) for one in tensors)
                )

    def _fed(self, i: int) -> Fed:
        return self._name(i), self._state(i), self._weight(i)

    def _name(self, i: int) -> str:
        return self.weights.matrices[i].name

    def _state(self, i: int) -> State:
        """The criterion's statistics of a matrix, begun when first asked for."""
        if i not in self._states:
            weight = self._weight(i)
            self._states[i] = fitting_state(self.criterion, self.criterion.init(weight, self._generator))
            self.criterion.begin_calibration(self._states[i], weight)
        return self._states[i]

    def _weight(self, i: int) -> Tensor:
        """A copy of a matrix in fp32 [out, in]."""
        return self.weights.matrices[i].data.to(torch.float32, copy=True)

    def _seen(self, i: int, stored: Tensor) -> Tensor:
        """A copy in fp32 [out, in] of what has a matrix's stored shape."""
        return self.weights.matrices[i].view(stored.reshape(-1)).to(torch.float32, copy=True)

    def _write(self, i: int, weight: Tensor, kept: Tensor) -> None:
        """Put a matrix back, with zeros for what is pruned."""
        self.weights.matrices[i].data.copy_(weight.masked_fill_(~kept, 0))


class Unpruned:
    """Stands for `Once` in a dense cell: leaves the model as it is."""

    seconds = 0.0

    def __init__(self, model: nn.Module, scope: str = "global") -> None:
        self.weights = Listed(find_prunable(model, parse_scope(scope).biases))


def require_trainless(criterion: Criterion) -> None:
    """PrunebenchError where a criterion's scores or masks come out of training itself."""
    if criterion.latent or not criterion.exact:
        raise PrunebenchError(
            f"{type(criterion).__name__} learns what to keep in training, and in a budget of 0 steps nothing is trained: choose "
            "magnitude, wanda, sparsegpt, taylor, fisher, obert or another that ranks weights as they are"
        )
