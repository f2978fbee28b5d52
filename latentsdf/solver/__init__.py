"""A sparse B-spline solver for signed distance functions: an SSD-energy solver after NeuralSSD."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
