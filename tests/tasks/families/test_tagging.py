"""Tagging: first sub-tokens, cut sentences, entity scores of a whole run, column files and the hub's rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from seqeval.metrics import f1_score
from torch import Tensor, nn

from tasks.base import Batch, ModelError, Setting, TaskError
from tasks.conll import Conll
from tasks.conll2003 import Conll2003, PreparedConll2003
from tasks.families.tagging import UNLABELLED, PreparedTagging, spaced

HUB_TAGS = PreparedConll2003.hub_tags

SENTENCES = [
    ("the I-LOC", "grey I-LOC", "river I-LOC", "ran O", "to O", "bank B-ORG"),
    ("king I-PER", "queen B-PER", "sat O", ". O"),
    ("catdog I-MISC", "is O", "towering I-LOC"),
]
GOLD = [["B-LOC", "I-LOC", "I-LOC", "O", "O", "B-ORG"], ["B-PER", "B-PER", "O", "O"], ["B-MISC", "O", "B-LOC"]]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, times in (
        ("conll2003/eng.train", 4),
        ("conll2003/eng.testb", 1),
        ("own/train.txt", 2),
        ("own/dev.txt", 1),
    ):
        write(folder / name, SENTENCES * times)
    return folder


def write(path: Path, sentences: list[tuple[str, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ["\n".join(word.replace(" ", " X Y ") for word in words) for words in sentences]
    path.write_text("-DOCSTART- X Y O\n\n" + "\n\n".join(rows) + "\n")
    return path


def prepare(data: Path, model: str, task: Conll2003 | Conll | None = None, **options: Any) -> PreparedTagging:
    return (task or Conll2003()).prepare(Setting(str(data), model, **{"max_length": 32, **options}))


def answering(prepared: PreparedTagging, monkeypatch: pytest.MonkeyPatch, change: dict[str, str] | None = None) -> None:
    """Let every evaluation see logits that point at the gold labels, those in `change` replaced."""
    replaced = {prepared.labels.index(old): prepared.labels.index(new) for old, new in (change or {}).items()}

    def forward(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        gold = [replaced.get(label, label) for label in batch["labels"][batch["labels"] != UNLABELLED].tolist()]
        logits = torch.eye(len(prepared.labels))[gold]
        return logits[:, 0], logits

    monkeypatch.setattr(prepared, "forward", forward)


def test_labels_stand_at_first_sub_tokens(data: Path, model: Callable[[str], str]) -> None:
    prepared = prepare(data, model("bert"))
    features = prepared.features("reported")
    tokens = prepared.tokenizer.convert_ids_to_tokens(features.row("input_ids", 2).tolist())
    labels = [prepared.labels[at] if at != UNLABELLED else "" for at in features.row("labels", 2).tolist()]
    assert tokens[1] == "cat"
    assert (labels[0], labels[1], labels[-1]) == ("", "B-MISC", "")  # [CLS], the word, [SEP]
    assert [label for label in labels if label] == ["B-MISC", "O", "B-LOC"]
    assert len(tokens) > 5
    assert features.row("words", 2).tolist() == [0, 1, 2]


def test_decisions_are_words(data: Path, model: Callable[[str], str]) -> None:
    prepared = prepare(data, model("bert"))
    network = prepared.build(seed=0).eval()
    (batch,) = prepared.batches("reported", size=3, seed=None)
    losses, logits = prepared.forward(network, batch)
    assert logits.shape == (6 + 4 + 3, 9)
    own = network(**prepared.model_inputs(batch), labels=batch["labels"])
    torch.testing.assert_close(losses.mean(), own.loss)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "deberta-v2", "gpt2"])
def test_a_model_trains_and_is_scored(data: Path, model: Callable[[str], str], kind: str) -> None:
    prepared = prepare(data, model(kind), heldout=0.25)
    network = prepared.build(seed=0)
    for batch in prepared.batches("train", size=4, seed=0):
        prepared.forward(network, batch)[0].mean().backward()
    found = prepared.evaluate(network, "reported")
    predicted = [line.split() for line in found.predictions]
    assert [len(tags) for tags in predicted] == [6, 4, 3]
    assert found.metrics["f1"] == pytest.approx(100 * f1_score(GOLD, predicted))
    assert found.metrics == prepared.task.aggregate(found.outcomes)
    assert set(found.metrics) == {"f1", "precision", "recall", "f1_LOC", "f1_MISC", "f1_ORG", "f1_PER"}
    assert prepared.settings()["id2label"][3] == network.config.id2label[3] == "B-MISC"  # type: ignore[union-attr, index]


def test_right_answers_score_100_whatever_the_batching(
    data: Path, model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(data, model("bert"))
    network = prepared.build(seed=0)
    answering(prepared, monkeypatch)
    assert [line.split() for line in prepared.evaluate(network, "reported").predictions] == GOLD
    assert set(prepared.evaluate(network, "reported").metrics.values()) == {100.0}
    answering(prepared, monkeypatch, {"B-PER": "I-PER"})  # now one entity of two words where there were two
    found = prepared.evaluate(network, "reported")
    assert found.outcomes["correct"].tolist() == [2, 0, 2]
    assert (found.outcomes["predicted_PER"].sum(), found.outcomes["gold_PER"].sum()) == (1, 2)


def test_strict_counting_refuses_what_does_not_begin(
    data: Path, model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = []
    for strict in (False, True):
        prepared = prepare(data, model("bert"), Conll2003(strict=strict))
        answering(prepared, monkeypatch, {"B-LOC": "I-LOC"})
        scores.append(prepared.evaluate(prepared.build(0), "reported").metrics["f1_LOC"])
    assert scores == [100.0, 0.0]
    assert "mode:strict" in prepared.signatures["f1"]


def test_words_past_the_length_are_predicted_as_o_and_noted(
    data: Path, model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(data, model("bert"), max_length=6)  # [CLS], four tokens, [SEP]
    answering(prepared, monkeypatch)
    found = prepared.evaluate(prepared.build(0), "reported")
    assert found.predictions[0].split() == ["B-LOC", "I-LOC", "I-LOC", "O", "O", "O"]
    assert found.outcomes["gold"].tolist() == [2, 2, 2]
    assert found.metrics["recall"] < 100
    assert any(note.startswith("reported: 4 words of 2 sentences lie behind 6 tokens") for note in prepared.notes)


def test_a_slow_tokenizer_is_the_models_fault(
    data: Path, model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(data, model("bert"))
    monkeypatch.setattr(type(prepared.tokenizer), "is_fast", False)
    with pytest.raises(ModelError, match="has no fast tokenizer, which tagging needs to place its tokens"):
        prepare(data, model("bert"))


def test_a_word_without_sub_tokens_is_o(tmp_path: Path, data: Path, model: Callable[[str], str]) -> None:
    write(tmp_path / "conll2003/eng.train", SENTENCES)
    write(tmp_path / "conll2003/eng.testb", [("\u200b I-PER", "king I-PER")])
    prepared = prepare(tmp_path, model("bert"))
    assert prepared.features("reported").row("words", 0).tolist() == [1]
    assert prepared.evaluate(prepared.build(0), "reported").predictions[0].split()[0] == "O"


def test_column_files_of_any_scheme_and_place(
    tmp_path: Path, data: Path, model: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(data, model("bert"), Conll(path="own", reported="dev"))
    assert prepared.types == ("LOC", "MISC", "ORG", "PER")
    assert prepared.splits == {"train": "train.txt", "reported": "dev.txt"}
    assert [list(one.tags) for one in prepared.examples("reported")] == GOLD
    write(tmp_path / "x/train.bio", [("king S-A", "the B-B", "cat E-B")])
    write(tmp_path / "x/test.bio", [("king B-C", "the B-A")])
    monkeypatch.chdir(tmp_path)
    other = prepare(data, model("bert"), Conll(path="x"))
    assert other.types == ("A", "B", "C")
    assert other.examples("train")[0].tags == ("B-A", "B-B", "I-B")
    assert "reported: entities of types that no training example has, which count as missed: C" in other.notes
    write(tmp_path / "x/train.bio", [("king S-A",), ("the B-C", "cat E-C")])
    write(tmp_path / "x/test.bio", [("king B-C",), ("the B-A",)])
    few = prepare(data, model("bert"), Conll(path="x"), train_examples=1, eval_examples=1)
    assert few.types == ("A", "C")  # of the files, though these two examples have none in common
    assert few.examples("train")[0].tags[0][2:] != few.examples("reported")[0].tags[0][2:]
    write(tmp_path / "x/train.bio", [("king S-A", "the B-B", "cat E-B")])
    write(tmp_path / "x/test.bio", [("king B-C",)])
    with pytest.raises(TaskError, match=r"test.bio: the entity types are C, those of train.bio A, B; expected"):
        prepare(data, model("bert"), Conll(path="x"))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (lambda: Conll(), r"conll needs the folder of its files"),
        (lambda: Conll(path="none"), r"no folder 'none', neither below"),
        (lambda: Conll(path="own", reported="/dev"), r"expected one file /dev\* in .*own, found none"),
        (lambda: Conll(path="own", reported="**"), r"expected one file \*\*\* in .*own, found none"),
        (lambda: Conll(path="own"), r"expected one file test\* in .*own, found none \(it holds: dev.txt, train.txt\)"),
        (lambda: Conll(path="own", reported="dev", scheme="iob2"), r"train.txt:3: tag 'I-LOC' follows no word .* iob2"),
        (lambda: Conll2003(scheme="iob"), r"scheme is 'iob'; the choices are auto, iob1, iob2, bioes"),
    ],
)
def test_what_is_wrong_is_said(
    data: Path, model: Callable[[str], str], task: Callable[[], Conll], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        prepare(data, model("bert"), task())


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_folder_in_place_of_a_file_is_said(tmp_path: Path, model: Callable[[str], str], part: str) -> None:
    for name in ("train", "test"):
        write(tmp_path / f"own/{name}.txt", SENTENCES)
    (tmp_path / f"own/{part}.txt").unlink()
    (tmp_path / f"own/{part}.txt").mkdir()
    with pytest.raises(TaskError, match=rf"own/{part}.txt is a folder; expected a file"):
        prepare(tmp_path, model("bert"), Conll(path="own"))


def test_an_unknown_type_names_file_and_line(tmp_path: Path, model: Callable[[str], str]) -> None:
    write(tmp_path / "conll2003/eng.train", [*SENTENCES, ("king I-GPE",)])
    write(tmp_path / "conll2003/eng.testb", SENTENCES)
    with pytest.raises(
        TaskError, match=r"eng.train:19: 'king' is tagged 'B-GPE'; the entity types are LOC, MISC, ORG, PER"
    ):
        prepare(tmp_path, model("bert"))


PLAIN = [("the O", "cat O"), ("a O", "dog O", "ran O")]
APART = [(word,) for sentence in SENTENCES * 4 for word in sentence]


@pytest.mark.parametrize(
    ("train", "reported", "message"),
    [
        (PLAIN, SENTENCES, r"eng.train \(train\): the tag of all 5 words is O; expected O and tags of entities"),
        (SENTENCES, PLAIN, r"eng.testb \(reported\): the tag of all 5 words is O; expected O and tags of entities"),
        ([("king B-PER", "queen B-PER"), ("cat B-PER",)], SENTENCES, r"the tag of all 3 words is B-PER"),
        (
            APART,
            SENTENCES,
            r"eng.train \(train\): 52 of 52 sentences have one word; expected sentences of several words",
        ),
        (
            SENTENCES,
            APART,
            r"eng.testb \(reported\): 52 of 52 sentences have one word; .*blank lines between sentences",
        ),
        ([*APART, *SENTENCES], SENTENCES, r"eng.train \(train\): 52 of 55 sentences have one word"),
        (
            [SENTENCES[0] * 30],
            SENTENCES,
            r"eng.train \(train\): 180 words in 1 sentences, of which at most 32 .*blank lines",
        ),
        (SENTENCES, [SENTENCES[0] * 30], r"eng.testb \(reported\): 180 words in 1 sentences"),
    ],
)
@pytest.mark.parametrize("own", [False, True])
def test_data_that_say_nothing(
    tmp_path: Path,
    model: Callable[[str], str],
    train: list[tuple[str, ...]],
    reported: list[tuple[str, ...]],
    message: str,
    own: bool,
) -> None:
    write(tmp_path / "conll2003/eng.train", train)
    write(tmp_path / "conll2003/eng.testb", reported)
    task = Conll(path="conll2003", reported="eng.testb") if own else Conll2003()
    if own:
        (tmp_path / "conll2003/train").symlink_to("eng.train")
        message = message.replace("eng.train", "train")
    with pytest.raises(TaskError, match=message):
        prepare(tmp_path, model("bert"), task)


@pytest.mark.parametrize(
    ("train", "reported"),
    [
        (SENTENCES, PLAIN[:1]),
        ([*PLAIN * 20, SENTENCES[0]], SENTENCES),
        (APART[:10], SENTENCES),
        (SENTENCES, [*APART[:8], *SENTENCES]),
    ],
    ids=["one sentence", "one sentence with entities", "few words", "some words alone"],
)
def test_data_with_a_few_odd_sentences_are_read(
    tmp_path: Path, model: Callable[[str], str], train: list[tuple[str, ...]], reported: list[tuple[str, ...]]
) -> None:
    write(tmp_path / "conll2003/eng.train", train)
    write(tmp_path / "conll2003/eng.testb", reported)
    prepare(tmp_path, model("bert"))


def test_parquet_of_the_hubs_schema_reads_like_the_files(
    tmp_path: Path, data: Path, model: Callable[[str], str]
) -> None:
    folder = tmp_path / "hub/lhoestq/conll2003"
    folder.mkdir(parents=True)
    tag = datasets.ClassLabel(names=list(HUB_TAGS))
    features = datasets.Features(
        {"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": datasets.Sequence(tag)}
    )
    words = [[word.split()[0] for word in sentence] for sentence in SENTENCES]
    rows = {"tokens": [*words, []], "ner_tags": [*[[HUB_TAGS.index(one) for one in tags] for tags in GOLD], []]}
    for split in ("train", "test"):
        datasets.Dataset.from_dict(rows, features).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    prepared = prepare(tmp_path, model("bert"))
    assert [(list(one.words), list(one.tags)) for one in prepared.examples("reported")] == list(
        zip(words, GOLD, strict=True)
    )


def test_byte_level_tokenizers_read_words_as_after_a_space() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = ["<unk>", "a", "b", "Ġ", "Ġa", "Ġb"]
    inner = Tokenizer(models.BPE({piece: at for at, piece in enumerate(letters)}, [("Ġ", "a"), ("Ġ", "b")]))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    plain = PreTrainedTokenizerFast(tokenizer_object=inner)
    moved = spaced(plain)
    assert plain.convert_ids_to_tokens(plain([["a", "b"]], is_split_into_words=True)["input_ids"][0]) == ["a", "b"]
    assert moved.convert_ids_to_tokens(moved([["a", "b"]], is_split_into_words=True)["input_ids"][0]) == ["Ġa", "Ġb"]
    assert spaced(moved) is moved


@pytest.mark.shared
def test_the_real_files_with_a_real_tokenizer(shared: Path) -> None:
    setting = Setting(str(shared / "data"), str(shared / "models/minilm-l6-h384"), train_examples=50, eval_examples=100)
    prepared = Conll2003().prepare(setting)
    assert prepared.counts == {"train": 50, "reported": 100}
    assert prepared.read_counts == {"train": 14041, "reported": 3453}
    kept = [word for row in range(100) for word in prepared.features("reported").row("words", row)]
    assert len(kept) == sum(len(one.words) for one in prepared.examples("reported"))
