"""Texts for pretraining: the mini data's own generators under other seeds, so that no embedded example is among them.

The encoder sees reviews with their verdict, news with their tags, and questions with the passage that answers them; the decoder
sees records of inns and ships with their sentences; the writer sees articles that tell of them. Names
reserved for evaluation never occur.
"""

from dataclasses import dataclass
from random import Random

from tasks.mini import chronicle, inns, news, reviews
from tasks.mini.words import Names

NAMES = Names(unseen=0.0)
TAGS = ("O", "PER", "ORG", "LOC", "MISC")


@dataclass(frozen=True)
class Review:
    """A text and its label."""

    text: str
    label: int


@dataclass(frozen=True)
class Report:
    """Words and, for each, the index of its entity type in TAGS."""

    words: list[str]
    tags: list[int]


@dataclass(frozen=True)
class Quiz:
    """A question, the passage, and where the answer stands in it: first and past-the-last character."""

    question: str
    passage: str
    begin: int
    end: int


def review(rng: Random) -> Review:
    """One review."""
    return Review(*reviews.review(rng, NAMES))


def report(rng: Random) -> Report:
    """One sentence of the news."""
    rows = news.report(rng, NAMES)
    return Report([row[0] for row in rows], [TAGS.index(row[3].rpartition("-")[2]) for row in rows])


def quiz(rng: Random) -> Quiz:
    """One question on a passage of one to three facts: short passages teach copying, longer ones choosing."""
    passage, (asked,) = chronicle.passage(rng, NAMES, 1, rng.choice((1, 2, 2, 3)))
    return Quiz(asked.text, passage, asked.start, asked.start + len(asked.answer))


def record(rng: Random) -> tuple[str, str]:
    """A record of an inn or a ship, linearised as the e2e task does, and its sentences."""
    if rng.random() < 0.7:
        slots = inns.inn(rng, NAMES)
        text = inns.wording(rng, slots)
    else:
        slots, text = inns.ship(rng, NAMES)
    return " | ".join(f"{key} : {value}" for key, value in slots.items()), text


def article(rng: Random) -> str:
    """An article about a town."""
    return inns.town(rng, NAMES)


def plain(rng: Random) -> list[str]:
    """One text of each of the encoder's families, for its vocabulary."""
    asked = quiz(rng)
    return [review(rng).text, " ".join(report(rng).words), asked.question, asked.passage]
