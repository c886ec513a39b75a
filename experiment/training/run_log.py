"""The log of a run: metrics.jsonl and the same values as TensorBoard scalars. Only the main rank writes it."""

from typing import Any

from torch.utils.tensorboard import SummaryWriter

from experiment.training.run_folder import RunFolder


class RunLog:
    """The log in a run's folder, which stays open from `open` to `close`."""

    def __init__(self, folder: RunFolder):
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def open(self, record: dict[str, Any]) -> None:
        """Drop the lines after the state `record` of the run, and go on with the log."""
        self.close()
        self.folder.cut(record)
        self._writer = SummaryWriter(str(self.folder.root))

    def close(self) -> None:
        """Write out the TensorBoard events."""
        if self._writer is not None:
            self._writer.close()

    def write(self, line: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl, and its values to the TensorBoard scalars of its step."""
        self.folder.log(line)
        for key, value in line.items():
            if isinstance(value, dict):
                for name, part in value.items():
                    self._writer.add_scalar(f"{line['kind']}/{key}/{name}", part, line["step"])
            elif key not in ("kind", "step"):
                self._writer.add_scalar(f"{line['kind']}/{key}", value, line["step"])
        self._writer.flush()
