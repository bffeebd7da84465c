"""Plugins by name: options, one spelling, and what is said where a name or a file is wrong."""

import ast
import dataclasses
import importlib.metadata
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import catalogue, registry
from benchmark.catalogue import Entry
from benchmark.errors import PrunebenchError
from benchmark.registry import KINDS, builtin_names, canonical, configure, load, names, parse
from benchmark.show_catalogue import catalogue_lines
from criteria.magnitude import Magnitude
from criteria.principled import Principled
from criteria.regularizers.none import NoneRegularizer
from tasks.glue import Glue

PLUGIN = '''"""Keeps the heaviest."""

from dataclasses import dataclass

from criteria.base import Criterion


@dataclass(frozen=True)
class {cls}(Criterion):
    """The weight itself."""

    power: float = 2.0
    """The exponent."""

    def score(self, state, weight):
        return weight.abs() ** self.power
'''


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What is loaded under fake entry points is forgotten afterwards."""
    load.cache_clear()
    yield
    load.cache_clear()


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


# Names and options.


def test_configured_by_one_string() -> None:
    assert configure("criteria", "magnitude") == Magnitude()
    assert configure("criteria", "principled[signed=true,beta1=0.5, window=3]") == Principled(
        signed=True, beta1=0.5, window=3
    )
    assert configure("criteria", " principled [ beta1 = 5e-1 ] ") == Principled(beta1=0.5)
    assert configure("criteria", "magnitude[]") == Magnitude()
    assert isinstance(configure("regularizers", "none"), NoneRegularizer)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("principled", "principled"),
        ("principled[beta1=0.85]", "principled"),
        ("principled[window=5,beta1=0.850]", "principled[window=5]"),
        ("principled[window=5,beta1=9e-1]", "principled[beta1=0.9,window=5]"),
        ("principled[signed=yes]", "principled[signed=true]"),
        ("principled[uncertainty=False, smooth=0]", "principled[uncertainty=false,smooth=false]"),
        ("movement[score_optimizer=adam]", "movement[score_optimizer=adam]"),
        ("obert[damp=1e-8]", "obert[damp=1e-08]"),
        ("  magnitude[ ] ", "magnitude"),
    ],
)
def test_one_spelling(text: str, spelling: str) -> None:
    assert canonical("criteria", text) == spelling
    assert canonical("criteria", spelling) == spelling
    assert configure("criteria", spelling) == configure("criteria", text)


@given(
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1),
    st.integers(1, 10**9),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_spelling_loses_nothing(
    beta1: float, beta2: float, window: int, signed: bool, uncertainty: bool, lr_term: bool
) -> None:
    options = [("signed", signed), ("beta1", beta1), ("beta2", beta2), ("window", window), ("lr_term", lr_term)]
    text = ",".join(f"{name}={value}" for name, value in [*options, ("uncertainty", uncertainty)])
    expected = Principled(beta1, beta2, window, signed, uncertainty, lr_term)
    assert configure("criteria", canonical("criteria", f"principled[{text}]")) == expected


def test_parse() -> None:
    assert parse("a[x=1,y=b c]") == ("a", {"x": "1", "y": "b c"})
    assert parse("glue/rte[skip_malformed=true]") == ("glue/rte", {"skip_malformed": "true"})
    assert parse("a[path=x=y]") == ("a", {"path": "x=y"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not of the form name or name"),
        ("a[", "'a\\[' is not of the form"),
        ("a]b", "is not of the form"),
        ("a[x=1]b", "is not of the form"),
        ("[x=1]", "is not of the form"),
        ("a[x]", "option 'x' is not of the form option=value"),
        ("a[=1]", "option '=1' is not of the form option=value"),
        ("a[x=1,]", "option '' is not of the form option=value"),
        ("a[x=1,x=2]", "option 'x' is given twice"),
    ],
)
def test_what_is_no_name(text: str, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (
            "criteria",
            "magnitute",
            "unknown criterion 'magnitute'; did you mean 'magnitude'\\? choices: fisher, gradient",
        ),
        ("regularizers", "nome", "unknown regularizer 'nome'; did you mean 'none'"),
        ("schedules", "cubik", "unknown schedule 'cubik'; did you mean 'cubic'"),
        ("tasks", "glu/rte", "unknown task 'glu'; did you mean 'glue'"),
        ("tasks", "glue/rto", "unknown task 'glue/rto'; did you mean 'glue/rte'.*choices: glue/cola"),
        ("tasks", "glue", "unknown task 'glue'; .*choices: glue/cola"),
        ("tasks", "squad/rte", "unknown task 'squad/rte'; it is called 'squad'"),
        ("criteria", "base", "unknown criterion 'base'"),
        ("criteria", "checks", "unknown criterion 'checks'"),
        ("criteria", "options", "unknown criterion 'options'"),
        ("criteria", "regularizers", "unknown criterion"),
        ("criteria", "../criteria/magnitude", "unknown criterion"),
        ("criteria", "principled[beta3=1]", "criterion 'principled' has no option 'beta3'; did you mean 'beta2'"),
        ("criteria", "magnitude[x=1]", "criterion 'magnitude' has no option 'x'; choices: none"),
        ("criteria", "principled[beta1=high]", "criterion 'principled', option 'beta1': found 'high': .*valid number"),
        ("criteria", "principled[window=2.5]", "option 'window': found '2.5': .*valid integer"),
        ("criteria", "principled[signed=perhaps]", "option 'signed': found 'perhaps': .*valid boolean"),
        ("criteria", "principled[beta1=1]", "criterion 'principled\\[beta1=1\\]': beta1=1.0 is not in \\[0, 1\\)"),
        ("criteria", "principled[beta1=nan]", "beta1=nan is not in"),
        (
            "schedules",
            "cubic[initial=0.6,final=0.6]",
            "schedule 'cubic.*': initial = 0.6 and final = 0.6 leave no ramp",
        ),
        ("tasks", "glue/rte[variant=cola]", "task 'glue' has no option 'variant'"),
    ],
)
def test_what_is_wrong_is_said_with_the_choices(kind: str, text: str, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        canonical(kind, text)


def test_variants_of_a_task() -> None:
    assert configure("tasks", "glue/rte") == Glue(variant="rte")
    assert canonical("tasks", "glue/qqp[skip_malformed=1]") == "glue/qqp[skip_malformed=true]"
    assert configure("tasks", "glue/qqp[skip_malformed=1]") == Glue(variant="qqp", skip_malformed=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_can_be_loaded_under_its_name(kind: str) -> None:
    assert builtin_names(kind)
    assert set(builtin_names(kind)) <= set(names(kind))
    for name in builtin_names(kind):
        cls = load(kind, name)
        assert cls.__name__.lower() in registry.class_names(name, KINDS[kind])


def test_the_first_line_of_plugins_is_there() -> None:
    assert {"random", "magnitude", "movement", "sensitivity", "principled"} <= set(builtin_names("criteria"))
    assert {"none", "distillation", "self_regularization"} <= set(builtin_names("regularizers"))
    assert {"cubic", "linear", "one_shot", "constant"} <= set(builtin_names("schedules"))
    assert {"glue", "squad", "conll2003", "e2e"} <= set(builtin_names("tasks"))


# Third parties.


def test_an_entry_point_adds_a_criterion(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "heaviest_plugin.py").write_text(PLUGIN.format(cls="Heaviest"))
    fake_entry_points(monkeypatch, ("heavy", "heaviest_plugin:Heaviest", "heavy-pack"))
    assert canonical("criteria", "heavy[power=2]") == "heavy"
    assert configure("criteria", "heavy[power=3]").power == 3.0
    assert "heavy" in names("criteria")
    entry = {entry.name: entry for entry in catalogue.catalogue("criteria")}["heavy"]
    assert (entry.claim, entry.owner) == ("Keeps the heaviest.", "heavy-pack 1.2")
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
        ("class Bad: pass", "is not a dataclass derived from criteria.base.Criterion"),
        ("Bad = 7", "is not a dataclass derived from criteria.base.Criterion"),
        (PLUGIN.format(cls="Bad").replace("@dataclass(frozen=True)\n", ""), "is not a dataclass derived from"),
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
    claims = {entry.name: entry.claim for entry in catalogue.catalogue("criteria") if entry.owner == "pack 1.2"}
    assert set(claims) == {"far", "text", "gone"}
    assert all(claim.startswith(("cannot be found: ", "cannot be read: ")) for claim in claims.values())


def test_a_missing_base_is_no_reason_not_to_list(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PLUGIN.format(cls="Heir").replace("from criteria.base import", "from not_there.base import")
    (package / "heir_plugin.py").write_text(text)
    fake_entry_points(monkeypatch, ("heir", "heir_plugin:Heir", "pack"))
    entry = next(entry for entry in catalogue.catalogue("criteria") if entry.name == "heir")
    assert [option.name for option in entry.options] == ["power"]


def test_real_entry_points_are_asked() -> None:
    for kind in KINDS.values():
        assert isinstance(list(importlib.metadata.entry_points(group=kind.group)), list)


# Files.


def test_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "heaviest.py"
    path.write_text(PLUGIN.format(cls="Heaviest"))
    assert configure("criteria", f"{path}[power=3]").power == 3.0
    assert canonical("criteria", f"{path}[power=2.0]") == str(path)
    assert configure("criteria", f"{path}:Heaviest").power == 2.0


def test_two_files_of_one_name_do_not_mix(tmp_path: Path) -> None:
    found = []
    for folder, power in (("a", "1.0"), ("b", "4.0")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "heaviest.py"
        path.write_text(PLUGIN.format(cls="Heaviest").replace("2.0", power))
        found.append(configure("criteria", str(path)).power)
    assert found == [1.0, 4.0]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "gone.py", "criterion '.*gone.py': no file .*gone.py"),
        ("raise RuntimeError('boom')", "boom.py", r"boom.py' cannot be imported: RuntimeError\('boom'\)"),
        ("def broken(:", "broken.py", "cannot be imported: SyntaxError"),
        ("x = 1", "empty_file.py", "defines no class named after the file; expected EmptyFile"),
        (PLUGIN.format(cls="Other"), "criterion.py", "defines no class named after the file; expected Criterion"),
        (PLUGIN.format(cls="Other"), "named.py:Missing", "named.py defines no Missing"),
        ("class Plain: pass", "plain.py", "is not a dataclass derived from criteria.base.Criterion"),
    ],
)
def test_files_that_hold_no_criterion(tmp_path: Path, content: str | None, name: str, message: str) -> None:
    if content is not None:
        (tmp_path / name.partition(":")[0]).write_text(content)
    with pytest.raises(PrunebenchError, match=message):
        configure("criteria", str(tmp_path / name))


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
        assert entry.claim, entry.name
        assert "\n" not in entry.claim
        assert entry.variants == tuple(getattr(cls, "variants", ())), entry.name


def test_shown_options_can_be_given_back() -> None:
    """What `list` shows as option=default is a valid option, and changes nothing."""
    for kind in KINDS:
        entry: Entry | None = None
        entries = {e.name: e for e in catalogue.catalogue(kind)}
        for line in catalogue_lines(kind)[1:]:
            if line.startswith("  ") and line[2] != " ":
                entry = entries[line.split("/")[0].split()[0]]
            elif line.startswith(" " * 8) and line[8] != " ":
                assert entry is not None
                name = f"{entry.name}/{entry.variants[0]}" if entry.variants else entry.name
                assert canonical(kind, f"{name}[{line.split()[0]}]") == name
