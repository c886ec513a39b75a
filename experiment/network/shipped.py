"""The networks that are shipped, and where their weights are."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "pretrained"  # in the package, so that wheels have it
LABELS, PRINT = "grid_wave_net", "print_net"  # the networks that label a page and read its print
ROWS = "row_net"  # the one that looks at each trace again


def shipped(kind: str) -> Path:
    """The shipped weights of a kind of network."""
    return FOLDER / f"{kind}.safetensors"
