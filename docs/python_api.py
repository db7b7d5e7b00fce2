"""The whole way in Python: an image, a network, integers, Verilog, and voxels from that Verilog.

    python docs/python_api.py [FOLDER]

Needs implicore[train,sim]. Takes about half a minute, most of it to build the simulator.
"""

import sys
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.formats import Formats
from implicore.host import Host
from implicore.hw.verilog import generate
from implicore.model.bundled import bundled_mri
from implicore.model.compiler import compile_model
from implicore.model.golden import Renderer
from implicore.model.train import fit
from implicore.model.volume import crop, load_volume
from implicore.network_shape import NetworkShape
from implicore.sim.memory_map import MemoryMap

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/python_api")
folder.mkdir(parents=True, exist_ok=True)

# A small network, trained for some seconds on 32 x 32 x 32 voxels of the bundled MRI.
volume = crop(load_volume(bundled_mri()), "30:62,40:72,30:62")
shape = NetworkShape(frequencies=16, width=32, depth=4)
model = fit([volume], shape, steps=600, sigma=0.7, quiet=True)

# Integers: 8 bits a weight, 12 an activation. The golden model decodes them.
formats = Formats.parse("w8a12")
compiled = compile_model(model, formats, [volume])
program = compiled.program
program.save(folder / "crop.inr")
plane = program.grid.scaled(0.5).middle_plane()
golden = Renderer(program).render(plane)
print(f"{compiled.psnr_float_db:.2f} dB as trained, {compiled.psnr_db:.2f} dB as integers")

# The smallest 4 x 4 accelerator that holds this network, and its Verilog.
config = AcceleratorConfig.sized(rows=4, columns=4, formats=formats, networks=[shape])
generate(config, folder / "verilog")

# The same Verilog, simulated as a processor would see it: on a board only the next line differs.
# (`optimize=False` builds the simulator quickly; a whole slice wants it the other way.)
with MemoryMap(config, optimize=False) as machine:
    host = Host(machine.transport(), config)
    host.load(program)
    decoded = host.render(plane)
    cycles = host.counters()["cycles"]

due = predict(shape, config, plane.voxels).cycles
print(f"{(decoded != golden).sum()} of {golden.size} voxels differ")
print(f"{cycles} cycles, {due} predicted, {program.intensity.dtype} intensities:")
print(program.intensity.values(decoded, formats.output_max)[::4, ::4, 0].round())
