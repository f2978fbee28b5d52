"""Residuals of few bytes: integer coefficients on nested lattices, chosen by rate and distortion, and a range coder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
