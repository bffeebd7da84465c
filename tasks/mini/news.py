"""News of an invented country as tagged tokens: word, part of speech, chunk, entity (IOB1 in the last two).

One name may be a person, a club or a town: what the sentence says of it, often only at its end, tells which.
"""

from dataclasses import dataclass
from random import Random

from tasks.mini.words import DAYS, GIVEN, NUMBERS, Names

Token = tuple[str, str, str, str]
"""word, part of speech, chunk tag, entity tag."""

GOODS = tuple("salt wool barley eels timber copper honey rope".split())
ROLES = tuple("singer mayor painter captain baker ferryman".split())
BODIES = tuple("Guild Bank Company School Council".split())
WATERS = tuple("Lake Port Mount Cape".split())
EVENTS = tuple("Cup Fair Regatta Festival".split())
PLAIN_EVENTS = ("Tide Cup", "Lantern Fair", "Harvest Festival", "Reed Regatta")

TEMPLATES = tuple(
    line.strip()
    for line in """
    PER told the council that the ferry would sail on DAY .
    PER , a ROLE from LOC , bought NUM boats .
    PER was born in LOC and learned to sing .
    PER fell ill on DAY .
    ORG fell to ORG by NUM goals .
    LOC fell to the flood on DAY .
    PER met PER in the garden .
    ORG met ORG in the final .
    PER joined ORG for NUM seasons .
    PER left ORG for ORG after NUM seasons .
    PER left LOC for LOC on the morning ferry .
    ORG signed PER for NUM seasons .
    PER signed for ORG on DAY .
    ORG sold NUM shares to ORG .
    ORG raised its price of GOODS .
    PER raised her voice .
    LOC raised its flood walls .
    ORG beat ORG by NUM goals in LOC .
    PER beat PER by NUM seconds in LOC .
    Rain fell on LOC and on LOC all DAY .
    The road from LOC to LOC was closed .
    The LOC LOC ferry sank near LOC .
    GOODS from LOC reached ORG on DAY .
    PER sent GOODS to PER as a gift .
    PER sent GOODS to LOC by cart .
    ORG sent NUM players to ORG .
    ORG won the MISC on DAY .
    PER won the MISC in LOC .
    LOC will host the MISC .
    A MISC ROLE sang in LOC .
    MISC sailors found GOODS near LOC .
    LOC lies north of LOC .
    PER lies about her age .
    ORG opened a new office in LOC .
    PER opened the door .
    LOC opened its gates on DAY .
    ORG hired PER as coach .
    PER hired NUM sailors .
    ORG ended the season with NUM wins .
    PER ended his speech in MISC .
    LOC ended the year under snow .
    The players of ORG rested on DAY .
    The people of LOC rested on DAY .
    The children of PER rested on DAY .
    Shares of ORG rose on DAY .
    The streets of LOC were empty .
    The brother of PER was absent .
    ORG , owned by PER , sold its GOODS .
    LOC , ruled by PER , sold its GOODS .
    PER , taught by PER , sold his GOODS .
    In LOC , ORG lost its captain .
    For ORG , PER scored NUM times .
    With PER , ORG never lost .
    Near LOC , PER lost his way .
    """.strip().splitlines()
)

POS = {
    **dict.fromkeys(("the", "a", "all"), "DT"),
    **dict.fromkeys("for of in on to from with near by that as under about".split(), "IN"),
    **dict.fromkeys("her his its".split(), "PRP$"),
    **dict.fromkeys("new ill empty absent north".split(), "JJ"),
    **dict.fromkeys("sail sing host learn".split(), "VB"),
    **dict.fromkeys("will would".split(), "MD"),
    **dict.fromkeys("closed owned ruled taught born".split(), "VBN"),
    **dict.fromkeys(
        "goals seasons shares walls wins sailors seconds players people children streets boats gates times".split(),
        "NNS",
    ),
    **dict.fromkeys(
        "told bought was were learned fell met joined left signed sold raised beat sank reached sent won sang found "
        "opened hired ended rested rose lost scored".split(),
        "VBD",
    ),
    "lies": "VBZ",
    "and": "CC",
    "never": "RB",
    ",": ",",
    ".": ".",
    **dict.fromkeys(NUMBERS, "CD"),
    **dict.fromkeys(DAYS, "NNP"),
}
"""Parts of speech of the closed list of words; any other word of a template is a singular noun."""


@dataclass(frozen=True)
class Mention:
    """A mention of an entity: its words and its type."""

    words: tuple[str, ...]
    kind: str


def person(rng: Random, name: str) -> tuple[str, ...]:
    """A person's name: mostly the bare surname."""
    return (name,) if rng.random() < 0.65 else (rng.choice(GIVEN), name)


def club(rng: Random, name: str) -> tuple[str, ...]:
    """An organisation's name: mostly the bare name."""
    draw = rng.random()
    if draw < 0.7:
        return (name,)
    return (name, rng.choice(BODIES)) if draw < 0.9 else (rng.choice(BODIES), "of", name)


def place(rng: Random, name: str) -> tuple[str, ...]:
    """A place's name: mostly the bare name."""
    return (name,) if rng.random() < 0.75 else (rng.choice(WATERS), name)


def other(rng: Random, name: str, demonym: bool) -> tuple[str, ...]:
    """A demonym or language, or an event."""
    if demonym:
        return (f"{name}ish",)
    return tuple(rng.choice(PLAIN_EVENTS).split()) if rng.random() < 0.4 else (name, rng.choice(EVENTS))


def mention(rng: Random, kind: str, name: str, demonym: bool) -> Mention:
    """A mention of `kind` made from `name`."""
    if kind == "MISC":
        return Mention(other(rng, name, demonym), kind)
    return Mention({"PER": person, "ORG": club, "LOC": place}[kind](rng, name), kind)


def chunk(pos: str) -> str:
    """The chunk type of a part of speech, `O` outside chunks."""
    if pos in ("IN", "TO"):
        return "PP"
    if pos in ("MD", "VB", "VBD", "VBN", "VBZ", "RB"):
        return "VP"
    return "O" if pos in (",", ".", "CC") else "NP"


def expand(rng: Random, template: str, names: Names) -> list[Mention]:
    """The template with its slots filled: plain words are mentions of kind `O`."""
    slots, pool = template.split(), iter(names.distinct(rng, 6))
    plain = {"DAY": DAYS, "NUM": NUMBERS, "GOODS": GOODS, "ROLE": ROLES}
    filled = []
    for at, slot in enumerate(slots):
        if slot in ("PER", "ORG", "LOC", "MISC"):
            filled.append(mention(rng, slot, next(pool), slots[max(0, at - 1)] != "the"))
        else:
            word = rng.choice(plain[slot]) if slot in plain else slot
            filled.append(Mention((word.capitalize() if at == 0 else word,), "O"))
    return filled


def tokens(mentions: list[Mention]) -> list[Token]:
    """IOB1 tokens: `I-` throughout, `B-` only where a mention follows one of its own type at once."""
    rows: list[Token] = []
    before, chunk_before = "O", "O"
    for item in mentions:
        for at, word in enumerate(item.words):
            inner = item.kind != "O" and word != "of"
            pos = "NNP" if inner else POS.get(word if word in POS else word.lower(), "NN")
            kind = chunk(pos)
            border = "B" if item.kind == before and at == 0 else "I"
            starts = at == 0 and item.kind != "O" and kind == chunk_before == "NP" and before not in ("O", item.kind)
            entity = "O" if item.kind == "O" else f"{border}-{item.kind}"
            rows.append((word, pos, "O" if kind == "O" else f"{'B' if starts else 'I'}-{kind}", entity))
            chunk_before = kind
        before = item.kind
    return rows


def report(rng: Random, names: Names) -> list[Token]:
    """One tagged sentence."""
    return tokens(expand(rng, rng.choice(TEMPLATES), names))


def document(rng: Random, names: Names) -> list[list[Token]]:
    """The sentences of one document."""
    return [report(rng, names) for _ in range(rng.randint(3, 6))]
