"""Signed distance functions, frames and poses, and the loops, workers and files that everything runs on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
