"""What a suite's `labels` may name, how records spell it, and what LaTeX a label may hold.

labels: {principled: PINS (ours), magnitude: {text: Magnitude, latex: 'Magnitude \\citep{han2015}'}}
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from benchmark.errors import PrunebenchError, choices
from benchmark.plugins.labels import LABELS, labelled, letters
from benchmark.plugins.spelling import canonical
from benchmark.suite.spec import DENSE, Strict, portable, portable_row

TEXT = {
    "emph", "mbox", "underline", "textbf", "textit", "textsc", "texttt", "textrm", "textsf", "textsl", "textsubscript",
    "textsuperscript",
}  # fmt: skip
MATH = {
    "mathrm", "mathbf", "mathit", "mathsf", "mathcal", "dagger", "ddagger", "star", "ast", "times", "pm", "ell",
    "infty", "to", "uparrow", "downarrow", "rightarrow", "leftarrow", "le", "ge", "approx", "sim", "alpha", "beta", "gamma",
    "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau",
    "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega",
}  # fmt: skip
"""Commands that a label may hold beside citations, those of `MATH` between dollars alone: a board may come from a stranger, and LaTeX
commands can read files."""
CITATION = r"\\(?:cite[a-zA-Z]*\*?(?:\[[^\[\]\\{}%#&$]*\])*|ref)\{[\w:.,+/ -]+\}"


def _latex(text: str) -> str:
    """`text`, which stands in a paper as it is; ValueError where it would not compile there, or holds other commands."""
    rest = re.sub(CITATION, "", text)
    for word in re.findall(r"\\([a-zA-Z]+|.?)", rest):
        if word not in TEXT | MATH and word not in tuple(",; &%$#_{}"):
            raise ValueError(f"\\{word} is no command that a label may hold; expected \\cite..., \\textsc and the like")
    for word in re.findall(r"\\([a-zA-Z]+)", " ".join(re.sub(r"\\[^a-zA-Z]", "", rest).split("$")[::2])):
        if word in MATH:
            raise ValueError(f"\\{word} is a command of mathematics: write it between dollars, $\\{word}...$")
    plain = re.sub(r"\\([a-zA-Z]+|.)", "", rest)
    outside = "".join(plain.split("$")[::2])
    if wrong := next((sign for sign in "%#&" if sign in plain), "") or next((s for s in "^_" if s in outside), ""):
        raise ValueError(f"'{wrong}' is a command of LaTeX: write \\{wrong}" + (", or $...$" if wrong in "^_" else ""))
    if not in_pairs(text) or "^^" in plain:
        raise ValueError("its braces or dollars do not come in pairs")
    if not text.isprintable():
        raise ValueError("expected one line of printable characters")
    return text


def in_pairs(text: str) -> bool:
    """Whether braces and dollars of LaTeX come in pairs, commands and escaped signs apart."""
    plain = re.sub(r"\\([a-zA-Z]+|.)", "", text)
    depth = [plain[:end].count("{") - plain[:end].count("}") for end in range(len(plain) + 1)]
    return min(depth) >= 0 and depth[-1] == 0 and plain.count("$") % 2 == 0


def _one_line(text: str) -> str:
    if len(text.splitlines()) != 1 or not _as_seen(text):
        raise ValueError("expected one line of text")
    return text


def _as_seen(text: str) -> str:
    """`text` without what a reader cannot see or overlooks: capitals, runs of blanks, signs without width, how accents are encoded."""
    signs = "".join(sign for sign in text.lower() if unicodedata.category(sign) != "Cf")
    return " ".join(unicodedata.normalize("NFC", signs).split())


class Label(Strict):
    """What something is called: in plain text, and in LaTeX where that is to differ."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(_one_line)]
    latex: Annotated[str, Field(max_length=300), AfterValidator(_latex)] = ""


def _whole(given: object) -> object:
    return given if isinstance(given, dict | Label) else {"text": given}


Labels = dict[str, Annotated[Label, BeforeValidator(_whole)]]


def spelled_as_recorded(
    labels: Mapping[str, Label], suite: Mapping[str, Any], replaced: Sequence[str] = ()
) -> dict[str, Label]:
    """The labels by the names in records; ValueError for one that names nothing in the validated fields of `suite`.

    Labels of the rows and tasks in `replaced`, which the suite's file has and --set took out, are left out.
    """
    known = _named(suite)
    gone = {name for text in replaced for part in (text, *text.split(" + ")) for name in _spellings(part)} - known
    found: dict[str, Label] = {}
    for key, label in labels.items():
        name = next((name for name in _spellings(key) if name in known), None)
        if name is None and not gone.isdisjoint((*_spellings(key), *_spellings(key.partition(" + ")[0]))):
            continue
        if name is None:
            meant = _meant(key, suite["tasks"])
            what_to_do = ": name that" if meant in {name.partition("[")[0] for name in known} else ""
            hint = f"it is the label of '{meant}'{what_to_do}. " if meant not in ("", key) else ""
            raise ValueError(f"'{key}' is nothing of this suite; {hint}{choices(key, known)}")
        if name in found:
            raise ValueError(f"'{name}' is named twice")
        found[name] = label
    return found


def rows_named(criteria: Sequence[str], regularizers: Sequence[str]) -> list[tuple[str, str]]:
    """(criterion or method, regularizer) of every row, once: one that names no regularizer stands with each of the suite's."""
    rows: dict[tuple[str, str], None] = {}
    for text in criteria:
        criterion, plus, regularizer = text.partition(" + ")
        rows.update({(criterion, each): None for each in ([regularizer] if plus else regularizers)})
    return list(rows)


def method_of(*parts: str) -> str:
    """`criterion + regularizer`, the null regularizer and empty parts left out."""
    return " + ".join(part for part in parts if part not in ("", "none"))


def require_apart(rows: Sequence[tuple[str, str]], tasks: Sequence[str], labels: Mapping[str, Label]) -> None:
    """ValueError where two rows, or two tasks, would be called alike in tables, whatever their case."""
    for kind, names in (
        ("rows", [DENSE, *(method_of(*row) for row in rows)]),
        ("tasks", list(tasks)),
    ):
        seen: dict[str, str] = {}
        for name in names:
            called = _called(portable_row(name), labels)
            other = seen.setdefault(_as_seen(called), name)
            if other != name:
                raise ValueError(
                    f"'{other}' and '{name}' are both called {called}: {kind} of a table that could not be told apart"
                )


def _called(name: str, labels: Mapping[str, Label]) -> str:
    """What a row or a task is called: its label, those of its parts, or what papers call a plugin without options."""
    if name in labels:
        return labels[name].text
    criterion, plus, regularizer = name.partition(" + ")
    if plus:
        return f"{_called(criterion, labels)} + {_called(regularizer, labels)}"
    return {**LABELS["criteria"], **LABELS["regularizers"]}.get(name, name)


def _meant(key: str, tasks: list[str]) -> str:
    """The plugin that papers call `key`: `principled` for PINS, `glue/sst2` for SST-2; "" where none is."""
    of_task = next((task for task in tasks if letters(task.rpartition("/")[2]) == letters(key)), "")
    return next(filter(None, (labelled(kind, key) for kind in LABELS)), of_task)


def _named(suite: Mapping[str, Any]) -> set[str]:
    """What labels may name: the suite's model, tasks, rows and their parts, as records spell them."""
    rows = rows_named(suite["criteria"], suite["regularizers"])
    named = {part for row in rows for part in (*row, method_of(*row))} | {*suite["regularizers"], *suite["tasks"]}
    return {portable_row(name) for name in named - {"none"}} | {portable(suite["model"]), DENSE}


def _spellings(key: str) -> Iterator[str]:
    """What `key` may mean: itself, or a configured plugin in its canonical spelling."""
    yield key
    yield portable_row(key)
    criterion, plus, regularizer = key.partition(" + ")
    for kind in ("criteria", "regularizers", "tasks"):
        with suppress(PrunebenchError):
            yield portable_row(canonical(kind, criterion) + (plus and f" + {canonical('regularizers', regularizer)}"))
