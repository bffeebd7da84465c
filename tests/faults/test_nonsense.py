"""Commands with arguments that make no sense: exit code 2, one sentence, no traceback, and nothing left behind."""

import os
import shlex
import shutil
from pathlib import Path

import pytest

from benchmark.board.board import PAGES
from benchmark.commands.new import PLURALS
from tests.benchmark.boards import finish, make_board
from tests.command import Command


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = make_board(tmp_path_factory.mktemp("nonsense") / "b", criteria=["magnitude"])
    finish(board)
    shutil.rmtree(board.shared)
    return board.folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished board `b`, a file, a site and a folder with something in it."""
    shutil.copytree(made, tmp_path / "b")
    (tmp_path / "file").write_text("text")
    (tmp_path / "code.py").write_text("text")
    (tmp_path / "link.md").symlink_to("b/suite.yaml")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CELL = "'glue/sst2 magnitude 0.5 seed 0'"
COMMANDS = [
    # doctor
    ("doctor nowhere", "no board there"),
    ("doctor file", "no board there"),
    ("doctor b --data nowhere", "--data: no folder 'nowhere'"),
    ("doctor b --data ''", "--data '' is blank: expected DIR"),
    ("doctor b --model ' '", "--model ' ' is blank: expected DIR"),
    ("doctor b --model random:", "--model 'random:': expected mini"),
    ("doctor b --set x", "--set x: expected key=value"),
    ("doctor b --set model=", "--set model is left blank"),
    ("doctor b --set 'data=\"\"'", "names nothing: expected mini"),
    ("doctor b b", "unexpected extra argument"),
    ("doctor --data mini", "name one, prunebench doctor BOARD"),
    ("doctor --set training.lr=1", "name one, prunebench doctor BOARD"),
    # compare
    ("compare b", "Missing option '--add'"),
    ("compare b --add ''", "--add '' is blank: expected"),
    ("compare b --add nope", "unknown criterion 'nope'"),
    ("compare b --add file", "unknown criterion 'file'"),
    ("compare b --add 'magnitude + '", ""),
    ("compare b --add ' + rdrop'", ""),
    ("compare b --add taylor --only nothing", "matches no cell"),
    ("compare b --add taylor --jobs 0", "than or equal to"),
    ("compare b --add taylor --format xml", "is not one of"),
    ("compare b --add taylor --data nowhere", "--data: no folder"),
    ("compare b --add taylor --checkpoint-minutes -1", "than or equal to"),
    # tune
    ("tune b --trials 0", "than or equal to"),
    ("tune b --trials 10001", "than or equal to"),
    ("tune b --trials 2 --seed 4294967296", "than or equal to"),
    ("tune b --trials 2 --seed -1", "than or equal to"),
    ("tune b --trials 2 --lr 1,0", "expected LOW,HIGH"),
    ("tune b --trials 2 --lr nan,1", "expected LOW,HIGH"),
    ("tune b --trials 2 --lr 1e-300,1e300", "expected LOW,HIGH"),
    ("tune b --trials 2 --lr 0.1,11", "expected LOW,HIGH"),
    ("tune b --trials 2 --lr x", "expected LOW,HIGH"),
    ("tune b --trials 2 --output b", "b/suite.yaml is a suite that tuning did not write"),
    ("tune b --trials 2 --output file", "file: is no folder; choose another by --output"),
    ("tune b --trials 2 --output file/tuned", "file: is no folder"),
    ("tune b --trials 2 --output /dev/null", "/dev/null: is no folder"),
    ("tune b --trials 2 --only nope", "matches no cell"),
    # export
    (f"export b {CELL} full", "full"),
    (f"export b {CELL} file", "file: is no folder; choose another folder"),
    (f"export b {CELL} file/x", "file: is no folder; choose another folder"),
    ("report b --output file/x.html", "cannot write file/x.html: file is a file, expected a folder"),
    ("plot b --output file", "file is a file, expected a folder"),
    ("new board file", "cannot write file/suite.yaml: file is a file, expected a folder"),
    (f"export b {CELL} /dev/null", "/dev/null"),
    (f"export b {CELL} out --dtype int8", "int8"),
    (f"export b {CELL} out --model nowhere", "has no record yet"),
    ("export b nope out", "names no cell"),
    ("export b '' out", "names several cells"),
    # site
    # an output that would take the place of what it is made of
    *(
        (f"{command} b --output {output}", message)
        for command in ("report", "table", "table --format latex")
        for output, message in (
            ("b/suite.yaml", "is there, and no table or page: expected a file that ends in .html"),
            ("./b/../b/suite.yaml", "is there, and no table or page"),
            ("b/records/RECORD.json", "lies in records of a board"),
            ("b/records/RECORD.npz", "lies in records of a board"),
            ("b/records/new.json", "lies in records of a board"),
            ("b/records/new/t", "lies in records of a board"),
            ("code.py", "is there, and no table or page"),
            ("link.md", "is there, and no table or page"),
            ("new.docx", "has the ending of no table or page"),
            ("''", "--output '' is blank: expected FILE"),
            ("' '", "--output ' ' is blank: expected FILE"),
            ("full", "is a folder, expected a file"),
            ("pipe", "is a device or a pipe"),
            ("pipe.md", "is a device or a pipe"),
            ("to-pipe", "is a device or a pipe"),
        )
    ),
    *(
        (
            f"{command} --output t{ending}",
            f"ends as {meant} does, and the format is {format}: expected --format {meant}",
        )
        for command, format, endings in (
            ("table b", "text", ".md .tex .csv .json .html"),
            ("table b --format csv", "csv", ".md .tex .json .htm"),
            ("table b --format latex", "latex", ".markdown .CSV"),
            ("report b", "html", ".md .tex"),
        )
        for ending in endings.split()
        for meant in (PAGES[ending.lower()],)
    ),
    ("plot b --output b/records", "lies in records of a board"),
    ("site . --output b/records/s", "lies in records of a board"),
    ("new criterion mine --folder b/records", "lies in records of a board"),
    ("new criterion mine --package b/records/p", "lies in records of a board"),
    (f"export b {CELL} b/weights/out", "lies in weights of a board"),
    ("bench records --output b/records/x --quick", "lies in records of a board"),
    ("tune b --trials 2 --output b/records/t", "lies in records of a board"),
    ("prunable b/suite.yaml", "model 'b/suite.yaml' is a file; expected a folder with config.json"),
    ("table b --set 'tasks=[glue/MRPC]'", "did you mean 'glue/mrpc'"),
    ("table b --set 'tasks=[glue/STS-B]'", "did you mean 'glue/stsb'"),
    ("table b --set 'training={LR: 1e-3}'", "did you mean 'lr'"),
    ("plot b --output b/weights/new", "lies in weights of a board"),
    ("site nowhere --output s", "nowhere"),
    ("site full --output s", "full"),
    ("site . --output full", "full"),
    ("site . --output b", "b"),
    ("site . --output file", "file"),
    ("site file --output s", "file"),
    # merge
    ("merge b", "Missing argument"),
    ("merge b b", "b: is the board itself"),
    ("merge b b/records", "b/records: is the board itself"),
    ("merge b ./b/../b", "is the board itself"),
    ("merge b nowhere", "nowhere: no such folder"),
    ("merge b file", "file: no such folder"),
    ("merge b full", "full: holds no records"),
    ("merge b /dev/null", "/dev/null: no such folder"),
    ("merge nowhere b", "no board there"),
    # check
    ("check nope", "no plugin is called 'nope'"),
    ("check ''", "is not of the form"),
    ("check file", "no plugin is called 'file'"),
    ("check nope.py", "nope.py"),
    ("check magnitude --kind tasks", "unknown task 'magnitude'"),
    ("check magnitude --data mini", "checked without data or model"),
    ("check 'magnitude[x=1]'", "x"),
    ("check 'magnitude['", "is not of the form"),
    ("check glue/sst2 --data nowhere", "--data: no folder 'nowhere'; expected mini, hub or a folder"),
    ("check glue/sst2 --model ./nowhere", "--model: no folder './nowhere'; expected mini, a hub id or a folder"),
    ("check glue/sst2 --model ''", "--model ''"),
    # new
    ("new thing x", "is not one of"),
    *(
        (f"new criterion {name}", "cannot be the name of a criterion: expected lower-case letters")
        for name in ("''", "a/b", "../x", "class", "1x", "MyIdea", "my-idea")
    ),
    ("new criterion base", "files of that name hold no plugins"),
    ("new criterion magnitude", "there is a criterion 'magnitude' already, in prunebench"),
    ("new task glue", "there is a task 'glue' already"),
    ("new regularizer none", "there is a regularizer 'none' already"),
    ("new criterion ok --folder file", "file"),
    ("new criterion ok --package full", "full: not empty"),
    ("new criterion ok --package file", "file"),
    *((f"new {kind} ok --llm", f"--llm is for a board, not for a {kind}") for kind in PLURALS),
    ("new board ok --package p", "leave --package out"),
    ("new board b", "there already, and left as it is"),
    *((f"new board {name}", "cannot be the name of a board") for name in ("..", "'a b'", "a/b")),
    (f"new task {'a' * 300}", ""),
    # diagnose
    ("diagnose nowhere", "no board there"),
    ("diagnose b --only nope", "matches no cell"),
    ("diagnose b --at 2", "than or equal to"),
    ("diagnose b --at nan", "than or equal to"),
    ("diagnose b --bins 1001", "than or equal to"),
    ("diagnose b --singles 100001", "than or equal to"),
    ("diagnose b --batches 10001", "than or equal to"),
    ("diagnose b/records/nope.json", "nope.json"),
    ("diagnose b/records", "no board there"),
    ("diagnose file", "no board there"),
    # verify
    ("verify nowhere --rerun", "no board there"),
    ("verify b/records --rerun", "no board there"),
    ("verify b --rerun --cell nope", "names no cell"),
    ("verify b --rerun --cell ''", "--cell '' is blank"),
    ("verify b --rerun --data nowhere", "--data: no folder"),
    ("verify b --exported nowhere", "nowhere"),
    ("verify b --exported file", "file"),
    ("verify b --exported full", "full"),
    ("verify b --set seeds=[]", "--set seeds"),
    ("verify b --rerun --device tpu", "is not one of"),
    # blank options
    ("table b --rows ''", "--rows '' is blank: expected FIELDS"),
    ("table b --columns ' '", "--columns ' ' is blank"),
    ("table b --caption '' --format latex", "--caption '' is blank: expected TEXT"),
    ("plot b --output ''", "--output '' is blank"),
    ("table b --set ''", "--set '' is blank: expected KEY=VALUE"),
    ("table b --only sst2 --only ''", "--only '' is blank: expected PATTERN"),
    ("run b --engine slurm --slurm ''", "--slurm '' is blank"),
    ("run b --engine ray --address ''", "--address '' is blank"),
    # options that nothing would use
    ("diagnose b --bins 7", "--bins: only used with --train; add it"),
    ("diagnose b --at 0.5 --device cpu", "--at, --device: only used with --train"),
    ("verify b --device cpu", "--device: only used with --rerun; add it"),
    ("verify b --trust-remote-code", "--trust-remote-code: only used with --rerun"),
    (
        "diagnose b/records/RECORD.json --only '*random*'",
        "--only: chooses among a board's cells, and one record is named",
    ),
    ("new criterion mine --folder a --package p", "--folder: --package says already where its files go"),
    ("bench step --without linear --quick", "--without: only used by the section cell, which is not asked for"),
    ("bench records selection --criteria magnitude --quick", "--criteria: only used by the section step"),
    ("bench selection --no-naive --steps 5 --quick", "--steps, --naive: only used by the section cell"),
    # the same board twice
    ("report b b", "b is given twice"),
    ("report b ./b", "b is given twice"),
    ("table b b/suite.yaml", "b is given twice"),
    ("merge b full full", "full is given twice"),
    # bench
    ("bench records --output file --quick", "file: is no folder; choose another by --output"),
    ("bench records --output /dev/null/x --quick", "/dev/null: is no folder"),
    ("bench step --batch 2x2 --quick", "--batch is for the profiled step: name it with --profile NAME"),
    ("bench nope --quick", "nope"),
]


@pytest.mark.parametrize(("words", "said"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_a_command_that_makes_no_sense_is_refused_and_changes_nothing(
    place: Path, words: str, said: str, command: Command
) -> None:
    before, record = left(place), next(place.glob("b/records/*.json")).stem
    code, _, error = command(*shlex.split(words.replace("RECORD", record)))
    assert code == 2, error
    assert "Traceback" not in error
    assert error.strip().splitlines()[-1].startswith(("prunebench: ", "Error: "))
    assert said in error
    assert left(place) == before


@pytest.mark.parametrize("add", ["magnitude", "magnitude --add magnitude"])
def test_a_row_that_the_suite_lists_is_not_called_new(place: Path, add: str, command: Command) -> None:
    _, printed, _ = command(*f"compare b --device cpu --add {add}".split())
    assert "named by --add; suite.yaml lists it already" in printed
    assert "To keep the row" not in printed
