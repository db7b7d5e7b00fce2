from .fast import FastSimulator as FastSimulator
from .memory_map import MemoryMap as MemoryMap
from .serial import SerialBoard as SerialBoard
from .simulation import simulate as simulate
