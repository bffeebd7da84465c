"""Every model family, as a tiny random model, through a pruned training run and an evaluation; and what does not fit is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.run import Options, Result, run
from tasks.base import ModelError

ENCODERS = ["bert", "roberta", "distilbert", "electra", "deberta-v2", "albert", "mpnet", "modernbert"]
WRITERS = ["gpt2", "llama", "bart", "t5"]
UNDERSTANDING = ["glue/sst2", "conll2003", "squad"]
WRITING = "e2e[beams=1,max_target=8]"

TRAINING = Training(
    steps=3, batch_size=4, lr=1e-3, max_length=32, train_examples=12, eval_examples=4
)  # fmt: skip

ENCODER_LAYER = 4 * 16 * 16 + 2 * 16 * 32
"""Prunable weights of a layer of width 16 with a feed-forward of 32."""


def pruned(task: str, model: str, **changes: Any) -> Result:
    """A run of three steps that prunes half of the weights."""
    spec = RunSpec(task=task, model=model, criterion="sensitivity", sparsity=0.5, training=TRAINING, **changes)
    return run(spec, Options(device="cpu"))


def check(result: Result) -> None:
    """Exactly half of the prunable weights are zero, in the record and in the model, and the metrics are there."""
    record = result.record
    assert record.sparsity.met
    assert record.sparsity.zeros == round(record.sparsity.prunable / 2)
    parameters = dict(result.model.named_parameters())
    assert sum(int((parameters[layer.name] == 0).sum()) for layer in record.sparsity.layers) == record.sparsity.zeros
    assert record.counts == {"train": 12, "reported": 4}
    assert record.curve[-1].loss is not None
    assert 0 <= record.score <= 100
    assert len(result.predictions) == 4


@pytest.mark.parametrize("task", UNDERSTANDING)
@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_are_pruned_on_every_understanding_task(model: Callable[[str], str], task: str, kind: str) -> None:
    result = pruned(task, model(kind))
    check(result)
    assert (result.record.sparsity.prunable == ENCODER_LAYER) == (kind == "albert")  # its two layers share one


@pytest.mark.parametrize("kind", WRITERS)
def test_decoders_and_encoder_decoders_are_pruned_on_data_to_text(model: Callable[[str], str], kind: str) -> None:
    check(pruned(WRITING, model(kind)))


@pytest.mark.parametrize(
    ("task", "kind", "reason"),
    [
        ("squad", "gpt2", r"squad: model .*gpt2' has no fast tokenizer with a \[CLS\] token, which span tasks need"),
        ("conll2003", "bart", r"conll2003: model .*bart' is of type 'bart', for which there is no AutoModelForTokenC"),
        (
            WRITING,
            "bert",
            r"e2e.*: model .*bert' is an encoder \(bert\); data-to-text needs a decoder or an encoder-dec",
        ),
        (
            "glue/sst2",
            "nowhere",
            r"glue/sst2: cannot open model '.*nowhere', taken as a hub id \(no such folder here\)",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_any_training(
    model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, task: str, kind: str, reason: str
) -> None:
    monkeypatch.setattr("benchmark.training.run.train", lambda _: pytest.fail("trained"))
    place = model("bert").replace("bert", kind) if kind == "nowhere" else model(kind)
    with pytest.raises(PrunebenchError, match=reason) as told:
        pruned(task, place)
    assert isinstance(told.value.__cause__, ModelError), "by this `verify` tells a wrong model from absent data"
