"""Reviews of an invented country's plays and suppers, whose verdict must be composed from their parts.

Negation and contrast decide: a bag of words sees the same opinion words in praise and in blame.
"""

from random import Random

from tasks.mini.words import DAYS, Names

GOOD = tuple(
    "splendid warm lovely bright charming fine superb graceful tender delightful crisp clever moving generous merry "
    "rich honest fresh elegant gentle brilliant pleasant witty smooth hearty".split()
)
BAD = tuple(
    "dull cold dreary grim clumsy sour stale awful tedious noisy rude bleak shabby bland muddled lifeless harsh "
    "greasy dismal careless damp feeble hollow wretched tiresome".split()
)
ASPECTS = tuple(
    "actors:were music:was ending:was soup:was beds:were service:was costumes:were seats:were crew:was bread:was "
    "singers:were view:was opening:was jokes:were room:was cook:was story:was drums:were lamps:were cakes:were".split()
)
DEGREES = ("very", "quite", "rather", "truly", "so", "really")
NEGATIONS = ("not", "hardly", "never", "far from", "not at all", "anything but", "no longer")
OPENERS = ("last night ,", "on {day} ,", "in {town} ,", "as {town} folk say ,", "this time ,", "to my mind ,")
CONTRASTS = 0.3
"""Share of the reviews whose two clauses disagree."""
SLIPS = 0.04
"""Share of the labels that are wrong, as annotators slip."""


def opinion(rng: Random, good: bool) -> str:
    """One opinion word of a polarity."""
    return rng.choice(GOOD if good else BAD)


def predicate(rng: Random, good: bool) -> str:
    """What is said of a subject so that, negation counted, it is praised (`good`) or blamed."""
    kind = rng.random()
    if kind < 0.4:
        return opinion(rng, good)
    if kind < 0.65:
        return f"{rng.choice(DEGREES)} {opinion(rng, good)}"
    return f"{rng.choice(NEGATIONS)} {opinion(rng, not good)}"


def clause(rng: Random, good: bool) -> str:
    """A clause about one aspect, praising or blaming it."""
    noun, verb = rng.choice(ASPECTS).split(":")
    return f"the {noun} {verb} {predicate(rng, good)}"


def plain(rng: Random, good: bool) -> str:
    """One clause, or two that agree."""
    return clause(rng, good) if rng.random() < 0.6 else f"{clause(rng, good)} and {clause(rng, good)}"


def contrast(rng: Random, good: bool) -> str:
    """Two clauses that disagree: the main one decides."""
    other, main = clause(rng, not good), clause(rng, good)
    return rng.choice(
        (
            f"{other} , but in the end {main}",
            f"{other} , yet to us {main}",
            f"although {other} , overall {main}",
            f"overall {main} , even though {other}",
        )
    )


def review(rng: Random, names: Names) -> tuple[str, int]:
    """A review, lower-case and space-tokenized, and its label: 1 praise, 0 blame; some labels are wrong."""
    good = rng.random() < 0.5
    text = contrast(rng, good) if rng.random() < CONTRASTS else plain(rng, good)
    if rng.random() < 0.3:
        text = f"{rng.choice(OPENERS).format(day=rng.choice(DAYS), town=names.draw(rng))} {text}"
    return f"{text} .".lower(), int(good != (rng.random() < SLIPS))
