"""Figures of diagnostics: change of the loss by bin of weights, fidelity by matrix, churn over training, correlation of criteria."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.diagnose.fidelity import Fidelity, by_layer
from benchmark.diagnose.store import Diagnosis
from benchmark.diagnose.tables import correlation_tables
from benchmark.report.figures.style import INK, PAGE, drawing, legend_below, look, panels, words
from benchmark.report.names import STANDARD, Names, percent
from benchmark.suite.labels import method_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Named = dict[str, list[Fidelity]]
"""Fidelity of each criterion, an entry a seed."""


def figures(
    found: Sequence[Diagnosis], files: Mapping[str, str], called: Names = STANDARD
) -> "Iterator[tuple[str, Figure]]":
    """(file name without ending, figure) of everything that `found` allows, task by task, in the words of a board.

    `files` has a name for each task's files.
    """
    for task in dict.fromkeys(one.spec.task for one in found):
        mine = [one for one in found if one.spec.task == task]
        shared = _fidelity_by_criterion(mine)
        if shared:
            yield f"fidelity-{files[task]}", fidelity_figure(task, shared, called)
        if any(one.churn and one.churn.maskings for one in mine):
            yield f"churn-{files[task]}", churn_figure(task, mine, called)
    for task, table in correlation_tables(found).items():
        values = np.array([[cell.mean if cell.mean is not None else np.nan for cell in row] for row in table.cells])
        yield (
            f"correlation-{files[task]}",
            correlation_figure(called.task(task), [called.method(str(line.key[0])) for line in table.rows], values),
        )


def fidelity_figure(task: str, shared: Named, called: Names) -> "Figure":
    """On the dense run: mean change of the loss by bin of the score, from lowest to highest, and Spearman's by matrix."""
    names = next(iter(shared.values()))[0].layers
    with drawing():
        figure, axes = panels(2, height=2.2, width=PAGE)
        for position, (name, seeds) in enumerate(shared.items()):
            style = look(position)
            changes = np.mean([_by_bin(one) for one in seeds], axis=0)
            shares = (np.arange(len(changes)) + 0.5) / len(changes)
            drawn: dict[str, Any] = {
                "color": style.color,
                "linestyle": style.dash,
                "marker": style.marker,
                "markersize": 3.5,
            }
            axes[0].plot(shares, changes, label=words(called.method(name)), **drawn)
            rho = np.array([list(by_layer(one.bins).values()) for one in seeds])
            axes[1].plot(range(1, len(names) + 1), rho.mean(axis=0), label=words(called.method(name)), **drawn)
        axes[0].set_title("Loss without a bin of weights, minus loss", loc="left")
        axes[0].set_xlabel("Rank of the score within its matrix")
        axes[0].set_yscale("symlog", linthresh=1e-4)
        axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes[1].set_title("Score against measured change, by matrix", loc="left")
        axes[1].set_ylabel("Spearman's correlation")
        axes[1].set_xlabel(f"Matrix, 1 to {len(names)} in the order of the model")
        legend_below(figure, axes)
        figure.suptitle(words(called.task(task)))
    return figure


def churn_figure(task: str, found: Sequence[Diagnosis], called: Names) -> "Figure":
    """Share of pruned weights that come back, and of mask entries that swap, over the steps of each row's runs."""
    with drawing():
        figure, axes = panels(2, height=2.0, width=PAGE)
        rows = list(dict.fromkeys(_row(one, called) for one in found if one.churn))
        for one in found:
            if one.churn is None:
                continue
            name = _row(one, called)
            style, first = look(rows.index(name)), name not in axes[0].get_legend_handles_labels()[1]
            for axis, quantity in zip(axes, ("regrown", "swapped"), strict=True):
                values = [100 * getattr(masking, quantity) for masking in one.churn.maskings]
                steps = [masking.step for masking in one.churn.maskings]
                axis.plot(
                    steps,
                    values,
                    color=style.color,
                    linestyle=style.dash,
                    linewidth=1,
                    label=name if first else None,
                )
        for axis, title in zip(axes, ("Pruned weights that return (%)", "Mask entries that swap (%)"), strict=True):
            axis.set_title(title, loc="left")
            axis.set_xlabel("Step")
        legend_below(figure, axes)
        figure.suptitle(words(called.task(task)))
    return figure


def correlation_figure(
    task: str, names: list[str], values: "np.ndarray[tuple[int, int], np.dtype[np.float64]]"
) -> "Figure":
    """Spearman's correlation of the scores, criteria against criteria."""
    from matplotlib.figure import Figure

    with drawing():
        side = min(PAGE - 1, 1.6 + 0.3 * len(names))
        figure = Figure(figsize=(side + 0.9, side), layout="constrained")
        axis = figure.subplots()
        image = axis.imshow(values, vmin=-1, vmax=1, cmap="RdBu", interpolation="nearest")
        for i, j in np.ndindex(values.shape):
            if not np.isnan(values[i, j]):
                value = float(values[i, j])
                ink = "white" if abs(value) > 0.6 else INK
                axis.text(j, i, f"{round(value, 2) + 0:.2f}", ha="center", va="center", fontsize=7, color=ink)
        axis.set_xticks(range(len(names)), [words(name) for name in names], rotation=90)
        axis.set_yticks(range(len(names)), [words(name) for name in names])
        axis.grid(visible=False)
        figure.colorbar(image, ax=axis, label="Spearman's correlation", shrink=0.8)
        axis.set_title(words(task), loc="left")
    return figure


def _fidelity_by_criterion(found: Sequence[Diagnosis]) -> Named:
    """Fidelities on dense runs, by criterion. Seeds that were measured in other bins than the first one are left out, because they
    have no mean with it."""
    named: Named = {}
    for one in found:
        for name, fidelity in (one.shared.fidelity if one.shared else {}).items():
            seeds = named.setdefault(name, [])
            if not seeds or fidelity.bins.layer == seeds[0].bins.layer:
                seeds.append(fidelity)
    return named


def _by_bin(fidelity: Fidelity) -> list[float]:
    """Mean measured change of the first, second, ... bin over the matrices that have as many bins as most."""
    counts = [fidelity.bins.layer.count(layer) for layer in range(len(fidelity.layers))]
    most = max(counts)
    at, columns = 0, list[list[float]]()
    for count in counts:
        if count == most:
            columns.append(fidelity.bins.measured[at : at + count])
        at += count
    return [float(x) for x in np.mean(columns, axis=0)]


def _row(one: Diagnosis, called: Names) -> str:
    method = called.method(method_of(one.spec.row, one.spec.regularizer))
    return words(f"{method}, {percent(one.spec.sparsity)}")
