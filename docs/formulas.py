"""Sets the formulas of docstrings, plain text in the letters of the code, as MathML: browsers show it without script or network.

    S <- beta1 S + (1 - beta1) |theta g|          g the gradient

A wide gap parts a formula from what is said of it; words within either stay words. A slash between things that touch it is a
fraction, `(M k + I)/(k + 1)`; one between spaces stays a slash.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent

GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "eta", "theta", "lambda", "sigma", "tau"]
NAMES = ["sigmoid", "softmax", "log", "mean", "diag", "max", "min", "norm2", "sqrt", "KL", "CE", "Uniform", "const"]
NAMES += ["damp", "loss", "score", "sparsity"]
"""Words that are mathematics, upright."""
SIGNS = {
    "<-": "\\leftarrow", "->": "\\to", "<=": "\\le", ">=": "\\ge", "!=": "\\ne", "||": "\\,\\|\\,", "...": "\\dots",
    "%": "\\bmod ", "~": "\\:\\sim\\:", ",": ",\\:", ";": ";\\:", ": ": ":\\:",
    "{": "\\{", "}": "\\}", "*": "\\cdot",
}  # fmt: skip
BEFORE_A_SIGN = {"=", "\\leftarrow", ",\\:", ";\\:", "/"}
"""A minus behind one of these, or at the beginning, is a sign."""
CLOSING = {"(": ")]", "[": ")]", "|": "|"}  # a half-open interval closes as it likes
TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    |(?P<sub>_(?:\{[^{}]*\}|[A-Za-z0-9]+(?::?,[a-z]:?)?))
    |(?P<sup>\^(?:-?\d+|[A-Za-z])?)
    |(?P<number>\d*\.?\d+(?:e-?\d+)?)
    |(?P<word>[A-Za-z]+\d*)
    |(?P<sign>:[ ]|<-|->|<=|>=|!=|\|\||\.\.\.|.)
    """,
    re.VERBOSE,
)
OPTION = r"`[^`]+`|[\w.]+/[\w/]+\.py|[a-z]{3,}_[a-z]{3,}"
"""Names of options and files."""
AROUND = ".;:,()[]"
"""What may stand beside a word."""


def typeset(text: str) -> str:
    """The formula lines of a docstring as one block of HTML."""
    return '<div class="formula">\n' + "\n".join(map(_line, dedent(text).split("\n"))) + "\n</div>"


def _line(line: str) -> str:
    depth = (len(line) - len(line.lstrip())) / 3
    left, *notes = re.split(r" {3,}", re.sub(r" +(?=(?:=|<-) )", " ", line.strip()))
    if notes and all(not is_formula for is_formula, _ in _runs(left)):
        left, *notes = f"{left} {notes[0]}", *notes[1:]
    said = "".join(f'<span class="{"said" if _says(note) else "more"}">{mixed(note)}</span>' for note in notes)
    return f'<div style="margin-left: {depth:.1f}em"><span>{mixed(left)}</span>{said}</div>'


def _says(note: str) -> bool:
    return any(not is_formula for is_formula, _ in _runs(note))


def mixed(text: str) -> str:
    """Words as words, everything else as MathML."""
    from latex2mathml.converter import convert

    parts = [convert(latex(part)) if is_formula else _words(part) for is_formula, part in _runs(text)]
    return re.sub(r"<mo>(?=&#x0005[BD];)", '<mo stretchy="false">', " ".join(parts)).replace(" 's", "'s")


def _words(text: str) -> str:
    escaped = html.escape(text, quote=False)
    return re.sub(OPTION, lambda found: f"<code>{found[0].strip('`')}</code>", escaped)


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """(whether it is mathematics, the text) of each stretch of `text`."""
    words = re.sub(r"\b([A-Za-z])'s\b", r"\1 's", text).split()
    prose = [_is_prose(word) for word in words]
    start = depth = 0
    for at, word in enumerate(words):
        before, after = (
            prose[at - 1] if at else False,
            prose[at + 1] if at + 1 < len(words) else at > 0 and prose[at - 1],
        )
        name = word.strip(AROUND) in NAMES and after
        prose[at] = (prose[at] or name or (word in {"a", "A"} and before and after)) and depth == 0
        if not prose[at]:  # what a formula's bracket holds belongs to it
            depth = max(0, depth + sum(map(word.count, "([{")) - sum(map(word.count, ")]}")))
            depth += {0: 0, 1: -1 if word.endswith("|") else 1}[word.count("|") % 2]
    for at in range(1, len(words) + 1):
        if at == len(words) or prose[at] != prose[start]:
            yield not prose[start], " ".join(words[start:at])
            start = at


def _is_prose(word: str) -> bool:
    """Whether it is no mathematics: `gradient`, `first,`, `window's`, the name of an option or a file."""
    bare = word.strip(AROUND)
    if re.fullmatch(OPTION, bare) or word == "'s":
        return True
    return bool(re.fullmatch(r"[A-Za-z]{2,}(?:['-][A-Za-z]+)*", bare)) and bare not in {*NAMES, *GREEK}


def latex(text: str) -> str:
    """A formula in LaTeX."""
    tokens = [(found.lastgroup or "", found.group()) for found in TOKEN.finditer(text)]
    reader = _Reader(tokens)
    parts = []
    while not reader.done:
        parts.append(reader.sequence(""))
        if not reader.done:
            parts.append(reader.take()[1])  # a bracket that nothing opened: words stand between
    return " ".join(parts)


@dataclass
class _Reader:
    """Goes through tokens once."""

    tokens: list[tuple[str, str]]
    at: int = 0

    @property
    def done(self) -> bool:
        return self.at == len(self.tokens)

    def peek(self) -> tuple[str, str]:
        return ("", "") if self.done else self.tokens[self.at]

    def take(self) -> tuple[str, str]:
        self.at += 1
        return self.tokens[self.at - 1]

    def sequence(self, closing: str) -> str:
        """Everything up to one of the `closing` brackets, which is left."""
        items: list[str] = []
        while not self.done and self.peek()[1] not in (*closing, ")", "]"):
            kind, text = self.take()
            if text == "/" and items and self._touching():
                items[-1] = f"\\frac{{{_bare(items[-1])}}}{{{_bare(self.atom(*self.take()))}}}"
            elif text == "-" and not self.done and (not items or items[-1] in BEFORE_A_SIGN):
                self.skip_space()
                items.append(f"{{-{self.atom(*self.take())}}}" if not self.done else "-")
            elif kind != "space":
                apart = text in NAMES and items and items[-1][-1].isalnum()
                items.append("\\," * bool(apart) + self.atom(kind, text))
        return " ".join(items)

    def _touching(self) -> bool:
        return self.tokens[self.at - 2][0] != "space" and self.peek()[0] not in ("", "space")

    def skip_space(self) -> None:
        while self.peek()[0] == "space":
            self.at += 1

    def atom(self, kind: str, text: str) -> str:
        """One thing with what is written above and below it."""
        if text in CLOSING:
            inner = self.sequence(CLOSING[text])
            end = "" if self.done else self.take()[1]
            tall = text == "|" or "\\frac" in inner or "\\sqrt" in inner
            found = f"\\left{text} {inner} \\right{end}" if tall and end else f"{{{text} {inner} {end}}}"
        elif text in ("sqrt", "norm2") and self.peek()[1] == "(":
            inner = _bare(self.atom(*self.take()))
            found = f"\\sqrt{{{inner}}}" if text == "sqrt" else f"\\left\\| {inner} \\right\\|_{{2}}"
        else:
            found = _simple(kind, text)
        return found + self._scripts(kind, text) + "\\," * (text in NAMES and self._multiplied())

    def _multiplied(self) -> bool:
        """Whether a letter, number or bracket follows after a space."""
        ahead = self.tokens[self.at : self.at + 2]
        return (
            len(ahead) == 2 and ahead[0][0] == "space" and (ahead[1][0] in ("word", "number") or ahead[1][1] in "(|[")
        )

    def _scripts(self, kind: str, text: str) -> str:
        below = [re.sub(r"\D", "", text)] if kind == "word" and text != "norm2" else []
        above = ""
        while self.peek()[0] in ("sub", "sup") or (self.peek()[1] == "'" and kind != "sign"):
            scripted, script = self.take()
            if scripted == "sub":
                below.append(_index(script[1:].strip("{}")))
            elif script == "^" and not self.done:
                above += _bare(self.atom(*self.take()))
            else:
                above += "\\prime " if script == "'" else script[1:]
        joined = ",".join(filter(None, below))
        return f"_{{{joined}}}" * bool(joined) + f"^{{{above}}}" * bool(above)


def _index(text: str) -> str:
    return " ".join(text) if re.fullmatch(r"[A-Za-z]{1,2}", text) else latex(text)


def _simple(kind: str, text: str) -> str:
    if kind == "number":
        mantissa, _, power = text.partition("e")
        base = "" if mantissa == "1" and power else mantissa
        return base + (f"10^{{{int(power)}}}" if power else "")
    if kind != "word":
        return SIGNS.get(text, text)
    plain = text.rstrip("0123456789")
    if plain in NAMES:
        return f"\\mathrm{{{plain}}}"
    if plain in GREEK:
        return f"\\{plain}" if plain != "epsilon" else "\\varepsilon"
    if plain == "sum":
        return "\\sum"
    return plain if len(plain) == 1 else f"\\:\\text{{{plain}}}\\,"


def _bare(text: str) -> str:
    """Without the brackets around all of it."""
    found = re.fullmatch(r"(?:\{|\\left)\((.*?)(?:\\right)?\)\}?", text)
    return found[1].strip() if found else text
