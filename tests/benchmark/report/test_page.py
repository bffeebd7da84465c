"""The page as a document: whole, self-contained, and deaf to hostile names. What it does is in test_page_browser.py."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmark.report.page.board import PageBoard, command, embedded
from benchmark.report.page.write import page, write_page
from tests.benchmark.report.factory import make_board, make_record, make_spec

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> ' \" & \u2028 \x1b[31m \ud800"


class Reader(HTMLParser):
    """Tags and their attributes, and the text of each script."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts.append(data)


def read(document: str) -> Reader:
    """The parsed page."""
    reader = Reader()
    reader.feed(document)
    return reader


@pytest.fixture(scope="module")
def document() -> str:
    specs, records = make_board(("glue/rte",), {"a": 80.0, "b": 70.0}, sparsities=(0.5,))
    gone = records[-1]
    return page(
        [PageBoard("Mini", records[:-1], specs, {gone.id: "out of memory"}, ["x.json: truncated"], "results/mini")]
    )


def test_nothing_is_fetched_and_only_its_own_script_may_run(document: str) -> None:
    reader = read(document)
    policy = next(a["content"] or "" for tag, a in reader.tags if tag == "meta" and "http-equiv" in a)
    script = reader.scripts[-1]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "img")
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png"))
        assert not [name for name in attributes if name.startswith("on")]


def test_the_table_is_there_without_the_script(document: str) -> None:
    for text in (
        "RTE (Acc.)",
        "79.5",
        "(1/2)",
        "x.json: truncated",
        "No column is complete for two methods",
        "prunable weights",
    ):
        assert text in document
    labels = [a.get("aria-label") or "" for tag, a in read(document).tags if tag == "button"]
    assert "a, RTE (Acc.), 50 %: 80.0 ± 0.7" in labels


def test_the_embedded_data_holds_every_run_failure_and_command(document: str) -> None:
    (board,) = json.loads(read(document).scripts[0])
    cell = board["cells"]["2-0"]
    assert cell["absent"][0][1] == "out of memory"
    assert cell["command"].endswith("-again --only 'glue/rte b 0.5 seed *'")
    assert set(cell["runs"]) <= set(board["runs"])
    assert board["runs"][cell["runs"][0]]["curve"]["step"] == [0, 100, 200, 300, 400]


def test_data_cannot_end_its_element_and_is_still_the_same_data() -> None:
    text = embedded({"a": HOSTILE})
    assert not set("<>&\u2028\x1b") & set(text)
    assert json.loads(text) == {"a": HOSTILE}


def test_hostile_names_stay_text_everywhere() -> None:
    specs = [make_spec(HOSTILE + name, 0.5, task=HOSTILE, seed=seed) for name in "abc" for seed in (0, 1)]
    records = [make_record(spec, 70.0, notes=[HOSTILE], environment={HOSTILE: HOSTILE}) for spec in specs]
    reader = read(page([PageBoard(HOSTILE, records, specs, {}, [HOSTILE], HOSTILE)]))
    assert len([tag for tag, _ in reader.tags if tag == "script"]) == 2
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    assert not [a for _, a in reader.tags if any(name.startswith("on") for name in a)]


def test_the_command_quotes_brackets_and_shell_characters() -> None:
    spec = make_spec("sensitivity[beta1=0.85]", regularizer="distillation")
    assert command("my board", spec).endswith(
        "mkdir 'my board-again' && cp 'my board/suite.yaml' 'my board-again' && prunebench run 'my board-again' "
        "--only 'glue/rte sensitivity[[]beta1=0.85]+distillation 0.8 seed *'"
    )
    assert "'$(rm -rf ~)/suite.yaml'" in command("$(rm -rf ~)", spec)


@pytest.mark.parametrize("folder", ["/home/author/boards/glue", "boards/glue", "glue", "./glue/", "../boards/glue"])
def test_the_command_names_no_place_of_its_authors_machine(folder: str) -> None:
    said = command(folder, make_spec("magnitude", 0.5))
    assert said.startswith("mkdir glue-again && cp glue/suite.yaml glue-again && prunebench run glue-again --only ")


def test_the_file_is_the_same_twice_and_two_boards_share_it(tmp_path: Path) -> None:
    specs, records = make_board(("squad",), {"a": 80.0, "b": 70.0}, sparsities=(0.5,), seeds=(0,))
    boards = [PageBoard("One", records, specs), PageBoard("Two", records[:1])]
    first = write_page(boards, tmp_path / "a.html").read_bytes()
    assert b"Mean rank" in first
    assert first == write_page(boards, tmp_path / "b.html").read_bytes()
    ids = re.findall(r'\bid="([^"]+)"', first.decode())
    assert len(ids) == len(set(ids))
