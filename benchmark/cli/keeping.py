"""Commands that move finished work: merge records, export a pruned model."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.app import BoardArgument, Changes, Data, Device, Model, app, echo, open_board


@app.command()
def merge(
    board: BoardArgument,
    others: Annotated[list[Path], typer.Argument(metavar="OTHER...", help="Boards, or folders of records.")],
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Bring records of the same suite from other machines or people into BOARD, refusing conflicting ones by name."""
    from benchmark.merge import merge as merge_records

    echo(merge_records(open_board(board, changes, data, model), others).summary())


@app.command()
def export(
    board: BoardArgument,
    cell: Annotated[str, typer.Argument(metavar="CELL", help="A record id, or the start of one.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Write a finished cell as a Hugging Face model folder: pruned weights, tokenizer, model card."""
    from benchmark.export import export_cell

    opened = open_board(board, changes, data, model)
    score = export_cell(opened, opened.find(cell), folder, device)
    echo(f"{folder}: the exported model scores {score:.2f}, as recorded")
