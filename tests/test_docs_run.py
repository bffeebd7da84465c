"""Every prunebench command of README and docs really runs, page after page, in a folder of small boards."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmark.commands.run import run_board
from benchmark.engine.cell import Settings
from benchmark.plugins.registry import load
from tests.benchmark.boards import make_board
from tests.command import Command
from tests.tasks.tiny import checkpoint, write_sst2, write_tsv
from tests.test_docs import PAGES, ROOT, blocks, commands

SMALL = {"steps": 4, "batch_size": 4, "lr": 0.001, "max_length": 32, "train_examples": 24, "eval_examples": 20}
"""A budget of seconds."""
ELSEWHERE = {
    "agreement": "tox -e example installs it first",
    "bench": "measures for minutes; tests/benchmark/bench/ runs it on tiny shapes",
    "--engine": "needs its engine; tests/benchmark/engine/ runs it",
}
"""What cannot run here, and where or why."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages presuppose, made small: a finished mini board, the same from elsewhere, the README's board, data and a model."""
    base = tmp_path_factory.mktemp("workshop")
    criteria = ["random", "magnitude"]
    mini = make_board(base / "work/results/mini", criteria=criteria, sparsities=[0.8, 0.9], training=SMALL)
    assert run_board(mini, "*", Settings(save_weights=True)) == 0
    shutil.copytree(mini.folder, base / "other/mini")
    data = write_sst2(base / "glue")
    for name in ("MRPC", "RTE"):
        write_pairs(data, name)
    checkpoint(base / "models/bert-base-uncased", "bert")
    return base


def write_pairs(data: Path, name: str) -> None:
    """MRPC or RTE with a few sentences of two classes."""
    rte, labels = name == "RTE", (("not_entailment", "entailment") if name == "RTE" else ("0", "1"))
    head = (
        ["index", "sentence1", "sentence2", "label"] if rte else ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
    )
    for split in ("train", "dev"):
        rows = []
        for at in range(24):
            first, second, label = f"the cat {'sat ' * (at % 4)}", f"the dog {'ran ' * (at % 4)}", labels[at % 2]
            rows.append([at, first, second, label] if rte else [label, at, at, first, second])
        write_tsv(data / "glue" / name / f"{split}.tsv", [head, *rows])


def shrink(path: Path) -> None:
    """A suite that was just written, or is quoted on a page, with few cells of few steps, on what is at hand."""
    suite = yaml.safe_load(path.read_text())
    places = {"data": "~/glue", "model": "~/models/bert-base-uncased"} if suite.get("data") == "hub" else {}
    criteria = suite["criteria"][:2]
    less = {
        "criteria": criteria,
        "sparsities": [0.5],
        "seeds": [0],
        "training": SMALL,
        "overrides": {},
        "methods": {name: method for name, method in suite.get("methods", {}).items() if name in criteria},
    }
    path.write_text(yaml.safe_dump(suite | less | places))


def steps(page: Path) -> Iterator[list[str]]:
    """The commands of a page in their order; those that cannot run here left out."""
    for words in commands(page):
        if not any(word.partition("=")[0] in ELSEWHERE for word in words):
            yield words


def short(words: list[str]) -> list[str]:
    """A command that tries or measures much, with less of it."""
    if "--trials" in words:
        at = words.index("--trials") + 1
        return [*words[:at], "2", *words[at + 1 :]]
    return [*words, "--bins", "2", "--singles", "4", "--batches", "1"] if "--train" in words else words


RUN = [page for page in PAGES if list(steps(page)) and page.name != "tutorial.md"]
"""The tutorial has code between its commands: see below."""


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_their_order(
    page: Path, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    load.cache_clear()
    shutil.copytree(workshop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    for _, content in blocks(page, "yaml"):
        if "sparsities:" in content and page.name == "README.md":
            suite = Path("results/bert-glue/suite.yaml")
            suite.parent.mkdir(parents=True)
            suite.write_text(content)
            shrink(suite)
    for words in steps(page):
        assert command(*short(words))[0] == 0, shlex.join(words)
        if words[:2] == ["new", "board"]:
            shrink(Path(words[2]) / "suite.yaml")


@pytest.mark.slow
def test_the_tutorial_from_beginning_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """Its commands and code, in their order, in an empty folder; trainings made short."""
    load.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    done, printed = [], ""
    for language, words, content in re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "console":
            for line in content.splitlines():
                given = shlex.split(line.removeprefix("$ "))[1:]
                code, out, _ = command(*given)
                assert code == 0, line
                done.append(given[0])
                printed += out
                if given[:2] == ["new", "board"]:
                    shrink(Path(given[2]) / "suite.yaml")
        elif "title=" in words:
            Path(words.partition('"')[2].rstrip('"')).write_text(content)
        elif language == "python":
            named: dict[str, object] = {}
            exec(compile(content, "tutorial.md", "exec"), named)
            assert "reach=10" in str(named["criterion"])
    assert done == ["new", "check", "check", "new", "run", "compare", "statistics", "new"]
    assert "→ My idea (reach 100)" in printed
    assert "nothing is compared" in printed, "four steps teach the dense model too little to compare with"
    assert (tmp_path / "my-idea" / "prunebench_my_idea.py").is_file()


@pytest.mark.slow
def test_lists_and_the_doctor_run_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for words in (["list"], ["list", "criteria"], ["doctor"]):
        assert command(*words)[0] == 0, words
