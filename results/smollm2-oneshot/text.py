"""The text of this board and of smollm2-2-4: the prose of The Debian Administrator's Handbook, in the order of the book.

    apt-get download debian-handbook && dpkg-deb -x debian-handbook_11.20220922_all.deb handbook
    python results/smollm2-oneshot/text.py handbook/usr/share/doc/debian-handbook/html/en-US > handbook.txt

Raphaël Hertzog and Roland Mas wrote it, and give it away under the GPL 2 or later, or CC-BY-SA 3.0. Only paragraphs are taken, one a
line: no headings, listings or links between pages. Any other text file does as well, as `lm[path=FILE]`; records name its hash.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LINK = re.compile(r'href="([a-z0-9.-]+\.html)')


class Paragraphs(HTMLParser):
    """The text of every <div class="para"> of a page, as `found`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._divs: list[bool] = []
        self._listing = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a paragraph or a listing."""
        if tag == "div":
            self._divs.append(("class", "para") in attrs)
            if self._divs[-1]:
                self.found.append("")
        self._listing = self._listing or tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if tag == "div" and self._divs:
            self._divs.pop()
        self._listing = self._listing and tag != "pre"

    def handle_data(self, data: str) -> None:
        """Add to the paragraph."""
        if self._divs and self._divs[-1] and not self._listing:
            self.found[-1] += data


def main(folder: Path) -> None:
    """Print the paragraphs of all pages that the table of contents leads to."""
    for page in dict.fromkeys(LINK.findall((folder / "index.html").read_text(encoding="utf-8"))):
        if page != "index.html":
            parser = Paragraphs()
            parser.feed((folder / page).read_text(encoding="utf-8"))
            for paragraph in parser.found:
                if words := " ".join(paragraph.split()):
                    print(words)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
