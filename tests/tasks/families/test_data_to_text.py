"""Data-to-text: tokens, losses on the target alone, left-padded beam search, scores, for decoders and encoder-decoders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import sacrebleu
import torch
from torch import nn

from tasks.base import Batch, ModelError, Setting, TaskError
from tasks.e2e import E2e
from tasks.families.data_to_text import PreparedText, grouped
from tasks.formats.triples import Pair
from tasks.metrics.text import text_metrics, text_outcomes
from tasks.pipeline.decided import moved
from tasks.webnlg import Webnlg
from tests.tasks.metrics.test_hub import metric
from tests.tasks.tiny import write_csv

ROWS = [
    ("name[the king], area[city]", "the king is in the city ."),
    ("name[the king], area[city]", "in the city is the king"),
    ("name[the queen]", "the queen sat"),
    ("name[the old cat], area[house], near[river bank]", "the old cat ran to the house and the river bank ."),
    ("name[dog], near[tower]", "a dog ran to the tower ."),
    ("name[dog], near[tower]", "the dog was in the tower"),
    ("name[dog], near[tower]", "a dog sat on the green tower ."),
]
DECODERS, ENCODER_DECODERS = ["gpt2", "llama"], ["bart", "t5"]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, times in (("trainset", 3), ("testset_w_refs", 1)):
        rows = [(f"{meaning}, kind[{'old' * (at % 2)} {at}]", text) for at in range(times) for meaning, text in ROWS]
        write_csv(folder / "e2e" / f"{name}.csv", [("mr", "ref"), *rows])
    return folder


def prepare(data: Path, model: str, task: E2e | None = None, **options: Any) -> PreparedText:
    return (task or E2e(beams=2, max_target=20)).prepare(Setting(str(data), model, **{"max_length": 64, **options}))


def first_batch(prepared: PreparedText, size: int, device: torch.device) -> Batch:
    """On the device."""
    return moved(next(prepared.batches("train", size, seed=0)), lambda tensor: tensor.to(device))


def test_texts_are_gathered_by_source_and_category() -> None:
    malformed = TaskError("no text")
    given = [("a", "x", ""), ("b", "y", ""), ("a", "", ""), ("a", "z", ""), ("c", "", ""), ("a", "w", "City")]
    pairs = [Pair(source, (text,), category) for source, text, category in given]
    wanted = [malformed, Pair("a", ("x", "z")), Pair("b", ("y",)), Pair("a", ("w",), "City")]
    assert grouped([*pairs[:3], malformed, *pairs[3:]]) == wanted


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_reads_source_separator_target_end(data: Path, model: Callable[[str], str], kind: str) -> None:
    prepared = prepare(data, model(kind))
    assert prepared.counts == {"train": 12, "reported": 4}
    assert prepared.rows == {"train": 21, "reported": 7}
    features, tokenizer = prepared.features("reported"), prepared.tokenizer
    source = tokenizer("name : the king | area : city | kind : 0", add_special_tokens=False)["input_ids"]
    target = tokenizer("in the city is the king", add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id  # which is the separator of a tokenizer that has no other
    assert features.row("input_ids", 1).tolist() == [*source, end, *target, end]
    assert features.scalar["start"][1] == len(source) + 1
    assert features.example.tolist() == [0, 0, 1, 2, 3, 3, 3]


@pytest.mark.parametrize("kind", DECODERS)
def test_the_loss_is_on_the_target_alone(
    data: Path, model: Callable[[str], str], kind: str, device: torch.device
) -> None:
    prepared = prepare(data, model(kind))
    network, batch = prepared.build(seed=0).eval().to(device), first_batch(prepared, 5, device)
    losses, logits = prepared.forward(network, batch)
    expected = []
    for ids, mask, start in zip(batch["input_ids"], batch["attention_mask"], batch["start"], strict=True):
        alone = ids[: int(mask.sum())]
        scores = network(input_ids=alone[None]).logits[0].log_softmax(-1)
        expected += [-scores[at - 1, alone[at]] for at in range(int(start), len(alone))]
    assert logits.shape == (len(expected), len(prepared.tokenizer))
    torch.testing.assert_close(losses, torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_an_encoder_decoders_loss_is_its_own(
    data: Path, model: Callable[[str], str], kind: str, device: torch.device
) -> None:
    prepared = prepare(data, model(kind))
    network, batch = prepared.build(seed=0).eval().to(device), first_batch(prepared, 5, device)
    losses, logits = prepared.forward(network, batch)
    names = ("input_ids", "attention_mask", "labels")
    own = network(**{name: batch[name] for name in names})
    assert len(losses) == len(logits) == int((batch["labels"] != -100).sum())
    torch.testing.assert_close(losses.mean(), own.loss)


def test_old_heads_give_the_same_logits(
    data: Path, model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    prepared = prepare(data, model("gpt2"))
    network, batch = prepared.build(seed=0).eval().to(device), first_batch(prepared, 5, device)
    assert prepared._picks
    picked = prepared.forward(network, batch)[1]
    prepared._picks = False
    torch.testing.assert_close(prepared.forward(network, batch)[1], picked)


@pytest.mark.parametrize("kind", DECODERS + ENCODER_DECODERS)
def test_a_batch_trains_and_the_whole_test_set_is_scored(
    data: Path, model: Callable[[str], str], kind: str, device: torch.device
) -> None:
    prepared = prepare(data, model(kind))
    network = prepared.build(seed=0).to(device)
    for batch in prepared.batches("train", size=8, seed=0):
        losses, logits = prepared.forward(network, moved(batch, lambda tensor: tensor.to(device)))
        assert losses.isfinite().all()
        assert logits.dtype == torch.float32
        losses.mean().backward()
    assert all(weight.grad is not None for name, weight in network.named_parameters() if "weight" in name)
    own = network.generation_config
    found = prepared.evaluate(network, "reported")
    assert network.training
    assert network.generation_config is own
    assert found.metrics == prepared.task.aggregate(found.outcomes)
    assert set(found.metrics) == {"bleu", "rouge_l", "chrf", "nist"}
    assert all(len(values) == 4 for values in found.outcomes.values())
    references = [[text for at, text in enumerate(group.texts)] for group in prepared.examples("reported")]
    most = max(map(len, references))
    streams: Any = [[group[at] if at < len(group) else None for group in references] for at in range(most)]
    expected = sacrebleu.corpus_bleu(found.predictions, streams, lowercase=True, force=True).score
    assert found.metrics["bleu"] == expected
    assert found.predictions == prepared.evaluate(network, "reported").predictions


def memorise(prepared: PreparedText, steps: int, device: torch.device) -> nn.Module:
    """A model trained until it repeats its training texts."""
    network, batch = prepared.build(seed=0).to(device), first_batch(prepared, 32, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(steps):
        prepared.forward(network, batch)[0].mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return network


@pytest.mark.parametrize("kind", ["gpt2", "bart"])
def test_batched_beams_write_what_each_prompt_would_get_alone(
    data: Path, model: Callable[[str], str], kind: str, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    prepared = prepare(data, model(kind))
    network = memorise(prepared, 40, device).eval()
    together = prepared.write(network, "reported")
    monkeypatch.setattr("tasks.pipeline.generation.BATCH_ROWS", 1)
    assert prepared.write(network, "reported") == together
    by_library = []
    for example in prepared.examples("reported"):
        prompt = prepared.tokenizer(example.source, return_tensors="pt", add_special_tokens=kind == "bart")["input_ids"]
        if kind == "gpt2":
            prompt = torch.cat([prompt, torch.tensor([[prepared.separator]])], dim=1)
        prompt = prompt.to(device)
        ids = network.generate(  # type: ignore[operator]
            prompt, attention_mask=torch.ones_like(prompt), num_beams=2, max_new_tokens=20, early_stopping=True,
            do_sample=False, pad_token_id=prepared.tokenizer.pad_token_id, eos_token_id=prepared.tokenizer.eos_token_id,
        )[0]  # fmt: skip
        answer = prepared.tokenizer.decode(ids[prompt.shape[1] if kind == "gpt2" else 1 :], skip_special_tokens=True)
        by_library.append(" ".join(answer.split()))
    assert together == by_library
    assert len(set(together)) > 1


def test_texts_that_were_learnt_score_high(data: Path, model: Callable[[str], str], device: torch.device) -> None:
    prepared = prepare(data, model("gpt2"))
    before = prepared.evaluate(prepared.build(seed=0).to(device), "reported").metrics["bleu"]
    after = prepared.evaluate(memorise(prepared, 80, device), "reported").metrics["bleu"]
    assert before < 10 < 40 < after


def test_what_is_too_long_is_cut_and_noted(data: Path, model: Callable[[str], str]) -> None:
    prepared = prepare(data, model("gpt2"), E2e(beams=1, max_target=5), max_length=10)
    features = prepared.features("reported")
    assert features.lengths().max() == 15
    assert features.scalar["start"].max() == 10
    long = features.row("input_ids", 0).tolist()
    assert long[9] == prepared.separator
    assert long[-1] != prepared.tokenizer.eos_token_id  # a target that goes on has no end
    assert "reported: 7 of 7 rows are cut at 10 source or 5 target tokens" in prepared.notes
    both = prepare(data, model("bart"), E2e(beams=1, max_target=5), max_length=10)
    row = both.features("reported").row("input_ids", 0)
    assert len(row) == 10
    assert row[-1] == both.tokenizer.eos_token_id
    assert prepare(data, model("gpt2")).notes[:1] == [
        "e2e/trainset.csv holds 12 examples, the published benchmark 4862"
    ]


def test_a_meaning_is_held_out_with_all_its_texts(data: Path, model: Callable[[str], str]) -> None:
    prepared = prepare(data, model("gpt2"), heldout=0.25, seed=3)
    held = {example.source for example in prepared.examples("heldout")}
    assert len(held) == 3
    assert held.isdisjoint(example.source for example in prepared.examples("train"))
    assert prepared.rows["train"] + prepared.rows["heldout"] == 21
    assert prepared.evaluate(prepared.build(0), "heldout").outcomes["rouge_l"].shape == (3,)


def test_models_that_do_not_fit_are_refused(
    data: Path, model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"is an encoder \(bert\); data-to-text needs a decoder"):
        prepare(data, model("bert"))
    with pytest.raises(ModelError, match=r"max_target is 125, but model .* takes at most 128 tokens in all"):
        prepare(data, model("gpt2"), E2e(max_target=125))
    with pytest.raises(TaskError, match="beams is 0; expected at least 1"):
        E2e(beams=0)
    monkeypatch.setattr(type(prepare(data, model("t5")).tokenizer), "eos_token_id", None, raising=False)
    with pytest.raises(ModelError, match="has no end-of-text token"):
        prepare(data, model("t5"))


def test_signatures_say_how_bleu_was_computed(data: Path, model: Callable[[str], str]) -> None:
    assert prepare(data, model("gpt2")).signatures["bleu"].startswith("nrefs:var|case:lc|")


def test_parquet_of_the_hubs_schema_reads_like_the_files(
    tmp_path: Path, data: Path, model: Callable[[str], str]
) -> None:
    folder = tmp_path / "hub/tuetschek/e2e_nlg"
    folder.mkdir(parents=True)
    own = prepare(data, model("gpt2"))
    for split, name in (("train", "trainset"), ("test", "testset_w_refs")):
        rows = datasets.Dataset.from_csv(str(data / "e2e" / f"{name}.csv"))
        named = rows.rename_columns({"mr": "meaning_representation", "ref": "human_reference"})
        named.to_parquet(folder / f"{split}.parquet")
    prepared = prepare(tmp_path, model("gpt2"))
    for split in ("train", "reported"):
        assert list(prepared.examples(split)) == list(own.examples(split))


def test_webnlg_scores_seen_and_unseen_categories_apart() -> None:
    task = Webnlg("2020")
    predictions, texts = ["the cat sat", "a dog", "the king ran"], [["the cat sat down"], ["a dog ran"], ["who ran"]]
    outcomes = text_outcomes(predictions, texts, lowercase=False) | {"unseen": np.array([False, True, False])}
    metrics = task.aggregate(outcomes)
    seen = text_outcomes([predictions[0], predictions[2]], [texts[0], texts[2]], lowercase=False)
    assert metrics["bleu_seen"] == text_metrics(seen)["bleu"]
    assert metrics["rouge_l_unseen"] == pytest.approx(100 * outcomes["rouge_l"][1])
    assert "bleu_seen" not in task.aggregate(outcomes | {"unseen": np.zeros(3, bool)})


def test_webnlg_from_files_to_scores(tmp_path: Path, model: Callable[[str], str]) -> None:
    entry = (
        '<benchmark><entries><entry category="{0}"><modifiedtripleset><mtriple>{1} | in | city</mtriple>'
        "</modifiedtripleset><lex>{1} is in the city .</lex></entry></entries></benchmark>"
    )
    for name, category, term in (
        ("train/1triples/a.xml", "Food", "the_cat"),
        ("train/2triples/b.xml", "City", "the_dog"),
        ("test/testdata_with_lex.xml", "Food", "the_king"),
    ):
        path = tmp_path / "webnlg/webnlg_challenge_2017" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(entry.format(category, term))
    prepared = Webnlg("2017", beams=1, max_target=8).prepare(Setting(str(tmp_path), model("t5"), max_length=32))
    assert prepared.counts == {"train": 2, "reported": 1}
    assert prepared.examples("train")[1].source == "the dog : in : city"
    found = prepared.evaluate(prepared.build(0), "reported")
    assert found.outcomes["unseen"].tolist() == [False]
    assert set(found.metrics) == {"bleu", "bleu_script", "rouge_l", "chrf", "nist"}
    (tmp_path / "webnlg/webnlg_challenge_2017/train/2triples/c.xml").write_text("<benchmark><entries/></benchmark>")
    with pytest.raises(TaskError, match=r"2triples/c\.xml: no examples \(train, data: "):
        Webnlg("2017").prepare(Setting(str(tmp_path), model("t5"), max_length=32))


def test_a_metric_of_the_evaluate_hub_stands_beside_the_others(
    tmp_path: Path, data: Path, model: Callable[[str], str]
) -> None:
    extra = f"evaluate:{metric(tmp_path, 'datasets.Sequence(text)')}"
    prepared = prepare(data, model("gpt2"), E2e(beams=1, max_target=5, extra=extra))
    found = prepared.evaluate(prepared.build(0), "reported")
    assert found.metrics["overlap"] == found.outcomes["extra_overlap_each"].sum()
    assert found.metrics["overlap_each"] == found.outcomes["extra_overlap_each"].mean()
    assert {"bleu", "rouge_l"} < set(found.metrics)


@pytest.mark.parametrize("beams", [1, 2])
def test_the_embedded_data_and_decoder(beams: int, device: torch.device) -> None:
    prepared = E2e(beams=beams, max_target=72).prepare(Setting(eval_examples=6))
    network = prepared.build(seed=0).to(device)
    losses, _ = prepared.forward(network, first_batch(prepared, 4, device))
    assert losses.isfinite().all()
    assert len(prepared.evaluate(network, "reported").predictions) == 6
