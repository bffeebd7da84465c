"""`prunebench prunable` counts from a configuration alone."""

from pathlib import Path

from benchmark.commands.prunable import prunable_matrices, prunable_text
from tests.tasks.tiny import checkpoint


def test_bert_base_has_the_published_counts(tmp_path: Path) -> None:
    from transformers import BertConfig

    BertConfig().save_pretrained(tmp_path)
    matrices, _ = prunable_matrices(str(tmp_path))
    assert sum(matrix.parameter.numel() for matrix in matrices) == 12 * 12 * 768**2
    with_biases, _ = prunable_matrices(str(tmp_path), biases=True)
    assert (
        sum(matrix.parameter.numel() for matrix in with_biases) == 85_017_600
    )  # PINS and PLATON; 82,944 of them biases


def test_the_text_ends_with_the_total(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "gpt2")
    last = prunable_text(str(folder)).splitlines()[-1]
    assert last.startswith(f"prunable: {2 * 12 * 16**2:,} in 8 matrices")
