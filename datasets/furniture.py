"""Write furniture and household objects of the Sweet Home 3D libraries: classes furn_chair, furn_table, ... furn_other.

    python datasets/furniture.py OUT_DIR --source DIR [--count 250] [--seed 0] [--leave-out FILE] [--only-cc0]

Most models are open or made of overlapping sheets. One whose parts are all closed becomes their boolean union; others
are shrink-wrapped (alpha 1.5 %, offset 0.2 % of the diagonal), so thin sheets get a thickness. Units and axes are those
of the source: y is up, mostly centimetres. Seats, tables, beds and lamps come first, then the rest in random order;
persons, vehicles, plants and doors are not taken.

Needs: `pip install pymeshlab manifold3d`, and the Debian package's files:
`apt-get download sweethome3d-furniture && dpkg -x sweethome3d-furniture_*.deb DIR`.
Licence: BlendSwap-CC-0 is CC0-1.0; the others are CC-BY-3.0 and ask for attribution: keep ATTRIBUTION.csv with the
meshes. They are changed from the originals (closed, colours dropped), which CC-BY asks to say.
Writes: OUT_DIR/furn_<class>/<library>_<model>.ply and OUT_DIR/ATTRIBUTION.csv (file, source, author, licence, change).
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import leave, names_in, need, options_parser, show, write_mesh, write_table
from repair import close, geometry

INSTALL = "pip install pymeshlab manifold3d"


class Library(NamedTuple):
    """One file of the package."""

    short: str
    licence: str
    author: str


LIBRARIES = {
    "BlendSwap-CC-0": Library("BS-CC-0", "CC0-1.0", ""),
    "BlendSwap-CC-BY": Library("BS-CC-BY", "CC-BY-3.0", ""),
    "Scopia": Library("Scopia", "CC-BY-3.0", "Scopia Visual Interfaces Systems; Emmanuel Puybaret / eTeks"),
    "KatorLegaz": Library("KatorLegaz", "CC-BY-3.0-US", "Andrew Kator & Jennifer Legaz"),
}

ROOMS = {"Bathroom", "Bedroom", "Kitchen", "Living room", "Office", "Lights", "Miscellaneous"}

WORDS = {
    "lamp": ("lamp", "light", "chandelier", "spotlight", "lantern"),
    "armchair": ("armchair", "recliner", "lounge chair"),
    "sofa": ("sofa", "couch", "settee"),
    "chair": ("chair", "stool", "seat"),
    "table": ("table", "desk"),
    "bed": ("bed",),
}
NOT_WORDS = (
    "lighter",
    "bedside",
    "bedspread",
    "light switch",
    "table set",
    "tablecloth",
    "table tennis",
    "table fan",
    "flashlight",
    "toilet",
)
PLANTS = ("plant", "flower", "tree", "lily", "tulip", "orchid", "cactus", "bamboo")


class Model(NamedTuple):
    """A model in the catalogue of a library."""

    library: str
    path: str
    kind: str
    author: str

    @property
    def name(self) -> str:
        return f"{LIBRARIES[self.library].short}_{Path(self.path).stem}"


def kind_of(label: str) -> str:
    """Class of a label (name and id) by its words, "other" for none."""
    text = label.lower()
    if not any(word in text for word in NOT_WORDS):
        for kind, words in WORDS.items():
            if any(re.search(rf"{word}s?(?![a-z])", text) for word in words):
                return kind
    return "other"


def catalogue(library: str, archive: zipfile.ZipFile) -> list[Model]:
    """List the selected models of one library."""
    text = archive.read("PluginFurnitureCatalog.properties").decode("latin-1")
    entries: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*)$", text, re.MULTILINE):
        entries.setdefault(number, {})[key] = value.strip()
    models = []
    for entry in entries.values():
        path = entry.get("model", "").lstrip("/")
        label = f"{entry.get('name', '')} {Path(path).stem}"
        kind, room = kind_of(label), entry.get("category")
        wanted = room in ROOMS or (room == "Exterior" and kind != "other")
        if any(word in label.lower() for word in PLANTS) or entry.get("doorOrWindow") == "true":
            wanted = False
        if wanted and path.endswith(".obj"):
            author = LIBRARIES[library].author or entry.get("creator", "")
            models.append(Model(library, path, kind, author))
    return models


def main() -> int:
    parser = options_parser(__doc__, 250, "furn_<class>/<library>_<model>.ply and ATTRIBUTION.csv")
    parser.add_argument("--source", required=True, help="folder with the package's *.sh3f files, at any depth")
    parser.add_argument("--only-cc0", action="store_true", help="leave out the CC-BY libraries")
    options = parser.parse_args()
    for package in ("pymeshlab", "manifold3d"):
        need("furniture", package, INSTALL)
    archives: dict[str, zipfile.ZipFile] = {}
    models: list[Model] = []
    try:
        barred = names_in(options.leave_out)
        for path in sorted(Path(options.source).rglob("*.sh3f")):
            if path.stem in LIBRARIES and (path.stem == "BlendSwap-CC-0" or not options.only_cc0):
                archives[path.stem] = zipfile.ZipFile(path)
                models += catalogue(path.stem, archives[path.stem])
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        leave("furniture", error)
    if not models:
        leave("furniture", f"no *.sh3f of the Sweet Home 3D libraries below {options.source}")
    models = [models[i] for i in np.random.default_rng(options.seed).permutation(len(models))]
    models.sort(key=lambda model: (model.kind == "other", model.library != "BlendSwap-CC-0"))
    rows: list[dict[str, str]] = []
    seen, failed = set(barred), 0
    for model in models:
        if len(rows) == options.count:
            break
        if model.name in seen:
            continue
        seen.add(model.name)
        file = f"furn_{model.kind}/{model.name}.ply"
        try:
            mesh, change = close(geometry(archives[model.library].read(model.path)))
            if not write_mesh(mesh, Path(options.out_dir) / file):
                raise ValueError("not closed")
        except Exception as error:  # models are as bad as they come, and pymeshlab raises its own kinds
            print(f"furniture: {model.name} left out: {str(error)[:100]}", file=sys.stderr)
            failed += 1
            continue
        source = f"Debian sweethome3d-furniture 1.8-1, {model.library}, {model.path}"
        licence = LIBRARIES[model.library].licence
        rows.append({"file": file, "source": source, "author": model.author, "licence": licence, "change": change})
        write_table(rows, Path(options.out_dir) / "ATTRIBUTION.csv")
        show(len(rows), options.count, file)
    print(f"{len(rows)} meshes in {options.out_dir}, {failed} left out")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
