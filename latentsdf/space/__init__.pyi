from .index import Index as Index
from .index import Match as Match
from .shape import Shape as Shape
from .space import LatentSpace as LatentSpace
from .store import load as load
from .store import save as save
