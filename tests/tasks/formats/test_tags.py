"""Tags: hand-made sequences in the three schemes, malformed files, the counts published for CoNLL-2003."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from tasks.base import TaskError
from tasks.formats.tags import Sentence, check_scheme, entity_types, to_iob2
from tests.tasks.tiny import sentences_of

SPANS = [("PER", 0, 1), ("PER", 2, 2), ("LOC", 3, 5), ("LOC", 7, 7)]
IOB1 = ["I-PER", "I-PER", "B-PER", "I-LOC", "I-LOC", "I-LOC", "O", "I-LOC"]
IOB2 = ["B-PER", "I-PER", "B-PER", "B-LOC", "I-LOC", "I-LOC", "O", "B-LOC"]
BIOES = ["B-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "O", "S-LOC"]


def sentence(*tags: str) -> Sentence:
    return Sentence(tuple("w" * len(tags)), tags, 1)


def violation(tags: Sequence[str], scheme: str) -> str:
    """What `check_scheme` says of these tags; "" where it passes them."""
    try:
        check_scheme(sentence(*tags), scheme, Path("tags"))
    except TaskError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("tags", [IOB1, IOB2, BIOES])
def test_every_scheme_becomes_the_same_iob2_and_the_same_spans(tags: list[str]) -> None:
    assert to_iob2(tags) == IOB2
    assert get_entities(to_iob2(tags)) == SPANS


@pytest.mark.parametrize(("tags", "scheme"), [(IOB1, "iob1"), (IOB2, "iob2"), (BIOES, "bioes"), (["O"], "iob2")])
def test_the_rules_of_a_scheme_hold_for_its_tags(tags: list[str], scheme: str) -> None:
    assert violation(tags, scheme) == ""


@pytest.mark.parametrize(
    ("tags", "scheme", "said"),
    [
        ("E-PER", "iob1", "1: tag 'E-PER' is not used"),
        ("O I-PER", "iob2", "2: tag 'I-PER' follows no word of its entity"),
        ("B-LOC I-PER", "iob2", "2: tag 'I-PER' follows no word of its entity"),
        ("S-PER", "iob2", "1: tag 'S-PER' is not used"),
        ("B-PER", "bioes", "1: tag 'B-PER' is followed by no word of its entity"),
        ("E-PER", "bioes", "1: tag 'E-PER' follows no word of its entity"),
        ("B-PER E-LOC", "bioes", "1: tag 'B-PER' is followed by no word of its entity"),
    ],
)
def test_what_breaks_a_scheme_is_named(tags: str, scheme: str, said: str) -> None:
    assert violation(tags.split(), scheme) == f"tags:{said} in {scheme}"


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Runs of a type (or O) with their lengths, O runs merged."""
    return draw(st.lists(st.tuples(st.sampled_from(["O", "A", "B"]), st.integers(1, 3)), min_size=1, max_size=8))


@settings(deadline=None)
@given(spans())
def test_bioes_and_iob1_made_from_spans_convert_to_their_iob2(runs: list[tuple[str, int]]) -> None:
    iob1, iob2, bioes = [], [], []
    previous = "O"
    for kind, length in runs:
        if kind == "O":
            iob1 += ["O"] * length
            iob2 += ["O"] * length
            bioes += ["O"] * length
        else:
            inside = [f"I-{kind}"] * (length - 1)
            iob1 += [f"{'B' if previous == kind else 'I'}-{kind}", *inside]
            iob2 += [f"B-{kind}", *inside]
            bioes += [f"S-{kind}"] if length == 1 else [f"B-{kind}", *inside[:-1], f"E-{kind}"]
        previous = kind
    assert to_iob2(iob1) == to_iob2(bioes) == to_iob2(iob2) == iob2
    assert violation(iob1, "iob1") == violation(iob2, "iob2") == violation(bioes, "bioes") == ""


@settings(deadline=None)
@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "E-A", "S-A", "I-B", "B-B"]), max_size=8))
def test_converting_keeps_seqevals_reading_of_malformed_tags(tags: list[str]) -> None:
    if not any(tag[0] in "ES" for tag in tags):
        assert get_entities(to_iob2(tags)) == get_entities(tags)
    assert to_iob2(to_iob2(tags)) == to_iob2(tags)
    assert violation(to_iob2(tags), "iob2") == ""


def test_columns_documents_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(
        "\ufeff-DOCSTART- -X- O O\r\n\r\nEU NNP I-NP I-ORG\r\nno\u00a0one DT I-NP O\r\n\r\n\r\n-DOCSTART- O\r\n"
        "x Y Z I-PER".encode()
    )
    assert sentences_of(path) == [
        Sentence(("EU", "no\u00a0one"), ("I-ORG", "O"), 3),
        Sentence(("x",), ("I-PER",), 8),
    ]
    path.write_text("New York\tB-LOC\nis\tO\n")
    assert sentences_of(path)[0].words == ("New York", "is")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\n\nb\n", r"bad.txt:3: 1 columns \['b'\]; expected 2"),
        ("a x O\nb O\n", r"bad.txt:2: 2 columns .* expected 3"),
        ("a O\nb PER\n", r"bad.txt:2: word 'b' has tag 'PER'; expected O or"),
        ("\n\n", "no sentence found"),
    ],
)
def test_a_malformed_row_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(TaskError, match=message):
        sentences_of(path)


def test_bytes_that_are_not_utf8_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(b"a O\nb\xff O\n")
    with pytest.raises(TaskError, match=r"bad.txt:2: not UTF-8"):
        sentences_of(path)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "sentences", "tokens", "entities"),
    [
        ("eng.train", 14041, 203621, {"LOC": 7140, "MISC": 3438, "ORG": 6321, "PER": 6600}),
        ("eng.testa", 3250, 51362, {"LOC": 1837, "MISC": 922, "ORG": 1341, "PER": 1842}),
        ("eng.testb", 3453, 46435, {"LOC": 1668, "MISC": 702, "ORG": 1661, "PER": 1617}),
    ],
)
def test_conll2003_has_its_published_counts(
    shared: Path, name: str, sentences: int, tokens: int, entities: dict[str, int]
) -> None:
    found = sentences_of(shared / "data/conll2003" / name)
    assert len(found) == sentences
    assert sum(len(one.words) for one in found) == tokens
    assert Counter(tag[2:] for one in found for tag in to_iob2(one.tags) if tag[0] == "B") == entities
    assert entity_types(found) == set(entities)
    for one in found:
        check_scheme(one, "iob1", Path(name))
