"""Records on disk: written whole, read with suspicion."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from benchmark.board.outcomes import load_outcomes, pack_outcomes
from benchmark.board.record import (
    Record,
    RecordError,
    as_read_back,
    failure_path,
    load_record,
    load_records,
    outcomes_path,
    record_path,
    save_record,
)
from benchmark.machine import atomic
from tests.benchmark.report.factory import make_record, make_spec

OUTCOMES = {"label": np.array([1, 0, 1]), "score": np.array([0.5, 0.25, 1.0]), "correct": np.array([True, False, True])}


def saved(folder: Path, seed: int = 0) -> tuple[Path, Record]:
    """A record with its outcomes, as a run leaves them."""
    data = pack_outcomes(OUTCOMES)
    spec = make_spec(seed=seed, model="/home/somebody/minilm", data="/home/somebody/data")
    record = make_record(spec, outcomes_sha256=hashlib.sha256(data).hexdigest())
    return save_record(folder, record, data), record


def edited(path: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """The file after somebody changed something in it."""
    raw = json.loads(path.read_text())
    edit(raw)
    path.write_text(json.dumps(raw))
    return path


# Round trip.


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    path, record = saved(tmp_path)
    assert path == record_path(tmp_path, record.id)
    assert load_record(path) == record
    assert load_record(path).score == 80.0
    loaded = load_outcomes(tmp_path, record)
    assert {name: values.tolist() for name, values in loaded.items()} == {
        name: values.tolist() for name, values in OUTCOMES.items()
    }
    assert loaded["correct"].dtype == np.bool_


def test_no_machine_path_is_written(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    assert "somebody" not in path.read_text()


def test_the_same_outcomes_are_the_same_bytes() -> None:
    assert pack_outcomes(OUTCOMES) == pack_outcomes(dict(reversed(OUTCOMES.items())))


@pytest.mark.parametrize("values", [np.array(["text"]), np.array([None]), np.array([b"x"]), np.array([1 + 2j])])
def test_only_numbers_are_kept_as_outcomes(values: Any) -> None:
    with pytest.raises(ValueError, match="outcome 'answer' must be numbers, found dtype"):
        pack_outcomes({"label": np.array([1]), "answer": values})


def test_saving_drops_an_old_failure(tmp_path: Path) -> None:
    failure = failure_path(tmp_path, make_spec(model="minilm", data="/d").id)
    failure.parent.mkdir(exist_ok=True)
    failure.write_text("{}")
    saved(tmp_path)
    assert not failure.exists()


def test_a_folder_of_records(tmp_path: Path) -> None:
    records = sorted((saved(tmp_path, seed)[1] for seed in range(3)), key=lambda record: record.id)
    failure_path(tmp_path, "0123456789abcdef").write_text("{}")
    (tmp_path / "zzz.json").write_text("")
    (tmp_path / ".a.json.x.tmp").write_text("left by a killed run")
    found, problems = load_records(tmp_path)
    assert found == records
    assert [str(problem).split(":")[0] for problem in problems] == [str(tmp_path / "zzz.json")]
    assert load_records(tmp_path / "none") == ([], [])


# Suspicion.


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1, 2]", "null", "7", '"schema"', "\x00\x01", "[" * 100_000, '{"schema": true}', '{"schema": 2}'],
)
def test_what_is_no_record_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "0123456789abcdef.json"
    path.write_text(content)
    with pytest.raises(RecordError, match=rf"{path.name}: (not a readable record|record schema .* this version reads)"):
        load_record(path)


def test_binary_rubbish_a_folder_and_nothing(tmp_path: Path) -> None:
    rubbish, folder = tmp_path / "a.json", tmp_path / "b.json"
    rubbish.write_bytes(bytes(range(256)))
    folder.mkdir()
    for path in (rubbish, folder, tmp_path / "c.json"):
        with pytest.raises(RecordError, match="not a readable record"):
            load_record(path)


def remove(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw.pop(key)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(raw: dict[str, Any]) -> None:
        *parents, last = key.split(".")
        for parent in parents:
            raw = raw[parent]
        raw[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("schema", 7), "record schema 7, this version reads schema 1"),
        (remove("schema"), "record schema None"),
        (remove("cost"), "Object missing required field `cost`"),
        (put("metrics.accuracy", "NaN"), r"field 'metrics\[\.\.\.\]': Expected `float`, got `str`"),
        (put("metrics.accuracy", "many"), r"field 'metrics\[\.\.\.\]': Expected `float`, got `str`"),
        (put("metrics.accuracy", float("nan")), r"not a readable record \(NaN is no number\)"),
        (put("cost.total_seconds", float("-inf")), r"not a readable record \(-Infinity is no number\)"),
        (put("sparsity.zeros", None), "field 'sparsity.zeros': Expected `int`, got `null`"),
        (put("spec.sparsity", 1.5), "field 'spec': sparsity: expected less than 1"),
        (put("surprise", 1), "Object contains unknown field `surprise`"),
        (put("metric", "bleu"), r"headline metric 'bleu' is not among \['accuracy'\]"),
        (put("id", "0123456789abcdef"), r"file, id \(0123456789abcdef\) and spec \(.*\) do not belong together"),
        (put("spec.seed", 9), "do not belong together"),
        (put("spec.training.lr", 1.0), "do not belong together"),
    ],
)
def test_what_does_not_hold_together_names_file_and_field(
    tmp_path: Path, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    path, _ = saved(tmp_path)
    with pytest.raises(RecordError, match=message) as caught:
        load_record(edited(path, edit))
    assert str(caught.value).startswith(f"{path}: ")


def test_a_renamed_record_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    with pytest.raises(RecordError, match="do not belong together"):
        load_record(path.rename(tmp_path / "0123456789abcdef.json"))


def test_outcomes_are_checked(tmp_path: Path) -> None:
    _, record = saved(tmp_path)
    path = outcomes_path(tmp_path, record.id)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordError, match=rf"checksum differs from the one in {record.id}\.json"):
        load_outcomes(tmp_path, record)
    path.unlink()
    with pytest.raises(RecordError, match="per-example outcomes are missing"):
        load_outcomes(tmp_path, record)


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    large = make_record(make_spec(), 1e61)
    with pytest.raises(RecordError, match=r"field 'metrics\[\.\.\.\]': Expected `float` <= 1e\+60"):
        save_record(tmp_path, large, pack_outcomes(OUTCOMES))
    slipped = replace(make_record(make_spec()), metrics={"accuracy": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_record(tmp_path, slipped, pack_outcomes(OUTCOMES))
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_libraries_become_plain_ones() -> None:
    record = as_read_back(make_record(make_spec(), np.float32(80.5)))  # type: ignore[arg-type]
    assert (record.score, type(record.score)) == (80.5, float)


def test_half_of_a_character_does_not_cost_a_run(tmp_path: Path) -> None:
    """Such as a file name that is no UTF-8."""
    record = make_record(make_spec(), notes=["a\udcff"])
    assert load_record(save_record(tmp_path, record, pack_outcomes(OUTCOMES))).notes == ["a?"]


def test_a_file_that_comes_in_pieces_or_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, record = saved(tmp_path)
    whole = os.read
    monkeypatch.setattr(os, "read", lambda handle, size: whole(handle, min(size, 100)))
    assert load_record(path) == record
    monkeypatch.setattr(os, "read", lambda *_: b"")
    with pytest.raises(RecordError, match="became shorter while it was read"):
        load_record(path)


def test_written_files_can_be_read_by_others(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "a", b"\x00")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a").read_bytes() == b"\x00"
