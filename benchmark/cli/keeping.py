"""Commands that keep finished work: merge records, export a pruned model, verify what stands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.app import (
    BoardArgument,
    Changes,
    Data,
    Device,
    Model,
    TrustRemoteCode,
    app,
    board_folder,
    echo,
    open_board,
    typed,
)
from benchmark.errors import PrunebenchError


@app.command()
def merge(
    board: BoardArgument,
    others: Annotated[
        list[Path], typer.Argument(metavar="OTHER", help="Boards, or folders of records.", callback=board_folder)
    ],
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Bring records of the same suite from other machines or people into BOARD; if any conflict, name them and take none."""
    from benchmark.commands.merge import merge as merge_records

    echo(merge_records(open_board(board, changes, data, model), others).summary())


@app.command()
def export(
    board: BoardArgument,
    cell: Annotated[
        str,
        typer.Argument(
            metavar="CELL",
            help="A record's id, the start of one, or the cell's name, such as 'glue/sst2 magnitude 0.9 seed 0'.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    semi_structured: Annotated[
        bool,
        typer.Option(
            "--semi-structured", help="Write fp16, scored and timed as compressed 2:4 weights; on CUDA alone."
        ),
    ] = False,
    dtype: Annotated[
        str,
        typer.Option(
            metavar="TYPE", help="What weights are stored as: float32, bfloat16 or float16; zeros stay zeros."
        ),
    ] = "float32",
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Write a finished cell as a Hugging Face model folder: pruned weights, tokenizer, model card."""
    from benchmark.commands.export import export_cell

    opened = open_board(board, changes, data, model, runs=True)
    score = export_cell(
        opened,
        opened.find(cell),
        folder,
        device,
        echo,
        semi_structured=semi_structured,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
    )
    stored = "float16" if semi_structured else dtype
    recorded = "as recorded" if stored == "float32" else f"rounded to {stored}"
    echo(f"{folder}: the exported model scores {score:.2f}, {recorded}")


@app.command()
def verify(
    context: typer.Context,
    board: BoardArgument,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Only this cell: its id, the start of it, or its name, such as 'glue/sst2 magnitude 0.9 seed 0'.",
        ),
    ] = None,
    rerun: Annotated[bool, typer.Option(help="Run finished cells again, in memory, and compare.")] = False,
    exported: Annotated[Path | None, typer.Option(metavar="DIR", help="An exported folder to verify too.")] = None,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="With --rerun: let a hub model run its own code.")] = False,
) -> None:
    """Check BOARD's records: ids, schema, checksums, metrics against outcomes, sparsity against weights; exit 1 if one is wrong."""
    from benchmark.commands.rerun import Rerun
    from benchmark.commands.verify import of_exported, verify_board

    if not rerun and (unused := typed(context, ("device", "trust_remote_code"))):
        raise PrunebenchError(f"{', '.join(unused)}: only used with --rerun; add it, or leave this out")
    opened = open_board(board, changes, data, model, runs=rerun)
    again = Rerun(opened, device, trust_remote_code) if rerun else None
    chosen = [opened.find(cell)] if cell is not None else None
    more = of_exported(opened, exported, chosen) if exported else []
    sys.exit(1 if verify_board(opened, chosen, again, more, echo) else 0)
