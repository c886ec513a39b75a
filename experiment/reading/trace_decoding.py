"""Find the curve behind a drawn trace: the heights whose stroke gives the coverage on the page.

A pen of diameter d that follows a curve y(x) inks, in the vertical line at x, everything from
min(y(x + s) - h(s)) to max(y(x + s) + h(s)) over |s| <= d/2, with h(s) = sqrt(d²/4 - s²) (see stroke.py of the
generator). This is inverted by least squares. The edges of the inked interval are computed in SUBCOLUMNS vertical
lines per pixel. The pixels that an edge crosses tell how far it is off, and each edge depends on the two neighbouring
nodes of the curve that the pen touches there. Gauss-Newton moves all nodes of a page at once; the matrix is banded.

An edge depends only on the pixel that it lies in. The fit therefore starts on a page that is blurred along its
columns, and sharpens it step by step (REACHES_PX): a box blur of t pixels turns a pixel's share of the interval into
a ramp of length t, so that model and page stay exactly comparable.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy import sparse
from scipy.linalg import solveh_banded

from experiment.reading.compiled import compiled

SUBCOLUMNS = 4
ROWS_A_BLUR = 5  # of a page that is blurred along its columns, so many rows over the blur's length tell all
REACHES_PX = (*[15] * 6, *[7] * 3, *[3] * 4, *[1] * 6)  # blur of each step of the fit, odd
# Weight of a curve's squared second difference (px²) against squared coverage, on a scan or drawing and on a photo
SHARP, BLURRED = 1e-2, 3e-2
REFERENCE_STEP_PX = 0.4  # the distance of nodes for which these weights hold
MARGIN_PX = 60  # curves may leave the heights that they start from by this much
DAMPING = 1e-3
HOLD = 0.3  # how strongly nodes without ink stay where they are


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


class Touch(NamedTuple):
    """Where the pen touches the curve from each subcolumn of each cell; a cell is one column of pixels of one stretch.

    The curve at a shift lies between node `node` and the next one, with the shares 1 - share and share.
    """

    column: np.ndarray  # (cells,) the cell's column of the page
    same_column: np.ndarray  # (cells, most per column) the cells that share the column, -1 for none
    trust: np.ndarray  # (cells,) 0 where there is no ink, else 1
    node: np.ndarray  # (cells, SUBCOLUMNS, shifts), -1 beyond the stretch's ends
    share: np.ndarray  # (cells, SUBCOLUMNS, shifts)
    chord_px: np.ndarray  # (shifts,) how far up and down the pen reaches at each shift


class Edges(NamedTuple):
    """The two ends of the inked interval in each subcolumn, and the place of the curve that each depends on. All arrays
    are (cells, SUBCOLUMNS, 2)."""

    y_px: np.ndarray  # +inf where nothing is inked
    node: np.ndarray
    share: np.ndarray


def decode(
    ink: np.ndarray,
    stretches: list[Nodes],
    start_y_px: list[np.ndarray],
    has_ink: list[np.ndarray],
    pen_px: float,
    aperture_px: float = 1.0,
    smoothness: float = SHARP,
) -> list[np.ndarray]:
    """Return the heights (count,) of each stretch's nodes whose strokes fit `ink` best.

    `ink` (H, W) float32 is the covered share of each pixel's aperture: 1 px for an exact drawing, more for one that is
    blurred because it was resampled or comes from a network. `start_y_px` are heights to start from; outside spikes
    they are off by a few pixels at most. Nodes for which `has_ink` is False stay where they start. Heights are canvas
    coordinates. Where strokes overlap, the ink is that of one over the other.

    >>> ink = np.zeros((40, 60), np.float32)
    >>> ink[19:22] = 1.0
    >>> nodes = Nodes(first_x_px=5.0, step_px=0.5, count=100)
    >>> heights = decode(ink, [nodes], [np.full(100, 17.0)], [np.ones(100, bool)], pen_px=3.0)
    >>> heights[0].shape, round(float(heights[0].mean()), 1)
    ((100,), 20.5)
    """
    start = np.concatenate(start_y_px).astype(float)
    top = max(int(start.min()) - MARGIN_PX, 0)
    ink, start = ink[top : int(start.max()) + MARGIN_PX], start - top
    touch = _touch(stretches, has_ink, pen_px, aperture_px, ink.shape[1])
    held = HOLD * ~np.concatenate(has_ink)
    prior = smoothness * _bending(stretches) + sparse.diags(held + DAMPING)
    reach_nodes = int((pen_px + aperture_px) / min(nodes.step_px for nodes in stretches)) + 2
    prior_bands = _bands(prior, reach_nodes)
    y_px = start
    blurred = {reach: cv2.blur(ink, (1, reach), borderType=cv2.BORDER_REPLICATE) for reach in {*REACHES_PX}}
    for reach in REACHES_PX:
        bands, pull = prior_bands.copy(), (prior @ y_px) - held * start - DAMPING * y_px
        _add_pixels(
            blurred[reach], touch, _edges(touch, y_px), reach, float(max(reach, aperture_px)), bands, pull
        )
        y_px = y_px - np.clip(solveh_banded(bands.T, pull, lower=True), -reach, reach)
    return np.split(y_px + top, np.cumsum([nodes.count for nodes in stretches])[:-1])


def _touch(
    stretches: list[Nodes], has_ink: list[np.ndarray], pen_px: float, aperture_px: float, width: int
) -> Touch:
    radius = pen_px / 2
    inner = np.arange(-int(radius * SUBCOLUMNS), int(radius * SUBCOLUMNS) + 1) / SUBCOLUMNS
    shifts = np.concatenate([[-radius], inner, [radius]])
    spread = (np.arange(SUBCOLUMNS) + 0.5) / SUBCOLUMNS - 0.5
    parts, first_node = [], 0
    for nodes, inked in zip(stretches, has_ink, strict=True):
        left, right = int(nodes.first_x_px - radius), int(nodes.last_x_px + radius)
        column = np.arange(max(left, 0), min(right + 1, width))
        trust = np.interp(column + 0.5, nodes.x_px, inked.astype(float))
        centre = column[:, None] + 0.5 + aperture_px * spread
        place = (centre[..., None] + shifts - nodes.first_x_px) / nodes.step_px
        node = np.clip(np.floor(place).astype(np.int32), 0, nodes.count - 2)
        beyond = (place < 0) | (place > nodes.count - 1)
        parts.append((column, trust, np.where(beyond, -1, node + first_node), np.clip(place - node, 0, 1)))
        first_node += nodes.count
    column, trust, node, share = (np.concatenate(part) for part in zip(*parts, strict=True))
    chord_px = np.sqrt(np.maximum(radius**2 - shifts**2, 0))
    return Touch(column, _same_column(column), trust, node, share, chord_px)


def _same_column(column: np.ndarray) -> np.ndarray:
    """For each cell, the cells in its column, itself included: (cells, most per column); -1 where there are fewer."""
    order = np.argsort(column, kind="stable")
    of_column, first, count = np.unique(column[order], return_index=True, return_counts=True)
    rank = np.arange(count.max())
    cells = order[np.minimum(first[:, None] + rank, len(order) - 1)]
    table = np.where(rank < count[:, None], cells, -1)
    return table[np.searchsorted(of_column, column)]


def _bending(stretches: list[Nodes]) -> sparse.csr_matrix:
    """The integral of the curves' squared second derivatives (px⁻² · px) as a quadratic form of the nodes. For steps of
    REFERENCE_STEP_PX its unit is the squared second difference."""
    blocks = []
    for nodes in stretches:
        second = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(nodes.count - 2, nodes.count))
        blocks.append((REFERENCE_STEP_PX / nodes.step_px) ** 3 * (second.T @ second))
    return sparse.block_diag(blocks, format="csr")


def _bands(matrix: sparse.spmatrix, reach: int) -> np.ndarray:
    """The diagonal of a symmetric matrix and `reach` diagonals below it: entry [j, k] is the matrix at [j + k, j]."""
    bands = np.zeros((matrix.shape[0], reach + 1))
    for k in range(min(reach + 1, len(bands))):
        bands[: len(bands) - k, k] = matrix.diagonal(-k)
    return bands


@compiled
def _edges(touch: Touch, y_px: np.ndarray) -> Edges:
    """The edges of what the pen inks along a curve (nodes,)."""
    cells, subcolumns, shifts = touch.node.shape
    size = cells, subcolumns, 2
    edges = Edges(np.full(size, np.inf), np.zeros(size, np.int64), np.zeros(size))
    for cell, subcolumn, side in np.ndindex(size):
        sign = 2 * side - 1
        furthest = -np.inf
        for shift in range(shifts):
            node, share = touch.node[cell, subcolumn, shift], touch.share[cell, subcolumn, shift]
            if node < 0:
                continue
            reached = sign * (y_px[node] * (1 - share) + y_px[node + 1] * share) + touch.chord_px[shift]
            if reached > furthest:
                furthest = reached
                edges.y_px[cell, subcolumn, side] = sign * reached
                edges.node[cell, subcolumn, side] = node
                edges.share[cell, subcolumn, side] = share
    return edges


@compiled
def _add_pixels(
    ink: np.ndarray,
    touch: Touch,
    edges: Edges,
    reach: int,
    ramp_px: float,
    bands: np.ndarray,
    pull: np.ndarray,
) -> None:
    """Add the pixels that edges cross, or as many of them as a blurred page needs, to the normal equations.

    With the residual r, the drawn coverage minus `ink`, and its slopes J, J'J goes to the bands (nodes, reach of nodes
    + 1) and J'r to the pull (nodes,).
    """
    ends_px, first_nodes = _extents(edges)
    apart = max(reach // ROWS_A_BLUR, 1)
    weight = np.sqrt(apart)
    slopes = np.zeros(bands.shape[1])
    for cell in range(len(touch.column)):
        trust, first_node = touch.trust[cell], first_nodes[cell]
        if trust == 0 or ends_px[cell, 0] == np.inf:
            continue
        first_row = _first_row(ends_px[cell, 0], reach)
        last_row = _first_row(ends_px[cell, 1], reach) + reach - 1
        for row in range(max(first_row, 0), min(last_row + 1, len(ink)), apart):
            if not _crossed(edges, cell, row, reach, first_node, slopes):
                continue
            others = _drawn_by_others(touch, edges, ends_px, cell, row, ramp_px)
            drawn = _drawn_ink(edges, cell, row, ramp_px)
            residual = weight * trust * (drawn + others * (1 - drawn) - ink[row, touch.column[cell]])
            slopes *= weight * trust * (1 - others) / (SUBCOLUMNS * ramp_px)
            for i in range(len(slopes)):
                if slopes[i] == 0:
                    continue
                pull[first_node + i] += slopes[i] * residual
                for j in range(i, len(slopes)):
                    bands[first_node + i, j - i] += slopes[i] * slopes[j]


@compiled
def _extents(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    """For each cell, the top and bottom of what is inked (cells, 2), +inf for nothing, and the first node that its
    edges depend on (cells,)."""
    cells = len(edges.y_px)
    ends_px, first_node = np.full((cells, 2), np.inf), np.full(cells, 2**30)
    for cell, subcolumn, side in np.ndindex(edges.y_px.shape):
        y_px = edges.y_px[cell, subcolumn, side]
        if y_px < np.inf:
            ends_px[cell, 0] = min(ends_px[cell, 0], y_px)
            ends_px[cell, 1] = y_px if ends_px[cell, 1] == np.inf else max(ends_px[cell, 1], y_px)
            first_node[cell] = min(first_node[cell], edges.node[cell, subcolumn, side])
    return ends_px, first_node


@compiled
def _first_row(edge: float, reach: int) -> int:
    """The first row of pixels that an edge crosses."""
    return int(np.floor(edge - reach / 2 + 0.5))


@compiled
def _crossed(edges: Edges, cell: int, row: int, reach: int, first_node: int, slopes: np.ndarray) -> bool:
    """Whether edges of a cell cross a pixel. Fills `slopes`: how much more of the pixel is covered, counted in whole
    edges, when each node from `first_node` on moves down by a pixel."""
    slopes[:] = 0
    crossed = False
    for subcolumn in range(SUBCOLUMNS):
        for side in range(2):
            edge = edges.y_px[cell, subcolumn, side]
            if edge < np.inf and 0 <= row - _first_row(edge, reach) < reach:
                crossed = True
                node = edges.node[cell, subcolumn, side] - first_node
                share, sign = edges.share[cell, subcolumn, side], 2 * side - 1
                slopes[node] += sign * (1 - share)
                slopes[node + 1] += sign * share
    return crossed


@compiled
def _drawn_ink(edges: Edges, cell: int, row: int, ramp_px: float) -> float:
    """How much of a pixel a stretch covers by itself."""
    total = 0.0
    for subcolumn in range(SUBCOLUMNS):
        total += _ramp(row + 0.5 - edges.y_px[cell, subcolumn, 0], ramp_px)
        total -= _ramp(row + 0.5 - edges.y_px[cell, subcolumn, 1], ramp_px)
    return total / SUBCOLUMNS


@compiled
def _drawn_by_others(
    touch: Touch, edges: Edges, ends_px: np.ndarray, cell: int, row: int, ramp_px: float
) -> float:
    """How much of a cell's pixel the other stretches in its column cover: their sum, at most 1."""
    total = 0.0
    for number in range(touch.same_column.shape[1]):
        other = touch.same_column[cell, number]
        if other < 0 or other == cell:
            continue
        if ends_px[other, 0] - ramp_px / 2 < row + 0.5 < ends_px[other, 1] + ramp_px / 2:
            total += _drawn_ink(edges, other, row, ramp_px)
    return min(total, 1.0)


@compiled
def _ramp(distance: float, length: float) -> float:
    return min(max(distance / length + 0.5, 0.0), 1.0)
