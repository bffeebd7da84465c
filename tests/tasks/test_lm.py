"""Perplexity: against transformers' own loss and the loop of the published code, by hand, windows, files and what is refused."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from tasks import lm
from tasks.base import ModelError, Setting, TaskError, resample
from tasks.formats.sources import HubRows, open_source
from tasks.lm import Lm, PreparedLm, perplexity
from tests.tasks.tiny import WORDS, checkpoint

LENGTH = 32


@pytest.fixture
def decoder(model: Callable[[str], str]) -> str:
    return model("gpt2")


def lines(count: int = 120, words: int = 12) -> list[str]:
    return [" ".join(WORDS[(at * 7 + step * at) % 30] for step in range(words)) for at in range(count)]


def prepare(task: Lm, data: Path, model: str, **options: Any) -> PreparedLm:
    return task.prepare(Setting(str(data), model, **{"max_length": LENGTH, **options}))


def published_loop(model: Any, ids: torch.Tensor, length: int) -> float:
    """Perplexity as the released code of Wanda and SparseGPT computes it."""
    windows = ids.numel() // length
    nlls = []
    for at in range(windows):
        inputs = ids[at * length : (at + 1) * length][None]
        logits = model(inputs).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], inputs[0, 1:])
        nlls.append(loss.float() * length)
    return float(torch.exp(torch.stack(nlls).sum() / (windows * length)))


@torch.no_grad()
def test_perplexity_is_that_of_the_published_loop_and_of_the_librarys_loss(tmp_path: Path, decoder: str) -> None:
    (tmp_path / "a.txt").write_text("\n".join(lines()))
    prepared = prepare(Lm(path="a.txt", train="a.txt"), tmp_path, decoder)
    model = prepared.build(0).eval()
    found = prepared.evaluate(model, "reported")
    ids = torch.tensor(prepared.tokenizer("\n".join(lines()))["input_ids"])
    assert found.metrics["perplexity"] == pytest.approx(published_loop(model, ids, LENGTH), rel=1e-5)
    windows = ids[: len(ids) // LENGTH * LENGTH].view(-1, LENGTH)
    assert found.metrics["perplexity"] == pytest.approx(math.exp(model(windows, labels=windows).loss), rel=1e-5)
    assert found.outcomes["tokens"].tolist() == [LENGTH - 1] * len(windows)


@torch.no_grad()
@pytest.mark.parametrize("held", [1, 4 * 98 * 7, 4 * 98 * 16, 4 * 98 * 30])
@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2"])
def test_losses_of_few_positions_at_a_time_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, held: int
) -> None:
    gemma = {"head_dim": 8, "num_key_value_heads": 2, "final_logit_softcapping": 0.5}
    options: dict[str, Any] = gemma if kind == "gemma2" else {}
    (tmp_path / "a.txt").write_text("\n".join(lines()))
    prepared = prepare(Lm(path="a.txt", train="a.txt"), tmp_path, str(checkpoint(tmp_path / kind, kind, **options)))
    model: Any = prepared.build(0).eval()
    batch = next(prepared.batches("train", 4, None))
    whole, _ = prepared.forward(model, batch)
    evaluated = prepared.evaluate(model, "reported").metrics
    held_at_once = []
    model.get_output_embeddings().register_forward_hook(lambda *args: held_at_once.append(args[-1].numel()))
    passes = []
    next(iter(model.base_model.children())).register_forward_hook(lambda *_: passes.append(1))
    monkeypatch.setattr(lm, "LOGITS", held)
    torch.testing.assert_close(prepared.losses(model, batch), whole, rtol=1e-5, atol=1e-6)
    vocabulary = model.config.vocab_size
    assert max(held_at_once) <= max(held, 4 * vocabulary)
    assert passes == [1]
    assert prepared.evaluate(model, "reported").metrics == pytest.approx(evaluated, rel=1e-6)
    torch.testing.assert_close(prepared.forward(model, batch)[0], whole)  # the body computes again
    with torch.enable_grad():
        assert prepared.losses(model, batch).requires_grad


def test_perplexity_and_its_floor_by_hand() -> None:
    outcomes = {
        "nll": np.array([math.log(2.0) * 3, math.log(8.0)]),
        "tokens": np.array([3, 1]),
        "unigram": np.array([4 * math.log(5.0), 0.0]),
    }
    assert Lm().aggregate(outcomes)["perplexity"] == pytest.approx(2**1.5)
    assert Lm().floor(outcomes)["perplexity"] == pytest.approx(5.0)
    assert Lm().aggregate(resample(outcomes, np.array([1, 1])))["perplexity"] == pytest.approx(8.0)
    assert perplexity(np.array([1e6]), np.array([10])) == pytest.approx(math.exp(100))


def test_the_floor_is_the_frequencies_of_the_predicted_tokens(tmp_path: Path, decoder: str) -> None:
    (tmp_path / "a.txt").write_text("the cat " * 40)
    prepared = prepare(Lm(path="a.txt", train="a.txt"), tmp_path, decoder, max_length=4)
    # the cat the cat: "the" is predicted once in a window, "cat" twice
    assert prepared.floor["perplexity"] == pytest.approx(math.exp(-(math.log(1 / 3) + 2 * math.log(2 / 3)) / 3))


@pytest.mark.parametrize(("tokens", "windows", "left"), [(64, 2, 0), (65, 2, 1), (95, 2, 31), (32, 1, 0)])
def test_the_incomplete_last_window_is_dropped_and_said(
    tmp_path: Path, decoder: str, tokens: int, windows: int, left: int
) -> None:
    (tmp_path / "a.txt").write_text("cat " * tokens)
    prepared = prepare(Lm(path="a.txt", train="a.txt"), tmp_path, decoder)
    assert prepared.counts["reported"] == windows
    said = f"reported: the last {left} of {tokens} tokens make no whole window"
    assert (said in prepared.notes) == bool(left)


@pytest.mark.parametrize(
    ("train", "said"), [("a.txt", True), ("copy.txt", True), ("more.txt", True), ("other.txt", False)]
)
def test_a_text_that_is_trained_on_and_reported_is_noted(tmp_path: Path, decoder: str, train: str, said: bool) -> None:
    for name, text in {
        "a.txt": "cat " * 200,
        "copy.txt": "cat " * 200,
        "more.txt": "dog\n" + "cat " * 200 + "dog",
        "other.txt": "dog " * 200,
    }.items():
        (tmp_path / name).write_text(text)
    prepared = prepare(Lm(path="a.txt", train=train), tmp_path, decoder)
    assert any("the very text of train" in note for note in prepared.notes) == said


def test_two_files_of_one_subfolder(tmp_path: Path, decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of train is the one that was found first, whatever lies where the program runs."""
    for folder in ("data/a", "here/a"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/a/train.txt").write_text("dog " * 200)
    (tmp_path / "data/a/test.txt").write_text("cat " * 200)
    (tmp_path / "here/a/train.txt").write_text("cat " * 200)
    task = Lm(path="a/test.txt", train="a/train.txt")
    assert prepare(task, tmp_path / "data", decoder).counts["train"] == 200 // LENGTH
    monkeypatch.chdir(tmp_path / "here")
    assert not any("the very text" in note for note in prepare(task, tmp_path / "data", decoder).notes)


def test_one_file_is_trained_on_up_to_its_last_tenth(tmp_path: Path, decoder: str) -> None:
    text = "\n".join(lines(400))
    (tmp_path / "a.txt").write_text(text)
    prepared = prepare(Lm(path="a.txt"), tmp_path, decoder)
    at = text.find("\n", round(0.9 * len(text))) + 1
    pieces = {"train": text[:at], "reported": text[at:]}
    for split, piece in pieces.items():
        ids = prepared.tokenizer(piece)["input_ids"]
        assert [token for window in prepared.examples(split) for token in window] == ids[: len(ids) // LENGTH * LENGTH]
    assert any("the end of the text, cut at character" in note for note in prepared.notes)


def test_windows_follow_the_length_and_the_tokenizer(tmp_path: Path, decoder: str) -> None:
    (tmp_path / "a.txt").write_text("\n".join(lines()))
    task = Lm(path="a.txt", train="a.txt")
    counts = {length: prepare(task, tmp_path, decoder, max_length=length).counts["reported"] for length in (16, 32, 16)}
    assert counts[16] >= 2 * counts[32]


def test_pieces_are_joined_as_the_published_code_joins_them(tmp_path: Path, decoder: str) -> None:
    folder = tmp_path / "wikitext-2-raw"
    folder.mkdir()
    raw = " = Title = \n \n the old cat sat \n \n"
    for name in ("train", "test"):
        (folder / f"wiki.{name}.raw").write_text(raw * 40)
    prepared = prepare(Lm("wikitext2"), tmp_path, decoder, max_length=8)
    rows = [" = Title = \n", "", " the old cat sat \n", ""] * 40
    for split, joint in (("train", " "), ("reported", "\n\n")):
        ids = prepared.tokenizer(joint.join(rows))["input_ids"]
        assert [token for window in prepared.examples(split) for token in window] == ids[: len(ids) // 8 * 8]
    assert "reported: 160 lines, the published text has 4358" in prepared.notes


@pytest.mark.parametrize(("line", "wrong"), [("the <unk> cat sat", True), ("the old cat sat", False)])
def test_wikitext_whose_words_were_replaced_is_not_raw(tmp_path: Path, decoder: str, line: str, wrong: bool) -> None:
    """WikiText-2 as words has as many lines as the raw text; one <unk> among many lines may be what is written about."""
    folder = tmp_path / "wikitext-2-raw"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / f"wiki.{name}.raw").write_text(f" = Title = \n \n {line} \n" * 40 + " of <unk> \n")
    if wrong:
        with pytest.raises(TaskError, match=r"wiki\.train\.raw: 41 words are <unk>: this is WikiText-2 as words"):
            prepare(Lm("wikitext2"), tmp_path, decoder, max_length=8)
    else:
        assert prepare(Lm("wikitext2"), tmp_path, decoder, max_length=8).counts["reported"] > 1


@pytest.mark.parametrize(
    ("text", "said"), [('{"text": "the cat"}\n' * 40, "not a text but JSON"), ("t\0h\0e\0", "a byte of zero")]
)
def test_a_published_text_must_be_a_text_too(tmp_path: Path, decoder: str, text: str, said: str) -> None:
    folder = tmp_path / "wikitext-2-raw"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / f"wiki.{name}.raw").write_text(text)
    with pytest.raises(TaskError, match=said):
        prepare(Lm("wikitext2"), tmp_path, decoder, max_length=8)


def c4(folder: Path, documents: list[Any], name: str = "validation.00000-of-00008") -> Path:
    path = folder / f"c4/en/c4-{name}.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [one if isinstance(one, str) else json.dumps(one) for one in documents]
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return path


def test_c4_is_a_declared_sample(tmp_path: Path, decoder: str) -> None:
    c4(tmp_path, [{"text": line} for line in lines(1300)])
    c4(tmp_path, [{"text": line} for line in lines(30)], "train.00000-of-01024")
    prepared = prepare(Lm("c4"), tmp_path, decoder)
    ids = prepared.tokenizer(" ".join(lines(1300)[:1100]))["input_ids"]
    assert prepared.counts["reported"] == 256 < len(ids) // LENGTH
    assert [token for window in prepared.examples("reported") for token in window] == ids[: 256 * LENGTH]
    assert "reported: the first 1100 documents of a shard" in prepared.notes


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", r"validation.00000-of-00008.json.gz:31: not JSON"),
        ({"texts": "a"}, r"json.gz:31: no 'text'; it has texts"),
        ({"text": None}, r"json.gz:31: `text` is null; expected a text"),
        ({"text": ["a"]}, r"json.gz:31: `text` is \['a'\]; expected a text"),
        ("[1]", r"json.gz:31: found \[1\]; expected an object"),
        ("1e999999999", r"json.gz:31: found inf; expected an object"),
    ],
)
def test_malformed_documents_name_file_and_line_or_are_passed_over(
    tmp_path: Path, decoder: str, document: Any, message: str
) -> None:
    c4(tmp_path, [*({"text": line} for line in lines(30)), document])
    c4(tmp_path, [{"text": line} for line in lines(30)], "train.00000-of-01024")
    with pytest.raises(TaskError, match=message):
        prepare(Lm("c4"), tmp_path, decoder)
    prepared = prepare(Lm("c4", skip_malformed=True), tmp_path, decoder)
    assert any("reported: 1 malformed records passed over" in note for note in prepared.notes)


def test_a_file_that_is_no_gzip_is_refused(tmp_path: Path, decoder: str) -> None:
    c4(tmp_path, [{"text": line} for line in lines(30)], "train.00000-of-01024")
    path = c4(tmp_path, [])
    torn = gzip.compress(b"{}" * 500)
    for broken in (b"plain", torn[:20], torn[:10] + b"\xff" * 8 + torn[18:], gzip.compress(b"\xff\xfe")):
        path.write_bytes(broken)
        with pytest.raises(TaskError, match=r"json\.gz:1: not gzipped UTF-8"):
            prepare(Lm("c4"), tmp_path, decoder)


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        (Lm(), "the cat", "lm needs a text"),
        (Lm(path="b.txt"), "the cat", "no file 'b.txt', neither below the data folder"),
        (Lm(path="a.txt", train="b.txt"), "the cat", "no file 'b.txt'"),
        (Lm(path="a.txt"), "the cat " * 99, "no line begins in its last tenth"),
        (Lm(path="a.txt"), "", "a.txt is empty"),
        (Lm(path="a.txt", train="a.txt"), "the cat", "2 tokens make no window of 32"),
        (Lm(path="a.txt", train="a.txt"), "", "a.txt is empty"),
        (Lm(path="."), "the cat", "is a folder; expected a text file"),
        (Lm(path="/dev/zero"), "the cat", "/dev/zero is a pipe, a socket or a device; expected a text file"),
        (Lm(path="a.txt", train="/dev/null"), "the cat", "/dev/null is a pipe, a socket or a device"),
        (Lm(path="a.txt"), "   ", "a.txt holds blanks alone"),
        (Lm(path="a.txt"), "\n\n\t\n", "a.txt holds blanks alone"),
        (Lm(path="a.txt"), "\ufeff", "a.txt is empty"),
        (Lm(path="a.txt"), "the cat\nthe\0dog\n" * 40, "a.txt:2: not a text: it holds a byte of zero"),
        (Lm(path="a.txt", train="a.txt"), "\0" * 4096, "a.txt:1: not a text"),
        (Lm(path="a.txt"), '{"text": "the cat"}\n' * 40, "a.txt: not a text but JSON"),
        (Lm(path="a.txt"), '\n{"text": "the cat"}\r\n' + '{"text": "a dog"}\r\n' * 40, "a.txt: not a text but JSON"),
        (Lm(path="a.txt"), '["the cat"]\n' * 40, "a.txt: not a text but JSON"),
        (Lm(path="a.txt"), '{\n"data": [\n"the cat",\n"a dog"]}\n', "a.txt: not a text but JSON"),
        (Lm(path="a.txt", train="a.txt"), "[1]", "a.txt: not a text but JSON"),
        (Lm("ptb", path="a.txt"), "the cat", "lm/ptb has its own text"),
        (Lm("ptb", train="a.txt"), "the cat", "lm/ptb has its own text"),
        (Lm("ptb"), "the cat", "looked for .*ptb.train.txt"),
    ],
)
def test_what_makes_no_windows_is_refused(tmp_path: Path, decoder: str, task: Lm, text: str, message: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(TaskError, match=message):
        prepare(task, tmp_path, decoder)


def test_text_that_is_not_utf8_names_its_line(tmp_path: Path, decoder: str) -> None:
    (tmp_path / "a.txt").write_bytes(b"the cat\nthe \xff dog\n")
    with pytest.raises(TaskError, match=r"a.txt:2: not UTF-8"):
        prepare(Lm(path="a.txt", train="a.txt"), tmp_path, decoder)


@pytest.mark.parametrize(
    ("kind", "said"), [("bert", "an encoder"), ("t5", "an encoder-decoder"), ("bart", "an encoder-d")]
)
def test_other_models_than_decoders_are_refused(tmp_path: Path, kind: str, said: str) -> None:
    (tmp_path / "a.txt").write_text("\n".join(lines()))
    with pytest.raises(ModelError, match=f"is {said}.*perplexity needs a decoder"):
        prepare(Lm(path="a.txt"), tmp_path, str(checkpoint(tmp_path / kind, kind)))


@pytest.mark.parametrize(("length", "message"), [(129, "takes at most 128"), (1, "a window needs 2 tokens")])
def test_lengths_that_the_model_or_a_window_cannot_have(
    tmp_path: Path, decoder: str, length: int, message: str
) -> None:
    (tmp_path / "a.txt").write_text("\n".join(lines()))
    with pytest.raises(TaskError, match=message):
        prepare(Lm(path="a.txt"), tmp_path, decoder, max_length=length)


def test_the_hub_is_asked_for_pinned_revisions_and_of_c4_for_one_file(asked: list[Any]) -> None:
    for task in (Lm("wikitext2"), Lm("ptb"), Lm("c4", revision="abc")):
        source = open_source("hub", task.layout())
        assert isinstance(source, HubRows)
        source.parts("reported")
    assert asked[0] == (
        ("Salesforce/wikitext", "wikitext-2-raw-v1"),
        {"split": "test", "revision": "b08601e04326c79dfdd32d625aee71d232d685c3"},
    )
    assert asked[1][1]["data_files"] == {"test": "penn_treebank/test/*.parquet"}
    assert asked[2] == (
        ("allenai/c4", None),
        {
            "split": "validation",
            "revision": "abc",
            "data_files": {"validation": "en/c4-validation.00000-of-00008.json.gz"},
        },
    )


def test_hub_rows_are_read_like_the_files(tmp_path: Path, decoder: str) -> None:
    folder = tmp_path / "wikitext-2-raw"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / f"wiki.{name}.raw").write_text(" the old cat sat on the mat \n \n" * 40)
    prepared = prepare(Lm("wikitext2"), tmp_path, decoder)
    rows = [{"text": " the old cat sat on the mat \n"}, {"text": ""}] * 40
    assert list(prepared.read_rows(rows, "hub", "reported")) == list(prepared.examples("reported"))
    with pytest.raises(TaskError, match="hub, row 1: `text` is null"):
        list(prepared.read_rows([{"text": "a"}, {"text": None}], "hub", "reported"))


@pytest.mark.parametrize(("name", "found"), [("lm", ""), ("lm/wikitext2", "wikitext2"), ("lm/c4", "c4")])
def test_the_family_has_a_name_without_variant(name: str, found: str) -> None:
    assert registry.configure("tasks", name).variant == found


def test_an_unknown_variant_names_the_choices() -> None:
    with pytest.raises(PrunebenchError, match=r"unknown task 'lm/wikitext'; .*lm/wikitext2"):
        registry.configure("tasks", "lm/wikitext")
    with pytest.raises(PrunebenchError, match="unknown task 'glue'"):
        registry.configure("tasks", "glue")
