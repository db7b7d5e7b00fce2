from .synthesis import synthesize as synthesize
from .target import Target as Target
from .target import find as find
