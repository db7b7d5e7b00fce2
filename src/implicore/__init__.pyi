from .accelerator_config import ACCELERATORS as ACCELERATORS
from .accelerator_config import AcceleratorConfig as AcceleratorConfig
from .config_file import read_config as read_config
from .cycles import Accesses as Accesses
from .cycles import Prediction as Prediction
from .cycles import predict as predict
from .errors import BadInput as BadInput
from .formats import Formats as Formats
from .grid import Frame as Frame
from .grid import Grid as Grid
from .host import Host as Host
from .host import MemoryMapped as MemoryMapped
from .host import Transport as Transport
from .job import GridJob as GridJob
from .link import Link as Link
from .link import LinkError as LinkError
from .network_shape import NETWORKS as NETWORKS
from .network_shape import LayerShape as LayerShape
from .network_shape import NetworkShape as NetworkShape
from .program import Intensity as Intensity
from .program import Layer as Layer
from .program import Program as Program
from .registers import REGISTERS as REGISTERS
from .registers import Error as Error
from .registers import Register as Register
from .stream import program_stream as program_stream

__version__: str
