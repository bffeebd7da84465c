"""The leaderboard site: what stands on its pages, its links, the folder it is written into, and how it looks in a browser."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from benchmark.errors import PrunebenchError
from benchmark.report.page.board import PageBoard
from benchmark.report.significance import Comparison
from benchmark.report.site import MANIFEST, SiteBoard, write_site
from tests.benchmark.report.factory import make_board
from tests.benchmark.report.test_page import HOSTILE, read
from tests.benchmark.report.test_page_browser import browser  # noqa: F401 - a fixture


def one_board(
    name: str = "first", title: str = "First board", tested: bool = True, dates: Sequence[str] = ()
) -> SiteBoard:
    """Two tasks at two sparsities; PINS is best, Movement never told apart from it, the others fall behind.

    Its records were made on `dates`, in turn.
    """
    specs, records = make_board()
    records = [
        replace(record, environment=record.environment | {"date": dates[k % len(dates)]}) if dates else record
        for k, record in enumerate(records)
    ]
    plain = PageBoard(title, records, specs, folder=f"results/{name}", records_at=f"../records/{name}")
    table = plain.table
    found = []
    for j, line in enumerate(table.columns):
        if line.average:
            continue
        for i, p in ((1, 0.001), (2, 0.01), (3, 0.4)):
            gap = table.cells[i][j].mean - table.cells[4][j].mean  # type: ignore[operator]
            where = " ".join(line.labels)
            found.append(Comparison((i, j), table.rows[i].labels[0], "principled", where, gap, p, 16, 4000, (4, j)))
    board = PageBoard(
        title, records, specs, folder=plain.folder, records_at=plain.records_at, comparisons=found if tested else ()
    )
    return SiteBoard(name, name, board, {record.id: "{}\n" for record in records})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "out"
    write_site([one_board(), one_board("second", "Second board", tested=False)], folder, {"third": "bad suite"})
    return folder


def test_the_index_names_the_best_as_a_group_with_seeds_and_hours(site: Path) -> None:
    text = (site / "index.html").read_text()
    row = next(row for row in text.split("<tr>") if "RTE (Acc.)" in row and "boards/first.html" in row)
    assert re.findall(r"methods/([a-z-]+)\.html", row) == ["principled", "movement"]
    for part in ("50 %", "82.0", "90.0", "<td>2</td>", "<td>0.03</td>"):  # 8 runs of 12 s: 0.027 h
        assert part in row, part
    untested = next(row for row in text.split("<tr>") if "RTE (Acc.)" in row and "boards/second.html" in row)
    assert "(no test)" in untested
    assert "third: bad suite" in text
    assert (
        "PINS and Movement lead and cannot be told apart; Magnitude and Random fall behind everywhere."
        in text.replace("\u00a0", " ")
    )


@pytest.fixture
def index_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board's own page, which takes seconds to draw, stays empty."""
    monkeypatch.setattr("benchmark.report.site.page", lambda *_, **__: "")


@pytest.mark.usefixtures("index_alone")
@pytest.mark.parametrize(
    ("dates", "shown"),
    [
        (("2026-11-05",), "2026-11-05"),
        (("2026-11-05", "2026-12-31", "2026-02-28"), "2026-12-31"),
        (("2026-11-05", ""), "2026-11-05"),
        (("<b>2026</b>",), "&lt;b&gt;2026&lt;/b&gt;"),
    ],
)
def test_the_index_dates_a_line_by_the_last_of_its_runs(dates: Sequence[str], shown: str, tmp_path: Path) -> None:
    text = write_site([one_board(dates=dates)], tmp_path / "out", {}).read_text()
    lines = [row for row in text.split("<tr>") if "boards/first.html" in row and "</td>" in row]
    assert len(lines) == 4
    assert all(re.findall(r"<td>([^/]*(?:&lt;/b&gt;)?)</td></tr>", row) == [shown] for row in lines)


@pytest.mark.usefixtures("index_alone")
@pytest.mark.parametrize(("boards", "dated"), [(((), ()), False), (((), ("2026-11-05",)), True)])
def test_there_is_a_column_of_dates_where_any_record_has_one(
    boards: Sequence[Sequence[str]], dated: bool, tmp_path: Path
) -> None:
    made = [one_board(f"b{i}", dates=dates) for i, dates in enumerate(boards)]
    text = write_site(made, tmp_path / "out", {}).read_text()
    assert (">Date</th>" in text) == ("the date is that of the last" in text) == dated
    rows = [row for row in text.split("<tr>") if "boards/b" in row and "</td>" in row]
    assert {row.count("<td") for row in rows} == {9 if dated else 8}


def test_a_method_has_a_page_across_boards(site: Path) -> None:
    text = (site / "methods/magnitude.html").read_text()
    assert text.count('href="../boards/first.html"') == 4
    assert text.count('href="../boards/second.html"') == 4
    assert text.count("falls behind") == 4
    assert text.count("not tested") == 4


def test_every_link_leads_to_a_file_of_the_site_and_nothing_else_is_named(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 1 + 2 + 4
    for path in pages:
        for tag, attributes in read(path.read_text()).tags:
            for name in ("href", "src"):
                link = attributes.get(name) or "#"
                if link.startswith(("#", "data:image/png")):
                    continue
                assert tag == "a", tag
                assert not re.match(r"[a-z]+:|/", link), link
                target = (path.parent / link).resolve()
                assert target.is_file(), link
                assert target.is_relative_to(site.resolve()), link
    listed = set(json.loads((site / MANIFEST).read_text())["files"])
    assert listed == {p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file()} - {MANIFEST}


def test_written_again_it_is_the_same_and_drops_what_is_gone(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    write_site([one_board(), one_board("second")], folder, {})
    write_site([one_board()], folder, {})
    assert not (folder / "boards/second.html").exists()
    assert not list((folder / "records").glob("second/*"))
    assert (folder / "boards/first.html").read_bytes() == (site / "boards/first.html").read_bytes()


def stray(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


def unlisted(folder: Path) -> None:
    write_site([one_board()], folder, {})
    (folder / "methods/mine.html").write_text("mine")


def tampered(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"files": 3}')
    stray(folder)


def linked(folder: Path) -> None:
    write_site([one_board()], folder, {})
    (folder / "index.html").unlink()
    (folder / "index.html").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("spoil", [stray, unlisted, tampered, linked])
def test_a_folder_with_other_files_is_refused_and_left_as_it_is(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    spoil(folder)
    before = {p: p.lstat().st_mtime_ns for p in folder.rglob("*")}
    with pytest.raises(PrunebenchError, match="choose a new folder"):
        write_site([one_board("other")], folder, {})
    assert {p: p.lstat().st_mtime_ns for p in folder.rglob("*")} == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    with pytest.raises(PrunebenchError, match="this is a file"):
        write_site([one_board()], tmp_path / "site", {})


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    write_site([one_board(title=HOSTILE)], tmp_path / "site", {HOSTILE: HOSTILE})
    for path in (tmp_path / "site").rglob("*.html"):
        tags = read(path.read_text()).tags
        assert not [tag for tag, _ in tags if tag == "img"]
        assert len([tag for tag, _ in tags if tag == "script"]) == (2 if path.parent.name == "boards" else 0)
        assert not [a for _, a in tags if any(name.startswith("on") for name in a)]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_screen_and_say_nothing_on_the_console(browser: Any, site: Path, width: int, scheme: str) -> None:  # noqa: F811
    said: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: None if request.url.startswith("file:") else said.append(request.url))
    for name in ("index.html", "boards/first.html", "methods/magnitude.html"):
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    page.goto((site / "index.html").as_uri())
    page.locator('td a[href="boards/first.html"]').first.click()
    page.get_by_role("link", name="All boards").click()
    assert page.url.endswith("index.html")
    page.close()
    assert said == []
