"""Pruning under the Hugging Face Trainer: real, tiny trainings."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import configure
from benchmark.pruning.pruner import Pruner
from benchmark.training.trainer_callback import PruningCallback

transformers: Any = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

STEPS = 8


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


def train(tmp_path: Path, callbacks: list[Any], **options: Any) -> Any:
    settings = {
        "output_dir": str(tmp_path), "max_steps": STEPS, "per_device_train_batch_size": 4, "learning_rate": 0.01,
        "max_grad_norm": 1.0, "save_strategy": "no", "report_to": [], "use_cpu": True, "disable_tqdm": True,
        "logging_strategy": "no", "seed": 1,
    }  # fmt: skip
    trained = model()
    trainer = transformers.Trainer(
        model=trained,
        args=transformers.TrainingArguments(**(settings | options)),
        train_dataset=rows(),
        data_collator=transformers.default_data_collator,
        callbacks=callbacks,
    )
    trainer.train()
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
    assert callback.pruner.taken == STEPS
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


def test_what_it_leaves_can_be_saved_and_opened(tmp_path: Path) -> None:
    callback = PruningCallback("magnitude", sparsity=0.5)
    trained = train(tmp_path, [callback])
    trained.save_pretrained(tmp_path / "saved")
    again = type(trained).from_pretrained(tmp_path / "saved")
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True))


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="did you mean 'magnitude'"):
        PruningCallback("magnitud", sparsity=0.5)
    best = {"load_best_model_at_end": True, "save_strategy": "epoch", "eval_strategy": "epoch"}
    callback = PruningCallback("magnitude", sparsity=0.5)
    settings = transformers.TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[], **best)
    with pytest.raises(PrunebenchError, match="load_best_model_at_end"):
        callback.on_train_begin(settings, transformers.TrainerState(), transformers.TrainerControl(), model=model())
    with pytest.raises(PrunebenchError, match="cannot resume at step 4"):
        callback.on_train_begin(
            transformers.TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
            transformers.TrainerState(global_step=4),
            transformers.TrainerControl(),
            model=model(),
        )
