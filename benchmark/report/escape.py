"""Strings from plugins, suites and records, made harmless for each output: never markup, a command, a formula or an escape."""

import html as _html
import re
import unicodedata
from unicodedata import lookup

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "\u00d7": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "\u2212": r"$-$",
    "\u2013": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\ldots{}",
    "†": r"$\dagger$",
    "\u2192": r"$\rightarrow$",
    "\u2190": r"$\leftarrow$",
    "\u2191": r"$\uparrow$",
    "\u2193": r"$\downarrow$",
    "≈": r"$\approx$",
    "≠": r"$\ne$",
    "∞": r"$\infty$",
    "·": r"$\cdot$",
    "°": r"$^\circ$",
    "\u2018": "`",
    "\u2019": "'",
    "\u201c": "``",
    "\u201d": "''",
}
_NAMES = {"lambda": "lamda"}
"""Letters that Unicode calls otherwise than LaTeX."""
_CAPITALS = "gamma delta theta lambda xi pi sigma upsilon phi psi omega"
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega"
_LATEX |= {lookup(f"GREEK SMALL LETTER {_NAMES.get(name, name)}"): rf"$\{name}$" for name in _GREEK.split()}
_LATEX |= {
    lookup(f"GREEK CAPITAL LETTER {_NAMES.get(name, name)}"): rf"$\{name.capitalize()}$" for name in _CAPITALS.split()
}
_LATEX |= {letter: rf"$^{digit}$" for digit, letter in zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)}
_LATEX |= {letter: rf"$_{digit}$" for digit, letter in zip("0123456789", "₀₁₂₃₄₅₆₇₈₉", strict=True)}
_NOT_IN_OT1 = "ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų"
"""Latin letters that pdflatex cannot set with its default encoding."""
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"


def clean(text: str) -> str:
    """`text` on one line without control, format, surrogate or private characters: those become U+FFFD, line ends a space.

    Terminal escapes, bidirectional overrides and invisible characters all fall under it.
    """
    flat = re.sub(r"[\r\n\t\v\f\u0085\u2028\u2029]+", " ", text)
    return "".join("�" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn") else letter for letter in flat)


def for_terminal(text: str) -> str:
    """Text of several lines for a terminal: every line cleaned, the line ends kept."""
    return "\n".join(line if line.isprintable() else clean(line) for line in text.split("\n"))


def for_markdown(text: str) -> str:
    """Cleaned text that Markdown shows as written: no markup, links, images, math, table cells or HTML."""
    safe = clean(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = re.sub(r"([|`*~$])", r"\\\1", safe)
    safe = re.sub(r"\](?=[(\[:])", r"\\]", safe)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", safe)


def for_html(text: str) -> str:
    """Cleaned text for HTML content and for quoted attributes."""
    return _html.escape(clean(text), quote=True)


def tied(text: str) -> str:
    """`text` whose numbers stay on one line with their percent sign."""
    return re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", text)


def for_latex(text: str) -> str:
    """Cleaned text for LaTeX's text mode under pdflatex: specials escaped, letters beyond Latin as their code point.

    `--` does not become a dash, a number stays on one line with its per cent sign, and a leading `[` or `*` is not read as an
    argument of the row before.
    """
    safe = "".join(_latex_letter(letter) for letter in clean(text)).replace("--", "-{}-").replace(r" \%", r"~\%")
    return no_argument(safe)


def no_argument(latex: str) -> str:
    r"""`latex` as the first cell of a row: `[` or `*` there would be an argument of the `\\` that ends the row before."""
    return f"{{}}{latex}" if latex.lstrip()[:1] in ("[", "*") else latex


def for_csv(text: str) -> str:
    """Cleaned text that a spreadsheet does not take for a formula: an apostrophe goes before = + - @ and their like."""
    safe = clean(text)
    return f"'{safe}" if safe.lstrip().startswith(tuple(_FORMULA)) else safe


def as_seen(letter: str) -> str:
    """What LaTeX prints for a letter: itself, or the code point of one that it cannot set."""
    return found if (found := _latex_letter(letter)).startswith("[U+") else letter


def _latex_letter(letter: str) -> str:
    if letter in _LATEX:
        return _LATEX[letter]
    if letter.isascii() or ("À" <= letter <= "ž" and letter not in _NOT_IN_OT1):
        return letter
    return f"[U+{ord(letter):04X}]"
