"""Builders of furniture families, upright along z; their parameters and ranges stand in `families`."""

from __future__ import annotations

import math

from ..core.field import SDF
from .combine import mirror, radial_repeat, rotate, smooth_union, translate, union
from .solids import box, capsule, cylinder, revolved, rod, torus
from .unit_sphere import circle, corners, fit_to_sphere


def chair(
    *,
    width: float,
    depth: float,
    leg_height: float,
    back_height: float,
    leg_width: float,
    back_fill: float,
    tilt: float,
) -> SDF:
    """Four legs, a seat, and a tilted back of two posts and a panel that fills a share of it from the top."""
    half_x, half_y, seat = depth / 2, width / 2, 0.06
    seat_board = translate(box((half_x, half_y, seat), 0.03), (0, 0, leg_height + seat))
    leg = translate(
        box((leg_width, leg_width, leg_height / 2 + seat), 0.02),
        (half_x - leg_width, half_y - leg_width, leg_height / 2 + seat),
    )
    post_y, half_back = half_y - leg_width, back_height / 2
    post = translate(box((leg_width, leg_width, half_back + 0.05), 0.02), (0, post_y, half_back - 0.05))
    half_panel = back_fill * half_back
    panel = translate(box((0.04, post_y, half_panel), 0.02), (0, 0, back_height - half_panel - 0.02))
    back = rotate(union(mirror(post, 1), panel), (0, 1, 0), -tilt)
    foot = leg_height + 2 * seat
    behind = leg_width - half_x
    top = foot + back_height * math.cos(tilt) + leg_width * math.sin(tilt)
    lean = behind - (back_height * math.sin(tilt) + leg_width * math.cos(tilt))
    return fit_to_sphere(
        union(seat_board, mirror(mirror(leg, 0), 1), translate(back, (behind, 0, foot))),
        corners((-half_x, -half_y, 0), (half_x, half_y, foot)),
        corners((lean, -half_y, foot), (behind, half_y, top)),
    )


def lamp(
    *,
    base_radius: float,
    stem_height: float,
    stem_radius: float,
    shade_bottom: float,
    shade_top: float,
    shade_height: float,
) -> SDF:
    """A table lamp: a disk with a filleted stem, and an open conical shade hung from the top of the stem."""
    foot = translate(cylinder(base_radius, 0.05), (0, 0, 0.05))
    stem = rod((0, 0, 0.02), (0, 0, stem_height), stem_radius)
    low, high, wall = stem_height - shade_height, stem_height, 0.07
    shade = revolved(
        [
            (0, high),
            (shade_top, high),
            (shade_bottom, low),
            (shade_bottom - wall, low),
            (shade_top - wall, high - wall),
            (0, high - wall),
        ]
    )
    return fit_to_sphere(
        union(smooth_union(foot, stem, 0.2), shade),
        circle(base_radius, 0),
        circle(base_radius, 0.1),
        circle(shade_bottom, low),
        circle(shade_top, high),
    )


def shelf(*, width: float, height: float, depth: float, board: float, lower: float, upper: float) -> SDF:
    """A bookcase: two sides, a back, top, bottom, and two inner boards at shares of the height."""
    half_x, half_y, half = depth / 2, width / 2, board / 2
    levels = (half, lower * height, upper * height, height - half)
    boards = [translate(box((half_x, half_y, half)), (0, 0, level)) for level in levels]
    side = translate(box((half_x, half, height / 2)), (0, half_y - half, height / 2))
    back = translate(box((half, half_y, height / 2)), (half - half_x, 0, height / 2))
    return fit_to_sphere(
        union(*boards, mirror(side, 1), back), corners((-half_x, -half_y, 0), (half_x, half_y, height))
    )


def stool(
    *, seat_radius: float, seat_thickness: float, height: float, leg_radius: float, splay: float, ring_height: float
) -> SDF:
    """A round seat on three splayed legs that a foot ring joins at a share of the height."""
    top, bottom = seat_radius - leg_radius - 0.05, seat_radius + splay
    seat = translate(cylinder(seat_radius, seat_thickness / 2), (0, 0, height + seat_thickness / 2))
    leg = capsule((bottom, 0, leg_radius), (top, 0, height), leg_radius)
    ring = torus(bottom + (top - bottom) * ring_height, max(leg_radius * 0.8, 0.04))
    return fit_to_sphere(
        union(seat, radial_repeat(leg, 3), translate(ring, (0, 0, ring_height * height))),
        circle(bottom + leg_radius, 0),
        circle(seat_radius, height + seat_thickness),
    )


def table(
    *, length: float, width: float, height: float, top: float, leg_width: float, inset: float, apron: float
) -> SDF:
    """A rectangular board on four square legs joined by an apron under the board."""
    half_x, half_y = length / 2, width / 2
    board = translate(box((half_x, half_y, top / 2), 0.02), (0, 0, height + top / 2))
    leg_x, leg_y = half_x - inset - leg_width, half_y - inset - leg_width
    leg = translate(box((leg_width, leg_width, height / 2 + 0.02), 0.015), (leg_x, leg_y, height / 2 + 0.02))
    level = height - apron / 2
    long = translate(box((leg_x, 0.035, apron / 2 + 0.01)), (0, leg_y, level))
    short = translate(box((0.035, leg_y, apron / 2 + 0.01)), (leg_x, 0, level))
    frame = mirror(mirror(union(leg, long, short), 0), 1)
    return fit_to_sphere(union(board, frame), corners((-half_x, -half_y, 0), (half_x, half_y, height + top)))
