"""Triangles and vertices of a mesh as binary decisions: regions grow face by face around one vertex after the other.

A gate is a directed edge (u, v) that a face (u, v, w) may still lie on, since there is a face with the edge (v, u). Of
each gate it is coded whether it has such a face, and whether its apex w closes the gap beside u or beside v, is new, or
is another vertex of before (Gumhold and Strasser, "Real time compression of triangle mesh connectivity", 1998, with all
connections to vertices of before in one case, so that edges of any number of faces and handles need none of their own).
Contexts are angles and valences, found in integers. One class walks the decisions in both directions, so that encoder
and decoder cannot differ.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from .coordinate_model import UNIT, CoordinateModel, Kernel
from .mesh_statistics import COORDINATE_WEIGHTS
from .range_coder import BinaryCoder

Point = tuple[int, int, int]
Triangle = tuple[int, int, int]

_ANGLES, _VALENCES, _RANKS = 9, 5, 16
BORDER = 0
CLOSE = BORDER + 2
NEW = CLOSE + 2 * _ANGLES * _VALENCES
RANK = NEW + 3
MODELS = RANK + _RANKS
"""Number of models; those of each kind start at the constants before it."""
_SEED = 3
"""First row of weights for the vertices of a face that no gate leads to."""


class MeshIndex:
    """Faces of a mesh by their directed edges, for an encoder.

    Args:
        vertices: lattice positions.
        faces: indices of three different vertices.
    """

    def __init__(self, vertices: Sequence[Point], faces: Sequence[Triangle]):
        self.vertices, self.faces = vertices, faces
        self._left = [True] * len(faces)
        self._next = 0
        self._on: dict[tuple[int, int], list[int]] = {}
        for number, (a, b, c) in enumerate(faces):
            for edge in ((a, b), (b, c), (c, a)):
                self._on.setdefault(edge, []).append(number)

    def take(self, start: int, end: int) -> int | None:
        """Apex of a face on a directed edge that was not taken before; None where there is none."""
        for number in self._on.get((start, end), ()):
            if self._left[number]:
                self._left[number] = False
                return next(item for item in self.faces[number] if item not in (start, end))
        return None

    def take_any(self) -> Triangle:
        """The first face that was not taken before."""
        while not self._left[self._next]:
            self._next += 1
        self._left[self._next] = False
        return self.faces[self._next]


class _Gate(NamedTuple):
    end: int
    opposite: int


class MeshTraversal:
    """Walk over the faces of a mesh; `vertices` and `faces` grow in the order in which they are coded.

    Args:
        coder: an encoder or a decoder, with `MODELS` models.
        size: lattice coordinates are 0 to size - 1 on each axis.
        source: what an encoder writes; None where the coder is a decoder.
    """

    def __init__(self, coder: BinaryCoder, size: int, source: MeshIndex | None = None):
        self.coder, self.size, self.source = coder, size, source
        self.vertices: list[Point] = []
        self.faces: list[Triangle] = []
        self.weights: list[list[int]] = [list(row) for row in COORDINATE_WEIGHTS]
        self._axes = [CoordinateModel(size) for _ in range(3)]
        self._gates: list[list[_Gate]] = []
        self._into: list[list[int]] = []
        self._valence: list[int] = []
        self._first = 0
        self._named: dict[int, int] = {}
        self._original: list[int] = []
        self._was_border = 0

    def run(self, count: int) -> None:
        """Code all faces, `count` of them.

        Raises:
            ValueError: a decoder meets the end of its stream, or a vertex that does not exist.
        """
        while len(self.faces) < count:
            self._code_seed()
            while len(self.faces) < count and self._first < len(self.vertices):
                if self._gates[self._first]:
                    self._code_gate(self._first)
                else:
                    self._first += 1

    def _code_seed(self) -> None:
        """Code a face that no gate leads to."""
        corners: list[int] = []
        for item in (None,) * 3 if self.source is None else self.source.take_any():
            known = None if item is None else self._named.get(item)
            if len(self.vertices) > len(corners) and self.coder.bit(NEW, int(known is not None)):
                place = self.vertices[corners[-1]] if corners else (0, 0, 0)
                corners.append(self._code_rank(place, corners, known))
            else:
                before = corners[-1] if corners else len(self.vertices) - 1
                corners.append(self._add_vertex(self._code_seed_position(before, len(corners), item), item))
        self._add_face(corners[0], corners[1], corners[2])

    def _code_gate(self, start: int) -> None:
        """Code what lies on the newest gate of a vertex."""
        end, opposite = self._gates[start][-1]
        apex = None if self.source is None else self.source.take(self._original[start], self._original[end])
        border = int(self.source is not None and apex is None)
        self._was_border = self.coder.bit(BORDER + self._was_border, border)
        if self._was_border:
            self._gates[start].pop()
            self._into[end].remove(start)
            return
        known = None if apex is None else self._named.get(apex)
        found = self._code_known_apex(start, end, opposite, known)
        if found is None:
            found = self._add_vertex(self._code_position(start, end, opposite, apex), apex)
        self._add_face(start, end, found)

    def _code_known_apex(self, start: int, end: int, opposite: int, known: int | None) -> int | None:
        """Code the apex of a gate where it is a vertex of before; None where it is new."""
        at_start = [item for item in self._into[start] if item != end][-1:]
        at_end = [gate.end for gate in self._gates[end] if gate.end != start][-1:]
        if at_start:
            shared = int(at_start == at_end)
            model = CLOSE + self._gap(start, end, opposite, at_start[0], shared)
            if self.coder.bit(model, int(known == at_start[0])):
                return at_start[0]
        if at_end and at_end != at_start:
            model = CLOSE + _ANGLES * _VALENCES + self._gap(end, start, opposite, at_end[0], 0)
            if self.coder.bit(model, int(known == at_end[0])):
                return at_end[0]
        tried = {start, end, *at_start, *at_end}
        if len(self.vertices) > len(tried) and self.coder.bit(NEW + 1, int(known is not None)):
            return self._code_rank(self._parallelogram(start, end, opposite), tried, known)
        return None

    def _gap(self, pivot: int, other: int, opposite: int, candidate: int, shared: int) -> int:
        """Context of the gap at a vertex between a gate and a candidate: its angle and the faces of the vertex."""
        origin = self.vertices[pivot]
        along, back = _minus(self.vertices[other], origin), _minus(self.vertices[opposite], origin)
        across = _minus(self.vertices[candidate], origin)
        cosine = _dot(along, across)
        # (4 cos)^2 in whole numbers, of the sign of the cosine.
        square = 16 * cosine * cosine // max(1, _dot(along, along) * _dot(across, across))
        side = _dot(_cross(along, across), _cross(back, along))
        if shared:
            angle = 8
        elif side < 0:
            angle = 7 if cosine < 0 else 6
        elif cosine < 0:
            angle = 5 if square > 5 else 4
        else:
            angle = 3 if square < 1 else 2 if square < 5 else 1 if square < 11 else 0
        return angle * _VALENCES + min(max(self._valence[pivot] - 2, 0), _VALENCES - 1)

    def _code_rank(self, place: Point, tried: Collection[int], known: int | None) -> int:
        """Code one of the vertices of before by its rank among them, nearest to a place first."""
        others = [item for item in range(len(self.vertices)) if item not in tried]
        others.sort(key=lambda item: _square(_minus(self.vertices[item], place)))
        rank = 1 if known is None else others.index(known) + 1
        length, found = 0, 1
        while self.coder.bit(RANK + min(length, _RANKS - 1), int(rank >> (length + 1) != 0)):
            length += 1
            if 1 << length > len(others):
                raise ValueError("a face of a coded mesh names a vertex that does not exist; the stream is damaged")
        for shift in range(length - 1, -1, -1):
            found = found << 1 | self.coder.even(rank >> shift & 1)
        if found > len(others):
            raise ValueError("a face of a coded mesh names a vertex that does not exist; the stream is damaged")
        return others[found - 1]

    def _parallelogram(self, start: int, end: int, opposite: int) -> Point:
        u, v, o = self.vertices[start], self.vertices[end], self.vertices[opposite]
        return (u[0] + v[0] - o[0], u[1] + v[1] - o[1], u[2] + v[2] - o[2])

    def _code_position(self, start: int, end: int, opposite: int, apex: int | None) -> Point:
        """Code the position of a new apex; last comes the axis that the face behind the gate is most normal to."""
        u, v, o = self.vertices[start], self.vertices[end], self.vertices[opposite]
        normal = _cross(_minus(v, u), _minus(o, u))
        last = max(range(3), key=lambda axis: abs(normal[axis]))
        length = UNIT * max(1, max(abs(a - b) for a, b in zip(u, v, strict=True)))
        guess = self._parallelogram(start, end, opposite)
        given = None if self.source is None or apex is None else self.source.vertices[apex]
        found = [0, 0, 0]
        for order, axis in enumerate([axis for axis in range(3) if axis != last] + [last]):
            middle = UNIT * (u[axis] + v[axis]) // 2
            centers = [UNIT * guess[axis], middle]
            if order == 2:
                slope = sum(normal[k] * (found[k] - u[k]) for k in range(3) if k != axis)
                plane = UNIT * u[axis] - (UNIT * slope // normal[axis] if normal[axis] else 0)
                centers[1] = min(max(plane, -UNIT * self.size), 2 * UNIT * self.size)
            kernels = [Kernel(center, max(1, length >> shift)) for center in centers for shift in (1, 3)]
            near = (u[axis], v[axis], o[axis])
            value = 0 if given is None else given[axis]
            found[axis] = self._axes[axis].code(self.coder, self.weights[order], kernels, near, value)
        return (found[0], found[1], found[2])

    def _code_seed_position(self, before: int, order: int, item: int | None) -> Point:
        place = self.vertices[before] if before >= 0 else (self.size // 2,) * 3
        given = None if self.source is None or item is None else self.source.vertices[item]
        found = [0, 0, 0]
        for axis in range(3):
            kernels = [Kernel(UNIT * place[axis], max(1, UNIT * self.size >> shift)) for shift in (2, 3, 5, 6)]
            weights = self.weights[_SEED + min(order, 1)]
            value = 0 if given is None else given[axis]
            found[axis] = self._axes[axis].code(self.coder, weights, kernels, (place[axis],) * 3, value)
        return (found[0], found[1], found[2])

    def _add_vertex(self, position: Point, item: int | None) -> int:
        number = len(self.vertices)
        self.vertices.append(position)
        self._gates.append([])
        self._into.append([])
        self._valence.append(0)
        if item is not None:
            self._named[item] = number
            self._original.append(item)
        return number

    def _add_face(self, a: int, b: int, c: int) -> None:
        """Keep a face; each of its edges takes a gate, or makes one on its other side."""
        self.faces.append((a, b, c))
        for start, end, other in ((b, c, a), (c, a, b), (a, b, c)):
            self._valence[start] += 1
            place = next((k for k, gate in enumerate(self._gates[start]) if gate.end == end), None)
            if place is not None:
                del self._gates[start][place]
                self._into[end].remove(start)
            else:
                self._gates[end].append(_Gate(start, other))
                self._into[start].append(end)
                self._first = min(self._first, end)


def _minus(a: Point, b: Point) -> Point:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _dot(a: Point, b: Point) -> int:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _square(a: Point) -> int:
    return _dot(a, a)


def _cross(a: Point, b: Point) -> Point:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
