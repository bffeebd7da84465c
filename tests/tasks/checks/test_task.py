"""Every built-in task keeps the contract, and each kind of broken one is caught by the check that is meant to."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.plugins import registry
from tasks.base import Batch, Evaluation, Outcomes, Setting
from tasks.checks.task import CHECKS, check_task
from tasks.e2e import E2e
from tasks.families.data_to_text import PreparedText
from tasks.glue import Glue, PreparedGlue
from tasks.pipeline.prepared import _part
from tests.tasks.tiny import WORDS, checkpoint, write_csv, write_squad, write_sst2, write_tsv

Method = Callable[..., Any]


@pytest.mark.parametrize("text", ["glue/sst2", "squad", "conll2003", "e2e[beams=1]", "lm/wikitext2"])
def test_tasks_with_embedded_data_keep_the_contract(text: str) -> None:
    seen = dict(check_task(registry.configure("tasks", text)))
    assert list(seen) == list(CHECKS)
    assert all(seen.values())


def write_stsb(folder: Path) -> None:
    header = [
        *("index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2", "score")
    ]
    rows = [[*map(str, range(7)), f"the cat sat {at}", "a dog ran", at % 6] for at in range(20)]
    for name in ("train", "dev"):
        write_tsv(folder / f"glue/STS-B/{name}.tsv", [header, *rows])


def write_columns(folder: Path) -> None:
    (folder / "own").mkdir()
    for name in ("train", "test"):
        sentences = [
            f"the O\nking B-PER\n{'queen I-PER' if at % 2 else 'sat O'}\n{'old O' * (at % 3 > 0)}\n" for at in range(20)
        ]
        (folder / f"own/{name}.txt").write_text("\n".join(sentences))


def write_dart(folder: Path) -> None:
    (folder / "dart").mkdir()
    for name in ("train", "test"):
        records = [
            {"tripleset": [[f"cat {at}", "IN", "house"]], "annotations": [{"text": "the cat"}, {"text": "a cat ."}]}
            for at in range(20)
        ]
        (folder / f"dart/dart-v1.1.1-full-{name}.json").write_text(json.dumps(records))


def write_webnlg(folder: Path) -> None:
    entry = (
        '<entry category="{0}"><modifiedtripleset><mtriple>cat{1} | in | city</mtriple></modifiedtripleset>'
        "<lex>the cat is in the city .</lex></entry>"
    )
    for name, categories in (("train/1triples/a.xml", ["Food"]), ("test/testdata_with_lex.xml", ["Food", "City"])):
        path = folder / "webnlg/webnlg_challenge_2017" / name
        path.parent.mkdir(parents=True)
        entries = "".join(entry.format(categories[at % len(categories)], at) for at in range(20))
        path.write_text(f"<benchmark><entries>{entries}</entries></benchmark>")


def write_e2e(folder: Path) -> None:
    for name in ("trainset", "testset_w_refs"):
        rows = [(f"name[the cat {at}], area[city]", f"the cat {'ran ' * (at % 4)}in the city .") for at in range(20)]
        write_csv(folder / f"e2e/{name}.csv", [("mr", "ref"), *rows])


def write_prose(folder: Path) -> None:
    lines = [" ".join(WORDS[(at * 7 + step) % 30] for step in range(12)) for at in range(400)]
    (folder / "prose.txt").write_text("\n".join(lines))
    (folder / "more.txt").write_text("\n".join(reversed(lines)))


def write_ptb(folder: Path) -> None:
    write_prose(folder)
    (folder / "ptb").mkdir()
    for name, file in (("train", "more"), ("test", "prose")):
        (folder / f"{file}.txt").rename(folder / f"ptb/ptb.{name}.txt")


@pytest.mark.parametrize(
    ("text", "kind", "write"),
    [
        ("glue/stsb", "roberta", write_stsb),
        ("squad_v2", "bert", lambda folder: write_squad(folder, "2.0")),
        ("conll[path=own,strict=true]", "deberta-v2", write_columns),
        ("e2e[beams=1,max_target=8]", "t5", write_e2e),
        ("webnlg/2017[beams=2,max_target=8]", "bart", write_webnlg),
        ("dart[beams=1,max_target=8]", "llama", write_dart),
        ("lm[path=prose.txt,train=more.txt]", "llama", write_prose),
        ("lm/ptb", "gpt2", write_ptb),
    ],
)
def test_the_other_tasks_keep_the_contract_on_files_of_their_own(
    tmp_path: Path, text: str, kind: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path)
    model = str(checkpoint(tmp_path / "model", kind))
    seen = dict(check_task(registry.configure("tasks", text), data=str(tmp_path), model=model))
    assert list(seen) == list(CHECKS)


def test_a_task_without_embedded_data_is_told_to_name_some() -> None:
    with pytest.raises(
        AssertionError, match=r"mini has no glue/RTE/train.tsv.* data=FOLDER, and model=FOLDER or a hub id"
    ):
        check_task(Glue("rte"))


def test_batches_without_a_mask_are_skipped(data: Path) -> None:
    def batches(self: Any, split: str, size: int, seed: int | None) -> Iterator[Batch]:
        for batch in PreparedGlue.batches(self, split, size, seed):
            yield {name: tensor for name, tensor in batch.items() if name != "attention_mask"}

    seen = dict(check_task(broken(batches=batches), data=str(data)))
    assert seen["padding"] == "skipped, because batches have no attention_mask"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sst2(tmp_path_factory.mktemp("data"), train=40, dev=12)


def broken(**methods: Any) -> Glue:
    """SST-2 with some methods of what it prepares replaced."""
    prepared = type("Broken", (PreparedGlue,), methods)

    @dataclass(frozen=True)
    class Broken(Glue):
        def prepare(self, setting: Setting) -> PreparedGlue:
            opened: PreparedGlue = prepared(self, setting, self.layout())
            return opened

    return Broken("sst2")


def stuck(value: object) -> property:
    """An attribute that cannot be set to anything else."""
    return property(lambda _: value, lambda *_: None)


def losing(self: Any, split: str, size: int, seed: int | None) -> Iterator[Batch]:
    """The last batch is dropped."""
    yield from list(PreparedGlue.batches(self, split, size, seed))[:-1]


def unseeded(self: Any, split: str, size: int, seed: int | None) -> Iterator[Batch]:
    """One order for every seed."""
    return PreparedGlue.batches(self, split, size, seed and 0)


def nameless(self: Any, split: str, size: int, seed: int | None) -> Iterator[Batch]:
    """Rows without their positions."""
    for batch in PreparedGlue.batches(self, split, size, seed):
        yield {name: tensor for name, tensor in batch.items() if name != "index"}


def changing(self: Any, split: str, size: int, seed: int | None) -> Iterator[Batch]:
    """Something random in every pass."""
    for batch in PreparedGlue.batches(self, split, size, seed):
        yield batch | {"noise": torch.rand(len(batch["index"]))}


def wide(self: Any, split: str, size: int, seed: int | None) -> Iterator[Batch]:
    """Padded to max_length."""
    for batch in PreparedGlue.batches(self, split, size, seed):
        fill = (0, 64 - batch["input_ids"].shape[1])
        names = ("input_ids", "attention_mask", "token_type_ids")
        yield batch | {name: nn.functional.pad(batch[name], fill) for name in names}


def unmasked(self: Any, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The model looks at the padding."""
    ones = torch.ones_like(batch["attention_mask"])
    return PreparedGlue.forward(self, model, {**batch, "attention_mask": ones})


def averaged(self: Any, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """One loss for the batch."""
    losses, logits = PreparedGlue.forward(self, model, batch)
    return losses.sum(), logits


def detached(self: Any, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits that regularizers cannot use."""
    losses, logits = PreparedGlue.forward(self, model, batch)
    return losses, logits.detach()


def infinite(self: Any, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """A class masked by infinity."""
    losses, logits = PreparedGlue.forward(self, model, batch)
    return losses, torch.cat([logits, logits[:, :1] - torch.inf], dim=1)


def frozen(self: Any, model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Gradients for the head alone."""
    with torch.no_grad():
        pooled = model.bert(**self.model_inputs(batch)).pooler_output
    logits = model.classifier(pooled)
    return nn.functional.cross_entropy(logits, batch["label"], reduction="none"), logits


def overwriting(self: Any, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The batch is changed."""
    found = PreparedGlue.forward(self, model, batch)
    batch["label"].fill_(0)
    return found


def in_training(self: Any, model: nn.Module, split: str) -> Evaluation:
    """The mode is not put back."""
    found = PreparedGlue.evaluate(self, model, split)
    model.train()
    return found


def drawing(self: Any, model: nn.Module, split: str) -> Evaluation:
    """The global generator is used."""
    torch.rand(1)
    return PreparedGlue.evaluate(self, model, split)


def rounding(self: Any, model: nn.Module, split: str) -> Evaluation:
    """Metrics that are not those of the outcomes."""
    found = PreparedGlue.evaluate(self, model, split)
    return Evaluation({"accuracy": found.metrics["accuracy"] / 3}, found.outcomes, found.predictions)


def texts(self: Any, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
    """Text among the outcomes."""
    found, predictions = PreparedGlue.outcomes(self, model, split)
    return found | {"text": np.array(predictions)}, predictions


def summed(self: Any, model: nn.Module, split: str) -> tuple[Outcomes, list[str]]:
    """One number for all examples."""
    found, predictions = PreparedGlue.outcomes(self, model, split)
    return found | {"count": np.array([len(predictions)])}, predictions


def overlapping(self: Any) -> Any:
    """What is held out is trained on as well."""
    splits = PreparedGlue._open(self)
    return splits | {"heldout": _part(splits["train"], np.arange(8))} if "heldout" in splits else splits


def random_head(self: Any, seed: int) -> nn.Module:
    """A head from the global generator."""
    model: Any = PreparedGlue.build(self, seed)
    nn.init.normal_(model.classifier.weight)
    built: nn.Module = model
    return built


def shared_model(self: Any, seed: int) -> nn.Module:
    """One model for all."""
    self.model = getattr(self, "model", None) or PreparedGlue.build(self, seed)
    built: nn.Module = self.model
    return built


def half(self: Any, seed: int) -> nn.Module:
    """A model in half precision."""
    return PreparedGlue.build(self, seed).bfloat16()


def weights_only(self: Any, model: Any, folder: Path) -> None:
    """No tokenizer is saved."""
    model.save_pretrained(folder)


def limitless(self: Any, split: str, limit: int | None) -> Any:
    """The limits are not kept."""
    return PreparedGlue._encoded(self, split, None)


@pytest.mark.parametrize(
    ("methods", "advice"),
    [
        ({"metric": stuck("f1")}, "is headed by 'accuracy', opened by 'f1'"),
        ({"_encoded": limitless}, "takes 40 examples where train_examples is 32"),
        ({"data_fingerprint": stuck("")}, "give a hash of what was read"),
        ({"build": random_head}, "fork_rng"),
        ({"build": shared_model}, "two models share"),
        ({"build": half}, "build in fp32 on the CPU"),
        ({"batches": losing}, "show each once"),
        ({"batches": nameless}, "lack `index`"),
        ({"batches": unseeded}, "the same order for seeds 0 and 1"),
        ({"batches": changing}, "take all randomness from the seed"),
        ({"batches": wide}, "pad to the longest row"),
        ({"forward": unmasked}, "mask the padding"),
        ({"_open": overlapping}, "carve whole examples out of the training examples"),
        ({"forward": averaged}, r"losses \[\] and logits \[8, 2\]: expected \[decisions\]"),
        ({"forward": detached}, "logits of Broken.forward have no gradient"),
        ({"forward": infinite}, "not by infinity"),
        ({"forward": frozen}, r"reaches 2 of \d+ parameters"),
        ({"forward": overwriting}, "changes its batch"),
        ({"evaluate": in_training}, "back into the mode it came in"),
        ({"evaluate": drawing}, "draws from the global generator"),
        ({"evaluate": rounding}, "take the metrics from there"),
        ({"outcomes": texts}, "no text"),
        ({"outcomes": summed}, "one entry each"),
        ({"floor": stuck({"mse": 1.0})}, "floor of Broken has mse"),
        ({"save": weights_only}, "call save_pretrained of model and tokenizer"),
    ],
)
def test_what_is_broken_is_caught_with_advice(data: Path, methods: dict[str, Any], advice: str) -> None:
    with pytest.raises(AssertionError, match=advice):
        check_task(broken(**methods), data=str(data))


@dataclass(frozen=True)
class Fractional(Glue):
    """A headline that is missing."""

    headline: ClassVar[str] = "accuracy"

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        return {"share": float(np.mean(outcomes["prediction"] == outcomes["label"]))}


@dataclass(frozen=True)
class Ordered(Glue):
    """The first examples count more."""

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        right = outcomes["prediction"] == outcomes["label"]
        return {"accuracy": float(right @ np.arange(len(right), 0, -1))}


@dataclass(frozen=True)
class Undefined(Glue):
    """No score without both classes."""

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        return {"accuracy": 100.0 if len(set(outcomes["label"])) > 1 else float("nan")}


@dataclass(frozen=True)
class Enormous(Glue):
    """A count in place of a percentage."""

    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        return {"accuracy": 1000.0}


class Bare(Glue):
    """No dataclass of its own."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wordy(Glue):
    """An option that cannot be written in a name."""

    words: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (Bare, "decorate Bare with @dataclass"),
        (Wordy, r"Wordy.words is of type tuple\[str, ...\]"),
        (Fractional, "the headline 'accuracy' of Fractional is not among what aggregate gives"),
        (Enormous, "accuracy of Enormous is 1000: percent"),
        (Undefined, "one example many times"),
        (Ordered, "in reverse order"),
    ],
)
def test_broken_options_and_metrics_are_caught_with_advice(data: Path, kind: type[Glue], advice: str) -> None:
    with pytest.raises(AssertionError, match=advice):
        check_task(kind("sst2"), data=str(data))


class PreparedRestless(PreparedText):
    """Texts are a word longer every time."""

    def build(self, seed: int) -> nn.Module:
        model: Any = super().build(seed)
        generate, asked = model.generate, count(1)
        model.generate = lambda **given: generate(**given)[:, : given["input_ids"].shape[1] + next(asked)]
        built: nn.Module = model
        return built


@dataclass(frozen=True)
class Restless(E2e):
    """Opens what is restless."""

    def prepare(self, setting: Setting) -> PreparedText:
        return PreparedRestless(self, setting, self.layout(setting.data))


def test_texts_that_change_when_asked_again_are_caught() -> None:
    with pytest.raises(AssertionError, match=r"Restless.evaluate gives .* the second time, .* the first"):
        check_task(Restless(beams=1, max_target=8))
