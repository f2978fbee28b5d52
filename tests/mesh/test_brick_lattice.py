"""Every vertex near a cell has one address, and the address leads back to the vertex."""

from __future__ import annotations

import itertools

import numpy as np

from latentsdf.mesh.brick_lattice import BrickLattice


def test_addresses_are_those_of_the_vertices() -> None:
    random = np.random.default_rng(0)
    cells = random.integers(0, 97, (3, 400))
    cells[:, :2] = [[0, 96], [0, 96], [0, 96]]
    lattice = BrickLattice(cells, 2, 96)
    around = lattice.neighbourhood(cells)
    vertex_of: dict[int, tuple[int, ...]] = {}
    for step in itertools.product(range(3), repeat=3):
        addresses = around.at(step)
        vertices = cells + np.array(step)[:, None]
        np.testing.assert_array_equal(lattice.triples(addresses), vertices)
        for address, vertex in zip(addresses.tolist(), vertices.T.tolist(), strict=True):
            assert vertex_of.setdefault(address, tuple(vertex)) == tuple(vertex)
    assert len(set(vertex_of.values())) == len(vertex_of)
    assert 0 <= min(vertex_of) <= max(vertex_of) < lattice.size
    assert lattice.size < 105**3
