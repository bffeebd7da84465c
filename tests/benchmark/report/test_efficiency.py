"""Sizes, FLOPs and latency by hand."""

from benchmark.report.efficiency import Measured, efficiency_table, flops, latency_note, size
from benchmark.report.names import Names
from benchmark.report.render import render
from tests.benchmark.report.factory import make_board, make_record, make_spec


def test_numbers_of_a_record_by_hand() -> None:
    table = efficiency_table([make_record(make_spec(sparsity=0.8))])
    found = {line.labels[0]: cell.runs[0].value for line, cell in zip(table.columns, table.cells[0], strict=True)}
    assert (found["Prunable"], found["Non-zero"], found["Bytes, dense"]) == (1000, 200, 4000)
    assert found["FLOPs, 128 tokens"] == 2 * 200 * 128
    assert found["Step time"] == 20.0


def test_the_table_has_a_row_per_cell_and_prints() -> None:
    specs, records = make_board()
    table = efficiency_table(records, specs, title="Cost")
    assert len(table.rows) == 2 * (1 + 4 * 2)
    out = render(table)
    assert "FLOPs, 128 tokens" in out
    assert table.cells[1][1].ids == tuple(make_spec("random", 0.5, seed=seed).id for seed in (0, 1))
    assert "latency" not in out
    assert "15.0 %" in out
    dense = [line for line in render(table, "latex").splitlines() if "Dense &" in line]
    assert dense
    assert not any("multicolumn" in line for line in dense), "as many weights as are not zero, in two columns"


def test_efficiency_has_the_names_of_papers_and_csv_the_spelling_of_records() -> None:
    specs, records = make_board(("glue/sst2",), {"principled[signed=true]": 80.0}, (0.5,))
    table = efficiency_table(records, specs, names=Names({"glue/sst2": "Reviews"}))
    lines = render(table).splitlines()
    assert [line.split("  ")[0] for line in lines if "Reviews" in line] == ["Reviews"]  # a task is said once
    assert lines[0].split()[:3] == ["Task", "Method", "Sparsity"]
    assert any("PINS (signed)" in line and "50 %" in line for line in lines)
    assert "glue/sst2,principled[signed=true],none,0.5" in render(table, "csv")


def test_measured_columns_appear_where_something_was_measured() -> None:
    records = [make_record(make_spec(seed=seed)) for seed in (0, 1)]
    measured = {record.id: Measured(1000, 2.0, 2.0 + 0.1 * i, "cpu") for i, record in enumerate(records, 1)}
    out = render(efficiency_table(records, measured=measured))
    assert "1000 B" in out
    assert "2.15 ms" in out, "the mean over the seeds"
    assert out.count("no speed-up on this device (cpu)") == 1


def test_one_sentence_about_latency_for_all_models_of_a_device() -> None:
    assert latency_note([]) == ""
    assert "no speed-up on this device (cpu): the dense model takes 1.02 times" in latency_note(
        [Measured(1, 10.0, 9.8, "cpu")]
    )
    faster = [Measured(1, 10.0, pruned, "cuda") for pruned in (5.0, 4.0, 8.0)]
    assert "takes 1.25 to 2.50, median 2.00 times as long as the pruned one (3 models)" in latency_note(faster)
    assert latency_note([Measured(1, 10.0, 10.0, "cpu"), *faster]) == (
        "zeros bring no speed-up on this device (cpu): the dense model takes 1.00 times as long (1 model); "
        "on this device (cuda) the dense model takes 1.25 to 2.50, median 2.00 times as long as the pruned one (3 models)"
    )


def test_sizes_and_flops_have_their_unit() -> None:
    assert [size(1), size(1536), size(5 * 2**30)] == ["1 B", "1.5 KiB", "5.0 GiB"]
    assert [flops(999), flops(21_800_000_000)] == ["999", "21.8 G"]
