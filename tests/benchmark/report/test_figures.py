"""Figures: what they draw, in which files, and that names and reruns cannot hurt them."""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from msgspec.structs import replace

from benchmark.board.record import Record
from benchmark.report.cells import Cell
from benchmark.report.figures.cost import cost_figure
from benchmark.report.figures.layers import layer_figure, shortened
from benchmark.report.figures.plot import figures, plot_board
from benchmark.report.figures.score import score_figure
from benchmark.report.figures.series import PlotBoard, board_of
from benchmark.report.figures.style import COLORS, COLUMN, INK, PAGE, PALE, drawing, inline_svg, look, save
from benchmark.report.figures.training import training_figure
from benchmark.report.layout import TableError
from benchmark.report.names import Names
from benchmark.report.page.board import PageBoard
from benchmark.report.page.write import write_page
from tests.benchmark.report.factory import make_board, make_record, make_spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


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


def test_names_that_are_cut_alike_stand_whole() -> None:
    names = [f"movement[score_lr=0.01,score_optimizer=adam,score_init={init}]" for init in ("constant", "kaiming")]
    specs = [make_spec(name, 0.5) for name in (*names, "magnitude")]
    board = board_of([make_record(spec, 80.0) for spec in specs], specs)
    assert len({board.method(name) for name in names}) == 2
    assert board.method("magnitude") == "Magnitude"


@pytest.mark.parametrize(
    ("sparsities", "seeds", "said"),
    [
        ((0.5, 0.8), (0, 1, 2), "large: means; small: seeds; bands: 95 % t intervals"),
        ((0.5, 0.8), (0, 1), "large: means; small: seeds"),
        ((0.5,), (0, 1, 2), "large: means; small: seeds"),
        ((0.5,), (0,), "one seed: differences may be noise"),
    ],
)
def test_bands_are_t_intervals_and_are_named_where_they_are_drawn(
    sparsities: tuple[float, ...], seeds: tuple[int, ...], said: str
) -> None:
    board = board_of(make_board(("squad",), {"movement": 78.0}, sparsities, seeds)[1])
    figure = score_figure(board)
    assert figure.legends[0].get_title().get_text().replace("\n", " ") == said
    tops = [
        np.asarray(path.vertices, dtype=float)[:, 1].max()
        for band in figure.axes[0].collections
        for path in band.get_paths()
    ]
    assert ("bands" in said) == (tops == [pytest.approx(board.cells["squad"]["movement"][0.5].interval.high)])


def test_a_board_of_dense_runs_alone_has_nothing_to_draw_but_does_not_fail(tmp_path: Path) -> None:
    assert plot_board([make_record(make_spec(sparsity=0))], tmp_path, "svg") == []


def test_training_curves_leave_out_what_no_run_recorded() -> None:
    spec = make_spec()
    curve = [replace(point, score=None) for point in make_record(spec).curve]
    figure = training_figure(board_of([make_record(spec, curve=curve)]), "glue/rte", 0.8)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Training loss", "Sparsity"]


def test_training_curves_say_that_a_loss_has_what_a_regularizer_adds() -> None:
    def said(regularizer: str) -> str:
        figure = training_figure(board_of([make_record(make_spec(regularizer=regularizer))]), "glue/rte", 0.8)
        return figure.legends[0].get_title().get_text()

    assert "loss: with what a regularizer adds" in said("self_regularization")
    assert "regularizer" not in said("none")


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({}, "Acc. (%)"),
        ({"metric": "matthews_correlation", "metrics": {"matthews_correlation": 30.0}, "floor": {}}, "Mcc"),
        ({"metric": "perplexity", "metrics": {"perplexity": 30.0}, "lower_is_better": ["perplexity"], "floor": {}},
         "Ppl. \N{DOWNWARDS ARROW}"),
    ],
)  # fmt: skip
def test_scores_of_training_curves_say_their_metric(changes: dict[str, Any], scale: str) -> None:
    figure = training_figure(board_of([make_record(make_spec(), **changes)]), "glue/rte", 0.8)
    assert figure.axes[2].get_title(loc="left") == f"Selection score: {scale}"


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
        (["a.b", "a.b"], ["b", "b"]),
        ([""], [""]),
        ([], []),
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


def test_dark_figures_have_pale_ink_and_no_ground(tmp_path: Path) -> None:
    figure = score_figure(board_of(make_board(tasks=("squad",))[1]))
    light, dark = (save(figure, tmp_path / f"{dark}.svg", dark).read_text() for dark in (False, True))
    assert INK in light
    assert PALE not in light
    assert INK not in dark
    assert dark.count(PALE) == light.count(INK)
    with pytest.raises(TableError, match="dark figures are SVG, found 'png'"):
        plot_board([], tmp_path, "png", dark=True)


def test_the_axis_of_scores_follows_the_scores_and_not_their_intervals() -> None:
    _, records = make_board(seeds=(0, 1, 2), tasks=("squad",))
    wild = [replace(r, metrics=dict.fromkeys(r.metrics, 10.0 if r.spec.seed else 90.0)) for r in records]
    (axis,) = score_figure(board_of(wild)).axes
    low, high = axis.get_ylim()
    assert 0 < low < 10
    assert 90 < high < 100


def test_panels_fit_a_papers_column_or_page() -> None:
    for count, inches in ((1, COLUMN), (2, COLUMN), (3, PAGE), (9, PAGE)):
        tasks = tuple(f"task{i}" for i in range(count))
        figure = score_figure(board_of(make_board(tasks=tasks)[1]))
        assert figure.get_size_inches()[0] == pytest.approx(inches)
        assert len(figure.axes) == count


@pytest.mark.parametrize(("width", "inches"), [(None, (COLUMN, PAGE)), (COLUMN, (COLUMN,)), (PAGE, (PAGE,))])
def test_figures_have_a_papers_width_and_nothing_sticks_out(width: float | None, inches: tuple[float, ...]) -> None:
    """Names as long as a figure prints them, many layers, one task and six; a figure of one task is drawn for the one alone."""
    six = tuple(f"glue/{name}" for name in ("cola", "sst2", "mrpc", "stsb", "qnli", "rte"))
    for tasks, drawn_of_each in ((("glue/rte",), True), (six, False)):
        specs, records = make_board(
            tasks,
            {"a": 80.0, "b": 70.0, "sensitivity[beta1=0.85,beta2=0.95,uncertainty=false,window=5]": 60.0},
            (0.5, 0.8),
            (0, 1, 2),
        )
        for name, _, draw in figures(records, specs, width=width):
            if name.startswith(("training-", "layers-")) and not drawn_of_each:
                continue
            figure = draw()
            with drawing():
                figure.draw_without_rendering()
                wide, height = figure.get_size_inches()
                drawn = figure.get_tightbbox()
            assert any(wide == pytest.approx(one) for one in inches), name
            slack = 0.03
            assert drawn.x0 > -slack, name
            assert drawn.y0 > -slack, name
            assert drawn.x1 < wide + slack, name
            assert drawn.y1 < height + slack, name


def test_costs_are_points_that_shrink_with_sparsity_and_no_text() -> None:
    _, records = make_board(("glue/rte",), {"a": 80.0}, (0.5, 0.8, 0.9))
    (axis,) = cost_figure(board_of(records)).axes
    sizes = [line.get_markersize() for line in axis.lines if len(np.asarray(line.get_xdata())) == 1]
    assert sizes[:3] == [6.0, 4.25, 2.5]
    assert not axis.texts


def slowed(seconds: Sequence[float]) -> PlotBoard:
    """A cell whose seeds took these seconds, beside one that always takes 10."""
    found = [make_record(make_spec("b", seed=seed), 60.0) for seed in range(len(seconds))]
    for seed, taken in enumerate(seconds):
        made = make_record(make_spec("a", seed=seed), 80.0 + seed)
        found.append(replace(made, cost=replace(made.cost, train_seconds=taken)))
    return board_of(found)


@pytest.mark.parametrize(
    ("seconds", "middle", "scale"),
    [
        ((10.0, 12.0, 11.0), 11.0, "linear"),
        ((11.0, 12.0, 243.0), 12.0, "log"),
        ((243.0, 11.0), 127.0, "log"),
        ((39.0, 40.0), 39.5, "linear"),
        ((41.0, 40.0), 40.5, "log"),
    ],
)
def test_a_slow_run_is_a_line_and_does_not_move_the_point_of_its_cell(
    seconds: tuple[float, ...], middle: float, scale: str
) -> None:
    figure = cost_figure(slowed(seconds))
    (axis,) = figure.axes
    drawn = [np.asarray(line.get_xdata(), dtype=float).tolist() for line in lines(axis, "a")]
    assert drawn == [[], [min(seconds), max(seconds)], [middle]]
    assert axis.get_xscale() == scale
    said = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert (
        "median time; lines: fastest to slowest seed; time by the wall clock, other work on the machine included"
        in said
    )


def test_a_single_run_has_no_line_and_its_time_is_said_to_be_the_clocks() -> None:
    figure = cost_figure(slowed([20.0]))
    assert [len(np.asarray(line.get_xdata())) for line in lines(figure.axes[0], "a")] == [0, 1]
    assert figure.legends[0].get_title().get_text().startswith("time by the wall clock, other work")


@pytest.mark.parametrize(("font", "name"), [("serif", "STIXGeneral"), ("sans", "DejaVu Sans")])
def test_figures_have_the_letters_that_were_asked_for(font: str, name: str, tmp_path: Path) -> None:
    specs, records = make_board(("glue/rte",), {"a": 80.0, "b": 70.0, "c": 60.0})
    for path in plot_board(records, tmp_path, "svg", specs, font=font):
        families = set(re.findall(r"font(?:-family)?: (?:[^;\"']*px )?('[^;\"]*)", path.read_text()))
        assert families, path.name
        assert all(family.strip("' ").startswith(name) for family in families), path.name


def test_papers_have_serifs_and_pages_have_none(tmp_path: Path) -> None:
    specs, records = make_board(("glue/rte",), {"a": 80.0, "b": 70.0, "c": 60.0})
    (path,) = plot_board(records, tmp_path, "svg", specs, figure="ranks")
    assert "STIXGeneral" in path.read_text()
    page = write_page([PageBoard("Board", records, specs)], tmp_path / "page.html").read_text()
    assert "DejaVu Sans" in page
    assert "STIXGeneral" not in page


def test_a_sign_that_the_font_lacks_is_drawn_all_the_same(recwarn: pytest.WarningsRecorder) -> None:
    records = scattered(STEADY)
    figure = score_figure(board_of(records, names=Names({"magnitude": "Größe ≤ β \N{DOWNWARDS ARROW} …"})))
    with drawing():
        figure.draw_without_rendering()
    assert not [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)]


def test_an_inline_figure_grows_on_a_page_and_never_shrinks_below_its_size_in_print() -> None:
    svg = inline_svg(score_figure(board_of(make_board(tasks=("squad",))[1])), "p", "Score")
    element = svg[: svg.index(">")]
    assert 'style="width:284pt;min-width:218pt"' in element  # 219 points of TeX are 218.2 of SVG
    assert "height=" not in element
    assert "viewBox" in element


def scattered(scores: Mapping[tuple[str, float], tuple[float, ...]], task: str = "glue/rte") -> list[Record]:
    """Records of one task with these scores of (criterion, sparsity), a seed each; sparsity 0 is the dense model."""
    return [
        make_record(make_spec(criterion, sparsity, seed=seed, task=task), score)
        for (criterion, sparsity), values in scores.items()
        for seed, score in enumerate(values)
    ]


APART = (53.0, 75.0, 76.0)
"""Scores of three seeds of which one stays at the floor, 52.7: their mean, 68, describes none."""
STEADY = {
    ("dense", 0.0): (88.0, 89.0, 90.0),
    ("magnitude", 0.5): (80.0, 81.0, 82.0),
    ("movement", 0.5): (79.0, 80.0, 81.0),
}


def lines(axis: "Axes", label: str) -> "list[Line2D]":
    """The lines of a method: its own, and those of its seeds, which have its colour."""
    own = next(line for line in axis.lines if line.get_label() == label)
    return [line for line in axis.lines if line.get_color() == own.get_color()]


@pytest.mark.parametrize("values", [APART, (75.0, 53.0), (60.0, 53.0, 80.0), (52.7, 52.7, 90.0)])
def test_a_cell_without_a_mean_is_hollow_seeds_and_no_line_passes(values: tuple[float, ...]) -> None:
    records = scattered(
        {
            **STEADY,
            ("magnitude", 0.8): values,
            ("movement", 0.8): (70.0, 71.0, 72.0),
            ("magnitude", 0.9): (63.5, 64.0, 64.5),
        }
    )
    figure = score_figure(board_of(records))
    (axis,) = figure.axes
    own, *seeds = lines(axis, "Magnitude")
    assert [not math.isnan(y) for y in np.asarray(own.get_ydata(), dtype=float)] == [True, False, True]
    hollow = [line for line in seeds if line.get_markerfacecolor() == "none"]
    assert [tuple(np.asarray(line.get_ydata())) for line in hollow] == [values]
    assert not any(line.get_markerfacecolor() == "none" for line in lines(axis, "Movement"))
    assert "hollow: seeds where no mean is given" in figure.legends[0].get_title().get_text().replace("\n", " ")
    band = axis.collections[0].get_paths()
    x = np.asarray(own.get_xdata(), dtype=float)[1]
    assert not any(np.isclose(np.asarray(path.vertices, dtype=float)[:, 0], x).any() for path in band)


def test_steady_cells_have_means_and_nothing_is_said_of_hollow_points() -> None:
    figure = score_figure(board_of(scattered(STEADY)))
    assert not any(line.get_markerfacecolor() == "none" for line in figure.axes[0].lines)
    assert "hollow" not in figure.legends[0].get_title().get_text()


def test_a_dense_model_whose_seeds_lie_apart_has_a_line_for_each_and_none_at_their_mean() -> None:
    records = scattered({**STEADY, ("dense", 0.0): APART})
    for figure in (score_figure(board_of(records)), cost_figure(board_of(records))):
        (axis,) = figure.axes
        across = [np.asarray(line.get_ydata(), dtype=float) for line in axis.lines if line.get_color() == INK]
        assert sorted({float(ys[0]) for ys in across if len(set(ys)) == 1}) == list(APART)
        labels = axis.get_legend_handles_labels()[1]
        assert labels.count("Dense") == 1


def test_costs_of_a_cell_without_a_mean_are_those_of_its_seeds() -> None:
    (axis,) = cost_figure(board_of(scattered({**STEADY, ("magnitude", 0.8): APART}))).axes
    drawn = [list(map(float, np.asarray(line.get_ydata()))) for line in lines(axis, "Magnitude")]
    assert list(APART) in drawn
    assert not any(math.isclose(y, 68.0) for ys in drawn for y in ys)


def test_training_curves_of_a_cell_without_a_mean_are_those_of_its_seeds() -> None:
    figure = training_figure(board_of(scattered({**STEADY, ("magnitude", 0.8): APART})), "glue/rte", 0.8)
    scores = figure.axes[-1]
    assert [float(np.asarray(line.get_ydata())[-1]) for line in lines(scores, "Magnitude")] == list(APART)
    assert "thin alone" in figure.legends[0].get_title().get_text()
    calm = training_figure(board_of(scattered(STEADY)), "glue/rte", 0.5)
    assert [float(np.asarray(line.get_ydata())[-1]) for line in lines(calm.axes[-1], "Magnitude")] == [80, 81, 82, 81]


@pytest.mark.parametrize(
    ("dense", "gate", "starred"),
    [((88.0, 89.0), 10.0, False), ((88.0, 60.0), 10.0, True), ((60.0, 61.0), 5.0, False), ((88.0, 89.0), 40.0, True)],
)
def test_a_task_that_is_not_ranked_is_grey_and_has_a_star(dense: tuple[float, ...], gate: float, starred: bool) -> None:
    records = scattered({("dense", 0.0): dense, ("magnitude", 0.5): (80.0, 81.0)})
    records += scattered({("dense", 0.0): (95.0, 96.0), ("magnitude", 0.5): (94.0, 95.0)}, "squad")
    board = board_of(records, gate=gate)
    for figure in (score_figure(board), cost_figure(board)):
        first, second = figure.axes
        assert first.get_title(loc="left") == ("RTE*" if starred else "RTE")
        assert any(isinstance(artist, Rectangle) for artist in first.patches) == starred
        said = figure.legends[0].get_title().get_text().replace("\n", " ")
        assert ("*\N{NO-BREAK SPACE}grey: not ranked" in said) == starred
        assert second.get_title(loc="left") == "SQuAD"
        assert not second.patches


def test_methods_stand_the_same_small_share_of_every_axis_apart() -> None:
    names = {f"m{i}": 60.0 + i for i in range(7)}
    records = [r for t, s in (("a", (0.8,)), ("b", (0.5, 0.95)), ("c", (0.05, 0.9)))
               for r in make_board((t,), names, s)[1]]  # fmt: skip
    shares = []
    for axis in score_figure(board_of(records)).axes:
        left, right = axis.get_xlim()
        places = [
            (np.asarray(line.get_xdata(), dtype=float) - left) / (right - left)
            for line in axis.lines
            if str(line.get_label()).startswith("m")
        ]
        shares.append(np.diff([at[0] for at in places]))
        assert min(at[0] for at in places) > 0.02
        assert max(at[-1] for at in places) < 0.98
    assert np.allclose(shares, shares[0][0])
    assert 0 < shares[0][0] * len(names) <= 0.16


@pytest.mark.parametrize("sparsities", [(0.5, 0.8, 0.9, 0.95, 0.97), (0.1, 0.98, 0.99), (0.5, 0.51)])
def test_points_of_one_sparsity_stay_clear_of_the_next(sparsities: tuple[float, ...]) -> None:
    _, records = make_board(("a",), {f"m{i}": 60.0 + i for i in range(12)}, sparsities)
    (axis,) = score_figure(board_of(records)).axes
    xs = np.array([line.get_xdata() for line in axis.lines if str(line.get_label()).startswith("m")], dtype=float)
    assert xs.shape == (12, len(sparsities))
    assert (xs[:, 1:].min(axis=0) > xs[:, :-1].max(axis=0)).all()
    close = min(np.diff(sparsities)) < 0.1 * (sparsities[-1] - sparsities[0])  # their numbers would run into each other
    places = range(len(sparsities)) if close else sparsities
    assert np.allclose(xs.mean(axis=0), places)
    assert [label.get_text() for label in axis.get_xticklabels()] == [f"{100 * s:g}" for s in sparsities]
    said = axis.figure.legends[0].get_title().get_text()
    assert ("sparsities at even distances" in said) == close


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("accuracy", "Acc. (%)"),
        ("f1", "F1 (%)"),
        ("exact_match", "EM (%)"),
        ("my_metric", "my_metric (%)"),
        ("matthews_correlation", "Mcc"),
        ("pearson", "Pear."),
        ("spearman", "Spear."),
        ("bleu", "BLEU"),
        ("bleu_script", "BLEU (script)"),
        ("rouge_l", "ROUGE-L"),
    ],
)
def test_percent_stands_on_an_axis_where_a_metric_is_a_share(metric: str, said: str) -> None:
    board = board_of(scattered(STEADY))
    assert board.scale(Cell(metric)) == said
    assert board.scale(Cell(metric, less_is_better=True)) == f"{said.removesuffix(' (%)')} \N{DOWNWARDS ARROW}"


def test_the_legend_has_the_tables_word_for_the_dense_model() -> None:
    board = board_of(scattered(STEADY), names=Names({"dense": "Unpruned"}))
    for figure in (score_figure(board), cost_figure(board), training_figure(board, "glue/rte", 0.5)):
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert "Unpruned" in labels
        assert not {"Dense", "dense"} & set(labels)


def test_legend_and_explanation_take_a_quarter_of_a_figure_at_most() -> None:
    """Eight methods beside each other, as wide as a page."""
    names = (
        "random",
        "magnitude",
        "movement",
        "taylor",
        "sensitivity",
        "principled",
        "principled[signed=true]",
        "obert",
    )
    _, records = make_board(tuple("abcde"), dict.fromkeys(names, 70.0), seeds=(0, 1, 2))
    figure = score_figure(board_of(records))
    (legend,) = figure.legends
    assert legend.get_window_extent().height / figure.dpi < 0.25 * figure.get_size_inches()[1]
    assert legend.get_window_extent().width / figure.dpi <= figure.get_size_inches()[0]


def test_one_figure_alone_is_written_as_wide_as_asked(tmp_path: Path) -> None:
    specs, records = make_board(("glue/rte",), {"a": 80.0, "b": 70.0, "c": 60.0})
    for width, points in (("column", 218.18), ("page", 453.3)):
        (path,) = plot_board(records, tmp_path / width, "svg", specs, width=width, figure="ranks")
        assert path.name == "ranks.svg"
        assert list(path.parent.iterdir()) == [path]
        size = ElementTree.parse(path).getroot().get("width", "")
        assert float(size.removesuffix("pt")) == pytest.approx(points, abs=0.01)
    with pytest.raises(TableError, match="no figure 'rank' of this board; did you mean 'ranks'"):
        plot_board(records, tmp_path, "svg", specs, figure="rank")
