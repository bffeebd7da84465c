"""Reviews of an invented country's plays and suppers, whose verdict must be composed from their parts.

Negation, contrast, quoted opinions, other targets and wishes decide; the opinion words alone tell little, because
each structure is drawn for a label drawn before it, with words of both polarities.
"""

from collections.abc import Callable
from random import Random

from tasks.mini.words import DAYS, Names, article

GOOD = tuple(
    "splendid warm lovely bright charming fine superb graceful tender delightful crisp clever moving generous merry "
    "rich honest fresh elegant gentle brilliant pleasant witty smooth hearty".split()
)
BAD = tuple(
    "dull cold dreary grim clumsy sour stale awful tedious noisy rude bleak shabby bland muddled lifeless harsh "
    "greasy dismal careless damp feeble hollow wretched tiresome".split()
)
THINGS = tuple("play song supper market tale inn dance feast concert parade regatta voyage".split())
ASPECTS = tuple(
    "actors:were music:was ending:was soup:was beds:were service:was costumes:were seats:were crew:was bread:was "
    "singers:were view:was opening:was jokes:were room:was cook:was story:was drums:were lamps:were cakes:were".split()
)
DEGREES = ("very", "quite", "rather", "truly", "so", "really")
NEGATIONS = ("not", "hardly", "never", "far from", "not at all", "anything but", "no longer")
AFFIRMATIONS = ("never less than", "nothing if not", "always", "nothing but")
SOURCES = ("the critics", "my neighbours", "our friends", "the sailors", "the players", "the guests")
OPENERS = ("last night ,", "on {day} ,", "in {town} ,", "as {town} folk say ,", "this time ,", "to my mind ,")
CLOSERS = {
    True: (
        "we will gladly come again .",
        "i recommend it to everyone .",
        "it deserves a prize .",
        "we left happy .",
        "i smiled all the way home .",
        "a joy from start to end .",
    ),
    False: (
        "we will surely stay away .",
        "i warn everyone against it .",
        "it deserves a fine .",
        "we left angry .",
        "i grumbled all the way home .",
        "a bore from start to end .",
    ),
}


def opinion(rng: Random, good: bool) -> str:
    """One opinion word of a polarity."""
    return rng.choice(GOOD if good else BAD)


def predicate(rng: Random, good: bool) -> str:
    """What is said of a subject so that, negation counted, it is praised (`good`) or blamed."""
    kind = rng.random()
    if kind < 0.3:
        return opinion(rng, good)
    if kind < 0.45:
        return f"{rng.choice(DEGREES)} {opinion(rng, good)}"
    if kind < 0.85:
        return f"{rng.choice(NEGATIONS)} {opinion(rng, not good)}"
    if kind < 0.93:
        return f"less {opinion(rng, not good)} than {rng.choice(('before', 'expected', 'last year'))}"
    return f"{rng.choice(AFFIRMATIONS)} {opinion(rng, good)}"


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


def quoted(rng: Random, good: bool) -> str:
    """Somebody else's opinion, which the writer shares or not."""
    agrees = rng.random() < 0.5
    word, source, thing = opinion(rng, good == agrees), rng.choice(SOURCES), rng.choice(THINGS)
    said = rng.choice((f"{source} called the {thing} {word}", f"{source} said that the {thing} was {word}"))
    reply = ("and they were right", "and i agree") if agrees else ("but they were wrong", "but i disagree")
    return f"{said} , {rng.choice(reply)}"


def elsewhere(rng: Random, good: bool) -> str:
    """An opinion of something else, then of the thing reviewed."""
    thing, other = rng.choice(THINGS), opinion(rng, rng.random() < 0.4 if good else rng.random() < 0.6)
    return rng.choice(
        (
            f"the other {thing} was {other} ; this one was {predicate(rng, good)}",
            f"this {thing} was {predicate(rng, good)} ; the other one was {other}",
            f"last year the {thing} was {other} , now it is {predicate(rng, good)}",
        )
    )


def expected(rng: Random, good: bool) -> str:
    """A hope or a fear, which came true or not."""
    true = rng.random() < 0.5
    word, thing = opinion(rng, good == true), rng.choice(THINGS)
    guess = f"{rng.choice(('i expected', 'we were promised', 'i looked for'))} {article(word)} {word} {thing}"
    result = ("and got one", "and i was not mistaken") if true else ("and got none", "and i was mistaken")
    return f"{guess} {rng.choice(result)}"


def wished(rng: Random, good: bool) -> str:
    """What was not so: the verdict is the opposite of the wish."""
    word, (noun, _) = opinion(rng, not good), rng.choice(ASPECTS).split(":")
    thing = rng.choice(THINGS)
    return rng.choice(
        (
            f"without the {noun} the {thing} would have been {word}",
            f"it could have been {article(word)} {word} {thing}",
            f"nobody can say that the {thing} was {word}",
        )
    )


STRUCTURES: tuple[tuple[float, Callable[[Random, bool], str]], ...] = (
    (0.24, plain),
    (0.3, contrast),
    (0.14, quoted),
    (0.14, elsewhere),
    (0.1, expected),
    (0.08, wished),
)


def review(rng: Random, names: Names) -> tuple[str, int]:
    """A review, lower-case and space-tokenized, and its label: 1 praise, 0 blame."""
    good = rng.random() < 0.5
    weights = [weight for weight, _ in STRUCTURES]
    text = rng.choices([make for _, make in STRUCTURES], weights)[0](rng, good)
    if rng.random() < 0.3:
        text = f"{rng.choice(OPENERS).format(day=rng.choice(DAYS), town=names.draw(rng))} {text}"
    return f"{text} .".lower(), int(good)


def review_with_verdict(rng: Random, names: Names) -> str:
    """Pretraining text: a review followed by a remark that fits it."""
    text, label = review(rng, names)
    return f"{text} {rng.choice(CLOSERS[bool(label)])}"
