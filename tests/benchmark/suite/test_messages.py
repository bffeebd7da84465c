"""What is said of slips in a suite that many people make, each in its own words."""

from pathlib import Path

import pytest

from benchmark.errors import PrunebenchError
from benchmark.plugins.spelling import spaced
from benchmark.suite.read import load_suite, parse_changes
from benchmark.suite.spec import RunSpec, Training
from benchmark.suite.suite import Suite
from benchmark.suite.yaml import load_yaml
from tests.benchmark.suites import BASE, read, refusal


@pytest.mark.parametrize(
    "line",
    [
        "criteria: [principled[beta1=0.9]]",
        "criteria: [magnitude, principled[beta1=0.9], taylor]",
        "overrides: {glue/*: {schedule: cubic[window=5]}}",
        "criteria: [my/idea.py[power=2,scale=3]]",
    ],
)
def test_brackets_in_a_list_need_quotes(line: str) -> None:
    with pytest.raises(PrunebenchError, match=r"needs quotes: \"[\w/.]+\[[^\]]*\]\""):
        load_yaml(f"title: x\n{line}\n")
    said = load_yaml("title: x\ncriteria: ['principled[beta1=0.9]']\n")
    assert said["criteria"] == ["principled[beta1=0.9]"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sparsities=[80]", "0.8 for 80 %"),
        ("sparsities=[0.5, 95]", "0.95 for 95 %"),
        ("seeds=42", r"expected a list: \[42\]"),
        ("criteria=magnitude", r"expected a list: \[magnitude\]"),
        ("seeds=[4294967296]", "less than 4294967296"),
        ("sparsities=['90%']", "expected a share below 1: 0.9 for 90 %"),
        ("sparsities=['97.5 %']", "expected a share below 1: 0.975 for 97.5 %"),
        ("sparsities=['2:4']", 'expected a share below 1; 2:4 is a scope: "2:4"'),
        ("sparsities=['0.9']", "without quotes, such as 0.9"),
        ("training.clip=0", "or null where gradients are not clipped"),
        ("training.clip=0.0", "or null where gradients are not clipped"),
        ("training.heldout=0.1", "did you mean 'heldout', beside training and not in it"),
        ("training.gate=5", "did you mean 'gate', beside training"),
        ("training.schedule=cubic", "did you mean 'schedule', beside training"),
        ("training.precision=bf16", "did you mean 'precision', beside training"),
        ("steps=20", "did you mean 'training.steps'"),
        ("optimizer=adamax", "did you mean 'training.optimizer'"),
        ("weight_decay=0.1", "did you mean 'training.weight_decay'"),
        ("training.learning_rate=1e-4", "did you mean 'training.lr'"),
        ("training.num_train_epochs=2", "did you mean 'training.epochs'"),
        ("learning_rate=1e-4", "did you mean 'training.lr'"),
        ("training.epochs=1e300", "at most 10000"),
        ("training.checkpoints=9007199254740991", "at most 10000"),
        ("training.steps=9007199254740991", "at most 1000000000"),
    ],
)
def test_slips_are_told_in_their_own_words(change: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=said):
        read(tmp_path, BASE, change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tasks=[sst2]", "--set tasks: found ['sst2']: unknown task 'sst2'; did you mean 'glue/sst2'"),
        ("training.lr=fast", "--set training.lr: found 'fast': expected a number"),
        ("training.lrr=1", "--set training.lrr: unknown key 'training.lrr'; did you mean 'lr'"),
        ("training={lrr: 1}", "--set training: unknown key 'training.lrr'; did you mean 'lr'"),
        ("sparsities=[80]", "--set sparsities: sparsities.0: found 80: expected a share"),
        ("seeds=3", "--set seeds: found 3: expected a list"),
        ("learning_rate=1", "--set learning_rate: unknown key 'learning_rate'; did you mean 'training.lr'"),
        ("data=/nowhere", "--set data: no folder '/nowhere'; expected mini, hub or a folder"),
        ("model=./nowhere", "--set model: no folder './nowhere' (looked beside the suite"),
        (
            "overrides.glue/rte.training.lr=-1",
            "--set overrides.glue/rte.training.lr: found -1: expected at least",
        ),
        (".=1", "--set .: unknown key '.'"),
        ("scope=2:4", "suite.yaml with --set scope: glue/rte magnitude 0.8 seed 0: scope '2:4' prunes to sparsity 0.5"),
        ("selection=heldout", ""),
    ],
)
def test_what_set_says_wrong_is_not_laid_at_the_file(change: str, said: str, tmp_path: Path) -> None:
    if said:
        assert refusal(tmp_path, BASE, change).startswith(said)
    else:
        assert read(tmp_path, BASE, change).selection == "heldout"


def test_what_the_file_says_wrong_is_not_laid_at_set(tmp_path: Path) -> None:
    wrong = BASE.replace("[0, 1]", "[-1]")
    assert refusal(tmp_path, wrong, "training.lr=1e-4").startswith(
        "suite.yaml with --set training.lr: seeds.0: found -1"
    )
    assert refusal(tmp_path, wrong).startswith("suite.yaml: seeds.0: found -1")
    told = refusal(tmp_path, BASE + "overrides: {glue/qqp: {scope: layer}}", "tasks=[glue/rte]")
    assert told.startswith("suite.yaml with --set tasks: overrides: 'glue/qqp' matches no task")


@pytest.mark.parametrize(
    ("more", "change"),
    [
        ("overrides: {glue/cola: {scope: layer}}", "tasks=[glue/rte]"),
        ("overrides: {'glue/c*': {scope: layer}}", "tasks=[glue/rte]"),
        ("labels: {principled: Ours}", "criteria=[magnitude]"),
        ("labels: {glue/cola: Grammar}", "tasks=[glue/rte]"),
        ("regularizers: [none, distillation]\nlabels: {principled + distillation: Ours}", "criteria=[magnitude]"),
    ],
)
def test_what_the_file_says_of_rows_and_tasks_that_set_takes_out_is_left_out(
    tmp_path: Path, more: str, change: str
) -> None:
    suite = read(tmp_path, f"{BASE}{more}", change)
    assert (suite.labels, suite.overrides) == ({}, {})
    with pytest.raises(PrunebenchError, match="'taylor' is nothing of this suite"):
        read(tmp_path, f"{BASE}labels: {{taylor: T}}", change)


def test_a_key_of_set_has_dots_in_brackets(tmp_path: Path) -> None:
    text = BASE.replace("[glue/rte, glue/cola]", "['lm[path=a.txt]']")
    suite = read(tmp_path, text, "overrides.lm[path=a.txt].training.max_length=64")
    assert suite.overrides["lm[path=a.txt]"].training.max_length == 64


@pytest.mark.parametrize("name", ["none", "best", "Best", "dense", "magnitude"])
def test_a_method_is_not_called_what_says_something_else(tmp_path: Path, name: str) -> None:
    assert f"'{name}'" in refusal(tmp_path, f"{BASE}methods: {{{name}: {{criterion: magnitude, scope: layer}}}}")


@pytest.mark.parametrize("label", ["''", "' '", "{text: ' '}"])
def test_a_label_has_letters(tmp_path: Path, label: str) -> None:
    assert "labels.magnitude" in refusal(tmp_path, f"{BASE}labels: {{magnitude: {label}}}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE + "training: {lr:1e-3}", "a colon needs a space behind it: lr: 1e-3"),
        (BASE + "training:\n  lr:1e-3", "a colon needs a space behind it: lr: 1e-3"),
        (BASE + "training:\n  lr:1e-3\n  steps: 4", "a colon needs a space behind it: lr: 1e-3"),
        (BASE + "training:\n  steps: 4\n  lr:1e-3", "a colon needs a space behind it: lr: 1e-3"),
        (BASE + "scope:layer", "a colon needs a space behind it: scope: layer"),
        (BASE.replace("seeds: [0, 1]", "seeds:[0, 1]"), "a colon needs a space behind it: seeds: [0, 1]"),
        (BASE.replace("tasks: ", "tasks:"), "a colon needs a space behind it: tasks: [glue/rte, glue/cola]"),
        ("title:x", "a colon needs a space behind it: title: x"),
        (BASE + "overrides: {glue/rte: {scope:layer}}", "a colon needs a space behind it: scope: layer"),
    ],
)
def test_a_colon_without_a_space_is_told_with_the_line_as_meant(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize("text", [BASE + "training: http://x", BASE + "trainin: 1", BASE + "training: [a", "a::b"])
def test_other_colons_are_no_slip(text: str, tmp_path: Path) -> None:
    assert "space behind" not in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training.lr:1e-3", "expected key=value, training.lr=1e-3"),
        ("training.lr: 1e-3", "expected key=value, training.lr=1e-3"),
        ("training", "expected key=value, for instance training.epochs=2"),
        ("=3", "expected key=value, for instance"),
        (" =3", "expected key=value, for instance"),
    ],
)
def test_set_without_an_equals_sign_is_told_with_one(text: str, said: str) -> None:
    with pytest.raises(PrunebenchError) as caught:
        parse_changes([text])
    assert said in str(caught.value)


@pytest.mark.parametrize("second", ["seeds=[1]", " seeds =[0]"])
def test_set_says_a_key_once(second: str) -> None:
    with pytest.raises(PrunebenchError, match="--set seeds is given twice: expected one value"):
        parse_changes(["seeds=[0]", second])


def test_the_largest_seed_is_one_that_every_generator_takes() -> None:
    assert RunSpec(task="glue/rte", seed=2**32 - 1, training=Training(steps=1)).seed == 2**32 - 1


@pytest.mark.parametrize(
    ("text", "suite"),
    [
        ("magnitude+self_regularization", "magnitude + self_regularization"),
        ("magnitude +self_regularization", "magnitude + self_regularization"),
        ("movement[score_lr=1e+2]+rdrop", "movement[score_lr=1e+2] + rdrop"),
        ("movement[score_lr=1e+2]", "movement[score_lr=1e+2]"),
        ("magnitude + rdrop", "magnitude + rdrop"),
        ("a+b.py", "a+b.py"),
    ],
)
def test_a_row_without_blanks_is_the_row(text: str, suite: str) -> None:
    assert spaced(text) == suite


def test_a_suite_takes_a_row_as_status_prints_it() -> None:
    one, other = (
        Suite(tasks=["glue/rte"], criteria=[text], sparsities=[0.5])
        for text in ("magnitude+self_regularization", "magnitude + self_regularization")
    )
    assert [cell.id for cell in one.cells()] == [cell.id for cell in other.cells()]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sst2", "glue/sst2"),
        ("SST-2", "glue/sst2"),
        ("sst_2", "glue/sst2"),
        ("STS-B", "glue/stsb"),
        ("stsb", "glue/stsb"),
        ("MNLI", "glue/mnli"),
        ("CoLA", "glue/cola"),
        ("RTE", "glue/rte"),
        ("glue-sst2", "glue/sst2"),
        ("glue_qnli", "glue/qnli"),
        ("GLUE/QQP", "glue"),
        ("glue/SST-2", "glue/sst2"),
        ("glue/sst", "glue/sst2"),
        ("squad2", "squad_v2"),
        ("SQuAD", "squad"),
        ("squadv2", "squad_v2"),
        ("squad-v2", "squad_v2"),
        ("squad_v1.1", "squad"),
        ("conll", ""),
        ("conll03", "conll2003"),
        ("CoNLL-2003", "conll2003"),
        ("E2E", "e2e"),
        ("e2e_nlg", "e2e"),
        ("WebNLG", "webnlg"),
        ("webnlg2020", "webnlg/2020"),
        ("DART", "dart"),
    ],
)
def test_a_tasks_name_as_papers_write_it_is_answered_with_ours(name: str, meant: str, tmp_path: Path) -> None:
    if not meant:  # a task of its own, which asks for its folder once it is opened
        assert read(tmp_path, BASE, f"tasks=[{name}]").tasks == [name]
        return
    with pytest.raises(PrunebenchError, match=f"did you mean '{meant}'"):
        read(tmp_path, BASE, f"tasks=['{name}']")


@pytest.mark.parametrize("field", ["title: ", "model: ", "tasks: [squad, ", "criteria: ["])
def test_half_a_surrogate_is_told(field: str, tmp_path: Path) -> None:
    """As JSON spells it, in any field of a suite."""
    end = "]" if "[" in field else ""
    path = tmp_path / "suite.yaml"
    kept = [line for line in BASE.splitlines() if not line.startswith(field.partition(":")[0])]
    path.write_text("\n".join([*kept, f'{field}"x\\ud800"{end}']) + "\n")
    with pytest.raises(PrunebenchError, match=r"line \d+, column \d+: not valid YAML: half of a character"):
        load_suite(path)


@pytest.mark.parametrize(
    "pair",
    ["0.5, 0.50000001", "0.8, 0.9, 0.8000000000000002", "1e-9, 1.0000000001e-9", "0.33333333, 1e-3, 0.333333334"],
)
def test_sparsities_that_a_table_shows_alike_are_refused(pair: str, tmp_path: Path) -> None:
    """Two rows of one name under one heading."""
    with pytest.raises(PrunebenchError, match=r"are both shown as \S+ %: their rows could not be told apart"):
        read(tmp_path, BASE, f"sparsities=[{pair}]")
    assert read(tmp_path, BASE, "sparsities=[0.5, 0.500001, 0.9]").sparsities == [0.5, 0.500001, 0.9]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("{criterion: magnitude, schedule: 'cubic[warmup=0.1]'}", "schedule 'cubic' has no option 'warmup'"),
        ("{criterion: magnitude, training: {lr: 1}}", "unknown key 'methods.one.training'"),
        ("{criterion: magnitudo}", "did you mean 'magnitude'"),
        ("{schedule: cubic}", "'methods.one.criterion' is missing"),
    ],
)
def test_a_row_of_a_wrong_method_is_not_called_unknown(method: str, said: str, tmp_path: Path) -> None:
    """Its name is one of the suite's; what is wrong is the method."""
    text = "title: t\ntasks: [glue/sst2]\ncriteria: [one]\nsparsities: [0.5]\nmethods:\n"
    found = refusal(tmp_path, f"{text}  one: {method}\n")
    assert said in found
    assert "'one'" not in found
