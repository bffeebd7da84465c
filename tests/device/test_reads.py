"""What a training step asks of a device, seen on torch's `meta` device: between maskings the host reads nothing, launches are few,
and no tensor was left on the CPU.

Launches are stated for MiniLM's shape (36 prunable matrices) and BERT-base's (72).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.bench.stepper import BERT_BASE, MINILM, TINY, Shape, loss_of
from benchmark.bench.stepper import batch as batch_of
from benchmark.plugins import registry
from benchmark.pruning.calibrate import calibrator
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.masks import make_mask, parse_scope
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.pruning.selection import keep_highest
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.cpu import prepare
from benchmark.training.optimizer import FlatOptimizer
from benchmark.training.prefetch import widened
from benchmark.training.run import Options, make_pruner, open_task
from benchmark.training.train import Run, _step, silent
from tasks import mini
from tasks.pipeline.decided import moved
from tasks.pipeline.features import collate, pack
from tests.device.watch import META, Watch

MASKING = 72
"""Launches at most to rank and mask all weights at once."""

WHOLE = {
    "magnitude": 0,
    "gradient": 2,
    "taylor": 3,
    "sensitivity": 6,
    "principled": 7,
    "principled[signed=true]": 7,
    "movement": 3,
    "movement[score_optimizer=adam]": 9,
    "fisher": 0,
    "grasp": 0,
}
"""Launches at most to observe, whatever the number of matrices: these criteria see the model as one vector."""

EACH = {"random": (0, 1), "wanda": (0, 1), "sparsegpt": (0, 1), "obert": (0, 1)}
"""Launches of each matrix to observe and, beside MASKING, to mask: these criteria see matrices."""

STACKS = {"soft_movement": (17, 9), "soft_movement[rule=matched]": (17, 5), "l0": (43, 19)}
"""As EACH, of each shape that matrices have, of which a Transformer has three: these criteria see stacks."""


def here(*shape: int) -> Tensor:
    """Zeros on the CPU."""
    return torch.zeros(shape)


def away(*shape: int) -> Tensor:
    """Zeros, if it had values, on the device."""
    return torch.zeros(shape, device=META)


MIXED: dict[str, Callable[[], object]] = {
    "a sum": lambda: away(3) + here(3),
    "a sum in place": lambda: away(3).add_(here(3)),
    "a result elsewhere": lambda: torch.mul(away(3), away(3), out=here(3)),
    "a product": lambda: away(2, 3) @ here(3, 2),
    "a layer": lambda: F.linear(away(2, 3), here(4, 3)),
    "a mask": lambda: away(3).masked_fill_(here(3) > 0, 1.0),
    "a choice": lambda: torch.where(here(3) > 0, away(3), 1.0),
    "places": lambda: away(3)[here(3).long()],
    "places on the device": lambda: here(3)[away(3).long()],
    "gathering": lambda: away(3).gather(0, here(3).long()),
    "scattering": lambda: away(3).scatter_(0, here(3).long(), 1.0),
    "edges": lambda: torch.bucketize(away(3), here(2)),
    "one behind the other": lambda: torch.cat([away(3), here(3)]),
    "many at once": lambda: torch._foreach_add([away(3)], [here(3)]),
    "embeddings": lambda: F.embedding(here(3).long(), away(4, 2)),
    "labels": lambda: F.cross_entropy(away(3, 2), here(3).long()),
}


@pytest.mark.parametrize("mistake", MIXED)
def test_tensors_of_two_devices_are_noticed(mistake: str) -> None:
    with Watch(), pytest.raises((AssertionError, RuntimeError), match=r"on the device and on the CPU|same device"):
        MIXED[mistake]()


def test_numbers_and_moves_are_no_mistake() -> None:
    with Watch() as seen:
        assert (away(3) + here()).mul_(2.0).copy_(here(3)).to("meta").device == META
        assert here(3).to(META).device == META
    assert not seen.reads


class Unseeded:
    """In place of a generator, which `meta` has not."""

    def manual_seed(self, seed: int) -> None:
        """Nothing to seed."""


def bert(shape: Shape) -> nn.Module:
    """A classifier of that shape without values."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"num_hidden_layers": shape.layers, "hidden_size": shape.hidden, "num_attention_heads": shape.heads}
    with META:
        model: Any = BertForSequenceClassification(BertConfig(**sizes, intermediate_size=4 * shape.hidden))
    return prepare(model, META).train()


@pytest.fixture(autouse=True)
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pruner refuses a model on the meta device; what it launches and reads can be counted there all the same."""
    monkeypatch.setattr("benchmark.pruning.pruner.require_model", lambda *_: None)


@pytest.mark.parametrize(
    ("criterion", "shape"),
    [*((name, shape) for name in WHOLE | STACKS for shape in (MINILM, BERT_BASE)), *((name, MINILM) for name in EACH)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_between_maskings_nothing_is_read_and_little_launched(
    criterion: str, shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("criteria.l0._generator", lambda _: Unseeded())
    model, total = bert(shape), 12 if criterion in WHOLE else 6  # a window of ten steps ends in between
    weights = PrunableWeights(find_prunable(model))
    schedule = Cubic(initial=1, final=2, window=2)
    pruner = Pruner(
        model, registry.configure("criteria", criterion), schedule, sparsity=0.5, total=total, weights=weights
    )
    pruner.calibrate = _shows_nothing
    most = [0, 0]
    for index in range(total):
        with Watch() as observed:
            pruner.observe(0.1, finite=True)
        with Watch() as pruned:
            pruner.prune()
        assert not observed.reads + pruned.reads, f"step {index}: {dict(observed.reads + pruned.reads)}"
        most = [max(most[0], observed.launches), max(most[1], pruned.launches)]
    print(f"{criterion}, {shape.name}: {most[0]} launches to observe, {most[1]} to mask")
    parts = len(set(weights.shapes)) if criterion in STACKS else len(weights.matrices)
    observing, masking = (EACH | STACKS).get(criterion, (0, 0))
    assert most[0] <= WHOLE.get(criterion, 1) + observing * parts
    assert most[1] <= MASKING + masking * parts


@pytest.mark.parametrize("scope", ["global", "row", "2:4"])
@pytest.mark.parametrize("by_block", [False, True])
@pytest.mark.parametrize("criterion", ["fisher", "grasp", "wanda", "sparsegpt", "obert[block=4]"])
def test_calibration_leaves_nothing_on_the_cpu(criterion: str, by_block: bool, scope: str) -> None:
    """It reads, and takes its time; how often is said by `pytest -rP`."""
    shape = replace(TINY, layers=1)
    model, batch = bert(shape), {name: tensor.to(META) for name, tensor in batch_of(shape, torch.device("cpu")).items()}
    batch["index"] = torch.arange(shape.batch, device=META)
    schedule = Cubic(initial=1, final=1, window=1)
    pruner = Pruner(model, registry.configure("criteria", criterion), schedule, sparsity=0.5, total=3, scope=scope)
    pruner.calibrate = calibrator(model, lambda net, one: loss_of(net, dict(one)), lambda n: [batch] * n, by_block)
    with Watch() as seen:
        for _ in range(3):
            pruner.observe(0.1, finite=True)
            pruner.prune()
    print(f"{criterion}, {scope}: {seen.launches} launches, {seen.reads.total()} reads")
    assert pruner.last_masking == (3, 0.5)


MODEL = {"MiniLM shape": (230, 360), "BERT-base shape": (430, 690)}
"""Launches at most of a forward and a backward pass, casts to bf16 not counted, for there is no autocast on `meta`."""


@pytest.mark.parametrize("shape", [MINILM, BERT_BASE], ids=lambda shape: shape.name)
def test_a_model_launches_so_much_without_graphs(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--compile` makes two graphs of, but for one addition to the gradient of each parameter."""
    monkeypatch.setattr("torch.optim.AdamW", partial(_unfused, torch.optim.AdamW))
    model = bert(shape)
    FlatOptimizer(model, PrunableWeights(find_prunable(model)), Training())
    on_device = {name: tensor.to(META) for name, tensor in batch_of(shape, torch.device("cpu")).items()}
    with Watch() as forward:
        loss = loss_of(model, on_device)
    with Watch() as backward:
        loss.backward()
    parameters = sum(1 for _ in model.parameters())
    print(f"{shape.name}: {forward.launches} launches forward, {backward.launches} backward, {parameters} parameters")
    assert not forward.reads + backward.reads
    assert forward.launches <= MODEL[shape.name][0]
    assert parameters < backward.launches <= MODEL[shape.name][1]


SCOPES = {"global": 65, "layer": 30, "erk": 30, "row": 505, "2:4": 70, "block[4,4]": 282}
"""Launches at most to mask the 72 matrices of BERT-base's shape."""


@pytest.mark.parametrize("scope", SCOPES)
def test_a_masking_reads_nothing(scope: str) -> None:
    weights = PrunableWeights(find_prunable(bert(BERT_BASE)))
    with Watch() as seen:
        mask = make_mask(weights.vector.data, weights.shapes, parse_scope(scope), 0.5)
    print(f"{scope}: {seen.launches} launches")
    assert (mask.device, mask.dtype, mask.shape) == (META, torch.bool, weights.vector.shape)
    assert not seen.reads
    assert seen.launches <= SCOPES[scope]


def test_a_selection_goes_over_few_bytes() -> None:
    """Of 85 million scores 64 bytes each, which at the 3.35 TB/s of an H100 are 1.6 ms; a vector beside the scores at a time."""
    scores = torch.empty(85_000_000, device=META)
    with Watch() as seen:
        keep_highest(scores, 68_000_000)
    print(f"{seen.bytes / scores.numel():.1f} bytes a score")
    assert seen.bytes <= 64.1 * scores.numel()


TASKS = {
    "glue": ("glue/sst2", "mini"),
    "glue, decoder": ("glue/sst2", str(Path(mini.__file__).parent / "decoder")),
    "conll2003": ("conll2003", "mini"),
    "squad": ("squad", "mini"),
    "e2e": ("e2e[beams=1,max_target=24]", "mini"),
}
REGULARIZERS = ("self_regularization", "distillation", "rdrop", "label_smoothing", "l2_sp")


@pytest.mark.parametrize(
    ("name", "regularizer"), [*((name, "none") for name in TASKS), *(("conll2003", name) for name in REGULARIZERS)]
)
def test_a_training_step_reads_nothing(name: str, regularizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, model = TASKS[name]
    monkeypatch.setattr("torch.optim.AdamW", partial(_unfused, torch.optim.AdamW))
    training = Training(steps=4, batch_size=4, max_length=48, train_examples=40, eval_examples=4)
    spec = RunSpec(task=task, model=model, criterion="principled", sparsity=0.5, training=training)
    prepared = open_task(spec, Options())
    net = prepare(prepared.build(0), META).train()
    pruner = make_pruner(net, spec, 4)
    chosen = registry.configure("regularizers", regularizer)
    chosen.begin(prepared.forward, prepare(prepared.build(0), META))
    optimizer = FlatOptimizer(net, pruner.weights, training)
    run = Run(
        spec=spec,
        prepared=prepared,
        model=net,
        pruner=pruner,
        optimizer=optimizer,
        regularizer=chosen,
        device=META,
        total=4,
        score=lambda: None,
        progress=silent,
    )
    for index, batch in enumerate(prepared.batches("train", 4, 0)):
        on_device = moved(batch, lambda tensor: tensor.to(META))
        with Watch() as seen:
            run.running += _step(run, on_device, 0.1)
        assert not seen.reads, f"step {index}: {dict(seen.reads)}"
        if index == 1:
            chosen.evaluated(net, 0.0, 0.0)
        if index == 3:
            break
    print(f"{task} {regularizer}: {seen.launches} launches in the last step")


def test_a_batch_is_a_copy_a_column() -> None:
    """Of BERT-base's shape, as a GPU gets it."""
    rows, length = BERT_BASE.batch, BERT_BASE.length
    batch = dict.fromkeys(
        ("input_ids", "attention_mask", "token_type_ids"), torch.ones(rows, length, dtype=torch.int64)
    )
    batch |= dict.fromkeys(("label", "index"), torch.arange(rows))
    with Watch() as seen:
        arrived = moved(widened(batch, {}), lambda tensor: tensor.to(META))
    print(f"{seen.launches} copies, {sum(tensor.nbytes for tensor in arrived.values()):,} bytes")
    assert seen.launches == len(batch) == 5


def gathered(
    columns: dict[str, Tensor], starts: Tensor, lengths: Tensor, rows: Tensor, width: int
) -> dict[str, Tensor]:
    """What `collate` makes, padded with zeros, of flat tokens [all] and numbers [rows] that lie on the device."""
    numbers = torch.arange(width, device=rows.device)
    mask = numbers < lengths[rows][:, None]
    places = (starts[rows][:, None] + numbers).mul_(mask)
    batch = {"index": rows, "attention_mask": mask.long(), "label": columns["label"][rows]}
    for name in ("input_ids", "token_type_ids"):
        batch[name] = columns[name][places].mul_(mask).long()
    return batch


def test_tokens_kept_on_a_device_would_be_many_launches() -> None:
    """Even where the order of the rows is there already; the same batch to the bit."""
    drawn = np.random.default_rng(0)
    lengths = drawn.integers(1, 9, 40)
    examples = [
        [{"input_ids": drawn.integers(1, 99, n).tolist(), "token_type_ids": [n % 2] * n, "label": int(n)}]
        for n in lengths
    ]
    features, rows = pack(examples), np.array([7, 3, 39, 0])
    expected = collate(features, rows, {"input_ids": 0, "token_type_ids": 0})
    flat = {name: torch.from_numpy(values) for name, (values, _) in features.ragged.items()}
    flat["label"] = torch.from_numpy(features.scalar["label"])
    offsets = torch.from_numpy(features.ragged["input_ids"][1])
    places, width = (offsets[:-1], offsets.diff(), torch.from_numpy(rows)), int(lengths[rows].max())
    found = gathered(flat, *places, width)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensor.dtype == found[name].dtype
        assert torch.equal(tensor, found[name])
    first, second, third = (one.to(META) for one in places)
    flat = {name: tensor.to(META) for name, tensor in flat.items()}
    with Watch() as seen:
        gathered(flat, first, second, third, width)
    print(f"{seen.launches} launches")
    assert 5 < seen.launches <= 14


def _shows_nothing(pruner: Pruner, settle: object = None) -> bool:
    return False


def _unfused(adamw: Any, groups: Any, lr: float, fused: bool) -> torch.optim.Optimizer:
    """AdamW as it is where there is no fused one."""
    optimizer: torch.optim.Optimizer = adamw(groups, lr=lr, foreach=True)
    return optimizer
