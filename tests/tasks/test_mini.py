"""The embedded data and checkpoints: reproducible, small, valid, free of overlap, and beyond constant predictors."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
import sacrebleu

from tasks.mini import generate, words
from tasks.mini.news import Token

MINI = Path(generate.__file__).parent
SETS = ("glue", "squad", "conll2003", "e2e", "wikitext-2-raw")


def reviews(split: str) -> list[tuple[str, str]]:
    """(sentence, label) rows of SST-2."""
    lines = (MINI / f"glue/SST-2/{split}.tsv").read_text().splitlines()
    assert lines[0] == "sentence\tlabel"
    return [(sentence, label) for sentence, label in (line.split("\t") for line in lines[1:])]


def questions(split: str) -> list[tuple[str, str, str, int]]:
    """(context, question, answer, start) of SQuAD."""
    data = json.loads((MINI / f"squad/{split}-v1.1.json").read_text())
    assert data["version"] == "1.1"
    return [
        (paragraph["context"], qa["question"], qa["answers"][0]["text"], qa["answers"][0]["answer_start"])
        for article in data["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


def sentences(split: str) -> list[list[list[str]]]:
    """Rows of each sentence of CoNLL-2003, document starts left out."""
    blocks = (MINI / f"conll2003/eng.{split}").read_text().strip("\n").split("\n\n")
    return [[line.split(" ") for line in block.split("\n")] for block in blocks if not block.startswith("-DOCSTART-")]


def records(split: str) -> list[tuple[str, str]]:
    """(mr, ref) rows of E2E."""
    with (MINI / f"e2e/{split}.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["mr", "ref"]
    return [(mr, ref) for mr, ref in rows[1:]]


def test_the_generator_writes_the_committed_bytes(tmp_path: Path) -> None:
    generate.write(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert {name: (MINI / name).read_bytes() for name in made} == made
    assert len(made) == 12


def test_the_embedded_files_are_small() -> None:
    data = [path for name in SETS for path in (MINI / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in data) < 1_000_000
    for name in ("encoder", "decoder", "writer"):
        assert sum(path.stat().st_size for path in (MINI / name).iterdir()) < 2_000_000


def test_names_are_unique_and_reserved_ones_stay_out_of_training() -> None:
    assert len({*words.ROOTS, *words.RESERVED}) == len(words.ROOTS) + len(words.RESERVED)
    for path in (
        "glue/SST-2/train.tsv",
        "squad/train-v1.1.json",
        "conll2003/eng.train",
        "e2e/trainset.csv",
        "wikitext-2-raw/wiki.train.raw",
    ):
        text = (MINI / path).read_text().lower()
        assert not [name for name in words.RESERVED if name.lower() in text]


def test_reviews_are_valid_balanced_and_not_repeated() -> None:
    train, dev = reviews("train"), reviews("dev")
    counts = Counter(label for _, label in dev)
    assert set(counts) == {"0", "1"}
    assert max(counts.values()) / len(dev) < 0.58
    assert not {s for s, _ in train} & {s for s, _ in dev}
    assert len({s for s, _ in train}) == len(train)


def test_words_alone_do_not_tell_a_review() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    (texts, labels), (seen, truth) = zip(*reviews("train"), strict=True), zip(*reviews("dev"), strict=True)
    count = CountVectorizer()
    model = LogisticRegression(max_iter=300).fit(count.fit_transform(texts), labels)
    assert 0.5 < model.score(count.transform(seen), truth) < 0.75


def test_answers_stand_at_their_offset() -> None:
    for split in ("train", "dev"):
        for context, _, answer, start in questions(split):
            assert context[start : start + len(answer)] == answer


def test_passages_are_not_shared_and_no_place_answers_all() -> None:
    dev = questions("dev")
    assert not {row[0] for row in questions("train")} & {row[0] for row in dev}
    first_name = sum(answer == context.split()[0] for context, _, answer, _ in dev)
    assert first_name / len(dev) < 0.2


@pytest.mark.parametrize("split", ["train", "testa", "testb"])
def test_every_sentence_has_four_columns_and_iob1_tags(split: str) -> None:
    text = (MINI / f"conll2003/eng.{split}").read_text()
    assert text.startswith("-DOCSTART- -X- ")
    for sentence in sentences(split):
        assert all(len(row) == 4 for row in sentence)
        for column in (2, 3):
            assert_iob1([row[column] for row in sentence])


def assert_iob1(tags: list[str]) -> None:
    """`B-` only directly after a tag of the same type."""
    for before, tag in zip(["O", *tags], tags, strict=False):
        assert tag == "O" or tag[:2] in ("I-", "B-")
        assert tag[:2] != "B-" or before[1:] == tag[1:], tags


def test_names_do_not_tell_their_type() -> None:
    """The most frequent type of each surface form in training is right for few mentions of the test."""
    seen: dict[str, Counter[str]] = {}
    for sentence in sentences("train"):
        for word, _, _, tag in sentence:
            seen.setdefault(word, Counter())[tag[-3:]] += 1
    named = [(word, tag[-3:]) for sentence in sentences("testb") for word, _, _, tag in sentence if tag != "O"]
    right = sum(word in seen and seen[word].most_common(1)[0][0] == kind for word, kind in named)
    assert right / len(named) < 0.55
    assert {kind for _, kind in named} == {"PER", "ORG", "LOC", "ISC"}


def test_sentences_are_not_shared() -> None:
    train = {" ".join(row[0] for row in s) for s in sentences("train")}
    test = [" ".join(row[0] for row in s) for s in sentences("testb")]
    assert sum(text in train for text in test) == 0


def test_adjacent_mentions_of_one_type_begin_anew() -> None:
    from tasks.mini.news import Mention, tokens

    rows: list[Token] = tokens(
        [Mention(("Kelath",), "LOC"), Mention(("Lake", "Tamost"), "LOC"), Mention(("sank",), "O")]
    )
    assert [row[3] for row in rows] == ["I-LOC", "B-LOC", "I-LOC", "O"]


def test_records_line_ends_references_and_no_overlap() -> None:
    for split, crlf in (("trainset", True), ("devset", True), ("testset_w_refs", False)):
        raw = (MINI / f"e2e/{split}.csv").read_bytes()
        assert raw.count(b"\r\n") == (raw.count(b"\n") if crlf else 0)
    train, test = {mr for mr, _ in records("trainset")}, records("testset_w_refs")
    names = {mr.split(",")[0] for mr in train}
    assert not {mr.split(",")[0] for mr, _ in test} & names
    assert min(Counter(mr for mr, _ in test).values()) >= 2


def test_a_constant_text_scores_low() -> None:
    rows: dict[str, list[str]] = {}
    for mr, ref in records("testset_w_refs"):
        rows.setdefault(mr, []).append(ref)
    constant = Counter(ref for _, ref in records("trainset")).most_common(1)[0][0]
    width = max(map(len, rows.values()))
    streams = [[refs[i] if i < len(refs) else refs[0] for refs in rows.values()] for i in range(width)]
    assert sacrebleu.corpus_bleu([constant] * len(rows), streams).score < 35


@pytest.mark.parametrize(
    ("name", "auto", "low", "high"),
    [
        ("encoder", "AutoModelForSequenceClassification", 100_000, 480_000),
        ("encoder", "AutoModelForTokenClassification", 100_000, 480_000),
        ("encoder", "AutoModelForQuestionAnswering", 100_000, 480_000),
        ("decoder", "AutoModelForCausalLM", 100_000, 480_000),
    ],
)
def test_checkpoints_load_and_are_small(name: str, auto: str, low: int, high: int) -> None:
    import transformers

    model = getattr(transformers, auto).from_pretrained(MINI / name)
    assert low < sum(p.numel() for p in model.parameters()) < high


def test_tokenizers_encode_any_word() -> None:
    from transformers import AutoTokenizer

    encoder = AutoTokenizer.from_pretrained(MINI / "encoder")
    found = encoder("Zebra-crossing 1987, Velovel!", return_offsets_mapping=True)
    assert encoder.unk_token_id not in found["input_ids"]
    assert found["offset_mapping"][1] == (0, 1)
    decoder = AutoTokenizer.from_pretrained(MINI / "decoder")
    text = "Zoë paid £5 at The Grey Heron."
    assert decoder.decode(decoder(text)["input_ids"]) == text
    assert None not in (decoder.pad_token_id, decoder.eos_token_id)
    assert decoder.pad_token_id != decoder.eos_token_id
