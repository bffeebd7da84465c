"""Numbers as they are printed: to so many digits, and by powers of ten where they are errors without bound."""

MINUS = "\N{MINUS SIGN}"
LARGE = 1e5
"""From here on a number is printed with a power of ten. No percentage is so large, but the perplexity of a broken model may be."""


def number(value: float, digits: int) -> str:
    """To so many digits, with a minus sign for a hyphen and none before zero; 1.2e7 where it is large."""
    if abs(value) >= LARGE:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text.replace("-", MINUS)


def count_of(count: int | str, noun: str) -> str:
    """A count and what is counted: `1 cell`, `3 cells`, `2 passes`."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def rounded(value: float, digits: int) -> float:
    """The number that `number` prints."""
    return float(f"{value:.1e}") if abs(value) >= LARGE else round(value, digits)
