"""Where data come from: folders, local copies of the hub, the hub itself (its library replaced), and what is said when not."""

import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from tasks.base import TaskError
from tasks.formats.sources import Files, Hub, HubRows, Layout, hash_files, open_source, open_text, read_json, read_text

HUB = Hub("owner/name", "0123456789abcdef", "config", {"train": ("train",), "reported": ("validation",)})
LAYOUT = Layout({"train": ("set/train.tsv",), "reported": ("set/dev/*.tsv",)}, HUB)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_files_are_found_and_patterns_sorted(tmp_path: Path) -> None:
    for name in ("train", "dev/b", "dev/a"):
        write(tmp_path / f"set/{name}.tsv", name)
    source = open_source(str(tmp_path), LAYOUT)
    assert isinstance(source, Files)
    assert [path.name for path in source.paths("reported")] == ["a.tsv", "b.tsv"]
    assert source.describe("train") == "set/train.tsv"


def test_the_fingerprint_is_of_names_and_contents_not_of_places(tmp_path: Path) -> None:
    paths = [write(tmp_path / place / "set/train.tsv", text) for place, text in (("a", "x"), ("b", "x"), ("c", "y"))]
    prints = [hash_files([path], path.parents[1]) for path in paths]
    assert prints[0] == prints[1] != prints[2]
    renamed = write(tmp_path / "a/set/other.tsv", "x")
    assert hash_files([renamed], tmp_path / "a") != prints[0]


def test_a_changed_file_has_a_new_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path / "file", "one")
    before = hash_files([path], tmp_path)
    write(path, "three")
    assert hash_files([path], tmp_path) != before


def test_missing_data_say_what_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "set/dev.tsv", "")
    source = open_source(str(tmp_path), LAYOUT)
    with pytest.raises(TaskError, match=r"looked for .*set/train\.tsv \(.*set holds: dev\.tsv\)"):
        source.fingerprint("train")
    with pytest.raises(TaskError, match=r"'/no/such' is no folder; expected `mini`, `hub`, or a folder with set/train"):
        open_source("/no/such", LAYOUT)
    with pytest.raises(TaskError, match="no pinned data set"):
        open_source("hub", Layout(LAYOUT.files))
    with pytest.raises(TaskError, match=r"mini has no set/train\.tsv"):
        open_source("mini", LAYOUT)
    of_its_own = Layout(dict.fromkeys(LAYOUT.files, (f"{tmp_path}/set/train.tsv",)))
    with pytest.raises(TaskError, match=r"looked for .*set/train\.tsv \(.*set holds: dev\.tsv\)"):
        open_source("mini", of_its_own).fingerprint("train")


def test_parquet_of_the_hubs_schema_is_read_from_a_folder(tmp_path: Path) -> None:
    rows = [{"text": "one", "label": 1}, {"text": "two", "label": 0}]
    folder = tmp_path / "hub/owner/name/config"
    folder.mkdir(parents=True)
    for name in ("train-00000-of-00001", "validation-00000-of-00001"):
        datasets.Dataset.from_list(rows).to_parquet(folder / f"{name}.parquet")
    source = open_source(str(tmp_path), LAYOUT)
    assert isinstance(source, HubRows)
    assert [(where, list(read)) for where, read in source.parts("train")] == [("hub/owner/name/config/train", rows)]
    assert source.fingerprint("train") != source.fingerprint("reported")
    (folder / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(TaskError, match=r"no train rows of owner/name: looked for .*train-\*\.parquet"):
        source.fingerprint("train")


def test_own_files_win_over_a_copy_of_the_hub(tmp_path: Path) -> None:
    write(tmp_path / "set/train.tsv", "")
    write(tmp_path / "set/dev/a.tsv", "")
    (tmp_path / "hub/owner/name").mkdir(parents=True)
    assert isinstance(open_source(str(tmp_path), LAYOUT), Files)


def test_the_hub_is_asked_for_the_pinned_revision(asked: list[Any]) -> None:
    source = open_source("hub", LAYOUT)
    assert isinstance(source, HubRows)
    assert source.parts("reported") == [("owner/name@0123456789ab/config/validation", [{"label": 1}])]
    assert asked == [(("owner/name", "config"), {"split": "validation", "revision": "0123456789abcdef"})]
    assert len(source.fingerprint("train")) == 64


def test_a_revision_that_may_move_is_fingerprinted_by_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"label": 1}]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    assert LAYOUT.hub is not None
    moving, standing = (HubRows(replace(LAYOUT.hub, revision=name)) for name in ("refs/convert/parquet", "0" * 40))
    before = moving.fingerprint("train"), standing.fingerprint("train")
    rows[0] = {"label": 0}
    assert moving.fingerprint("train") != before[0]
    assert standing.fingerprint("train") == before[1]  # nothing is read: a commit does not change


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionError("offline"), r"could not load owner/name from the hub: offline\. .*--data DIR"),
        (ValueError("no such config"), r"owner/name \(config, train, revision .*ValueError: no such config"),
    ],
)
def test_a_hub_that_gives_nothing_is_a_task_error(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = open_source("hub", LAYOUT)
    assert isinstance(source, HubRows)
    with pytest.raises(TaskError, match=said):
        source.parts("train")


def test_text_keeps_its_line_ends_and_loses_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("\ufeffone\r\ntwo\rthree\n".encode())
    assert read_text(path) == "one\r\ntwo\rthree\n"
    assert list(open_text(path)) == ["one\r\n", "two\r", "three\n"]
    path.write_bytes(b"good\nbad \xff\n")
    with pytest.raises(TaskError, match=r"file:2: not UTF-8"):
        read_text(path)
    with pytest.raises(TaskError, match="cannot read"):
        read_text(tmp_path / "absent")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"text"), "compressed by gzip"),
        ("text".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04\xff", "a zip archive"),
        (b"PAR1\xff", "a Parquet file"),
    ],
)
def test_what_is_no_text_is_called_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(TaskError, match=f"file: {said}; expected a text in UTF-8"):
        read_text(tmp_path / "file")


def test_json_on_each_line_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('{"a": 1}\n{"a": 2}\n')
    with pytest.raises(TaskError, match=r"file:2: not JSON: .*; expected one JSON document, not one on each line"):
        read_json(tmp_path / "file")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    path.symlink_to("gone")


DEVICE = "a pipe, a socket or a device"


@pytest.mark.parametrize(
    ("make", "kind"), [(pipe, DEVICE), (zeros, DEVICE), (folder, "a folder"), (nothing, "a link to nothing")]
)
@pytest.mark.parametrize("name", ["a/train.tsv", "b/train.xml", "hub/owner/name/train-0.parquet"])
def test_what_is_no_plain_file_is_no_data(tmp_path: Path, name: str, make: Callable[[Path], None], kind: str) -> None:
    """A pipe would be waited for without end."""
    (tmp_path / name).parent.mkdir(parents=True)
    make(tmp_path / name)
    hub = Hub("owner/name", "r", splits={"train": ("train",)})
    layout = Layout({"train": ("b/*.xml" if name.startswith("b") else "a/train.tsv",)}, hub if "hub" in name else None)
    with pytest.raises(TaskError, match=rf"no train (data|rows)[^:]*: {tmp_path / name} is {kind}; expected a file"):
        open_source(str(tmp_path), layout).fingerprint("train")


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "train.tsv").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TaskError, match=r"train\.tsv: 1,099,511,627,776 bytes; expected 4,294,967,296 at most"):
        open_source(str(tmp_path), Layout({"train": ("train.tsv",)})).fingerprint("train")


@pytest.mark.parametrize("name", ["._1.xml", ".1.xml.swp.xml", ".hidden.xml"])
def test_hidden_files_are_no_data(tmp_path: Path, name: str) -> None:
    """Such as those that a Mac leaves beside each file on other systems' disks."""
    for one in (name, "1.xml"):
        write(tmp_path / "a" / one, "")
    source = open_source(str(tmp_path), Layout({"train": ("*/*.xml",)}))
    assert isinstance(source, Files)
    assert source.paths("train") == [tmp_path / "a/1.xml"]


def parquet(folder: Path, *names: str) -> HubRows:
    """A copy of the hub in which files of these names hold one row each."""
    for name in names:
        datasets.Dataset.from_list([{"text": name}]).to_parquet(folder / f"hub/owner/name/{name}.parquet")
    found = open_source(
        str(folder), Layout({"train": ("train.tsv",)}, Hub("owner/name", "r", splits={"train": ("train",)}))
    )
    assert isinstance(found, HubRows)
    return found


WHOLE = [
    ["train"],
    ["train-00000-of-00002", "train-00001-of-00002"],
    ["train-00000-of-00002-1f3a", "train-00001-of-00002-9c0d"],
    ["train-0", "train-1"],  # names that say nothing of how many there are
]
NOT_WHOLE = {
    "one is missing": ["train-00000-of-00003", "train-00002-of-00003"],
    "the last is missing": ["train-00000-of-00002"],
    "two sets": ["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"],
    "two copies of a set": ["train-00000-of-00001-1f3a", "train-00000-of-00001-9c0d"],
    "a file and a set": ["train", "train-00000-of-00001"],
    "a file and another": ["train", "train-0"],
    "a set and another": ["train-00000-of-00001", "train-0"],
}


@pytest.mark.parametrize("names", WHOLE)
def test_all_parquet_files_of_one_set_are_read(tmp_path: Path, names: list[str]) -> None:
    ((_, rows),) = parquet(tmp_path, *names).parts("train")
    assert [row["text"] for row in rows] == names


@pytest.mark.parametrize("form", NOT_WHOLE)
def test_parquet_files_that_are_no_one_set_are_refused(tmp_path: Path, form: str) -> None:
    """Some examples would be missing, or counted twice."""
    source = parquet(tmp_path, *NOT_WHOLE[form])
    with pytest.raises(
        TaskError, match=rf"holds .*{NOT_WHOLE[form][0]}\.parquet.*: expected train\.parquet alone, or one whole"
    ):
        source.fingerprint("train")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + 100 * b"x", b"sentence\tlabel\n"])
def test_a_damaged_parquet_file_is_told(tmp_path: Path, content: bytes) -> None:
    source = parquet(tmp_path, "train")
    (tmp_path / "hub/owner/name/train.parquet").write_bytes(content)
    with pytest.raises(TaskError, match=r"train\.parquet: not a parquet file that can be read"):
        source.parts("train")


@pytest.mark.parametrize("name", ["a/train.tsv", "b/train.xml", "hub/owner/name/train.parquet"])
def test_a_pointer_of_git_lfs_is_told(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    hub = Hub("owner/name", "r", splits={"train": ("train",)})
    layout = Layout({"train": ("b/*.xml" if name.startswith("b") else "a/train.tsv",)}, hub if "hub" in name else None)
    with pytest.raises(TaskError, match=rf"{tmp_path / name} is a pointer of Git LFS, not the data: `git lfs pull`"):
        open_source(str(tmp_path), layout).fingerprint("train")
