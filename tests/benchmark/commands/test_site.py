"""`prunebench site` on real boards beside broken ones, and links from a page to its records."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.commands.site import site
from benchmark.commands.views import link_to
from benchmark.errors import PrunebenchError
from benchmark.plugins.files import only_look
from tests.test_docs import ROOT


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a finished board, one without runs, and two whose suites cannot be read."""
    folder = tmp_path / ".home" / "boards"
    shutil.copytree(ROOT / "results" / "minilm-teachers", folder / "nested" / "teachers")
    for name, text in (
        ("empty", (ROOT / "results/mini/suite.yaml").read_text()),
        ("wrong", "criteria: [nothing_of_this_name]\n"),
        ("broken", "tasks: ["),
        (".cache", "tasks: ["),
    ):
        (folder / name).mkdir()
        (folder / name / "suite.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    only_look(True)
    yield folder
    only_look(False)


def test_what_can_be_read_is_shown_and_the_rest_is_named_without_this_machine(boards: Path, tmp_path: Path) -> None:
    index, left_out = site(boards, tmp_path / "site")
    assert sorted(left_out) == ["broken", "empty", "wrong"]
    assert left_out["empty"] == "no run has finished yet"
    text = index.read_text()
    assert "boards/nested-teachers.html" in text
    assert all(name in text for name in left_out)
    for path in (tmp_path / "site").rglob("*.html"):
        assert str(tmp_path) not in path.read_text()
    records = sorted(path.name for path in (boards / "nested/teachers/records").glob("*.json"))
    assert sorted(path.name for path in (tmp_path / "site/records/nested-teachers").iterdir()) == records


def test_a_link_to_a_board_is_a_board(boards: Path, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some/linked").symlink_to(boards / "nested/teachers")
    index, left_out = site(tmp_path / "some", tmp_path / "site")
    assert not left_out
    assert "boards/linked.html" in index.read_text()


@pytest.mark.parametrize("name", ["empty", "broken", "nothing", ".cache"])
def test_without_a_board_to_show_nothing_is_written(boards: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(PrunebenchError, match="no board there can be shown"):
        site(boards / name, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_link_never_tells_where_on_this_machine_a_board_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    records = Path("results/a b/records")
    assert link_to(records, Path("results/a b")) == "records"
    assert link_to(records, Path("pages")) == "../results/a%20b/records"
    assert link_to(records, tmp_path) == "work/results/a%20b/records"
    assert link_to(records, tmp_path / "elsewhere") == ""
    assert link_to(tmp_path / "other/records", Path()) == ""
    assert link_to(tmp_path / "other/records", tmp_path / "other") == "records"
