"""Names of files are plain, and no two tasks, rows or boards share one."""

import re

import pytest

from benchmark.report.figures.plot import figures
from benchmark.report.filenames import file_names, slug
from tests.benchmark.report.factory import make_record, make_spec


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("AMD EPYC (TM) 9, 2 threads", "amd-epyc-tm-9-2-threads"),
        ("glue/sst2", "glue-sst2"),
        ("ü/..", "unnamed"),
    ],
)
def test_a_name_has_small_letters_digits_and_dashes(text: str, name: str) -> None:
    assert slug(text) == name


def test_file_names_are_plain_and_differ() -> None:
    names = ["a", "A", "../a", "PINS[x=1]", "ü/..", "é", "a"]
    found = file_names(names)
    assert found["PINS[x=1]"] == "pins-x-1"
    assert len(set(found.values())) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9-]+", file) for file in found.values())


def test_tasks_whose_names_differ_in_a_sign_have_figures_of_their_own() -> None:
    tasks = ("lm[path=a-b]", "lm[path=a_b]", "lm[path=A-b]")
    records = [make_record(make_spec(name, 0.5, task=task)) for task in tasks for name in ("magnitude", "taylor")]
    names = [name for name, *_ in figures(records)]
    assert len(set(names)) == len(names)
    assert len([name for name in names if name.startswith("training-")]) == len(tasks)
