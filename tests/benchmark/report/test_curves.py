"""Figures: what they draw, in which files, and that names and reruns cannot hurt them."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from benchmark.report.curves import figures, plot_board, slug
from benchmark.report.fields import TableError
from benchmark.report.figures.cost import cost_figure
from benchmark.report.figures.layers import layer_figure, shortened
from benchmark.report.figures.score import score_figure
from benchmark.report.figures.series import board_of, bounds
from benchmark.report.figures.style import COLORS, INK, PALE, drawing, inline_svg, look, save
from benchmark.report.figures.training import training_figure
from tests.benchmark.report.factory import make_board, make_record, make_spec


def test_every_figure_of_a_board_is_written(tmp_path: Path) -> None:
    specs, records = make_board(("glue/rte",), {"a": 80.0, "b": 70.0, "c": 60.0})
    paths = plot_board(records, tmp_path, "svg", specs)
    assert [path.name for path in paths] == [
        "score-sparsity.svg",
        "score-cost.svg",
        "ranks.svg",
        "training-glue-rte-0.5.svg",
        "training-glue-rte-0.8.svg",
        "layers-glue-rte.svg",
    ]
    for path in paths:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


@pytest.mark.parametrize(("format_", "magic"), [("pdf", b"%PDF"), ("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_formats_and_the_same_bytes_twice(tmp_path: Path, format_: str, magic: bytes) -> None:
    _, records = make_board(tasks=("squad",), criteria={"a": 80.0, "b": 70.0}, sparsities=(0.5,))
    board = board_of(records)
    first, second = (save(score_figure(board), tmp_path / f"{i}.{format_}").read_bytes() for i in "ab")
    assert first.startswith(magic)
    assert first == second


def test_an_unknown_format_names_the_choices(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="did you mean 'png'"):
        plot_board([], tmp_path, "pngg")


def test_the_score_figure_draws_each_method_the_dense_line_and_the_floor() -> None:
    specs, records = make_board(tasks=("glue/rte",))
    axis = score_figure(board_of(records, specs)).axes[0]
    labels = axis.get_legend_handles_labels()[1]
    assert labels == ["Random", "Magnitude", "Movement", "PINS", "Dense", "Trivial predictor"]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["50", "80"]
    assert axis.get_ylabel() == "Acc. (%)"
    assert axis.get_title(loc="left") == "RTE"
    principled = next(line for line in axis.lines if line.get_label() == "PINS")
    assert list(np.asarray(principled.get_ydata())) == [82.0, 79.0]


def test_bars_are_t_intervals_from_three_seeds_on_and_the_runs_themselves_with_two() -> None:
    two = board_of(make_board(seeds=(0, 1))[1]).cells["squad"]["movement"][0.5]
    three = board_of(make_board(seeds=(0, 1, 2))[1]).cells["squad"]["movement"][0.5]
    assert bounds(two) == (76.5, 77.5)
    assert bounds(three).high > 77.5


def test_a_board_of_dense_runs_alone_has_nothing_to_draw_but_does_not_fail(tmp_path: Path) -> None:
    assert plot_board([make_record(make_spec(sparsity=0))], tmp_path, "svg") == []


def test_training_curves_leave_out_what_no_run_recorded() -> None:
    spec = make_spec()
    curve = [replace(point, score=None) for point in make_record(spec).curve]
    figure = training_figure(board_of([make_record(spec, curve=curve)]), "glue/rte", 0.8)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Training loss", "Sparsity"]


def test_the_layer_map_shows_measured_shares() -> None:
    figure = layer_figure(board_of([make_record(make_spec(sparsity=0.5))]), "glue/rte")
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == [[250 / 600, 250 / 400]]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a.b.0.x", "a.b.1.x"], ["0", "1"]),
        (["a.0.query.weight", "a.1.key.weight"], ["0.query", "1.key"]),
        (["a.0.weight", "a.0.bias"], ["weight", "bias"]),
        (["a.weight", "weight"], ["a.weight", "weight"]),
        (["a"], ["a"]),
        (["a.b"], ["b"]),
    ],
)
def test_names_lose_the_parts_that_all_share_at_either_end(names: list[str], short: list[str]) -> None:
    assert shortened(names) == short


def test_hostile_names_are_drawn_as_text(tmp_path: Path) -> None:
    name = "$\\frac{1}{0$ </text><script>alert(1)</script>\x1b[31m"
    records = [make_record(make_spec(name, task="../../x <b>")), make_record(make_spec("b", task="../../x <b>"))]
    paths = plot_board(records, tmp_path, "svg")
    assert {path.parent for path in paths} == {tmp_path}
    for path in paths:
        assert not [node for node in ElementTree.parse(path).iter() if node.tag.endswith("script")]
    inline = inline_svg(score_figure(board_of(records)), "f1", name)
    assert "<script" not in inline


def test_inline_figures_take_the_pages_ink_and_ids_of_their_own() -> None:
    board = board_of(make_board(tasks=("squad",))[1])
    one, two = inline_svg(score_figure(board), "p1", "Score"), inline_svg(score_figure(board), "p2", "Score")
    assert one.startswith("<svg")
    assert "currentColor" in one
    ids = [{node.get("id") for node in ElementTree.fromstring(svg).iter() if node.get("id")} for svg in (one, two)]
    assert not ids[0] & ids[1]


def test_looks_differ_in_colour_marker_and_dash() -> None:
    first = [look(i) for i in range(len(COLORS))]
    assert len({style.color for style in first}) == len({style.marker for style in first}) == len(COLORS)
    assert len({look(i) for i in range(30)}) == 30
    assert slug("../../etc/passwd") == "etc-passwd"


def test_dark_figures_have_pale_ink_and_no_ground(tmp_path: Path) -> None:
    figure = score_figure(board_of(make_board(tasks=("squad",))[1]))
    light, dark = (save(figure, tmp_path / f"{dark}.svg", dark).read_text() for dark in (False, True))
    assert INK in light
    assert PALE not in light
    assert INK not in dark
    assert dark.count(PALE) == light.count(INK)
    with pytest.raises(TableError, match="dark figures are SVG, found 'png'"):
        save(figure, tmp_path / "x.png", dark=True)


def test_the_axis_of_scores_follows_the_scores_and_not_their_intervals() -> None:
    _, records = make_board(seeds=(0, 1, 2), tasks=("squad",))
    wild = [replace(r, metrics=dict.fromkeys(r.metrics, 10.0 if r.spec.seed else 90.0)) for r in records]
    (axis,) = score_figure(board_of(wild)).axes
    low, high = axis.get_ylim()
    assert 0 < low < 10
    assert 90 < high < 100


def test_panels_fit_a_papers_column_or_page() -> None:
    for count, inches in ((1, 3.3), (2, 3.3), (3, 6.9), (9, 6.9)):
        tasks = tuple(f"task{i}" for i in range(count))
        figure = score_figure(board_of(make_board(tasks=tasks)[1]))
        assert figure.get_size_inches()[0] == pytest.approx(inches)
        assert len(figure.axes) == count


def test_no_figure_is_wider_than_a_papers_page_and_nothing_sticks_out_of_one() -> None:
    """Names as long as a figure prints them, many layers, one task and six."""
    for tasks in (("glue/rte",), tuple(f"glue/{name}" for name in ("cola", "sst2", "mrpc", "stsb", "qnli", "rte"))):
        specs, records = make_board(
            tasks,
            {"a": 80.0, "b": 70.0, "sensitivity[beta1=0.85,beta2=0.95,uncertainty=false,window=5]": 60.0},
            (0.5, 0.8),
            (0, 1, 2),
        )
        for name, _, draw in figures(records, specs):
            figure = draw()
            with drawing():
                figure.draw_without_rendering()
                width, height = figure.get_size_inches()
                drawn = figure.get_tightbbox()
            assert width in (pytest.approx(3.3), pytest.approx(6.9)), name
            slack = 0.03
            assert drawn.x0 > -slack, name
            assert drawn.y0 > -slack, name
            assert drawn.x1 < width + slack, name
            assert drawn.y1 < height + slack, name


def test_costs_are_points_that_shrink_with_sparsity_and_no_text() -> None:
    _, records = make_board(("glue/rte",), {"a": 80.0}, (0.5, 0.8, 0.9))
    (axis,) = cost_figure(board_of(records)).axes
    sizes = [line.get_markersize() for line in axis.lines if len(np.asarray(line.get_xdata())) == 1]
    assert sizes[:3] == [6.0, 4.25, 2.5]
    assert not axis.texts


def test_an_inline_figure_grows_on_a_page_and_never_shrinks_below_its_size_in_print() -> None:
    svg = inline_svg(score_figure(board_of(make_board(tasks=("squad",))[1])), "p", "Score")
    element = svg[: svg.index(">")]
    assert 'style="width:309pt;min-width:238pt"' in element  # 3.3 inches are 237.6 points
    assert "height=" not in element
    assert "viewBox" in element
