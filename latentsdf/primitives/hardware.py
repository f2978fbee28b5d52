"""Builders of machine and tool families, upright along z; their parameters and ranges stand in `families`."""

from __future__ import annotations

import math

import numpy as np

from ..core.field import SDF
from .combine import difference, intersection, mirror, offset, radial_repeat, rotate, smooth_union, translate, union
from .solids import box, capsule, cylinder, extruded, frustum, revolved, rod
from .unit_sphere import circle, corners, fit_to_sphere


def airplane(
    *, body_radius: float, span: float, sweep: float, chord: float, tail: float, wing_at: float, engine: float
) -> SDF:
    """An airliner with its nose along +x: body, swept wings with one engine each, tailplane and fin."""
    edge, r = 0.025, body_radius
    t = np.linspace(0, 1, 9)
    nose = list(zip(r * np.cos(t * math.pi / 2), 0.75 + 0.25 * np.sin(t * math.pi / 2), strict=True))
    rear = list(zip(r * (0.3 + 0.7 * t), -1 + 0.55 * t**0.7, strict=True))
    nose[-1] = (0.0, 1.0)
    body = rotate(revolved([(0.0, -1.0), *rear, *nose]), (0, 1, 0), math.pi / 2)

    def fin(root: float, tip: float, size: float, back: float, at: float) -> SDF:
        """A swept plate from the axis to y = size, its root's middle at x = at."""
        outline = [(at + root / 2, 0), (at - back + tip / 2, size), (at - back - tip / 2, size), (at - root / 2, 0)]
        inner = np.array(outline) * (1, (size - edge) / size)
        return offset(extruded(inner, 0.003), edge)

    wings = translate(mirror(fin(chord, 0.45 * chord, span, sweep, wing_at), 1), (0, 0, -0.3 * r))
    tailplane = translate(mirror(fin(0.2, 0.12, tail, 0.12, -0.86), 1), (0, 0, 0.15 * r))
    upright = rotate(fin(0.26, 0.14, tail + r, 0.14, -0.84), (1, 0, 0), math.pi / 2)
    y, x = 0.4 * span, wing_at - 0.4 * sweep + 0.4 * chord
    pod = mirror(rod((x - 0.12, y, -0.3 * r - engine), (x + 0.14, y, -0.3 * r - engine), engine), 1)
    low, back = min(-r, -0.3 * r - 2 * engine), wing_at - sweep - 0.225 * chord - edge
    return fit_to_sphere(
        union(smooth_union(body, wings, 0.05), tailplane, upright, pod),
        corners((-1.09, -0.06, low), (1.0, 0.06, tail + r)),
        corners((back, -span, -r), (back + 0.45 * chord + 2 * edge, span, 0)),
        corners((-1.09, -tail, 0), (-0.8, tail, 0.1)),
    )


def bolt(
    *, head_width: float, head_height: float, shank_radius: float, shank_length: float, thread_share: float
) -> SDF:
    """A hexagonal head on a shank with five thread ridges over a share of its length; the head is on top."""
    angles = np.arange(6) * (math.tau / 6)
    hexagon = head_width * np.stack([np.cos(angles), np.sin(angles)], -1)
    head = translate(extruded(hexagon, head_height / 2), (0, 0, head_height / 2))
    bevel = translate(frustum(head_width + 0.35, head_width - 0.07, 0.21), (0, 0, head_height - 0.21))
    pitch, depth = thread_share * shank_length / 5, 0.06
    profile = [(0.0, -shank_length)]
    for ridge in range(5):
        low = ridge * pitch - shank_length
        profile += [(shank_radius - depth, low), (shank_radius, low + 0.5 * pitch)]
    profile += [(shank_radius - depth, thread_share * shank_length - shank_length)]
    profile += [(shank_radius, thread_share * shank_length - shank_length + 0.5 * pitch), (shank_radius, 0.05)]
    profile += [(0.0, 0.05)]
    return fit_to_sphere(
        union(intersection(head, bevel), revolved(profile)),
        circle(head_width, 0),
        circle(head_width, head_height),
        circle(shank_radius, -shank_length),
    )


def bracket(*, width: float, height: float, reach: float, thickness: float, hole: float, gusset: float) -> SDF:
    """An L of two plates with two screw holes in each and a triangular gusset between them."""
    half = width / 2
    outline = [(0, 0), (reach, 0), (reach, thickness), (thickness, thickness), (thickness, height), (0, height)]
    rib = [
        (0.02, 0.02),
        (thickness + gusset, 0.02),
        (thickness + gusset, thickness),
        (thickness, thickness + gusset),
        (0.02, thickness + gusset),
    ]
    # The outlines are drawn in the xz plane: y of the polygon becomes z.
    plates = rotate(union(extruded(outline, half), extruded(rib, 0.06)), (1, 0, 0), math.pi / 2)
    side = 0.58 * half
    upright = rod((-1, side, height - 1.8 * hole), (1, side, height - 1.8 * hole), hole)
    flat = rod((reach - 1.8 * hole, side, -1), (reach - 1.8 * hole, side, 1), hole)
    return fit_to_sphere(
        difference(plates, mirror(upright, 1), mirror(flat, 1)),
        corners((0, -half, 0), (reach, half, thickness)),
        corners((0, -half, 0), (thickness, half, height)),
    )


def gear(*, root: float, tooth_width: float, thickness: float, bore: float, hub: float, hole: float) -> SDF:
    """A spur gear of twelve teeth and unit radius that lies flat, with a hub, a bore and six round holes."""
    step = math.tau / 12
    at_root, at_tip = 0.5 * step * (0.35 + tooth_width), 0.5 * step * tooth_width * 0.75
    turns = (np.arange(12) * step)[:, None] + np.array([-at_root, -at_tip, at_tip, at_root])
    radii = np.broadcast_to([root, 1.0, 1.0, root], turns.shape)
    outline = np.stack([radii * np.cos(turns), radii * np.sin(turns)], -1).reshape(-1, 2)
    half = thickness / 2
    boss = cylinder(bore + 0.14, half + hub)
    middle = (bore + 0.14 + root) / 2
    hole_at = translate(cylinder(hole, 2), (middle, 0, 0))
    wheel = difference(extruded(outline, half), radial_repeat(hole_at, 6))
    return fit_to_sphere(
        difference(union(wheel, boss), cylinder(bore, 2)),
        circle(1.0, -half),
        circle(1.0, half),
        circle(bore + 0.14, -half - hub),
        circle(bore + 0.14, half + hub),
    )


def hammer(
    *,
    handle_length: float,
    handle_radius: float,
    head_radius: float,
    head_length: float,
    claw_length: float,
    claw_drop: float,
) -> SDF:
    """A claw hammer on its handle: the striking face along +x, a drooping split claw along -x."""
    handle = capsule((0, 0, handle_radius), (0, 0, handle_length), handle_radius)
    grip = capsule((0, 0, handle_radius + 0.03), (0, 0, 0.4 * handle_length), handle_radius + 0.03)
    r = head_radius
    neck = rod((-1.2 * r, 0, handle_length), (head_length, 0, handle_length), 0.75 * r)
    face = rod((0.55 * head_length, 0, handle_length), (head_length, 0, handle_length), r)
    tip = -r - claw_length
    wedge = [(0, -0.55 * r), (0, 0.7 * r), (-r, 0.6 * r), (tip, 0.045 - claw_drop), (tip, -0.045 - claw_drop)]
    slot = [(tip - 0.1, -0.5 * r), (-r - 0.2 * claw_length, 0), (tip - 0.1, 0.5 * r)]
    plate = rotate(extruded(wedge, 0.95 * r), (1, 0, 0), math.pi / 2)
    claw = translate(difference(plate, extruded(slot, 2)), (0, 0, handle_length))
    eye = translate(box((1.05 * r, 0.9 * r, r), 0.04), (0, 0, handle_length))
    return fit_to_sphere(
        union(smooth_union(handle, grip, 0.1), neck, face, claw, eye),
        circle(handle_radius + 0.03, 0),
        corners((tip, -r, handle_length - claw_drop - 0.045), (head_length, r, handle_length + r)),
    )


def ring(*, band_thickness: float, band_width: float, gem_radius: float, gem_height: float, table_share: float) -> SDF:
    """A finger ring that stands upright, its axis along y, with a faceted gem on top."""
    inner, half, edge = 0.62, band_width / 2, 0.03
    outer = inner + band_thickness
    rim = [
        (inner + edge, edge - half),
        (outer - edge, edge - half),
        (outer - edge, half - edge),
        (inner + edge, half - edge),
    ]
    band = rotate(offset(revolved(rim), edge), (1, 0, 0), math.pi / 2)
    girdle = outer + 0.55 * gem_height
    cut = revolved(
        [
            (0, outer - 0.05),
            (gem_radius, girdle),
            (table_share * gem_radius, outer + gem_height),
            (0, outer + gem_height),
        ]
    )
    angles = (np.arange(8) + 0.5) * (math.tau / 8)
    facets = extruded(gem_radius * np.stack([np.cos(angles), np.sin(angles)], -1), 2)
    seat = translate(cylinder(0.45 * gem_radius, 0.08), (0, 0, outer))
    return fit_to_sphere(
        union(band, intersection(cut, facets), seat),
        circle(outer, half)[:, [0, 2, 1]],
        circle(outer, -half)[:, [0, 2, 1]],
        circle(gem_radius, girdle),
        circle(table_share * gem_radius, outer + gem_height),
    )
