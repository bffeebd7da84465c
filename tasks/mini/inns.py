"""Inns of an invented country as meaning representations (`key[value], ...`) and the sentences that verbalize them.

The wording follows from which slots are given; names and places are combinations that training does not show.
"""

from collections.abc import Mapping
from random import Random

from tasks.mini.words import Names, article

LOOKS = tuple("Grey Black Golden Silver Merry Lame Proud Lucky Sleepy Crooked Painted Salty".split())
SIGNS = tuple("Heron Otter Pike Anchor Kettle Lantern Goose Barrel Badger Crown Oar Fiddle".split())
KINDS = ("inn", "tavern", "tea house", "bakery", "cook shop")
FOODS = tuple(
    f"{how} {what}"
    for how in ("smoked", "fried", "pickled", "roast")
    for what in ("eel", "barley", "trout", "plums", "turnips")
)
PRICES = ("cheap", "dear", "modest")
QUARTERS = ("harbour", "castle", "market", "river")
RATINGS = {"high": "love", "fair": "like", "low": "avoid"}
OPTIONAL = ("food", "price", "quarter", "near", "rating")

Inn = dict[str, str]
"""Slot name to value, in the order the meaning representation lists them."""


def is_reserved(look: int, sign: int) -> bool:
    """Whether this sign board appears in evaluation only."""
    return (look * 5 + sign * 7) % 4 == 0


def sign_board(rng: Random, reserved: bool) -> str:
    """`The Grey Heron`: from the combinations reserved for evaluation, or from the others."""
    while True:
        look, sign = rng.randrange(len(LOOKS)), rng.randrange(len(SIGNS))
        if is_reserved(look, sign) == reserved:
            return f"The {LOOKS[look]} {SIGNS[sign]}"


def inn(rng: Random, names: Names, reserved: bool = False) -> Inn:
    """One inn with three to five slots beside its name and kind, two to four of them optional."""
    values = {
        "food": rng.choice(FOODS),
        "price": rng.choice(PRICES),
        "quarter": rng.choice(QUARTERS),
        "near": f"{names.draw(rng)} {rng.choice(('Bridge', 'Mill', 'Gate', 'Well'))}",
        "rating": rng.choice(tuple(RATINGS)),
    }
    given = rng.sample(OPTIONAL, rng.randint(2, 4))
    kept = {key: values[key] for key in OPTIONAL if key in given}
    return {"name": sign_board(rng, reserved), "kind": rng.choice(KINDS), **kept}


def meaning(slots: Mapping[str, str]) -> str:
    """The meaning representation as the benchmark writes it."""
    return ", ".join(f"{key}[{value}]" for key, value in slots.items())


def spot(slots: Mapping[str, str]) -> str:
    """Where the inn stands, with a leading space, or nothing."""
    quarter = f" in the {slots['quarter']} quarter" if "quarter" in slots else ""
    return quarter + (f" near {slots['near']}" if "near" in slots else "")


def rest(slots: Mapping[str, str]) -> str:
    """The second sentence, with a leading space, or nothing: food and rating are joined by `and` or `but`."""
    food = f"It serves {slots['food']}" if "food" in slots else ""
    if "rating" not in slots:
        return f" {food}." if food else ""
    guests = f"guests {RATINGS[slots['rating']]} it"
    joint = "but" if slots["rating"] == "low" else "and"
    return f" {food}, {joint} {guests}." if food else f" {guests.capitalize()}."


def realizations(slots: Mapping[str, str]) -> list[str]:
    """Every wording of an inn, the usual one first."""
    kind = f"{slots['price']} {slots['kind']}" if "price" in slots else slots["kind"]
    where, name = spot(slots), slots["name"]
    texts = [f"{name} is {article(kind)} {kind}{where}.{rest(slots)}"]
    if where:
        texts.append(f"{where[1:2].upper()}{where[2:]}, {name} is {article(kind)} {kind}.{rest(slots)}")
    else:
        texts.append(f"There is {article(kind)} {kind} called {name}.{rest(slots)}")
    if "food" in slots and "rating" not in slots:
        texts.append(f"{name} is {article(kind)} {kind}{where} that serves {slots['food']}.")
    return texts


def wording(rng: Random, slots: Mapping[str, str]) -> str:
    """One reference: mostly the usual wording."""
    texts = realizations(slots)
    return texts[0] if rng.random() < 0.6 else rng.choice(texts[1:])


GUILDS = {"Weavers": "cloth", "Coopers": "barrels", "Fishers": "nets", "Smiths": "nails", "Potters": "bowls"}


def ship(rng: Random, names: Names) -> tuple[Inn, str]:
    """Pretraining text: another kind of record, a ship's, and its sentences."""
    slots = {
        "name": sign_board(rng, False),
        "build": rng.choice(("barge", "ferry", "cutter", "raft")),
        "cargo": rng.choice(FOODS + tuple(GUILDS.values())),
        "home": names.draw(rng),
        "captain": names.draw(rng),
        "state": rng.choice(("new", "old", "leaky")),
    }
    given = rng.sample(("cargo", "home", "captain", "state"), rng.randint(1, 4))
    kept = {key: value for key, value in slots.items() if key in ("name", "build") or key in given}
    build = f"{kept['state']} {kept['build']}" if "state" in kept else kept["build"]
    text = f"{kept['name']} is {article(build)} {build}"
    text += f" from {kept['home']}" if "home" in kept else ""
    text += f" under {kept['captain']}." if "captain" in kept else "."
    return kept, text + (f" It carries {kept['cargo']}." if "cargo" in kept else "")


def town(rng: Random, names: Names, reserved: bool = False) -> str:
    """An article about a town's inns or ships: a heading, and paragraphs with a blank line after each."""
    lines = [f" = {names.draw(rng)} = "]
    for _ in range(rng.randint(3, 5)):
        ships = rng.random() < 0.3
        told = [
            ship(rng, names)[1] if ships else wording(rng, inn(rng, names, reserved)) for _ in range(rng.randint(3, 5))
        ]
        lines.append(f" {' '.join(told)} ")
    return "".join(f"{line}\n \n" for line in lines)
