"""Pruning under the Hugging Face Trainer: real, tiny trainings."""

import gc
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import configure
from benchmark.pruning import calibrate
from benchmark.pruning.pruner import Pruner
from benchmark.training.trainer_callback import PruningCallback

transformers: Any = pytest.importorskip("transformers")
accelerate: Any = pytest.importorskip("accelerate")

STEPS = 8


@pytest.fixture(scope="module", autouse=True)
def _imported_once_for_all(_imported_for_good: None) -> None:
    """accelerate collects garbage before each training, and would go through all that the first model imports."""
    model()
    gc.freeze()


def test_without_accelerate_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = importlib.util.find_spec
    absent = ("accelerate",)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name in absent else plain(name, *more))
    with pytest.raises(PrunebenchError, match=r"needs accelerate: python -m pip install 'prunebench\[trainer\]'"):
        PruningCallback("principled", sparsity=0.9)


def model() -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=8, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def rows() -> list[dict[str, Any]]:
    drawn = torch.randint(0, 20, (24, 6), generator=torch.Generator().manual_seed(0)).tolist()
    return [{"input_ids": row, "attention_mask": [1] * 6, "labels": row[0] % 2} for row in drawn]


def train(
    tmp_path: Path,
    callbacks: list[Any],
    resume: bool = False,
    compute_metrics: Any = None,
    eval_dataset: Any = None,
    prepare: Any = lambda trainer: None,  # noqa: ARG005
    trained: Any = None,
    collate: Any = transformers.default_data_collator,
    **options: Any,
) -> Any:
    settings = {
        "output_dir": str(tmp_path), "max_steps": STEPS, "per_device_train_batch_size": 4, "learning_rate": 0.01,
        "max_grad_norm": 1.0, "save_strategy": "no", "report_to": [], "use_cpu": True, "disable_tqdm": True,
        "logging_strategy": "no", "seed": 1,
    }  # fmt: skip
    trained = trained or model()
    trainer = transformers.Trainer(
        model=trained,
        args=transformers.TrainingArguments(**(settings | options)),
        train_dataset=rows(),
        data_collator=collate,
        callbacks=callbacks,
        compute_metrics=compute_metrics,
        eval_dataset=eval_dataset,
    )
    prepare(trainer)
    trainer.train(resume_from_checkpoint=resume)
    return trained


def zeros(trained: nn.Module, callback: PruningCallback) -> int:
    assert callback.pruner is not None
    return sum(int((p == 0).sum()) for p in callback.pruner.weights.parameters)


@pytest.mark.parametrize("criterion", ["magnitude", "principled", "movement", "fisher", "wanda", "random"])
def test_the_target_is_met_exactly(criterion: str, tmp_path: Path) -> None:
    callback = PruningCallback(criterion, sparsity=0.75)
    trained = train(tmp_path, [callback])
    assert callback.pruner is not None
    total = callback.pruner.mask.numel()
    assert zeros(trained, callback) == round(0.75 * total)
    assert callback.pruner.steps_taken == STEPS
    own = {id(p) for p in trained.parameters()}
    assert all(id(p) in own for p in callback.pruner.weights.parameters)


def test_it_is_the_pruner_in_a_loop_of_ones_own(tmp_path: Path) -> None:
    """The Trainer with the callback ends at the weights of the plain loop on the same batches."""
    seen: list[Any] = []

    class Collator:
        def __call__(self, features: Any) -> Any:
            seen.append(transformers.default_data_collator(features))
            return seen[-1]

    callback = PruningCallback("taylor", sparsity=0.5, schedule="linear[window=1]")
    args = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=STEPS, per_device_train_batch_size=4, learning_rate=0.01,
        max_grad_norm=1.0, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, seed=1,
        lr_scheduler_type="constant", optim="adamw_torch", weight_decay=0.0,
    )  # fmt: skip
    trained = model()
    transformers.Trainer(
        model=trained, args=args, train_dataset=rows(), data_collator=Collator(), callbacks=[callback]
    ).train()

    plain = model().train()
    pruner = Pruner(
        plain, configure("criteria", "taylor"), configure("schedules", "linear[window=1]"), sparsity=0.5, total=STEPS
    )
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.0)
    for batch in seen[:STEPS]:
        optimizer.zero_grad()
        plain(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        pruner.observe(0.01)
        optimizer.step()
        pruner.prune()
    pruner.finish()
    for (name, one), other in zip(plain.named_parameters(), trained.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5), name
    assert callback.pruner is not None
    assert torch.equal(pruner.mask, callback.pruner.mask)


def groups(of: Any) -> dict[str, list[nn.Parameter]]:
    """The head, attention and the rest."""
    found: dict[str, list[nn.Parameter]] = {"classifier": [], "attention": [], "": []}
    for name, parameter in of.named_parameters():
        found[next(part for part in found if part in name)].append(parameter)
    return found


@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize(
    ("rates", "told", "warns"),
    [
        ({"classifier": 0.5, "attention": 0.01, "": 0.01}, 0.01, False),  # the head's is no matter
        ({"classifier": 0.5, "attention": 0.01, "": 0.02}, 0.02, True),
        ({"attention": 0.01, "": 0.01}, 0.01, False),
    ],
)
def test_criteria_are_told_the_rate_of_the_weights_that_are_pruned(
    rates: dict[str, float],
    told: float,
    warns: bool,
    warmup: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
) -> None:
    """And the highest of it, whatever TrainingArguments would have given another optimizer; warm-up begins at 0."""
    seen: list[float] = []
    plain = Pruner.observe

    def observe(pruner: Pruner, lr: float, finite: bool | None = None) -> None:
        seen.append(lr)
        plain(pruner, lr, finite)

    monkeypatch.setattr(Pruner, "observe", observe)

    def prepare(trainer: Any) -> None:
        parts = groups(trainer.model)
        trainer.optimizer = torch.optim.SGD([{"params": parts[name], "lr": rate} for name, rate in rates.items()])

    callback = PruningCallback("principled", sparsity=0.5)
    scheduled: dict[str, Any] = {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": warmup}
    train(tmp_path, [callback], prepare=prepare, learning_rate=5e-5, **scheduled)
    assert seen == pytest.approx([told * min(1.0, step / warmup) if warmup else told for step in range(STEPS)])
    assert callback.pruner is not None
    assert callback.pruner.peak == told
    assert [record.message for record in caplog.records if "learning rates" in record.message] == (
        ["the weights that are pruned have learning rates from 0.01 to 0.02: criteria are told the highest"]
        if warns
        else []
    )


@pytest.mark.parametrize(("left_out", "count"), [("attention", 2), ("", 4)])
def test_an_optimizer_without_weights_that_are_pruned_is_refused(left_out: str, count: int, tmp_path: Path) -> None:
    def prepare(trainer: Any) -> None:
        parts = groups(trainer.model)
        trainer.optimizer = torch.optim.SGD(
            [p for name, part in parts.items() if name != left_out for p in part], lr=0.1
        )

    with pytest.raises(PrunebenchError, match=rf"trains {count} of the 6 parameters that are pruned.*skip_frozen=True"):
        train(tmp_path, [PruningCallback("magnitude", sparsity=0.5)], prepare=prepare)


def test_what_it_leaves_can_be_saved_and_opened(tmp_path: Path) -> None:
    callback = PruningCallback("magnitude", sparsity=0.5)
    trained = train(tmp_path, [callback])
    trained.save_pretrained(tmp_path / "saved")
    again = type(trained).from_pretrained(tmp_path / "saved")
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True))


def test_a_training_without_its_saved_pruner_is_not_resumed(tmp_path: Path) -> None:
    callback = PruningCallback("magnitude", sparsity=0.5)
    with pytest.raises(PrunebenchError, match=r"cannot resume at step 4: no pruning\.safetensors in"):
        callback.on_train_begin(
            transformers.TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
            transformers.TrainerState(global_step=4, max_steps=8),
            transformers.TrainerControl(),
            model=model(),
        )


@pytest.mark.parametrize(
    ("schedule", "scope", "by_block"),
    [
        ("one_shot", "row", True),
        ("one_shot[at=2]", "layer", True),
        ("one_shot", "global", False),
        ("gradual", "row", False),
        ("iterative[rounds=2]", "row", False),
        ("constant[window=3]", "2:4", False),
    ],
)
def test_only_what_is_pruned_once_is_calibrated_block_by_block(
    schedule: str, scope: str, by_block: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    for name in ("show_by_block", "show_inputs"):
        own = getattr(calibrate, name)

        def noting(*arguments: Any, own: Any = own, name: str = name) -> None:
            shown.append(name)
            own(*arguments)

        monkeypatch.setattr(calibrate, name, noting)
    train(tmp_path, [PruningCallback("wanda", sparsity=0.5, schedule=schedule, scope=scope)])
    assert set(shown) == {"show_by_block" if by_block else "show_inputs"}


class Giving(nn.Module):
    """A model that is none of the library's, and gives its loss in one of the forms that the Trainer reads."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.inner, self.form = model(), form

    def forward(
        self, input_ids: Any, attention_mask: Any, labels: Any = None, note: Any = None, scale: float = 0.0
    ) -> Any:
        if self.form == "texts and settings in a batch":
            assert note == ["text"] * len(labels)
            assert scale == 1.0
        found = self.inner(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
        if self.form == "tuple":
            return found.loss, found.logits
        return {"loss": found.loss, "logits": found.logits} if self.form == "dict" else found


def noted(features: Any) -> Any:
    return {**transformers.default_data_collator(features), "note": ["text"] * len(features), "scale": 1.0}


@pytest.mark.parametrize("criterion", ["fisher", "wanda"])
@pytest.mark.parametrize("form", ["tuple", "dict", "texts and settings in a batch"])
def test_calibration_takes_what_the_trainer_takes(form: str, criterion: str, tmp_path: Path) -> None:
    callback = PruningCallback(criterion, sparsity=0.5, schedule="one_shot")
    collate = noted if form == "texts and settings in a batch" else transformers.default_data_collator
    train(tmp_path, [callback], trained=Giving(form), collate=collate, remove_unused_columns=False)
    assert callback.pruner is not None
    assert callback.pruner.measure() == 0.5


class Killed(Exception):  # noqa: N818 - no error
    """The process died."""


class Dies(transformers.TrainerCallback):
    """Ends training at a step, as a killed process does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise Killed


@pytest.mark.parametrize(
    ("criterion", "schedule"),
    [
        ("principled", "cubic[window=2]"),
        ("movement", "cubic[window=1]"),
        ("wanda", "constant[window=3]"),
        ("magnitude", "iterative[rounds=2]"),
    ],
)
def test_a_resumed_training_is_the_one_that_was_not_killed(criterion: str, schedule: str, tmp_path: Path) -> None:
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3}
    whole = PruningCallback(criterion, sparsity=0.75, schedule=schedule)
    unbroken = train(tmp_path / "whole", [whole], **saving)
    with pytest.raises(Killed):
        train(tmp_path / "killed", [PruningCallback(criterion, sparsity=0.75, schedule=schedule), Dies(5)], **saving)
    resumed = PruningCallback(criterion, sparsity=0.75, schedule=schedule)
    again = train(tmp_path / "killed", [resumed], resume=True, **saving)
    assert whole.pruner is not None
    assert resumed.pruner is not None
    assert (resumed.pruner.steps_taken, resumed.pruner.steps_observed) == (STEPS, STEPS)
    assert torch.equal(whole.pruner.mask, resumed.pruner.mask)
    for (name, one), other in zip(unbroken.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name


class Scores:
    """Metrics that fall as training goes on: the earliest evaluation that counts is the best."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __call__(self, predicted: Any) -> dict[str, float]:
        return {"quality": self.values.pop(0)}


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([9, 8, 7, 6, 3, 5, 4, 2], 6),  # the first four are not at the target
        ([1, 1, 1, 1, 1, 2, 3, 4], 8),
        ([9, 8, 7, 6, 5, 4, 3, 2], 5),
    ],
)
def test_the_best_of_the_evaluations_at_the_target_is_loaded(values: list[float], best: int, tmp_path: Path) -> None:
    callback = PruningCallback("taylor", sparsity=0.75, schedule="cubic[window=1,final=0.5]")
    kept: dict[str, Any] = {
        "load_best_model_at_end": True, "metric_for_best_model": "quality", "greater_is_better": True,
        "save_strategy": "steps", "save_steps": 1, "eval_strategy": "steps", "eval_steps": 1,
    }  # fmt: skip
    trained = train(tmp_path, [callback], compute_metrics=Scores(values), eval_dataset=rows(), **kept)
    assert callback.pruner is not None
    assert zeros(trained, callback) == round(0.75 * callback.pruner.mask.numel())
    saved = type(trained).from_pretrained(tmp_path / f"checkpoint-{best}")
    for (name, one), other in zip(trained.named_parameters(), saved.named_parameters(), strict=True):
        assert torch.equal(one, other[1]), name


def test_logs_show_the_sparsity(tmp_path: Path) -> None:
    callback = PruningCallback("magnitude", sparsity=0.75, schedule="cubic[window=1]")
    seen: list[dict[str, float]] = []

    class Listens(transformers.TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            seen.append({"listed": state.log_history[-1]["sparsity"], **logs})

    train(tmp_path, [callback, Listens()], logging_strategy="steps", logging_steps=2)
    told = [line["sparsity"] for line in seen]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(0.75, abs=1e-3)
    assert [line["listed"] for line in seen] == told


@pytest.mark.parametrize("clip", [1.0, 0.0])
@pytest.mark.parametrize("criterion", ["magnitude", "movement", "taylor", "principled"])
def test_steps_that_the_scaler_skips_are_not_observed(criterion: str, clip: float, tmp_path: Path) -> None:
    """A real scaler on the CPU, and gradients that are infinite in three backward passes; the others have their true size."""
    callback = PruningCallback(criterion, sparsity=0.75)
    passes = iter(range(100))

    def prepare(trainer: Any) -> None:
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        trainer.accelerator.native_amp, trainer.accelerator.state._mixed_precision = True, "fp16"
        head = trainer.model.classifier.weight
        head.register_hook(lambda grad: grad * float("inf") if next(passes) in (0, 1, 4) else grad)

    try:
        trained = train(tmp_path, [callback], prepare=prepare, max_grad_norm=clip)
    finally:
        accelerate.state.AcceleratorState._reset_state(True)
    pruner = callback.pruner
    assert pruner is not None
    assert (pruner.steps_taken, pruner.steps_observed, pruner.steps_skipped) == (STEPS - 3, STEPS - 3, 3)
    assert zeros(trained, callback) == round(0.75 * pruner.mask.numel())
    assert all(bool(p.isfinite().all()) for p in trained.parameters())
    assert all(bool(value.isfinite().all()) for state in pruner.states for value in state.values())
    largest = max((float(value.abs().max()) for state in pruner.states for value in state.values()), default=0.0)
    assert largest < 2.0**10  # not scaled
