"""Reconstructions of clean scans stored as corrections and through residuals or meshes: bytes and F-scores.

    python benchmarks/stored_scans.py SPACE.h5 MESH_DIR --only psb_teddy/ vehicle/ --score 0.98 0.995

Of each beginning of a name one mesh that the space does not hold is scanned without noise, reconstructed with the
space, and stored so that F at 0.01 against the reconstruction reaches each score.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from time import monotonic

import torch
from judging import true_mesh
from scan_prior import chosen_meshes, figures, make_scan, unit_mesh

from latentsdf.inference.packing import pack_shape
from latentsdf.inference.rate_search import Target
from latentsdf.reconstruction.pose_candidates import candidate_fields
from latentsdf.reconstruction.reconstruction import reconstruct
from latentsdf.space.store import load

CELLS = 128


def main() -> None:
    """Print one line for each shape and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("mesh_dir", type=Path)
    parser.add_argument("--only", nargs="+", default=[""], help="beginnings of names")
    parser.add_argument("--shapes", type=int, default=1, help="of each beginning, evenly spaced by name")
    parser.add_argument("--score", type=float, nargs="+", default=[0.98])
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = load(options.space)
    candidates = candidate_fields(space)
    for name, path in chosen_meshes(space, options):
        truth = unit_mesh(true_mesh(path))
        scan = make_scan(truth, "whole clean", normals=False)
        if scan is None:
            continue
        result = reconstruct(space, scan, candidates=candidates)
        surface, correction = result.shape.mesh(CELLS), result.shape.correction
        print(name, "correction", 0 if correction is None else correction.nbytes, figures(surface, truth), flush=True)
        coded = replace(result.shape.without_correction(), frame=result.fit.frame)
        for score in options.score:
            began = monotonic()
            stored = pack_shape(space, coded, surface, Target(tolerance=0.01, score=score))
            nbytes = stored.metadata["code_bytes"] + (0 if stored.correction is None else stored.correction.nbytes)
            print(f"    {score:g} {stored.mode} {nbytes} bytes {figures(stored.mesh(CELLS), truth)}", end=" ")
            print(f"{monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
