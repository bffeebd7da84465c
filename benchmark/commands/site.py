"""`prunebench site`: writes a leaderboard of all readable boards below a folder, as static files."""

from collections.abc import Callable
from pathlib import Path

from benchmark.board.board import SUITE, Board, require_outside
from benchmark.board.record import record_path
from benchmark.commands.views import page_board
from benchmark.errors import PrunebenchError
from benchmark.machine.safe_read import MAX_RECORD, read_regular_file
from benchmark.report.filenames import file_names
from benchmark.report.site import SiteBoard, own_files, write_site


def site(folder: Path, output: Path, opened: Callable[[Board], None] | None = None) -> tuple[Path, dict[str, str]]:
    """Write the site; returns its index, and the boards that were left out with the reason. Each board is given to `opened` first.

    PrunebenchError if no board below `folder` can be shown, or `output` holds other files.
    """
    require_outside(output / "index.html")
    own_files(output)
    below = {*folder.rglob(SUITE), *folder.glob(f"*/{SUITE}")}  # the latter follows a link to a board
    suites = [path for path in below if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    names = {suite.parent.relative_to(folder).as_posix(): suite.parent for suite in sorted(suites)}
    names = {folder.resolve().name if name == "." else name: place for name, place in names.items()}
    files = file_names(names)
    boards, left_out = [], {}
    for name, place in names.items():
        try:
            board = Board.open(place)
            if opened is not None:
                opened(board)
            boards.append(_read(name, files[name], board))
        except (PrunebenchError, OSError, ValueError) as error:
            left_out[name] = str(error).replace(f"{place}/", "").replace(str(place), name)
    if not boards:
        said = "".join(f"\n  {name}: {reason}" for name, reason in left_out.items())
        raise PrunebenchError(f"{folder}: no board there can be shown{said or f': expected folders with a {SUITE}'}")
    return write_site(boards, output, left_out), left_out


def _read(name: str, file: str, board: Board) -> SiteBoard:
    found = page_board(board, f"../records/{file}")
    if not found.records:
        raise PrunebenchError("no run has finished yet")
    paths = {record.id: record_path(board.records_folder, record.id) for record in found.records}
    texts = {id_: read_regular_file(path, MAX_RECORD).decode() for id_, path in paths.items()}
    return SiteBoard(name, file, found, texts)
