"""GLUE: its files to the letter, the hub's schema, metrics from outcomes, and models of many families."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef

from tasks.base import Setting, TaskError, resample
from tasks.glue import VARIANTS, Glue, PreparedGlue
from tests.tasks.tiny import checkpoint, write_sst2, write_tsv

HEADERS = {
    "mrpc": ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
    "stsb": [
        "index",
        "genre",
        "filename",
        "year",
        "old_index",
        "source1",
        "source2",
        "sentence1",
        "sentence2",
        "score",
    ],
    "qqp": ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
    "qnli": ["index", "question", "sentence", "label"],
    "rte": ["index", "sentence1", "sentence2", "label"],
    "wnli": ["index", "sentence1", "sentence2", "label"],
    "sst2": ["sentence", "label"],
}


def prepare(data: Path, model: str, variant: str = "sst2", **options: Any) -> PreparedGlue:
    fields = {name: options.pop(name) for name in list(options) if name in Glue.__dataclass_fields__}
    return Glue(variant, **fields).prepare(Setting(data=str(data), model=model, **{"max_length": 32, **options}))


def write_variant(folder: Path, variant: str, labels: list[str]) -> Path:
    """Train and dev files with one row a label, laid out as the zip has them."""
    spec = VARIANTS[variant]
    for name in ("train", *(("dev_matched", "dev_mismatched") if variant == "mnli" else ("dev",))):
        if variant == "cola":
            rows = [["gj04", label, "*", f"the cat sat {at}"] for at, label in enumerate(labels)]
        else:
            header = HEADERS.get(variant) or mnli_header(5 if name.startswith("dev") else 1)
            fill = {"sentence1": "the cat", "sentence2": "a dog"}
            rows = [header, *([{**fill, spec.label: label}.get(c, c) for c in header] for label in labels)]
        write_tsv(folder / f"glue/{spec.folder}/{name}.tsv", rows)
    return folder


def mnli_header(labels: int) -> list[str]:
    parses = ["sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse"]
    front = ["index", "promptID", "pairID", "genre", *parses, "sentence1", "sentence2"]
    return [*front, *(f"label{at}" for at in range(1, labels + 1)), "gold_label"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variants_columns_are_read(tmp_path: Path, bert: str, variant: str) -> None:
    spec = VARIANTS[variant]
    labels = list(spec.labels) or ["0.0", "2.5", "5.000"]
    prepared = prepare(write_variant(tmp_path, variant, labels), bert, variant)
    examples = prepared.examples("train")
    assert [example.label for example in examples] == (list(range(len(labels))) if spec.labels else [0, 2.5, 5])
    assert all(len(example.texts) == len(spec.texts) for example in examples)
    model = prepared.build(seed=0)
    losses, logits = prepared.forward(model, next(prepared.batches("train", 8, seed=0)))
    assert losses.shape == (len(labels),)
    assert logits.shape == (len(labels), max(1, len(spec.labels)))
    metrics = prepared.evaluate(model, "reported").metrics
    assert next(iter(metrics)) == prepared.metric == Glue(variant).metric
    assert set(prepared.floor) == set(metrics)


def test_mnli_keeps_its_two_development_sets_apart(tmp_path: Path, bert: str) -> None:
    prepared = prepare(write_variant(tmp_path, "mnli", ["neutral", "entailment"]), bert, "mnli")
    assert prepared.splits["reported"] == "glue/MNLI/dev_matched.tsv + glue/MNLI/dev_mismatched.tsv"
    outcomes = {
        "prediction": np.array([1, 0, 1, 1]),
        "label": np.array([1, 1, 1, 0]),
        "mismatched": np.array([False, False, True, True]),
    }
    assert Glue("mnli").aggregate(outcomes) == {"accuracy": 50.0, "accuracy_mm": 50.0}
    outcomes["mismatched"] = np.array([True, False, False, False])
    assert Glue("mnli").aggregate(outcomes) == {"accuracy": pytest.approx(100 / 3), "accuracy_mm": 100.0}
    evaluation = prepared.evaluate(prepared.build(0), "reported")
    assert evaluation.outcomes["mismatched"].tolist() == [False, False, True, True]
    held = prepare(tmp_path, bert, "mnli", heldout=0.5)
    assert set(held.evaluate(held.build(0), "heldout").metrics) == {"accuracy"}


def test_byte_order_mark_crlf_and_bare_quotes(tmp_path: Path, bert: str) -> None:
    rows = [HEADERS["mrpc"], ["1", "7", "8", 'he said "so', '"the cat'], ["0", "9", "10", "a 'b\u2028c\x85d", "e"]]
    for name in ("train", "dev"):
        write_tsv(tmp_path / f"glue/MRPC/{name}.tsv", rows, end="\r\n", start="\ufeff")
    examples = prepare(tmp_path, bert, "mrpc").examples("train")
    assert [example.texts for example in examples] == [('he said "so', '"the cat'), ("a 'b\u2028c\x85d", "e")]
    assert [example.label for example in examples] == [1, 0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["the cat"], r"train\.tsv:3: 1 tab-separated columns, expected 2"),
        (["the cat", "1", "x"], r"train\.tsv:3: 3 tab-separated columns, expected 2"),
        (["the cat", "2"], r"train\.tsv:3: label '2' is none of 0, 1"),
        (["the cat", ""], r"train\.tsv:3: label '' is none of 0, 1"),
    ],
)
def test_a_malformed_row_names_file_and_line(tmp_path: Path, bert: str, row: list[str], message: str) -> None:
    write_sst2(tmp_path)
    write_tsv(tmp_path / "glue/SST-2/train.tsv", [["sentence", "label"], ["a dog", "0"], row, ["a cat", "1"]])
    with pytest.raises(TaskError, match=message):
        prepare(tmp_path, bert)
    prepared = prepare(tmp_path, bert, skip_malformed=True)
    assert prepared.counts["train"] == 2
    assert prepared.notes[0].startswith("train: 1 malformed records passed over, the first: glue/SST-2/train.tsv:3: ")
    assert "1 malformed records passed over" in prepare(tmp_path, bert, skip_malformed=True).notes[0]


def test_scores_out_of_range_and_wrong_headers_are_refused(tmp_path: Path, bert: str) -> None:
    write_variant(tmp_path, "stsb", ["1.0", "5.5"])
    with pytest.raises(TaskError, match=r"train\.tsv:3: score '5.5' is not between 0 and 5"):
        prepare(tmp_path, bert, "stsb")
    write_variant(tmp_path, "stsb", ["1.0", ""])
    with pytest.raises(TaskError, match=r"train\.tsv:3: score '' is not a number"):
        prepare(tmp_path, bert, "stsb")
    write_tsv(write_sst2(tmp_path) / "glue/SST-2/train.tsv", [["sentence,label"], ["a cat,1"]])
    with pytest.raises(TaskError, match=r"no column 'sentence'; .*found sentence,label \(no tab, which separates"):
        prepare(tmp_path, bert)
    write_tsv(write_sst2(tmp_path) / "glue/SST-2/train.tsv", [["index", "sentence"], ["0", "the test set"]])
    with pytest.raises(TaskError, match=r"train\.tsv:1: no column 'label'; expected sentence, label, found index"):
        prepare(tmp_path, bert)
    with pytest.raises(TaskError, match="unknown variant glue/mnlli"):
        prepare(tmp_path, bert, "mnlli")


@pytest.mark.parametrize(
    ("most", "rows", "refused"), [(1.0, 40, True), (0.8, 21, True), (1.0, 8, False), (5.0, 40, False)]
)
def test_scores_on_another_scale_are_refused_in_files_of_more_than_a_few(
    tmp_path: Path, bert: str, most: float, rows: int, refused: bool
) -> None:
    write_variant(tmp_path, "stsb", [f"{most * at / (rows - 1):.3f}" for at in range(rows)])
    for name in ("train", "dev"):
        path = tmp_path / f"glue/STS-B/{name}.tsv"
        header, *lines = path.read_text().splitlines()
        told = [
            line.replace("the cat", f"the cat {at}").replace("a dog", f"a dog {at}") for at, line in enumerate(lines)
        ]
        path.write_text("\n".join([header, *told]))
    message = rf"train\.tsv \(train\): the largest score of {rows} examples is {most:g}; expected scores from 0 to 5"
    with pytest.raises(TaskError, match=message) if refused else nullcontext():
        prepare(tmp_path, bert, "stsb", eval_examples=4)


@pytest.mark.parametrize(("same", "refused"), [(30, True), (16, True), (15, False), (0, False)])
def test_one_column_of_texts_in_place_of_both_is_refused(tmp_path: Path, bert: str, same: int, refused: bool) -> None:
    rows = [(f"the cat {at}", f"the {'cat' if at < same else 'dog'} {at}", str(at % 2)) for at in range(30)]
    for name in ("train", "dev"):
        write_tsv(tmp_path / f"glue/WNLI/{name}.tsv", [("sentence1", "sentence2", "label"), *rows])
    message = (
        rf"train\.tsv \(train\): both texts of {same} of 30 examples are the same, such as 'the cat 0'; expected two"
    )
    with pytest.raises(TaskError, match=message) if refused else nullcontext():
        prepare(tmp_path, bert, "wnli")


@pytest.mark.parametrize("name", ["dev_matched", "dev_mismatched"])
def test_a_file_without_rows_beside_one_with_rows_is_refused(tmp_path: Path, bert: str, name: str) -> None:
    path = write_variant(tmp_path, "mnli", ["neutral", "entailment"]) / f"glue/MNLI/{name}.tsv"
    path.write_text(path.read_text().partition("\n")[0])
    with pytest.raises(TaskError, match=rf"{name}\.tsv: no examples \(reported, data: "):
        prepare(tmp_path, bert, "mnli")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_hubs_schema_is_read_from_parquet(tmp_path: Path, bert: str, variant: str) -> None:
    spec = VARIANTS[variant]
    label: Any = datasets.ClassLabel(names=list(spec.labels)) if spec.labels else datasets.Value("float32")
    texts = {name: datasets.Value("string") for name in spec.hub_texts}
    features = datasets.Features({**texts, "label": label, "idx": datasets.Value("int32")})
    rows = [{**dict.fromkeys(spec.hub_texts, "the cat"), "label": at, "idx": at} for at in (0, 1)]
    folder = tmp_path / "hub/nyu-mll/glue" / variant
    folder.mkdir(parents=True)
    for name in ("train", *(("validation_matched", "validation_mismatched") if variant == "mnli" else ("validation",))):
        datasets.Dataset.from_list(rows, features).to_parquet(folder / f"{name}-00000-of-00001.parquet")
    prepared = prepare(tmp_path, bert, variant)
    assert prepared.counts == {"train": 2, "reported": 4 if variant == "mnli" else 2}
    assert [example.label for example in prepared.examples("train")] == [0, 1]
    assert [example.mismatched for example in prepared.examples("reported")][2:] == [True] * 2 * (variant == "mnli")


def test_hidden_labels_of_the_hubs_test_split_are_refused(tmp_path: Path, bert: str) -> None:
    folder = tmp_path / "hub/nyu-mll/glue/sst2"
    folder.mkdir(parents=True)
    for name in ("train", "validation"):
        rows = datasets.Dataset.from_list([{"sentence": "a", "label": -1, "idx": 0}])
        rows.to_parquet(folder / f"{name}.parquet")
    with pytest.raises(TaskError, match=r"sst2/train, row 0: label -1 is none of 0 to 1"):
        prepare(tmp_path, bert)


def test_aggregate_is_scikit_learns_and_scipys() -> None:
    generator = np.random.default_rng(0)
    outcomes = {"prediction": generator.integers(0, 2, 50), "label": generator.integers(0, 2, 50)}
    chosen = resample(outcomes, generator.integers(0, 50, 50))
    for sample in (outcomes, chosen):
        pair = sample["label"], sample["prediction"]
        assert Glue("cola").aggregate(sample)["matthews_correlation"] == pytest.approx(100 * matthews_corrcoef(*pair))
        assert Glue("qqp").aggregate(sample)["f1"] == pytest.approx(100 * f1_score(*pair))
    scores = {"prediction": generator.normal(size=50).round(1), "label": generator.integers(0, 6, 50).astype(float)}
    found = Glue("stsb").aggregate(scores)
    assert found["pearson"] == pytest.approx(100 * pearsonr(scores["prediction"], scores["label"]).statistic)
    assert found["spearman"] == pytest.approx(100 * spearmanr(scores["prediction"], scores["label"]).statistic)


def test_evaluation_is_of_every_example_in_its_place(tmp_path: Path, bert: str) -> None:
    prepared = prepare(write_sst2(tmp_path, dev=23), bert)
    model = prepared.build(seed=0)
    model.train()
    evaluation = prepared.evaluate(model, "reported")
    assert model.training
    assert evaluation.metrics == prepared.task.aggregate(evaluation.outcomes)
    assert evaluation.outcomes["label"].tolist() == [example.label for example in prepared.examples("reported")]
    model.eval()
    with torch.no_grad():
        singly = torch.cat([prepared.forward(model, batch)[1] for batch in prepared.batches("reported", 1, None)])
    assert evaluation.outcomes["prediction"].tolist() == singly.argmax(1).tolist()
    assert evaluation.predictions == [str(at) for at in singly.argmax(1).tolist()]


def test_limits_and_the_held_out_part(tmp_path: Path, bert: str) -> None:
    write_sst2(tmp_path)
    prepared = prepare(tmp_path, bert, train_examples=20, eval_examples=5, heldout=0.25, seed=3)
    assert prepared.counts == {"train": 15, "reported": 5, "heldout": 5}
    assert prepared.read_counts == {"train": 40, "reported": 12}
    assert "reported: a fixed sample of 5 of 12 examples" in prepared.notes
    assert "glue/SST-2/train.tsv holds 40 examples, the published benchmark 67349" in prepared.notes
    assert prepared.splits["heldout"] == "0.25 of glue/SST-2/train.tsv, by seed 3"
    kept, held = ({example.texts for example in prepared.examples(name)} for name in ("train", "heldout"))
    assert len(kept) == 15
    assert not kept & held
    other = prepare(tmp_path, bert, train_examples=20, eval_examples=5, heldout=0.25, seed=4)
    assert {example.texts for example in other.examples("heldout")} != held
    assert kept | held == {example.texts for name in ("train", "heldout") for example in other.examples(name)}
    assert other.examples("reported") == prepared.examples("reported")
    with pytest.raises(TaskError, match="no split 'heldout'; it needs heldout > 0"):
        prepare(tmp_path, bert).evaluate(prepared.build(0), "heldout")


@pytest.mark.parametrize(
    ("first", "shared"),
    [(0, 50), (25, 25), (48, 2), (49, 0), (50, 0)],  # one in fifty is what a benchmark may have by itself
)
def test_reported_examples_that_are_trained_on_are_noted(tmp_path: Path, bert: str, first: int, shared: int) -> None:
    for name, start in (("train", 0), ("dev", first)):
        rows = [[f"the cat sat {at}", str(at % 2)] for at in range(start, start + 50)]
        write_tsv(tmp_path / f"glue/SST-2/{name}.tsv", [["sentence", "label"], *rows])
    said = [note for note in prepare(tmp_path, bert).notes if "training examples too" in note]
    expected = f"{shared} of the 50 reported examples are training examples too: the scores are too good"
    assert said == ([expected] if shared else [])


def test_tokenized_data_are_cached_by_content(tmp_path: Path, bert: str) -> None:
    write_sst2(tmp_path / "data")
    folder = tmp_path / "cache"

    def held(**options: Any) -> int:
        prepare(tmp_path / "data", bert, cache=folder, **options)
        return len(list(folder.glob("*.safetensors")))

    assert held() == 2
    assert held() == held(heldout=0.1, seed=7) == 2
    assert held(max_length=16) == 4
    assert held(train_examples=10) == 5
    write_sst2(tmp_path / "data", train=41)
    assert held() == 6


def test_long_pairs_are_cut_to_max_length(tmp_path: Path, bert: str) -> None:
    rows = [HEADERS["rte"], ["0", "the cat " * 40, "a dog", "entailment"]]
    for name in ("train", "dev"):
        write_tsv(tmp_path / f"glue/RTE/{name}.tsv", rows)
    batch = next(prepare(tmp_path, bert, "rte").batches("train", 1, None))
    assert batch["input_ids"].shape == (1, 32)
    assert int(batch["token_type_ids"].sum()) == 3  # the short one is kept whole


@pytest.mark.parametrize("kind", ["roberta", "gpt2", "llama", "bart", "t5"])
def test_models_without_segments_and_those_that_write_classify_pairs(tmp_path: Path, kind: str) -> None:
    """Encoders of every family are trained, pruned and evaluated in benchmark/training/test_families.py."""
    write_variant(tmp_path, "rte", ["entailment", "not_entailment"] * 3)
    prepared = prepare(tmp_path, str(checkpoint(tmp_path / "model", kind)), "rte")
    model = prepared.build(seed=0)
    losses, logits = prepared.forward(model, next(prepared.batches("train", 4, seed=None)))
    assert (losses.shape, logits.shape) == ((4,), (4, 2))
    losses.mean().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    assert len(prepared.evaluate(model, "reported").predictions) == 6


def test_the_embedded_data_and_model() -> None:
    prepared = Glue("sst2").prepare(Setting(max_length=64))
    assert prepared.notes == []
    assert 45 < prepared.floor["accuracy"] < 60


@pytest.mark.shared
def test_the_real_files(shared: Path) -> None:
    """Every row of the real files parses, and the label counts are those their README gives."""
    expected = {
        "cola": ({0: 2528, 1: 6023}, {0: 322, 1: 721}),
        "sst2": ({0: 29780, 1: 37569}, {0: 428, 1: 444}),
        "mrpc": ({0: 1194, 1: 2474}, {0: 129, 1: 279}),
        "qqp": ({0: 12553, 1: 7447}, {0: 2196, 1: 1300}),
        "mnli": ({0: 3565, 1: 3470, 2: 3436}, {0: 513 + 31, 1: 721 + 17, 2: 365 + 25}),
        "qnli": ({0: 5173, 1: 5120}, {0: 2702, 1: 2761}),
        "rte": ({0: 1249, 1: 1241}, {0: 146, 1: 131}),
        "wnli": ({0: 323, 1: 312}, {0: 40, 1: 31}),
    }
    for variant in VARIANTS:
        layout = Glue(variant).layout()
        reader = PreparedGlue.__new__(PreparedGlue)
        reader.task, reader.notes = Glue(variant), []
        for split, at in (("train", 0), ("reported", 1)):
            names = layout.files[split]
            read = [one for name in names for one in reader.read_file(shared / "data" / name, split)]
            labels = [one.label for one in read if not isinstance(one, TaskError)]
            if variant in expected:
                values, counts = np.unique(labels, return_counts=True)
                assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == expected[variant][at]
            else:
                assert (len(labels), round(float(np.mean(labels)), 3)) == ((5749, 2.701), (1500, 2.364))[at]
