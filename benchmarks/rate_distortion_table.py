"""Rows of `rate_distortion.py` as Markdown and as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from judging import NOTHING, summarize

FIGURES = ("f_0.01", "f_0.005", "chamfer_l1")
RATES = (128, 192, 256, 384, 512, 768, 1024, 2048)
BUDGETS = (64, 96, 128, 192, 256, 512, 1024, 2048, 4096)


class Point(NamedTuple):
    """One point of a curve: what it is, which curve, bytes a shape, figures, and bytes of the decoder for N shapes."""

    what: str
    curve: str
    bytes: float
    figures: dict[str, Any]
    decoder_bytes: float = 0.0
    training_shapes: int = 1


def draco_points(rows: dict[str, Any]) -> list[Point]:
    """Median bytes and figures of each operating point, over the shapes that have it."""
    shapes = list(rows["draco"].values())
    names = sorted({name for row in shapes for name in row}, key=lambda name: [int(part) for part in name.split("/")])
    points = []
    for name in names:
        rows_of_point = [row[name] for row in shapes if name in row]
        size = float(np.median([item["bytes"] for item in rows_of_point if item["bytes"]] or [0]))
        points.append(
            Point(f"Draco, {name.replace('/', ' faces, ')} bits", "draco", size, summarize(rows_of_point, FIGURES))
        )
    return points


def budget_points(rows: dict[str, Any]) -> list[Point]:
    """Each shape at whichever operating point is best within a budget; a shape that has none there is a failure."""
    points = []
    for budget in BUDGETS:
        best = []
        for row in rows["draco"].values():
            fitting = [item for item in row.values() if 0 < item["bytes"] <= budget]
            best.append(max(fitting, key=lambda item: item["f_0.01"], default={**NOTHING, "reason": "no file"}))
        points.append(Point(f"best Draco within {budget}", "budget", budget, summarize(best, FIGURES)))
    return points if rows["draco"] else []


def space_points(rows: dict[str, Any]) -> list[Point]:
    """Points of the codes of every space."""
    points = []
    for name, space in rows["spaces"].items():
        for key, size in space["code_bytes"].items():
            rows_of_point = [row[key] for row in space["shapes"].values() if key in row]
            numbers, bits = key.split("/")
            what = f"{name}, {numbers} numbers of {bits} bits"
            shared = (space["decoder_bytes"], space["training_shapes"])
            points.append(Point(what, f"{name}, {bits} bits", size, summarize(rows_of_point, FIGURES), *shared))
    return points


def table(rows: dict[str, Any]) -> str:
    """All points as Markdown."""
    lines = [
        "| what | shapes | bytes | with decoder / 1,000 shapes | with decoder / own shapes | F at 0.01 median (mean) "
        "| F at 0.005 | Chamfer-L1 |",
        "|" + "---|" * 8,
    ]
    for point in [*draco_points(rows), *budget_points(rows), *space_points(rows)]:
        if point.figures["shapes"]:
            shared = [point.bytes + point.decoder_bytes / count for count in (1000, max(1, point.training_shapes))]
            sizes = [f"{size:,.0f}" if point.decoder_bytes else "-" for size in shared]
            figures = [f"{point.figures[k]['median']:.4f} ({point.figures[k]['mean']:.4f})" for k in FIGURES]
            first = [point.what, str(point.figures["shapes"]), f"{point.bytes:,.0f}"]
            lines.append(f"| {' | '.join([*first, *sizes, *figures])} |")
    return "\n".join(lines)


def draw(rows: dict[str, Any], path: Path, side: str) -> None:
    """The figure: median F at 0.01 against bytes a shape."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    draco = [point for point in draco_points(rows) if point.bytes]
    axes.plot([p.bytes for p in draco], median_f(draco), "o-", color="black", label="decimated mesh, Draco")
    points = [point for point in space_points(rows) if point.figures["shapes"]]
    for number, curve in enumerate(dict.fromkeys(point.curve for point in points)):
        own, color = [point for point in points if point.curve == curve], f"C{number}"
        axes.plot([p.bytes for p in own], median_f(own), "s-", color=color, label=f"{curve}: code alone")
        for count, line in ((1000, "--"), (own[0].training_shapes, ":")):
            sizes = [point.bytes + point.decoder_bytes / count for point in own]
            axes.plot(sizes, median_f(own), line, marker=".", color=color, label=f"with decoder / {count:,} shapes")
    axes.set(xscale="log", xlabel="bytes a shape", ylabel="F at 0.01, median", ylim=(0, 1))
    axes.set_title("held-out shapes" if side == "unseen" else "shapes trained on")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_rates(results: dict[str, Any], rows: dict[str, Any], path: Path) -> None:
    """The figure of `residual_rates.py`: mean F at 0.01 of the best of each shape within bytes, and Draco's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shapes = results["shapes"].values()
    curves = {
        "code, with a residual or as a mesh: whichever is closer": [row["streams"] + row["meshes"] for row in shapes],
        "code with a residual": [row["streams"] for row in shapes],
        "mesh of our own coding, with a coarse code": [row["meshes"] for row in shapes],
        "decimated mesh in Draco's format, the best within": [list(row.values()) for row in rows["draco"].values()],
    }
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    for (label, points), line in zip(curves.items(), ("s-", "^--", "v--", "o-"), strict=True):
        means = [mean_within(points, budget) for budget in RATES]
        axes.plot(RATES, means, line, label=label, linewidth=2.2 if line == "s-" else 1.4)
    axes.set(xscale="log", xlabel="bytes a shape, frame counted", ylabel="F at 0.01, mean", ylim=(0, 1.02))
    axes.set_xticks(RATES, [f"{rate:,}" for rate in RATES])
    axes.minorticks_off()
    axes.set_title(f"{len(shapes)} shapes that the space does not hold")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def mean_within(shapes: list[list[dict[str, Any]]], budget: int) -> float:
    """Mean F at 0.01 of each shape's best point of at most so many bytes; 0 where it has none."""
    fitting = ([row["f_0.01"] for row in rows if 0 < row["bytes"] <= budget] for rows in shapes)
    return float(np.mean([max(scores, default=0.0) for scores in fitting]))


def median_f(points: list[Point]) -> list[float]:
    """Medians of F at 0.01."""
    return [point.figures["f_0.01"]["median"] for point in points]
