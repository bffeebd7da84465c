"""Names and shared words of the invented river country that every mini data set speaks about.

A name is a stem and an ending ("kel" + "ovel"); any name may be a person, a club or a town, so only its context tells.
A quarter of the names is reserved: no training or pretraining text ever uses them.
"""

from dataclasses import dataclass
from random import Random

STEMS: tuple[str, ...] = tuple(
    "bel bram cas dar dov elm fal fen gor hal hesk ild jar kel kor lan lorm mal mer nav nol orv pel prin "
    "quen ral rosk sal sev skar sol tam tel thul tor ulm ush val ven vor wel wist yar yel zan zor dren glim".split()
)
ENDINGS: tuple[str, ...] = tuple(
    "ath ovel imra usk endo orin ysh ulla emar otha ilve anto eska uren ivar omel ashi eldo uvin ithra ongo adil evra ost".split()
)
GIVEN: tuple[str, ...] = tuple(
    "Abrin Cesta Dolm Edra Fio Grett Hanno Iska Jorl Kitta Lume Mirro Neth Osk Pria Quill Runa Sefa Tavi Umber "
    "Vessa Wenn Xanti Yoro Zella".split()
)
DAYS: tuple[str, ...] = tuple("Moonday Tideday Windsday Stoneday Firesday Starday Sunday".split())
NUMBERS: tuple[str, ...] = tuple("two three four five six seven eight nine ten twelve".split())
YEARS: tuple[str, ...] = tuple(str(year) for year in range(390, 450))


def is_reserved(stem: int, ending: int) -> bool:
    """Whether the name of these two indices is kept for evaluation."""
    return (stem * 7 + ending * 5) % 4 == 0


ROOTS: tuple[str, ...] = tuple(
    (s + e).capitalize() for i, s in enumerate(STEMS) for j, e in enumerate(ENDINGS) if not is_reserved(i, j)
)
RESERVED: tuple[str, ...] = tuple(
    (s + e).capitalize() for i, s in enumerate(STEMS) for j, e in enumerate(ENDINGS) if is_reserved(i, j)
)


@dataclass(frozen=True)
class Names:
    """A source of names: `unseen` is the share in [0, 1] drawn from the reserved ones."""

    unseen: float = 0.0

    def draw(self, rng: Random) -> str:
        """One name."""
        return rng.choice(RESERVED if rng.random() < self.unseen else ROOTS)

    def distinct(self, rng: Random, count: int) -> list[str]:
        """`count` different names."""
        found: list[str] = []
        while len(found) < count:
            name = self.draw(rng)
            if name not in found:
                found.append(name)
        return found


def article(word: str) -> str:
    """`a` or `an`, as the word's first letter wants."""
    return "an" if word[0].lower() in "aeiou" else "a"
