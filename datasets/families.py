"""Write the default collection: `python datasets/families.py OUT_DIR --count 20 --seed 0 --resolution 96`."""

from __future__ import annotations

import argparse
import sys

from latentsdf.dataset.synthetic import write_families


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", metavar="OUT_DIR", help="gets <family>/<index>.ply and parameters.json")
    parser.add_argument("--count", type=int, default=20, help="shapes per family (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other shapes (default 0)")
    parser.add_argument("--resolution", type=int, default=96, help="cells per axis of the lattice (default 96)")
    parser.add_argument("--families", nargs="+", metavar="NAME", help="only these classes (default all)")
    options = parser.parse_args()

    def show(name: str, done: int, total: int) -> None:
        print(f"\r{done}/{total} {name:<20}", end="" if done < total else "\n", file=sys.stderr, flush=True)

    try:
        paths = write_families(
            options.out_dir, options.count, options.seed, options.resolution, show, families=options.families
        )
    except (ValueError, OSError) as error:
        print(f"families: {error}", file=sys.stderr)
        return 2
    print(f"{len(paths)} meshes in {options.out_dir}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
