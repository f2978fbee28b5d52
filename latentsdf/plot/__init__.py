"""Pictures of spaces for pages and papers: rendered shapes, slices of fields, and charts, as PNG or SVG."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
