"""From a drawn trace back to the curve behind it: the heights whose stroke gives the coverage that is seen.

A pen of diameter d that follows a curve y(x) inks, in the vertical line at x, everything from
min(y(x + s) - h(s)) to max(y(x + s) + h(s)) over |s| <= d/2, with h(s) = sqrt(d²/4 - s²) (see stroke.py of the
generator). That is inverted by least squares: the edges of the inked interval are computed in SUBCOLUMNS vertical
lines a pixel, the pixels that an edge crosses say how far it is off, and each edge hangs on the two neighbouring
nodes of the curve that the pen touches there. Gauss-Newton on all nodes of a page at once; the matrix is banded.

An edge feels only the pixel it lies in. The fit therefore starts on a page that is blurred down its columns and
sharpens it step by step (REACHES_PX): a box blur of t pixels turns a pixel's share of the interval into a ramp of
length t, so that model and page stay exactly comparable.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.linalg import solveh_banded

SUBCOLUMNS = 4
REACHES_PX = (*[15] * 6, *[7] * 3, *[3] * 4, *[1] * 6)  # blur of each step of the fit, odd
SMOOTHNESS = 1e-2  # weight of a curve's squared second difference (px²) against squared coverage
REFERENCE_STEP_PX = 0.4
MARGIN_PX = 60  # by which curves may leave the heights they start from
DAMPING = 1e-3
HOLD = 0.3  # weight of staying where there is no ink


@dataclass(frozen=True)
class Nodes:
    """Where one stretch of a trace has its nodes: evenly spaced in x, in canvas coordinates."""

    first_x_px: float
    step_px: float
    count: int

    @property
    def x_px(self) -> np.ndarray:
        """Shape (count,)."""
        return self.first_x_px + self.step_px * np.arange(self.count)

    @property
    def last_x_px(self) -> float:
        """The last node."""
        return self.first_x_px + self.step_px * (self.count - 1)


@dataclass(frozen=True)
class Touch:
    """What the pen can touch from each subcolumn: arrays (shifts, cells, SUBCOLUMNS).

    A cell is one column of pixels of one stretch. The curve at a shift is node `node` and the one after, with the
    shares 1 - share and share; `chord_px` is how far the pen reaches from there, -inf beyond the stretch's end.
    """

    column: np.ndarray  # (cells,) of the page
    same_column: np.ndarray  # (cells, most a column): the cells that share it, -1 for none
    trust: np.ndarray  # (cells,) 0 where there is no ink, else 1
    node: np.ndarray
    share: np.ndarray
    chord_px: np.ndarray


def decode(
    ink: np.ndarray,
    stretches: list[Nodes],
    start_y_px: list[np.ndarray],
    known: list[np.ndarray],
    pen_px: float,
    aperture_px: float = 1.0,
) -> list[np.ndarray]:
    """The heights (count,) of each stretch's nodes, whose strokes best give `ink`.

    ink (H, W) float32: the share of each pixel's aperture that is covered; an exact drawing has an aperture of 1 px,
    one that was resampled or seen by a network is blurred, as by a wider one. start_y_px: heights to start from, some
    pixels off at most but for spikes; known: False for nodes where there is no ink, which stay where they start.
    Heights are canvas coordinates. Where strokes overlap, ink is that of one over the other.
    """
    start = np.concatenate(start_y_px).astype(float)
    top = max(int(start.min()) - MARGIN_PX, 0)
    ink, start = ink[top : int(start.max()) + MARGIN_PX], start - top
    touch = _touch(stretches, known, pen_px, aperture_px, ink.shape[1])
    held = HOLD * ~np.concatenate(known)
    prior = SMOOTHNESS * _bending(stretches) + sparse.diags(held + DAMPING)
    y_px = start
    for reach in REACHES_PX:
        seen = cv2.blur(ink, (1, reach), borderType=cv2.BORDER_REPLICATE) if reach > 1 else ink
        edges, hang = _edges(touch, y_px)
        residual, slope = _residuals(seen, touch, edges, reach, max(reach, aperture_px))
        jacobian = slope @ hang
        pull = (prior @ y_px) - held * start - DAMPING * y_px
        normal = (jacobian.T @ jacobian + prior).todia()
        y_px = y_px - np.clip(_solve_banded(normal, jacobian.T @ residual + pull), -reach, reach)
    return np.split(y_px + top, np.cumsum([nodes.count for nodes in stretches])[:-1])


def _touch(
    stretches: list[Nodes], known: list[np.ndarray], pen_px: float, aperture_px: float, width: int
) -> Touch:
    radius = pen_px / 2
    inner = np.arange(-int(radius * SUBCOLUMNS), int(radius * SUBCOLUMNS) + 1) / SUBCOLUMNS
    shifts = np.concatenate([[-radius], inner, [radius]])
    chords = np.sqrt(np.maximum(radius**2 - shifts**2, 0))
    parts, first_node = [], 0
    for nodes, has_ink in zip(stretches, known, strict=True):
        left, right = int(nodes.first_x_px - radius), int(nodes.last_x_px + radius)
        column = np.arange(max(left, 0), min(right + 1, width))
        spread = (np.arange(SUBCOLUMNS) + 0.5) / SUBCOLUMNS - 0.5
        centre = column[:, None] + 0.5 + aperture_px * spread
        place = (centre + shifts[:, None, None] - nodes.first_x_px) / nodes.step_px
        beyond = (place < 0) | (place > nodes.count - 1)
        node = np.clip(np.floor(place).astype(np.int32), 0, nodes.count - 2)
        chord = np.where(beyond, -np.inf, chords[:, None, None])
        trust = np.interp(column + 0.5, nodes.x_px, has_ink.astype(float))
        parts.append((column, trust, node + first_node, np.clip(place - node, 0, 1), chord))
        first_node += nodes.count
    cells = [np.concatenate([part[k] for part in parts]) for k in (0, 1)]
    places = (np.concatenate([part[k] for part in parts], axis=1) for k in (2, 3, 4))
    return Touch(cells[0], _same_column(cells[0]), cells[1], *places)


def _same_column(column: np.ndarray) -> np.ndarray:
    """For each cell those in its column (cells, most a column), its own among them; -1 where there are fewer."""
    order = np.argsort(column, kind="stable")
    of_column, first, count = np.unique(column[order], return_index=True, return_counts=True)
    rank = np.arange(count.max())
    cells = order[np.minimum(first[:, None] + rank, len(order) - 1)]
    table = np.where(rank < count[:, None], cells, -1)
    return table[np.searchsorted(of_column, column)]


def _bending(stretches: list[Nodes]) -> sparse.csr_matrix:
    """The integral of the curves' squared second derivatives (px⁻² · px), as a square form of the nodes, for steps of
    REFERENCE_STEP_PX in units of squared second differences."""
    blocks = []
    for nodes in stretches:
        second = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(nodes.count - 2, nodes.count))
        blocks.append((REFERENCE_STEP_PX / nodes.step_px) ** 3 * (second.T @ second))
    return sparse.block_diag(blocks, format="csr")


def _edges(touch: Touch, y_px: np.ndarray) -> tuple[np.ndarray, sparse.csr_matrix]:
    """The inked interval (2, cells, SUBCOLUMNS) of each subcolumn, +inf where there is none, and how it hangs on the
    nodes (edges, nodes)."""
    curve = y_px[touch.node] * (1 - touch.share) + y_px[touch.node + 1] * touch.share
    edges, nodes, shares = [], [], []
    for sign in (-1, 1):
        reached = sign * curve + touch.chord_px
        touched = reached.argmax(axis=0)[None]
        edge = np.take_along_axis(reached, touched, 0)[0]
        edges.append(np.where(np.isfinite(edge), sign * edge, np.inf))
        nodes.append(np.take_along_axis(touch.node, touched, 0)[0])
        shares.append(np.take_along_axis(touch.share, touched, 0)[0])
    node, share = np.stack(nodes).ravel(), np.stack(shares).ravel()
    number = np.arange(len(node))
    hang = sparse.csr_matrix(
        (np.concatenate([1 - share, share]), (np.tile(number, 2), np.concatenate([node, node + 1]))),
        shape=(len(node), len(y_px)),
    )
    return np.stack(edges), hang


def _residuals(
    seen: np.ndarray, touch: Touch, edges: np.ndarray, reach: int, ramp_px: float
) -> tuple[np.ndarray, sparse.csr_matrix]:
    """For the pixels that edges cross: coverage as drawn less coverage as seen, and its slope (pixels, edges)."""
    height = len(seen)
    trust = touch.trust
    row = np.floor(edges - reach / 2 + 0.5) + np.arange(reach)[:, None, None, None]
    crossed = np.isfinite(row) & (row >= 0) & (row < height) & (trust > 0)[:, None]
    cell = np.broadcast_to(np.arange(len(trust))[:, None], row.shape)
    key, pixel = np.unique(cell[crossed] * height + row[crossed].astype(np.int64), return_inverse=True)
    cell, row_of = key // height, key % height
    drawn = _drawn(edges[:, cell], row_of, ramp_px)
    others = _drawn_by_others(touch, edges, cell, row_of, ramp_px)
    number = np.broadcast_to(np.arange(edges.size).reshape(edges.shape), row.shape)[crossed]
    sign = np.where(number < edges.size // 2, -1.0, 1.0)
    slope = sparse.csr_matrix(
        (sign * (trust[cell] * (1 - others))[pixel] / (SUBCOLUMNS * ramp_px), (pixel, number)),
        shape=(len(key), edges.size),
    )
    return trust[cell] * (drawn + others * (1 - drawn) - seen[row_of, touch.column[cell]]), slope


def _drawn(edges: np.ndarray, row: np.ndarray, ramp_px: float) -> np.ndarray:
    """A stretch's own coverage of pixels (n,) in the given rows; edges (2, n, SUBCOLUMNS)."""
    centre = row[:, None] + 0.5
    return (_ramp(centre - edges[0], ramp_px) - _ramp(centre - edges[1], ramp_px)).mean(axis=1)


def _drawn_by_others(
    touch: Touch, edges: np.ndarray, cell: np.ndarray, row: np.ndarray, ramp_px: float
) -> np.ndarray:
    """Coverage of pixels (n,) of some cells by the other stretches in their columns: their sum, 1 at most."""
    top, bottom = edges[0].min(axis=1), edges[1].max(axis=1)
    total = np.zeros(len(cell))
    for other in touch.same_column[cell].T:
        reached = (row + 1 + ramp_px / 2 > top[other]) & (row - ramp_px / 2 < bottom[other])
        reached = np.flatnonzero(reached & (other >= 0) & (other != cell))
        total[reached] += _drawn(edges[:, other[reached]], row[reached], ramp_px)
    return np.clip(total, 0, 1)


def _ramp(distance: np.ndarray, length: float) -> np.ndarray:
    return np.clip(distance / length + 0.5, 0, 1)


def _solve_banded(matrix: sparse.dia_matrix, right: np.ndarray) -> np.ndarray:
    """Solve with a symmetric positive definite band matrix."""
    width = int(matrix.offsets.max())
    band = np.zeros((width + 1, len(right)))
    for k in range(width + 1):
        band[k, : len(right) - k] = matrix.diagonal(k)
    return solveh_banded(band, right, lower=True)
