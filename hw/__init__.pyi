from .accelerator import Accelerator as Accelerator
from .core import Core as Core
from .verilog import generate as generate
