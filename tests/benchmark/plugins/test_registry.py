"""Plugins by name: options, one spelling, and what is said where a name or a file is wrong."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import PrunebenchError
from benchmark.plugins import classes
from benchmark.plugins.broken import BrokenPluginError
from benchmark.plugins.classes import KINDS
from benchmark.plugins.registry import builtin_names, configure, load, names, parse
from benchmark.plugins.spelling import canonical
from criteria.checks.surroundings import random_states, settings
from criteria.magnitude import Magnitude
from criteria.principled import Principled
from criteria.regularizers.none import NoneRegularizer
from tasks.glue import Glue
from tests.benchmark.plugin_sources import PLUGIN

pytestmark = pytest.mark.usefixtures("fresh_registry")


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
def test_all_spellings_of_a_plugin_have_one_canonical_form(text: str, spelling: str) -> None:
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
    expected = Principled(
        beta1=beta1, beta2=beta2, window=window, signed=signed, uncertainty=uncertainty, lr_term=lr_term
    )
    assert configure("criteria", canonical("criteria", f"principled[{text}]")) == expected


def test_a_name_is_taken_apart_into_plugin_and_options() -> None:
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
def test_what_is_no_name_is_refused_with_the_form_expected(text: str, message: str) -> None:
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
        ("tasks", "squad/rte", "unknown task 'squad/rte'; 'squad' has no variants; did you mean 'squad'"),
        ("tasks", "squad/v2", "unknown task 'squad/v2'; 'squad' has no variants; did you mean 'squad_v2'"),
        ("criteria", "dense", "unknown criterion 'dense'; the dense row is on every board: leave it out"),
        ("regularizers", "distillation + rdrop", "a row has one regularizer at most"),
        ("criteria", "magnitude + rdrop", "name a criterion and a regularizer one at a time"),
        ("criteria", "mine.py + rdrop", "name a criterion and a regularizer one at a time"),
        ("criteria", "magnitude + mine.py", "name a criterion and a regularizer one at a time"),
        ("criteria", "rdrop", "'rdrop' is a regularizer, not a criterion; choices: fisher"),
        ("schedules", "magnitude", "'magnitude' is a criterion, not a schedule; choices: constant"),
        ("criteria", "base", "unknown criterion 'base'"),
        ("criteria", "checks", "unknown criterion 'checks'"),
        ("criteria", "options", "unknown criterion 'options'"),
        ("criteria", "regularizers", "unknown criterion"),
        ("criteria", "../criteria/magnitude", "unknown criterion"),
        ("criteria", "principled[beta3=1]", "criterion 'principled' has no option 'beta3'; did you mean 'beta2'"),
        ("criteria", "magnitude[x=1]", "criterion 'magnitude' has no option 'x'; choices: none"),
        (
            "criteria",
            "principled[beta1=high]",
            "criterion 'principled', option 'beta1': found 'high': expected a number",
        ),
        ("criteria", "principled[window=2.5]", "option 'window': found '2.5': expected a whole number"),
        ("criteria", "principled[signed=perhaps]", "option 'signed': found 'perhaps': expected true or false"),
        ("criteria", "principled[beta1=1]", "criterion 'principled\\[beta1=1\\]': beta1=1.0 is not in \\[0, 1\\)"),
        ("criteria", "principled[beta1=nan]", "beta1=nan: expected a finite number"),
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
        assert cls.__name__.lower() in classes.class_names(name, KINDS[kind])


# Files.


def test_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "heaviest.py"
    path.write_text(PLUGIN.format(cls="Heaviest"))
    assert configure("criteria", f"{path}[power=3]").power == 3.0
    assert canonical("criteria", f"{path}[power=2.0]") == str(path)
    assert configure("criteria", f"{path}:Heaviest").power == 2.0


def test_an_option_without_a_type_is_told_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "heaviest.py"
    path.write_text(PLUGIN.format(cls="Heaviest").replace("power: float = 2.0", "power = 2.0\n    label = 'Heavy'"))
    with pytest.raises(PrunebenchError, match=r"no option 'power'; give it a type in Heaviest, power: float = 2.0$"):
        configure("criteria", f"{path}[power=3]")
    with pytest.raises(PrunebenchError, match=r"no option 'label'; choices: none$"):
        configure("criteria", f"{path}[label=3]")


def test_a_default_that_is_made_anew_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "heaviest.py"
    source = PLUGIN.format(cls="Heaviest").replace("import dataclass", "import dataclass, field")
    path.write_text(
        source.replace("    power: float", "    names: list = field(default_factory=list)\n    power: float")
    )
    assert canonical("criteria", f"{path}[power=3]") == f"{path}[power=3]"


IMPORTS = {
    "torch.set_default_dtype(torch.float64)": "torch's default dtype",
    "torch.set_grad_enabled(False)": "whether gradients are kept",
    "torch.use_deterministic_algorithms(not torch.are_deterministic_algorithms_enabled())": "whether algorithms are deterministic",
    "torch.set_num_threads(torch.get_num_threads() + 1)": "torch's number of threads",
    "torch.set_float32_matmul_precision('medium')": "the precision of matrix products",
    "os.chdir('/')": "the working folder",
    "os.chdir('/'); torch.set_grad_enabled(False)": "whether gradients are kept and the working folder",
}


@pytest.mark.parametrize("line", IMPORTS)
def test_an_import_that_changes_the_process_is_refused_and_undone(tmp_path: Path, line: str) -> None:
    path, before = tmp_path / "heaviest.py", settings()
    path.write_text(f"import os, torch\n{line}\n{PLUGIN.format(cls='Heaviest')}")
    with pytest.raises(
        BrokenPluginError, match=f"heaviest.py' changes {IMPORTS[line]} for the whole process when it is imported"
    ):
        configure("criteria", str(path))
    assert settings() == before


def test_an_import_that_draws_or_seeds_changes_no_random_state(tmp_path: Path) -> None:
    path, before = tmp_path / "heaviest.py", random_states()
    seeds = "import random, numpy, torch\ntorch.manual_seed(5), numpy.random.seed(5), random.seed(5), torch.rand(3)\n"
    path.write_text(seeds + PLUGIN.format(cls="Heaviest"))
    assert configure("criteria", str(path)).power == 2.0
    assert random_states() == before


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
        ("raise RuntimeError('boom')", "boom.py", r"boom.py' cannot be imported: RuntimeError: boom"),
        ("def broken(:", "broken.py", "cannot be imported: SyntaxError"),
        ("x = 1", "empty_file.py", "defines no class named after the file; expected EmptyFile, found none"),
        (
            PLUGIN.format(cls="Other"),
            "criterion.py",
            "expected Criterion, found Other; rename the class, or name it as criterion.py:Other",
        ),
        (PLUGIN.format(cls="Other"), "named.py:Missing", "named.py defines no Missing"),
        (
            PLUGIN.format(cls="Mine") + "\n\nclass MineCriterion(Mine):\n    pass\n",
            "mine.py",
            "mine.py: Mine and MineCriterion are both named after the file; say which, as mine.py:Mine",
        ),
        ("class Plain: pass", "plain.py", r"write class Plain\(Criterion\), with Criterion from criteria.base$"),
    ],
)
def test_files_that_hold_no_criterion(tmp_path: Path, content: str | None, name: str, message: str) -> None:
    if content is not None:
        (tmp_path / name.partition(":")[0]).write_text(content)
    with pytest.raises(PrunebenchError, match=message):
        configure("criteria", str(tmp_path / name))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("my_idea", "my_idea.py"),
        ("my_idea[power=3]", "my_idea.py"),
        ("my_idea:Other", "my_idea.py:Other"),
        ("./my_idea", "./my_idea.py"),
    ],
)
def test_a_file_in_the_current_folder_is_what_was_meant(
    kind: str, name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.commands.check import kind_of

    monkeypatch.chdir(tmp_path)
    for ask in (partial(configure, kind), kind_of):
        if "/" in name and (kind == "tasks" or ask is kind_of):
            continue  # a task's name may have a slash of its own
        (tmp_path / "my_idea.py").unlink(missing_ok=True)
        load.cache_clear()
        with pytest.raises(PrunebenchError) as caught:
            ask(name)
        assert ".py" not in str(caught.value)
        (tmp_path / "my_idea.py").write_text(PLUGIN.format(cls="MyIdea"))
        with pytest.raises(PrunebenchError, match=f"did you mean '{meant}'"):
            ask(name)
