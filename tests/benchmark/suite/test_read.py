"""Reading suite.yaml: every mistake is said with file, field, value and choices; --set; where folders are found."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.plugins.files import only_look
from benchmark.suite.read import load_suite
from benchmark.suite.spec import Training
from tests.benchmark.suites import BASE, LEAST, read, refusal

# --set.


def test_set_changes_one_thing(tmp_path: Path) -> None:
    text = BASE + "training: {epochs: 3, lr: 1e-4}"
    assert read(tmp_path, text, "training.epochs=2").training == Training(epochs=2, lr=1e-4)
    assert read(tmp_path, text, "seeds=[7]", "title=Other").seeds == [7]
    assert read(tmp_path, LEAST, "training.lr=3e-5").training.lr == 3e-5
    assert read(tmp_path, LEAST, "scope=2:4").scope == "2:4"


def test_set_steps_over_epochs_and_back(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "training: {epochs: 3}", "training.steps=5").training == Training(steps=5)
    assert read(tmp_path, LEAST + "training: {steps: 3}", "training.epochs=5").training == Training(epochs=5)
    override = "training: {epochs: 3}\noverrides: {squad: {training: {epochs: 9}}}"
    suite = read(tmp_path, LEAST + override, "overrides.squad.training.steps=5")
    assert suite.cells()[0].training == Training(steps=5)


def test_set_leaves_shared_settings_alone(tmp_path: Path) -> None:
    text = BASE + "training: &t {epochs: 3}\noverrides: {glue/rte: {training: *t}}"
    cells = read(tmp_path, text, "training.epochs=1").cells()
    assert {cell.task: cell.training.epochs for cell in cells} == {"glue/rte": 3, "glue/cola": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("=3", "--set =3: expected key=value"),
        ("title.x=3", "--set: cannot set 'x' in 'title' of suite.yaml, which holds 'A board', not settings"),
        ("trainin.epochs=3", "suite.yaml with --set trainin.epochs: unknown key 'trainin'; did you mean 'training'?"),
        ("training.epochs=null", "--set training.epochs: found nothing; expected a number, or no such key"),
        ("training.clip=", "--set training.clip is left blank: expected a value"),
        ("heldout= ", "--set heldout is left blank: expected a value"),
        ("seeds=[1", "--set seeds=[1, line 1, column 3: not valid YAML"),
        ("sparsities=0.5", "--set sparsities: found 0.5: expected a list: [0.5]"),
    ],
)
def test_changes_that_make_no_sense_are_refused_by_their_key(tmp_path: Path, change: str, message: str) -> None:
    assert refusal(tmp_path, BASE, change).startswith(message)


def test_a_title_has_no_blanks_around_it(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "title: |\n  Ours\n  and theirs\n").title == "Ours\nand theirs"


# Every mistake.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "suite.yaml: expected keys with values, found nothing"),
        ("- a", "suite.yaml: expected keys with values, found a list"),
        (
            LEAST + "calibration_inputs: pruned",
            "suite.yaml: calibration_inputs: found 'pruned', which no cell of this board can have",
        ),
        (
            LEAST.replace("[random]", "[mine]") + "methods: {mine: {criterion: wanda, calibration_inputs: pruned}}",
            "suite.yaml: methods.mine.calibration_inputs: found 'pruned', which no cell of this method can have",
        ),
        (
            LEAST + "labels: {squad: {txt: a}}",
            "suite.yaml: 'labels.squad.text' is missing\nsuite.yaml: unknown key 'labels.squad.txt'; did you mean",
        ),
        (
            LEAST + "training: {clip: none}",
            "suite.yaml: training.clip: found 'none': expected a number above 0, or null where",
        ),
        ("tasks: [squad]", "suite.yaml: 'criteria' is missing\nsuite.yaml: 'sparsities' is missing"),
        (LEAST + "tasks: [squad]", "suite.yaml, line 4, column 1: not valid YAML: key 'tasks' is given twice"),
        (
            LEAST + "tittle: x",
            "suite.yaml: unknown key 'tittle'; did you mean 'title'? choices: calibration_inputs, call_point,",
        ),
        (LEAST + "title: [x]", "suite.yaml: title: found ['x']: expected a text"),
        (LEAST.replace("squad", ""), "suite.yaml: tasks: found []: expected one at least"),
        (LEAST.replace("[squad]", "squad"), "suite.yaml: tasks: found 'squad': expected a list: [squad]"),
        (LEAST.replace("squad", "3"), "suite.yaml: tasks.0: found 3: expected a text"),
        (
            LEAST.replace("squad", "sqad"),
            "suite.yaml: tasks: found ['sqad']: unknown task 'sqad'; did you mean 'squad'?",
        ),
        (
            LEAST.replace("random", "randm"),
            "suite.yaml: criteria: found ['randm']: unknown criterion 'randm'; did you mean",
        ),
        (LEAST.replace("random", "dense"), "suite.yaml: criteria: found ['dense']: unknown criterion 'dense'"),
        (
            LEAST.replace("random", "random + nome"),
            "suite.yaml: criteria: found ['random + nome']: unknown regularizer",
        ),
        (
            LEAST.replace("random", "random, random"),
            "suite.yaml: criteria: found ['random', 'random']: given twice: random",
        ),
        (
            LEAST.replace("random", "principled, 'principled[window=10]'"),
            "suite.yaml: criteria: found ['principled', 'principled[window=10]']: given twice: principled",
        ),
        (LEAST.replace("0.5", "1.5"), "suite.yaml: sparsities.0: found 1.5: expected less than 1"),
        (LEAST.replace("0.5", "0"), "suite.yaml: sparsities.0: found 0: expected more than 0"),
        (
            LEAST.replace("0.5", "half"),
            "suite.yaml: sparsities.0: found 'half': expected a share below 1, without quotes",
        ),
        (LEAST.replace("0.5", ".nan"), "suite.yaml: sparsities.0: found nan: expected a finite number"),
        (LEAST.replace("0.5", "0.5, 5e-1"), "suite.yaml: sparsities: found [0.5, 0.5]: given twice: 0.5"),
        (LEAST + "seeds: ['3']", "suite.yaml: seeds.0: found '3': expected a whole number"),
        (LEAST + "seeds: [3.0]", "suite.yaml: seeds.0: found 3.0: expected a whole number"),
        (LEAST + "seeds: [true]", "suite.yaml: seeds.0: found True: expected a whole number"),
        (
            LEAST + "training: {batch_size: 4, lr: true}",
            "suite.yaml: training.lr: found True: expected a number",
        ),
        (LEAST + "heldout: false", "suite.yaml: heldout: found False: expected a number"),
        (LEAST.replace("0.5", "true"), "suite.yaml: sparsities.0: found True: expected a number"),
        (LEAST + "seeds: [1, 1]", "suite.yaml: seeds: found [1, 1]: given twice: 1"),
        (LEAST + "seeds: [-1]", "suite.yaml: seeds.0: found -1: expected at least 0"),
        (LEAST + "seeds: [a]", "suite.yaml: seeds.0: found 'a': expected a whole number"),
        (LEAST + "seeds: 3", "suite.yaml: seeds: found 3: expected a list: [0, 1, 2]"),
        (LEAST + "seeds: 1-3", "suite.yaml: seeds: found '1-3': expected a list: [1, 2, 3]"),
        (LEAST + "seeds: []", "suite.yaml: seeds: found []: expected one at least"),
        (
            LEAST + "regularizers: [nome]",
            "suite.yaml: regularizers: found ['nome']: unknown regularizer 'nome'; did you",
        ),
        (
            LEAST + "schedule: cubik",
            "suite.yaml: schedule: found 'cubik': unknown schedule 'cubik'; did you mean 'cubic'?",
        ),
        (LEAST + "scope: globl", "suite.yaml: scope: found 'globl': unknown scope 'globl'; did you mean 'global'?"),
        (
            LEAST + "selection: bestdev",
            "suite.yaml: selection: found 'bestdev': did you mean 'best_dev'? choices: best_dev,",
        ),
        (LEAST + "call_point: behind", "suite.yaml: call_point: found 'behind': choices: after, before"),
        (LEAST + "heldout: 0.9", "suite.yaml: heldout: found 0.9: expected at most 0.5"),
        (LEAST + "heldout: 0\nselection: heldout", "suite.yaml: suite: selection 'heldout' needs heldout > 0"),
        (
            LEAST + "training: {steps: ~}",
            "suite.yaml: training.steps: found nothing; expected a number, or no such key",
        ),
        (
            LEAST + "training:\n  clip:\n  steps: 9",
            "suite.yaml, line 5, column 3: not valid YAML: 'clip' is left blank: expected a",
        ),
        (
            LEAST + "overrides: {squad: {sparsities: }}",
            "suite.yaml, line 4, column 21: not valid YAML: 'sparsities' is left blank",
        ),
        (
            LEAST + "training: {steps: 1,000}",
            "suite.yaml, line 4, column 21: not valid YAML: '000' is left blank: expected a value, or no such key (1,000 is",
        ),
        (
            LEAST + f"labels: {{random: {'x' * 101}}}",
            f"suite.yaml: labels.random.text: found '{'x' * 99}...: expected 100 characters",
        ),
        (LEAST + "training: {epochs: ~}", "suite.yaml: training.epochs: found nothing; expected a number"),
        (
            LEAST + "overrides: {squad: {training: {steps: null}}}",
            "suite.yaml: overrides.squad.training.steps: found nothing; expected a number",
        ),
        (
            LEAST + "training: {lrr: 1}",
            "suite.yaml: unknown key 'training.lrr'; did you mean 'lr'? choices: batch_size,",
        ),
        (LEAST + "training: {lr: fast}", "suite.yaml: training.lr: found 'fast': expected a number"),
        (LEAST + "training: {lr: .inf}", "suite.yaml: training.lr: found inf: expected a finite number"),
        (
            LEAST + "training: {lr: 0}",
            "suite.yaml: training.lr: found 0: expected at least 1e-09",
        ),
        (LEAST + "training: {optimizer: adam}", "suite.yaml: training.optimizer: found 'adam': did you mean 'adamw'?"),
        (LEAST + "training: {steps: 1.5}", "suite.yaml: training.steps: found 1.5: expected a whole number"),
        (
            LEAST + "training: {steps: 1, epochs: 1}",
            "suite.yaml: training: give epochs or steps, not both (epochs=1.0,",
        ),
        (LEAST + "training: 3", "suite.yaml: training: found 3: expected keys with values"),
        (LEAST + "training: null", "suite.yaml: training: found nothing: expected keys with values"),
        (
            LEAST + "overrides: {sqad: {}}",
            "suite.yaml: overrides: 'sqad' matches no task of this suite; did you mean 'squad'?",
        ),
        (
            LEAST + "overrides: {squad: {seeds: [1]}}",
            "suite.yaml: unknown key 'overrides.squad.seeds'; choices: data, model,",
        ),
        (
            LEAST + "overrides: {squad: {training: {lrr: 1}}}",
            "suite.yaml: unknown key 'overrides.squad.training.lrr'; did you mean 'lr'?",
        ),
        (
            LEAST + "overrides: {squad: {training: {lr: fast}}}",
            "suite.yaml: overrides.squad.training.lr: found 'fast': expected a number",
        ),
        (
            LEAST + "overrides: {squad: {scope: globl}}",
            "suite.yaml: overrides.squad.scope: found 'globl': unknown scope",
        ),
        (
            LEAST + "overrides: {squad: {schedule: x}}",
            "suite.yaml: overrides.squad.schedule: found 'x': unknown schedule",
        ),
        (
            LEAST + "overrides: {squad: {sparsities: []}}",
            "suite.yaml: overrides.squad.sparsities: found []: expected one at least",
        ),
        (
            LEAST + "overrides: {squad: {sparsities: [2]}}",
            "suite.yaml: overrides.squad.sparsities.0: found 2: expected a share below 1: 0.02 for 2 %",
        ),
        (LEAST + "overrides: {squad: 3}", "suite.yaml: overrides.squad: found 3: expected keys with values"),
        (LEAST + "overrides: [squad]", "suite.yaml: overrides: found ['squad']: expected keys with values"),
        (LEAST + "3: x", "suite.yaml: 3: found 3: expected a text as the name: put it in quotes"),
        (
            LEAST + "overrides: {1: {scope: layer}}",
            "suite.yaml: overrides.1: found 1: expected a text as the name: put it in quotes",
        ),
        (
            LEAST + "data: nowhere",
            "suite.yaml: data: no folder 'nowhere' (looked beside the suite and below the working dir",
        ),
        (
            LEAST + "model: ./nowhere",
            "suite.yaml: model: no folder './nowhere' (looked beside the suite and below the work",
        ),
        (LEAST + "model: /nowhere/at/all", "suite.yaml: model: no folder '/nowhere/at/all'; expected mini, a hub id"),
        (LEAST + "data: /nowhere", "suite.yaml: data: no folder '/nowhere'; expected mini, hub or a folder"),
        (LEAST + "data: ~nobody-here/data", "suite.yaml: data: no folder '~nobody-here/data'; expected mini, hub"),
        (LEAST + f"data: {'x' * 5000}", f"suite.yaml: data: no folder '{'x' * 99}... (looked beside"),
        (LEAST + f"scope: {'x' * 5000}", f"suite.yaml: scope: found '{'x' * 99}...: unknown scope"),
    ],
)
def test_every_mistake_is_said_with_its_place_and_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text).startswith(message)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "scope: 2:4\noverrides: {squad: {sparsities: [0.8]}}",
            "squad random 0.8 seed 0: scope '2:4' prunes to sparsity 0.5",
        ),
        (
            "call_point: after\nregularizers: [rdrop]",
            "squad movement+rdrop 0.5 seed 0: criterion 'movement' trains through",
        ),
        (
            "selection: best_dev\nregularizers: ['self_regularization[teacher=best]']",
            "squad random+self_regularization[teacher=best] 0.5 seed 0: regularizer 'self",
        ),
        (
            "heldout: 0\nregularizers: ['self_regularization[teacher=best]']",
            "needs held-out scores: set heldout above 0",
        ),
        (
            "training: {steps: 4}\nschedule: iterative",
            "squad random 0.5 seed 0: schedule Iterative: a run of 4 steps is too",
        ),
        (
            "training: {steps: 9}\nschedule: 'one_shot[at=10]'",
            "seed 0: schedule OneShot: at = 10.0 steps is past the end",
        ),
    ],
)
def test_choices_that_contradict_each_other_are_refused_with_the_cell(tmp_path: Path, more: str, message: str) -> None:
    text = LEAST.replace("random", "random, movement" if "movement" in message else "random")
    assert message in refusal(tmp_path, text + more)


# Places.


def test_folders_are_found_beside_the_suite_or_where_one_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board, work = tmp_path / "board", tmp_path / "work"
    for folder in (board / "near", work / "far", work / "data"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(work)
    suite = read(board, LEAST + "model: near\ndata: far")
    assert (suite.model, suite.data) == (str(board / "near"), str(work / "far"))
    assert read(board, LEAST + "model: ../board/near\ndata: data").data == str(work / "data")
    assert read(board, LEAST, model=".", data="far").model == str(work)
    assert read(board, LEAST, model="owner/name").model == "owner/name"


@pytest.mark.parametrize("options", ["", ":Mine", "[size=3]", ":Mine[path=a/b.py]"])
def test_a_task_file_beside_the_suite_alone_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "mine.py").write_text("")
    monkeypatch.chdir(tmp_path)
    text = LEAST.replace("squad", f"'mine.py{options}'")
    said = refusal(tmp_path / "board", text)
    assert "tasks: no file 'mine.py' in the working directory. There is one beside the suite" in said
    assert said.endswith("or write 'board/mine.py'")
    monkeypatch.chdir(tmp_path / "board")
    assert read(tmp_path / "board", text).tasks == [f"mine.py{options}"]  # found, as it is written
    (tmp_path / "board" / "mine.py").unlink()
    assert "no file mine.py" in refusal(tmp_path / "board", text)


def test_given_places_win_over_the_suite_and_its_overrides(tmp_path: Path) -> None:
    text = LEAST + "model: some/model\noverrides: {squad: {model: other/model}}"
    assert read(tmp_path, text).cells()[0].model == "other/model"
    assert {cell.model for cell in read(tmp_path, text, model="third/model").cells()} == {"third/model"}
    assert refusal(tmp_path, text, data="nowhere").startswith("--data: no folder 'nowhere'; expected mini")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": "nowhere"}, "--data: no folder 'nowhere'; expected mini, hub or a folder"),
        ({"model": "./nowhere"}, "--model: no folder './nowhere'; expected mini, a hub id or a folder"),
    ],
)
def test_commands_that_only_look_know_a_mistyped_place(tmp_path: Path, given: dict[str, str], said: str) -> None:
    """What the suite itself names need not be on this machine."""
    only_look(True)
    try:
        assert read(tmp_path, LEAST + "data: elsewhere\nmodel: /another/machine/bert").data == "elsewhere"
        assert refusal(tmp_path, LEAST, **given).startswith(said)
    finally:
        only_look(False)


def test_words_for_sources_are_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mini").mkdir()
    (tmp_path / "hub").mkdir()
    monkeypatch.chdir(tmp_path)
    suite = read(tmp_path, LEAST + "model: mini\ndata: hub")
    assert (suite.model, suite.data) == ("mini", "hub")


def test_ids_do_not_depend_on_where_things_lie(tmp_path: Path) -> None:
    ids: list[Any] = []
    for place in ("one", "two"):
        (tmp_path / place / "minilm").mkdir(parents=True)
        (tmp_path / place / "data").mkdir()
        ids.append([cell.id for cell in read(tmp_path / place, LEAST + "model: minilm\ndata: data").cells()])
    assert ids[0] == ids[1]


def test_the_embedded_board_is_valid() -> None:
    folder = Path(__file__).resolve().parents[3] / "results" / "mini"
    assert load_suite(folder / "suite.yaml").cells()


@pytest.mark.parametrize("written", ["./tiny.gguf", "{folder}/tiny.gguf", "tiny.gguf", "random:./tiny.gguf"])
def test_a_model_may_be_a_gguf_file_beside_the_suite(tmp_path: Path, written: str) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    (cell, *_) = read(tmp_path, f"{LEAST}model: {written.format(folder=tmp_path)}\n").cells()
    assert cell.model.endswith(f"{tmp_path}/tiny.gguf")
    assert cell.recorded().model.endswith("tiny.gguf")


@pytest.mark.parametrize("written", ["./tiny.gguf", "./tiny.bin"])
def test_a_file_that_is_not_there_or_no_model_is_no_folder(tmp_path: Path, written: str) -> None:
    (tmp_path / "tiny.bin").touch()
    assert f"model: no folder '{written}'" in refusal(tmp_path, f"{LEAST}model: {written}\n")
