"""The page in a real browser: filters, sorting, details, keyboard, dark mode, print. Needs Chromium and playwright."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.page.board import PageBoard
from benchmark.report.page.write import write_page
from tests.benchmark.report.factory import make_board

pytestmark = pytest.mark.browser

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def chromium() -> str | None:
    """A browser of this machine, or $PRUNEBENCH_CHROMIUM."""
    named = os.environ.get("PRUNEBENCH_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    if path is None:
        pytest.skip(f"no Chromium on this machine: looked for {', '.join(NAMES)}")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    specs, records = make_board()
    gone = records[-1]
    boards = [
        PageBoard(
            "First board",
            records[:-1],
            specs,
            {gone.id: "out of <memory>"},
            folder="results/first",
            records_at="records",
        ),
        PageBoard("Second board", [r for r in records if r.spec.task == "squad"], folder="results/second"),
    ]
    return write_page(boards, tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, freshly opened; the test fails on any script error or request."""
    said: list[str] = []
    opened = browser.new_page(viewport={"width": 1300, "height": 900})
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("request", lambda request: said.append(request.url) if request.url != address else None)
    opened.goto(address)
    yield opened
    opened.close()
    assert said == []


def rows(page: Any, board: int = 0) -> list[str]:
    """First label of each visible row."""
    found: list[str] = page.locator(f"#board-{board} table.headline tbody tr:visible th:first-child").all_inner_texts()
    return found


def choose(page: Any, name: str, value: str) -> None:
    """Tick or untick one filter."""
    page.locator(f"#filters details:has(input[name={name}]) summary").click()
    page.locator(f'#filters input[name={name}][value="{value}"]').click()


def test_filters_hide_rows_columns_and_boards(page: Any) -> None:
    assert rows(page) == ["Dense", "Random", "Magnitude", "Movement", "PINS"]
    choose(page, "criterion", "random")
    assert rows(page) == ["Dense", "Magnitude", "Movement", "PINS"]
    choose(page, "sparsity", "0.5")
    heads = page.locator("#board-0 table.headline thead tr:last-child th:visible").all_inner_texts()
    assert [text.split()[0] for text in heads] == ["80", "80", "80"]
    assert page.locator("#board-0 th[scope=colgroup]").first.get_attribute("colspan") == "1"
    choose(page, "task", "squad")
    assert page.locator("#board-0 table.headline td:visible").count() == 8  # the average is a choice of its own
    assert "(1 of 2)" in page.locator("#filters summary", has_text="Sparsity").inner_text()
    assert page.locator("#shown").inner_text().startswith("4 rows and 2 columns shown, 1 of 2 boards")
    page.get_by_role("button", name="Show all").click()
    assert page.locator("section.board:visible").count() == 2
    assert len(rows(page)) == 5


def test_sorting_keeps_dense_on_top_and_tells_screen_readers(page: Any) -> None:
    button = page.get_by_role("button", name="sort by RTE (Acc.) 50 %").first
    button.click()
    assert rows(page) == ["Dense", "PINS", "Movement", "Magnitude", "Random"]
    assert page.locator("#board-0 th[aria-sort=descending]").count() == 1
    button.click()
    assert rows(page) == ["Dense", "Random", "Magnitude", "Movement", "PINS"]
    page.locator("#board-0 button.sort", has_text="Method").click()
    assert rows(page) == ["Dense", "Magnitude", "Movement", "PINS", "Random"]


def test_a_cell_opens_its_runs_and_gives_the_focus_back(page: Any) -> None:
    cell = page.get_by_role("button", name="PINS, SQuAD (F1), 50 %: 81.0 ± 0.7, best of its column").first
    cell.click()
    dialog = page.get_by_role("dialog")
    text = dialog.inner_text()
    for part in (
        "PINS · SQuAD (F1) · 50 %",
        "81.50",
        "500 / 1,000 = 0.5000",
        "95 % t interval",
        "0123456789ab",
    ):
        assert part in text
    assert "-again --only 'squad principled 0.5 seed *'" in text
    assert "In the folder that holds first:" in text
    links = [link.get_attribute("href") for link in dialog.locator("td a").all()]
    assert len(links) == 2
    assert all(re.fullmatch(r"records/[0-9a-f]{16}\.json", link) for link in links)
    assert dialog.locator(".curves svg").count() == 3
    assert dialog.locator("tbody tr").count() == 2
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert cell.evaluate("node => node === document.activeElement")


def test_a_failed_run_shows_its_reason_as_text(page: Any) -> None:
    page.get_by_role("button", name="PINS, SQuAD (F1), 80 %: 77.5 (1/2)").first.click()
    assert "out of <memory>" in page.get_by_role("dialog").inner_text()


def test_the_keyboard_alone_reaches_a_cell_and_opens_it(page: Any) -> None:
    page.locator("#board-0 button.cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Random, RTE (Acc.), 80 %")
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Enter")
    assert not page.get_by_role("dialog").is_visible()


def test_dark_mode_and_print(browser: Any, address: str, tmp_path: Path) -> None:
    dark = browser.new_page(color_scheme="dark")
    dark.goto(address)
    ink, paper = (dark.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    assert (ink, paper) == ("rgb(233, 233, 238)", "rgb(23, 23, 27)")
    fill = dark.locator("figure svg text").first.evaluate("node => getComputedStyle(node).fill")
    assert fill == ink
    dark.emulate_media(media="print", color_scheme="dark")
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not dark.locator("#filters").is_visible()
    dark.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    dark.close()


def test_the_table_reads_without_a_script(browser: Any, address: str) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(address)
    assert "81.0" in plain.locator("#board-0 table.headline").inner_text()
    plain.close()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One board of six tasks, wider than any screen, with a method of a long name."""
    tasks = ("glue/rte", "squad", "glue/sst2", "glue/cola", "glue/mrpc", "glue/qnli")
    specs, records = make_board(tasks, {"magnitude": 70.0, "principled[signed=true]": 80.0})
    folder = tmp_path_factory.mktemp("wide")
    return write_page([PageBoard("Wide board", records, specs)], folder / "page.html").as_uri()


INSIDE = """() => { const box = document.querySelector(".scroll"); box.scrollLeft = box.scrollWidth;
  const heads = [...document.querySelectorAll("table.headline thead tr:last-child th")];
  const right = heads.at(-1).getBoundingClientRect(), first = document.querySelector("tbody th").getBoundingClientRect();
  return [right.right <= innerWidth + 1, Math.abs(first.left - box.getBoundingClientRect().left) <= 1,
          document.documentElement.scrollWidth <= innerWidth]; }"""
"""With the table scrolled to its end: is the last column on the screen, the first one still there, the page itself not wider."""

BROKEN = """() => [...document.querySelectorAll("table.headline tbody th span")].flatMap((span) => {
  const walker = document.createTreeWalker(span, NodeFilter.SHOW_TEXT), found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    for (const word of node.textContent.matchAll(/\\w+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) found.push(word[0]);
    }
  return found; })"""
"""Words of the row names that stand on two lines."""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_column_can_be_reached_and_no_word_is_broken(browser: Any, wide: str, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(wide)
    assert page.locator("h1, h2", has_text="Wide board").count() == 1
    assert page.locator("body").inner_text().count("Wide board") == 1
    assert page.locator(".sideways").first.is_visible()
    assert page.evaluate(INSIDE) == [True, True, True]
    assert page.evaluate(BROKEN) == []
    page.close()


def test_a_table_that_fits_has_no_hint(page: Any) -> None:
    assert page.locator("#board-1 .sideways").count() == 1
    assert not page.locator("#board-1 .sideways").is_visible()
