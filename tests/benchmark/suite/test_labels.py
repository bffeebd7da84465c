"""Labels of a suite: with --set, with LaTeX of their own, and what is said where a label stands in a name's place."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import load
from benchmark.report.names import names_of
from benchmark.suite.suite import Suite
from tests.benchmark.boards import make_board
from tests.benchmark.suites import read

TEXT = 'tasks: [glue/sst2]\nsparsities: [0.5]\ncriteria: [magnitude, "principled[signed=true]", "sensitivity[beta1=0.9]"]\n'


def suite(labels: dict[str, Any]) -> Suite:
    return Suite.model_validate(
        {"tasks": ["glue/sst2"], "criteria": ["magnitude", "principled"], "sparsities": [0.5], "labels": labels}
    )


@pytest.mark.parametrize(
    ("change", "key", "text"),
    [
        ("labels.magnitude=Mag", "magnitude", "Mag"),
        ("labels.principled[signed=true]=Naive", "principled[signed=true]", "Naive"),
        ("labels.sensitivity[beta1=0.9]=P = 0.9", "sensitivity[beta1=0.9]", "P = 0.9"),
        ("labels.glue/sst2=SST", "glue/sst2", "SST"),
        ('labels={"principled[signed=true]": Naive}', "principled[signed=true]", "Naive"),
    ],
)
def test_set_names_what_the_suite_has(tmp_path: Path, change: str, key: str, text: str) -> None:
    assert read(tmp_path, TEXT, change).labels[key].text == text


def test_set_names_a_file(tmp_path: Path) -> None:
    (tmp_path / "root_weight_grad.py").write_text("")
    text = TEXT.replace("magnitude", "root_weight_grad.py")
    found = read(tmp_path, text, "labels.root_weight_grad.py=RWG (ours)").labels
    assert found["root_weight_grad.py"].text == "RWG (ours)"


@pytest.mark.parametrize(
    ("key", "meant"),
    [("PINS", "principled"), ("pins", "principled"), ("Platon", "sensitivity"), ("SST-2", "glue/sst2")],
)
def test_a_label_in_place_of_a_name_is_told_the_name(key: str, meant: str) -> None:
    with pytest.raises(ValidationError, match=f"'{key}' is nothing of this suite; it is the label of '{meant}'"):
        suite({key: "Ours"})


@pytest.mark.parametrize(
    ("kind", "label", "name"),
    [
        ("criteria", "PINS", "principled"),
        ("criteria", "pins", "principled"),
        ("criteria", "PLATON", "sensitivity"),
        ("criteria", "soft-movement", "soft_movement"),
        ("regularizers", "self-reg.", "self_regularization"),
        ("regularizers", "R-Drop", "rdrop"),
    ],
)
def test_an_unknown_plugin_that_is_a_label_is_told_the_name(kind: str, label: str, name: str) -> None:
    with pytest.raises(PrunebenchError, match=f"'{label}' is the label of '{name}'.*choices: "):
        load(kind, label)


@pytest.mark.parametrize(
    "latex",
    [
        r"Magnitude \citep{han2015}",
        r"Magnitude~\cite{han2015}",
        r"Magnitude\ \cite{han2015}",
        r"\citet*[see][p.~3]{a:b_c,d-e.2}",
        r"MiniLM$_{6}$",
        r"\textsc{Ours}\textsuperscript{$\dagger$}",
        r"$\ell_0$, 50\,\% \& more",
    ],
)
def test_a_label_may_have_latex_of_its_own_and_is_plain_elsewhere(latex: str) -> None:
    made = names_of(suite({"magnitude": {"text": "Magnitude", "latex": latex}}))
    assert made.method("magnitude") == "Magnitude"
    assert made.latex == {"magnitude": latex}


@pytest.mark.parametrize(
    "latex",
    [
        r"\input{/etc/passwd}",
        r"\write18{ls}",
        r"\def\x{}",
        r"\csname input\endcsname",
        r"^^5cinput{x}",
        r"$^^5cinput{x}$",
        r"a\\b",
        "a & b",
        "50 %",
        "#1",
        "a_b",
        r"\alpha-pruning",
        r"Ours\textsuperscript{\dagger}",
        r"$a$\times$b$",
        r"\$\times",
        r"\textsc{Ours",
        "}{",
        "$x",
        r"\cite{\input{x}}",
        "a\nb",
        "trailing \\",
    ],
)
def test_latex_that_runs_commands_or_does_not_compile_is_refused(latex: str) -> None:
    with pytest.raises(ValidationError):
        suite({"magnitude": {"text": "Magnitude", "latex": latex}})


@pytest.mark.parametrize(
    ("key", "criteria", "hint"),
    [
        ("random", ["magnitude"], ""),  # the key is the name itself
        ("Random", ["magnitude"], "it is the label of 'random'. "),  # which is not there either
        ("distillation", ["magnitude"], ""),
        ("sensitivity", ["sensitivity[beta1=0.9]"], ""),
        ("PINS", ["principled[signed=true]"], "it is the label of 'principled': name that. "),
        ("Random", ["random"], "it is the label of 'random': name that. "),
        ("SST-2", ["random"], "it is the label of 'glue/sst2': name that. "),
    ],
)
def test_a_wrong_label_is_not_told_to_be_called_what_it_is_called(
    key: str, criteria: list[str], hint: str, tmp_path: Path
) -> None:
    with pytest.raises(PrunebenchError) as caught:
        make_board(tmp_path / "tiny", criteria=criteria, labels={key: "Ours"})
    said = str(caught.value)
    assert f"'{key}' is nothing of this suite; {hint}" in said
    assert said.count("it is the label of") == bool(hint)
