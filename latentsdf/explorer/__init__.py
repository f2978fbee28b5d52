"""The explorer: a latent space as a web page, served on this machine or exported as static files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
