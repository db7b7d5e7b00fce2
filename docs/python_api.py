"""The whole flow in Python: an image, a network, integers, Verilog, and voxels from that Verilog.

    python docs/python_api.py [FOLDER]

Needs implicore[train,sim]. Takes about half a minute, mostly to build the simulator.
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

# Train a small network for a few seconds on 32 x 32 x 32 voxels of the bundled MRI.
volume = crop(load_volume(bundled_mri()), "30:62,40:72,30:62")
shape = NetworkShape(frequencies=16, width=32, depth=4)
model = fit([volume], shape, steps=600, sigma=0.7, quiet=True)

# Compile it to 8-bit weights and 12-bit activations, and decode a plane with the golden model.
formats = Formats.parse("w8a12")
compiled = compile_model(model, formats, [volume])
program = compiled.program
program.save(folder / "crop.inr")
plane = program.grid.scaled(0.5).middle_plane()
golden = Renderer(program).render(plane)
print(f"{compiled.psnr_float_db:.2f} dB as trained, {compiled.psnr_db:.2f} dB as integers")

# Generate the Verilog of the smallest 4 x 4 accelerator that holds this network.
config = AcceleratorConfig.sized(rows=4, columns=4, formats=formats, networks=[shape])
generate(config, folder / "verilog")

# Simulate this Verilog behind a memory map, as a processor sees it. On a board, only the next line
# differs. `optimize=False` builds the simulator quickly; leave it out to decode whole slices.
with MemoryMap(config, optimize=False) as accelerator:
    host = Host(accelerator.transport(), config)
    host.load(program)
    decoded = host.render(plane)
    cycles = host.counters()["cycles"]

predicted = predict(shape, config, plane.voxels).cycles
print(f"{(decoded != golden).sum()} of {golden.size} voxels differ")
print(f"{cycles} cycles, {predicted} predicted, {program.intensity.dtype} intensities:")
print(program.intensity.values(decoded, formats.output_max)[::4, ::4, 0].round())
