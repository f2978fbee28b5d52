"""Latent spaces: a decoder and its named shapes, stored in one file, searched and shown."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
