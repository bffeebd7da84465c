"""Short passages of an invented chronicle, with questions whose answer is a span of the passage.

The facts of a passage share verbs, things and persons, and all have the same kinds of parts: only the sentence that
matches both clues of the question holds the answer.
"""

from dataclasses import dataclass
from random import Random

from tasks.mini.words import YEARS, Names

VERBS: tuple[tuple[str, str, str], ...] = tuple(
    (base, past, participle)
    for base, past, participle in (
        entry.split("/")
        for entry in "build/built/built paint/painted/painted buy/bought/bought repair/repaired/repaired "
        "sell/sold/sold burn/burned/burned draw/drew/drawn guard/guarded/guarded bless/blessed/blessed "
        "rent/rented/rented".split()
    )
)
THINGS = tuple("bridge mill hall tower barge gate chapel well barn library".split())
LOOKS = tuple("old red stone tall long white little northern".split())


@dataclass(frozen=True)
class Fact:
    """Somebody did something to a thing, somewhere and in some year."""

    person: str
    verb: tuple[str, str, str]
    thing: str
    place: str
    year: str
    shows: str
    """`place` or `year`: which of the two the sentence tells."""

    def where(self) -> str:
        """The adverbial the sentence carries."""
        return f"in {self.place}" if self.shows == "place" else f"in {self.year}"


@dataclass(frozen=True)
class Question:
    """A question, its answer and where the answer starts in the context (characters)."""

    text: str
    answer: str
    start: int


def facts(rng: Random, names: Names, count: int) -> list[Fact]:
    """`count` facts that share verbs, things and persons but no (verb, thing) and no (person, verb) pair."""
    found: list[Fact] = []
    places_and_persons, years = names.distinct(rng, 2 * count), rng.sample(YEARS, count)
    places, persons = places_and_persons[:count], places_and_persons[count:]
    while len(found) < count:
        last = found[-1] if found else None
        verb = last.verb if last and rng.random() < 0.3 else rng.choice(VERBS)
        thing = f"{rng.choice(LOOKS)} {rng.choice(THINGS)}"
        if last and verb != last.verb and rng.random() < 0.3:
            thing = last.thing
        person = last.person if last and verb != last.verb and rng.random() < 0.2 else persons[len(found)]
        new = Fact(person, verb, thing, places[len(found)], years[len(found)], rng.choice(("place", "year")))
        if all((f.verb, f.thing) != (verb, thing) and (f.person, f.verb) != (person, verb) for f in found):
            found.append(new)
    return found


def sentence(rng: Random, fact: Fact) -> str:
    """One sentence that tells the fact."""
    where, (_, past, participle) = fact.where(), fact.verb
    return rng.choice(
        (
            f"{fact.person} {past} the {fact.thing} {where}.",
            f"The {fact.thing} was {participle} by {fact.person} {where}.",
            f"{where.capitalize() if fact.shows == 'year' else 'In ' + fact.place}, {fact.person} {past} the {fact.thing}.",
        )
    )


def ask(rng: Random, fact: Fact) -> tuple[str, str]:
    """A question about the fact, and its answer."""
    base, past, participle = fact.verb
    kind = rng.choice(("person", "where", "where", "thing"))
    if kind == "person":
        forms = (f"Who {past} the {fact.thing}?", f"By whom was the {fact.thing} {participle}?")
        return rng.choice(forms), fact.person
    if kind == "thing":
        return f"What did {fact.person} {base}?", f"the {fact.thing}"
    if fact.shows == "place":
        forms = (
            f"Where did {fact.person} {base} the {fact.thing}?",
            f"In which town was the {fact.thing} {participle}?",
        )
        return rng.choice(forms), fact.place
    forms = (f"When did {fact.person} {base} the {fact.thing}?", f"In which year was the {fact.thing} {participle}?")
    return rng.choice(forms), fact.year


def passage(rng: Random, names: Names, questions: int, size: int) -> tuple[str, list[Question]]:
    """A context of `size` facts and distinct questions about it."""
    told = facts(rng, names, size)
    sentences = [sentence(rng, fact) for fact in told]
    context, found = " ".join(sentences), dict[str, Question]()
    while len(found) < questions:
        index = rng.randrange(len(told))
        text, answer = ask(rng, told[index])
        offset = sum(len(s) + 1 for s in sentences[:index])
        # A thing stands with a capital article where it opens the sentence: the answer is the text as it stands there.
        inside = sentences[index].lower().index(answer.lower())
        answer = sentences[index][inside : inside + len(answer)]
        found[text] = Question(text, answer, offset + inside)
    return context, list(found.values())
