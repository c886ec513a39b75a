"""At which scale networks see a page, and at which they mark it. Needs no torch."""

from ecg_generator_with_train_src.page.geometry import PX_PER_MM

SAME_SCALE = (
    0.03  # An image within this share of the scale is left as it is, since resampling blurs its lines
)
STRIDE = 8  # pixels a cell of PrintNet's maps


def scale_for_network(px_per_mm: float) -> float:
    """The factor by which an image of this scale is enlarged for the network; exactly 1 if its scale is near enough."""
    scale = PX_PER_MM / px_per_mm
    return 1.0 if abs(scale - 1) < SAME_SCALE else scale
