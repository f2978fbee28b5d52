"""Terms of an objective for signed distance functions, presets of published methods, and the weighted sum of terms."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
