"""What public functions and constructors say to values of the wrong kind: one sentence each, and never a TypeError."""

from pathlib import Path
from typing import Any

import pytest

from benchmark import Board, Options, PrunebenchError, PruningCallback, RunSpec, configure, run
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.suite.consistency import validated
from benchmark.suite.spec import Training

SPEC = RunSpec(task="glue/sst2", criterion="magnitude", sparsity=0.5)


@pytest.mark.parametrize("spec", [None, "glue/sst2", {}, SPEC.model_dump(), SPEC.id, RunSpec, [SPEC]])
def test_run_wants_a_spec(spec: Any) -> None:
    with pytest.raises(PrunebenchError, match=r"(?s)^run: .*expected a RunSpec"):
        run(spec)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sparsty": 0.8}, "sparsty: no such setting; did you mean 'sparsity'"),
        ({"steps": 4}, "steps: no such setting; "),
        ({"sparsity": 80}, "sparsity: expected "),
        ({"sparsity": "0.8"}, "sparsity: expected a number"),
        ({"seed": True}, "seed: expected a whole number"),
        ({"training": {"step": 4}}, "training.step: no such setting; did you mean 'steps'"),
        (
            {"training": SPEC.training.model_copy(update={"batchsize": 4})},
            "training.batchsize: no such setting; did you",
        ),
        ({"training": SPEC.training.model_copy(update={"lr": "1e-3"})}, "training.lr: expected a number"),
        ({"criterion": "dense"}, "sparsity 0 and criterion 'dense' go together"),
    ],
)
def test_run_looks_at_what_a_copy_of_a_spec_was_given(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PrunebenchError, match=f"^(run|glue/sst2): {said}"):
        run(SPEC.model_copy(update=change))


def test_a_copy_of_a_spec_may_be_given_settings_of_training_as_a_dict() -> None:
    spec = validated(SPEC.model_copy(update={"training": {"steps": 4}}))
    assert spec.id == SPEC.model_copy(update={"training": Training(steps=4)}).id


@pytest.mark.parametrize("options", ["cpu", {}, 0, Options, ("cpu",)])
def test_run_wants_options(options: Any) -> None:
    with pytest.raises(PrunebenchError, match=r"^run: options .*expected Options, or nothing"):
        run(SPEC, options)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *(("device", value, "unknown device") for value in (None, "gpu", "cuda:9", 0, "")),
        *(("cache", value, "expected a pathlib.Path of a folder, or None") for value in ("/tmp/x", True, 3)),
        ("checkpoints", "/tmp/x", "expected a pathlib.Path of a folder, or None"),
        *(("parts", value, "expected a whole number from 1 on") for value in (0, -1, 2.0, "2", None, True)),
        *(("checkpoint_minutes", value, "expected a number of minutes") for value in ("10", None, -1, float("nan"), True)),
        *(("trust_remote_code", value, "expected True or False") for value in ("no", None, 1)),
        *(("compile", value, "expected True, False or 'auto'") for value in ("yes", "Auto", "", None, 1, 0)),
        *((name, 5, "expected a function") for name in ("progress", "check", "watch", "tell", "teacher")),
        ("progress", None, "expected a function"),
        *(("split", value, "expected 'reported' or 'heldout'") for value in ("train", "dev", "", None, 1)),
    ],
)  # fmt: skip
def test_options_refuse_what_they_cannot_mean(name: str, value: Any, said: str) -> None:
    with pytest.raises(PrunebenchError, match=said):
        Options(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *(("criterion", value, "expected a name such as 'magnitude', or a configured one") for value in (None, 5, Cubic())),
        ("criterion", "magnitud", "did you mean 'magnitude'"),
        *(("schedule", value, "expected a name, with its options") for value in (None, 5, Cubic(), Cubic, ["cubic"])),
        ("schedule", "cubi", "did you mean 'cubic'"),
        ("schedule", "cubic[window=0]", "expected a whole number from 1 on"),
        *(("sparsity", value, "expected a share of the weights") for value in (None, "0.8", 80, 1.0, -0.1, True, float("nan"))),
        ("scope", "everywhere", "unknown scope"),
        *(("scope", value, "expected a name") for value in (None, 5, ["row"])),
        *(("seed", value, "expected a whole number from 0 on") for value in (None, "0", -1, 0.5)),
        *(("skip_frozen", value, "expected True or False") for value in (None, "no", 1)),
    ],
)  # fmt: skip
def test_the_callback_refuses_what_it_cannot_mean(name: str, value: Any, said: str) -> None:
    pytest.importorskip("accelerate")
    plain: dict[str, Any] = {"criterion": "magnitude", "sparsity": 0.5}
    with pytest.raises(PrunebenchError, match=said):
        PruningCallback(**(plain | {name: value}))


@pytest.mark.parametrize("kind", ["criteria", "regularizers", "schedules", "tasks"])
@pytest.mark.parametrize("text", [None, 5, ["magnitude"], b"magnitude", {}])
def test_configure_wants_a_name(kind: str, text: Any) -> None:
    with pytest.raises(PrunebenchError, match="expected a name, with its options where it has any"):
        configure(kind, text)


@pytest.mark.parametrize(
    ("kind", "said"), [("criterion", "did you mean 'criteria'"), ("", "choices: "), (None, "choices: ")]
)
def test_configure_wants_a_kind(kind: Any, said: str) -> None:
    with pytest.raises(PrunebenchError, match=f"unknown kind of plugin .*{said}"):
        configure(kind, "magnitude")


@pytest.mark.parametrize("folder", [None, 5, ["board"], b"board"])
def test_a_board_is_opened_by_its_path(folder: Any, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="expected the path of a board's folder"):
        Board.open(folder)
    with pytest.raises(PrunebenchError, match="no board there"):
        Board.open(str(tmp_path))  # type: ignore[arg-type]
