"""Streams are the same bytes, and decode to the same numbers, whatever the number of threads and the default dtype."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, sys
import numpy as np, torch, trimesh

threads, dtype = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
torch.set_default_dtype(getattr(torch, dtype))
from latentsdf.codec.mesh_stream import decode_mesh, encode_mesh, snap_to_lattice
from latentsdf.codec.residual import Coefficients, Residual
from latentsdf.codec.row_streams import ColumnModel, pack_rows, unpack_rows
from latentsdf.primitives import sphere
from latentsdf.space.stored_mesh import StoredMesh

found = []
generator = np.random.default_rng(0)
parts = []
for size in (9, 17, 33, 65):
    part = np.rint(generator.normal(size=(size,) * 3) * 2).astype(np.int64)
    part[generator.random(part.shape) > 0.02] = 0
    parts.append(part)
residual = Residual.of(Coefficients(parts, 12))
found.append(residual.packed)
points = torch.from_numpy(generator.uniform(-1, 1, (5000, 3)).astype(np.float32))
found.append(residual(points).numpy().tobytes())
ball = trimesh.creation.icosphere(3, 0.8)
mesh = snap_to_lattice(ball.vertices + generator.normal(size=ball.vertices.shape) * 0.01, ball.faces, 14)
stream = encode_mesh(mesh)
again = decode_mesh(stream)
found += [stream, again.positions.tobytes(), again.faces.tobytes()]
found.append(StoredMesh.of(mesh).on(sphere(0.5))(points).numpy().tobytes())
rows = np.rint(generator.normal(size=(200, 64)) * np.geomspace(1, 50, 64)).astype(np.int64)
models = [ColumnModel.of(column) for column in rows.T]
streams = pack_rows(rows, models)
found += [*streams, unpack_rows(streams, models).tobytes()]
print(hashlib.sha256(b"|".join(found)).hexdigest())
"""


@pytest.mark.slow
def test_streams_do_not_depend_on_threads_or_default_dtype() -> None:
    digests = set()
    for threads, dtype in (("1", "float32"), ("2", "float64"), ("8", "float32")):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        command = [sys.executable, "-c", SCRIPT, threads, dtype]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1
