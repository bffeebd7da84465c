"""The list of plugins, built in and of third parties, read from source without importing; and what entry points provide."""

import ast
import dataclasses
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.commands.list import catalogue_lines
from benchmark.errors import PrunebenchError
from benchmark.plugins import catalogue, registry
from benchmark.plugins.catalogue import Entry
from benchmark.plugins.classes import KINDS
from benchmark.plugins.registry import configure, load, names
from benchmark.plugins.spelling import canonical
from criteria.magnitude import Magnitude
from tests.benchmark.plugin_sources import PLUGIN

pytestmark = pytest.mark.usefixtures("fresh_registry")


def fake_entry_points(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str, str]) -> None:
    """Pretend that distributions (name, value, owner) provide criteria."""
    made = []
    for name, value, owner in points:
        dist = SimpleNamespace(name=owner, version="1.2")
        made.append(EntryPoint(name, value, "prunebench.criteria")._for(dist))  # type: ignore[attr-defined]

    def fake(**wanted: Any) -> list[EntryPoint]:
        return [point for point in made if all(getattr(point, key) == value for key, value in wanted.items())]

    monkeypatch.setattr(registry, "entry_points", fake)
    monkeypatch.setattr(catalogue, "entry_points", fake)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A third party's module folder on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


# Third parties.


def test_an_entry_point_adds_a_criterion(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "heaviest_plugin.py").write_text(PLUGIN.format(cls="Heaviest"))
    fake_entry_points(monkeypatch, ("heavy", "heaviest_plugin:Heaviest", "heavy-pack"))
    assert canonical("criteria", "heavy[power=2]") == "heavy"
    assert configure("criteria", "heavy[power=3]").power == 3.0
    assert "heavy" in names("criteria")
    entry = {entry.name: entry for entry in catalogue.catalogue("criteria")}["heavy"]
    assert (entry.summary, entry.owner) == ("Keeps the heaviest.", "heavy-pack 1.2")
    assert [(option.name, option.default, option.about) for option in entry.options] == [
        ("power", "2.0", "The exponent.")
    ]


def test_two_owners_of_one_name_are_both_named(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "one_plugin.py").write_text(PLUGIN.format(cls="One"))
    fake_entry_points(monkeypatch, ("heavy", "one_plugin:One", "first"), ("heavy", "one_plugin:One", "second"))
    message = r"criterion 'heavy' is claimed by first 1\.2 \(one_plugin:One\) and by second 1\.2 \(one_plugin:One\)"
    with pytest.raises(PrunebenchError, match=message):
        configure("criteria", "heavy")


def test_a_third_party_cannot_take_a_built_in_name(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "one_plugin.py").write_text(PLUGIN.format(cls="One"))
    fake_entry_points(monkeypatch, ("magnitude", "one_plugin:One", "first"))
    message = r"'magnitude' is claimed by prunebench \(criteria\.magnitude\) and by first 1\.2"
    with pytest.raises(PrunebenchError, match=message):
        configure("criteria", "magnitude")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "raise RuntimeError('cannot be')",
            r"criterion 'bad' \(pack 1.2 \(bad_plugin:Bad\)\) cannot be imported: Runtime",
        ),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("import not_there_at_all", "cannot be imported: ModuleNotFoundError"),
        ("Other = 1", "cannot be imported: AttributeError"),
        (
            "class Bad: pass",
            r"Bad of pack 1.2 \(bad_plugin:Bad\) lacks its base class: write class Bad\(Criterion\), with",
        ),
        (
            "from criteria.regularizers.base import Regularizer\nclass Bad(Regularizer): pass",
            r"Bad of pack 1.2 \(bad_plugin:Bad\) is a regularizer, not a criterion$",
        ),
        ("Bad = 7", "criterion 7 of pack 1.2 .* is no class: expected one derived from Criterion"),
        (
            PLUGIN.format(cls="Bad").replace("@dataclass(frozen=True)\n", ""),
            r"is no dataclass: write @dataclass\(frozen=True\) above class Bad",
        ),
    ],
)
def test_a_broken_plugin_names_its_owner_and_kills_nothing_else(
    package: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    (package / "bad_plugin.py").write_text(content)
    fake_entry_points(monkeypatch, ("bad", "bad_plugin:Bad", "pack"))
    sys.modules.pop("bad_plugin", None)
    with pytest.raises(PrunebenchError, match=message):
        configure("criteria", "bad")
    assert configure("criteria", "magnitude") == Magnitude()
    assert "magnitude" in [entry.name for entry in catalogue.catalogue("criteria")]


@pytest.mark.parametrize("content", [None, "raise RuntimeError", "def broken(:", "import not_there_at_all"])
def test_listing_survives_packages_that_cannot_be_found_or_read(
    package: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    (package / "bad_package").mkdir()
    (package / "bad_package" / "__init__.py").write_text(content or "")
    (package / "bad_package" / "text.py").write_bytes(b"\xff\xfe\x00")
    points = [
        ("far", "bad_package.none:C", "pack"),
        ("text", "bad_package.text:C", "pack"),
        ("gone", "no_such:C", "pack"),
    ]
    fake_entry_points(monkeypatch, *points)
    for name in list(sys.modules):
        if name.startswith("bad_package"):
            monkeypatch.delitem(sys.modules, name)
    summaries = {entry.name: entry.summary for entry in catalogue.catalogue("criteria") if entry.owner == "pack 1.2"}
    assert set(summaries) == {"far", "text", "gone"}
    assert all(summary.startswith(("cannot be found: ", "cannot be read: ")) for summary in summaries.values())


def test_a_missing_base_is_no_reason_not_to_list(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PLUGIN.format(cls="Heir").replace("from criteria.base import", "from not_there.base import")
    (package / "heir_plugin.py").write_text(text)
    fake_entry_points(monkeypatch, ("heir", "heir_plugin:Heir", "pack"))
    entry = next(entry for entry in catalogue.catalogue("criteria") if entry.name == "heir")
    assert [option.name for option in entry.options] == ["power"]


# Listing.


@pytest.mark.parametrize("kind", KINDS)
def test_the_list_agrees_with_the_classes(kind: str) -> None:
    """What is read from the source is what importing would give: names, order, defaults; and nothing is undocumented."""
    for entry in catalogue.catalogue(kind):
        if entry.owner != "prunebench":
            continue
        cls = load(kind, entry.name)
        fields = [f for f in dataclasses.fields(cls) if f.init and f.name != "variant"]
        assert [option.name for option in entry.options] == [f.name for f in fields], entry.name
        assert [ast.literal_eval(option.default) for option in entry.options] == [f.default for f in fields], entry.name
        assert all(option.about for option in entry.options), entry.name
        assert entry.summary, entry.name
        assert "\n" not in entry.summary
        assert entry.variants == tuple(getattr(cls, "variants", ())), entry.name


def test_shown_options_can_be_given_back() -> None:
    """What `list` shows as option=default is a valid option, and changes nothing; one that all plugins have is shown once."""
    for kind in KINDS:
        entry: Entry | None = None
        entries = {e.name: e for e in catalogue.catalogue(kind)}
        entries["all"] = next(iter(entries.values()))
        for line in catalogue_lines(kind)[1:]:
            if line.startswith("  ") and line[2] != " ":
                entry = entries[line.split("/")[0].split()[0].rstrip(",")]
            elif line.startswith(" " * 8) and line[8] != " ":
                assert entry is not None
                name = entry.full_names[0]
                assert canonical(kind, f"{name}[{line.split()[0]}]") == name
    assert sum("skip_malformed=false" in line for line in catalogue_lines("tasks")) == 1


def test_lists_keep_to_the_width_of_the_terminal() -> None:
    for kind in KINDS:
        wide, narrow = catalogue_lines(kind), catalogue_lines(kind, 80)
        assert " ".join(" ".join(wide).split()) == " ".join(" ".join(narrow).split())
        assert [line for line in narrow if len(line) > 80 and len(line.split()) > 3] == []
