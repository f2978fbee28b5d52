"""Preparation on a real Dask cluster of two worker processes, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trimesh

from latentsdf.core.cluster import open_cluster
from latentsdf.dataset.preparation import PrepareConfig, PrepareRow, prepare
from latentsdf.dataset.sampling import SamplingConfig

SMALL = PrepareConfig(sampling=SamplingConfig(near=600, uniform=200, band=300, band_resolution=32, lattice=8))


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve boxes."""
    folder = tmp_path_factory.mktemp("boxes")
    for row in range(12):
        trimesh.creation.box(extents=(1.0, 0.5 + 0.1 * row, 0.7)).export(folder / f"{row:02d}.ply")
    return folder


@pytest.mark.slow
def test_a_killed_worker_of_a_dask_cluster_changes_no_byte(meshes: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'latentsdf[dask]'")
    local = prepare(meshes, tmp_path / "local.h5", config=SMALL, workers=1).path
    killed: list[int] = []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=60
        ) as cluster,
        open_cluster(cluster.scheduler_address.replace("tcp://", "dask://")) as executor,
    ):
        workers = [nanny.pid for nanny in cluster.workers.values()]

        def kill(row: PrepareRow, done: int, total: int) -> None:
            if not killed:
                killed.append(workers[0])
                os.kill(workers[0], signal.SIGKILL)

        report = prepare(meshes, tmp_path / "cluster.h5", config=SMALL, on_row=kill, executor=executor)
    assert len(killed) == 1
    assert [row.status for row in report.rows] == ["ok"] * 12
    assert report.path.read_bytes() == local.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.h5", "local.h5"]
