"""Writes the mini data sets; the same command always writes the same bytes.

python -m tasks.mini.generate [FOLDER]
"""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random

from tasks.mini import chronicle, inns, news, reviews
from tasks.mini.words import Names
from tasks.pipeline.whole import write_whole

SIZES = {
    "sst2": (2400, 300),
    "squad": (600, 150),
    "conll2003": (220, 50, 60),
    "e2e": (900, 60, 70),
    "wikitext": (60, 15),
}
"""Training examples, then evaluation ones: reviews, passages, documents, meaning representations, articles."""
UNSEEN = 0.5
"""Share of reserved names in evaluation texts."""

LONG = 0.3
"""Share of the passages with two facts, where the question's clues must be matched; the others have one."""


def source(key: str) -> Random:
    """The random numbers of one part: seeded by its name, so parts never shift each other."""
    return Random(f"mini/{key}")


def distinct(make: Callable[[], str], count: int, taken: set[str]) -> Iterator[str]:
    """`count` new rows, none with a sentence in `taken`, which grows."""
    while count:
        text = make()
        sentence = text.partition("\t")[0]
        if sentence not in taken:
            taken.add(sentence)
            count -= 1
            yield text


def sst2() -> dict[str, str]:
    """`glue/SST-2/*.tsv`: sentence and label under a header."""
    files, taken = {}, set[str]()
    for split, count in zip(("dev", "train"), reversed(SIZES["sst2"]), strict=True):
        rng, names = source(f"sst2/{split}"), Names(UNSEEN if split == "dev" else 0)
        rows = distinct(partial(review, rng, names), count, taken)
        files[f"glue/SST-2/{split}.tsv"] = "sentence\tlabel\n" + "".join(rows)
    return files


def review(rng: Random, names: Names) -> str:
    """A row of SST-2."""
    text, label = reviews.review(rng, names)
    return f"{text} \t{label}\n"


def squad() -> dict[str, str]:
    """`squad/*-v1.1.json`: ten passages an article."""
    files = {}
    for split, count in zip(("train", "dev"), SIZES["squad"], strict=True):
        rng, names = source(f"squad/{split}"), Names(UNSEEN if split == "dev" else 0)
        paragraphs = [paragraph(rng, names, f"{split[0]}{number}") for number in range(count)]
        articles = [
            {"title": f"Chronicle_{first // 10 + 1}", "paragraphs": paragraphs[first : first + 10]}
            for first in range(0, count, 10)
        ]
        text = json.dumps({"data": articles, "version": "1.1"}, separators=(",", ":"))
        files[f"squad/{split}-v1.1.json"] = text + "\n"
    return files


def paragraph(rng: Random, names: Names, key: str) -> dict[str, object]:
    """One passage with two questions."""
    context, questions = chronicle.passage(rng, names, 2, 2 if rng.random() < LONG else 1)
    qas = [
        {"answers": [{"answer_start": q.start, "text": q.answer}], "question": q.text, "id": f"{key}-{number}"}
        for number, q in enumerate(questions)
    ]
    return {"context": context, "qas": qas}


def conll2003() -> dict[str, str]:
    """`conll2003/eng.*`: four columns, a blank line after each sentence, documents begun by -DOCSTART-."""
    files = {}
    for split, count in zip(("train", "testa", "testb"), SIZES["conll2003"], strict=True):
        rng, names = source(f"conll2003/{split}"), Names(0 if split == "train" else UNSEEN)
        start = "-DOCSTART- -X- -X- O\n\n" if split == "testb" else "-DOCSTART- -X- O O\n\n"
        files[f"conll2003/eng.{split}"] = "".join(
            start + "".join(lines(sentence) + "\n" for sentence in news.document(rng, names)) for _ in range(count)
        )
    return files


def lines(sentence: list[news.Token]) -> str:
    """A sentence's rows."""
    return "".join(" ".join(token) + "\n" for token in sentence)


def e2e() -> dict[str, str]:
    """`e2e/*.csv`: one wording of each training record, two of each evaluation record."""
    files, taken = {}, set[str]()
    parts = zip(("trainset", "devset", "testset_w_refs"), SIZES["e2e"], ("\r\n", "\r\n", "\n"), strict=True)
    for split, count, newline in parts:
        rng, train = source(f"e2e/{split}"), split == "trainset"
        names, out = Names(0 if train else UNSEEN), StringIO()
        writer = csv.writer(
            out, lineterminator=newline, quoting=csv.QUOTE_MINIMAL if newline == "\r\n" else csv.QUOTE_ALL
        )
        writer.writerow(("mr", "ref"))
        while count:
            slots = inns.inn(rng, names, reserved=not train)
            if inns.meaning(slots) not in taken:
                taken.add(inns.meaning(slots))
                count -= 1
                texts = [inns.wording(rng, slots)] if train else rng.sample(inns.realizations(slots), 2)
                writer.writerows((inns.meaning(slots), text) for text in texts)
        files[f"e2e/{split}.csv"] = out.getvalue()
    return files


def wikitext() -> dict[str, str]:
    """`wikitext-2-raw/wiki.*.raw`: articles about towns, a heading between equals signs, a blank line after each paragraph."""
    files = {}
    for split, count in zip(("train", "test"), SIZES["wikitext"], strict=True):
        rng, names = source(f"wikitext/{split}"), Names(UNSEEN if split == "test" else 0)
        reserved = split == "test"
        files[f"wikitext-2-raw/wiki.{split}.raw"] = "".join(inns.town(rng, names, reserved) for _ in range(count))
    return files


def write(folder: Path) -> None:
    """Write every file of every set under `folder`."""
    for name, text in (sst2() | squad() | conll2003() | e2e() | wikitext()).items():
        write_whole(folder / name, text.encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
