"""TensorBoard: event files below BOARD/tracking/, a folder for each cell. `tensorboard --logdir BOARD/tracking`"""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from benchmark.suite.spec import RunSpec


class TensorBoard:
    """Writes one cell's event file."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.writer = SummaryWriter(str(folder))
        lines = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
        self.writer.add_text("settings", f"| setting | value |\n|---|---|\n{lines}")
        self.step = 0

    def log(self, step: int, values: dict[str, float]) -> None:
        """Scalars at `step`."""
        self.step = step
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def end(self, values: dict[str, float], reason: str | None) -> None:
        """Final scalars, or the reason as text; closes the file."""
        self.log(self.step, values)
        if reason is not None:
            self.writer.add_text("failed", reason, self.step)
        self.writer.close()


def open_session(spec: RunSpec, settings: dict[str, str], folder: Path) -> TensorBoard:
    """Open a folder named by the cell and its id, which is what TensorBoard lists."""
    name = "".join(letter if letter.isalnum() or letter in "-+.=" else "_" for letter in spec.recorded().cell)
    return TensorBoard(folder / "tracking" / f"{name}-{spec.id}", settings)
