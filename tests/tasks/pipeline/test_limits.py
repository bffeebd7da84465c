"""What a model is said to take, it takes: its longest input, its highest token; and what no number comes of has no loss."""

import json
from pathlib import Path

import pytest
import torch

from benchmark.plugins.registry import configure
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.run import run
from tasks.base import ModelError, Setting, TaskError
from tasks.glue import Glue
from tasks.pipeline.checkpoints import open_checkpoint
from tests.tasks.tiny import checkpoint, write_sst2

POSITIONS = 34


def roberta(folder: Path, padding: int) -> Path:
    checkpoint(folder, "roberta", max_position_embeddings=POSITIONS, pad_token_id=padding)
    return folder


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("past", [-1, 0, 1, 2])
def test_positions_that_begin_behind_the_padding(tmp_path: Path, padding: int, past: int) -> None:
    """RoBERTa's 514 positions take 512 tokens: those up to its padding stand for none."""
    folder, room = roberta(tmp_path / "model", padding), POSITIONS - padding - 1
    data = write_sst2(tmp_path / "data")
    length = room + past
    assert open_checkpoint(str(folder), "encoder").positions == room
    setting = Setting(data=str(data), model=str(folder), max_length=length, train_examples=8, eval_examples=8)
    if past > 0:
        with pytest.raises(ModelError, match=f"max_length is {length}, but model .* takes at most {room} tokens"):
            Glue("sst2").prepare(setting)
        return
    prepared = Glue("sst2").prepare(setting)
    model = prepared.build(0)
    longest = torch.full((1, length), 5)
    model(input_ids=longest, attention_mask=torch.ones_like(longest))


@pytest.mark.parametrize(
    ("task", "length"),
    [
        *((task, length) for task in ("glue/sst2", "conll2003", "squad") for length in (1, 2)),
        ("lm/wikitext2", 1),
        *(("e2e", length) for length in (1, 2, 7)),
    ],
)
def test_inputs_that_hold_no_text(task: str, length: int) -> None:
    """[CLS] and [SEP] alone would be trained on, and at 1 token nothing would be cut at all."""
    setting = Setting(data="mini", max_length=length, train_examples=8, eval_examples=8)
    with pytest.raises(TaskError, match=f"max_length is {length}"):
        configure("tasks", task).prepare(setting)


@pytest.mark.parametrize(("variant", "least"), [("sst2", 3), ("rte", 5)])
def test_a_token_of_each_text(tmp_path: Path, variant: str, least: int) -> None:
    """BERT adds two tokens to a text and three to a pair."""
    folder, data = checkpoint(tmp_path / "model", "bert"), write_sst2(tmp_path / "data")
    setting = Setting(data=str(data), model=str(folder), max_length=least - 1, train_examples=8, eval_examples=8)
    with pytest.raises(TaskError, match=f"max_length is {least - 1}; an input needs {least} tokens at least"):
        Glue(variant).prepare(setting)


def test_the_shortest_input_that_holds_text(tmp_path: Path) -> None:
    folder, data = checkpoint(tmp_path / "model", "bert"), write_sst2(tmp_path / "data")
    setting = Setting(data=str(data), model=str(folder), max_length=3, train_examples=8, eval_examples=8)
    assert set(Glue("sst2").prepare(setting).features("train").lengths()) == {3}


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "gpt2", "bart", "t5"])
def test_tokens_beyond_the_embedding(tmp_path: Path, kind: str) -> None:
    """Tokens added to the tokenizer and not to the model."""
    import transformers

    folder = checkpoint(tmp_path, kind)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<e1>", "<e2>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"has token ids up to \d+, its embedding \d+ rows: resize the embedding"):
        open_checkpoint(str(folder), "encoder")


@pytest.mark.parametrize("forgotten", ["tokenizer.json", "tokenizer_config.json"])
def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path, forgotten: str) -> None:
    """A vocabulary of five words where the embedding has hundreds."""
    folder = checkpoint(tmp_path, "bert", vocab_size=400)
    with pytest.raises(ModelError, match=r"knows \d+ tokens, its embedding has 400"):
        open_checkpoint(str(folder), "encoder")


EMPTY = ("\u200b", "\ufe0f", "\u00ad", "\u200d", "\x07")


@pytest.mark.parametrize("word", EMPTY)
def test_a_sentence_without_sub_tokens_has_no_loss(tmp_path: Path, word: str) -> None:
    """Alone in a batch: a mean over nothing would be no number."""
    text = f"{word} O\n\nthe O\nbank B-ORG\n\n{word} O\n"
    (tmp_path / "ner").mkdir()
    (tmp_path / "ner/train.txt").write_text(text, encoding="utf-8")
    (tmp_path / "ner/test.txt").write_text("the O\nbank B-ORG\n", encoding="utf-8")
    training = Training(steps=4, batch_size=1, lr=1e-4, max_length=32)
    spec = RunSpec(
        task=f"conll[path={tmp_path}/ner]", data=str(tmp_path), criterion="magnitude", sparsity=0.5, training=training
    )
    record = run(spec).record
    assert record.sparsity.met
    assert all(torch.isfinite(torch.tensor(point.loss)) for point in record.curve)


def test_a_head_for_labels_that_the_files_contradict_is_drawn(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "bert")
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": "1", "1": "0"}, "label2id": {"0": 0, "1": 1}}
    (folder / "config.json").write_text(json.dumps(config))
    assert open_checkpoint(str(folder), "encoder")._own_labels() == {}
