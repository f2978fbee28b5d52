"""`latentsdf demo`: everything that the library does, once, on a collection that comes with it."""

from __future__ import annotations

from argparse import Namespace

from .arguments import Result

FAMILY_SHAPES, FAMILY_MINUTES = 12, 5.0
"""Training shapes of each family, and the time budget of training them and of the rest, where none is given."""


def demo(options: Namespace) -> Result:
    """Run `latentsdf demo` on real shapes with the space that comes with the library, or on the generated families.

    Raises:
        ValueError, OSError: of any of its parts.
        KeyboardInterrupt: Ctrl-C; what was encoded or trained so far stays in the folder.
    """
    if options.collection == "families":
        from .demo_families import demo_families

        options.shapes = options.shapes or FAMILY_SHAPES
        options.minutes = options.minutes or FAMILY_MINUTES
        return demo_families(options)
    from .demo_real import demo_real

    return demo_real(options)
