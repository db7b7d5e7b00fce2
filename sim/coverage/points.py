"""The functional points: situations that the sessions must bring about, as Verilog conditions.

Each is a condition of the signals of one module, which must be true in some cycle, on at least one
of the accelerators that have the point. ``docs/coverage.md`` counts them by group.
"""

from __future__ import annotations

from typing import NamedTuple

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import release_delay, requantizer_latency
from implicore.hw.core import banks
from implicore.hw.memory import address_bits
from implicore.registers import Error, Response
from implicore.stream import HEADER

LOADER_STATES = (
    *("IDLE", "HEADER", "COEFFICIENTS", "STATUS", "DISCARD"),
    *("CONSTANTS", "WEIGHTS", "CHECKSUM", "PADDING", "COMPARE"),
)
"""The states of the program loader, in the order of their numbers in ``fsm_state``."""

Conditions = dict[str, dict[str, str]]
"""Conditions by module, without the prefix ``implicore_``, and by what happens."""

TOP = ""
"""The top, module ``implicore``."""


class Point(NamedTuple):
    """A functional point.

    Attributes
    ----------
    group : str
        The row of the table that counts it.
    name : str
        What happens.
    module : str
        The module whose signals ``condition`` reads.
    condition : str
        True in a cycle in which it happens.
    """

    group: str
    name: str
    module: str
    condition: str


def points(config: AcceleratorConfig) -> list[Point]:
    """Return the functional points that an accelerator has."""
    groups = (
        *(stalls, errors, programs, memories, tiles, grids, arithmetic, voxels),
        *(interruptions, registers),
    )
    return [
        Point(group.__name__, name, module, condition)
        for group in groups
        for module, conditions in group(config).items()
        for name, condition in conditions.items()
    ]


def stalls(config: AcceleratorConfig) -> Conditions:
    """Return every reason to wait."""
    waits = {
        "features": "in_features && !full",
        "a neuron of the previous layer": "!in_features && first_tile && position >= written_count",
        "drain control": "last_input && !drain_free",
        "room for voxels": "last_input && before_voxels && !output_free",
    }
    steps = {}
    for name, wait in waits.items():
        others = " || ".join(f"({other})" for other in waits.values() if other != wait)
        steps[f"a step waits only for {name}"] = f"running && ({wait}) && !({others})"
    both = " && ".join(waits[name] for name in ("drain control", "room for voxels"))
    steps["a step waits for drain control and room for voxels"] = f"running && {both}"
    offered = "m_axis_voxels_tvalid && !m_axis_voxels_tready"
    word = "s_axis_program_tvalid && !s_axis_program_tready"
    result = {
        "sequencer": steps,
        "fourier_mapper": {
            "a point waits while B is read": "points__valid && !points__ready && running",
            "a point waits for a released half": "points__valid && !points__ready && !running",
        },
        "coordinate_generator": {
            "the grid waits for the mapper": "points__valid && !points__ready"
        },
        TOP: {
            "the mapper waits for points": "running && first_point_accepted && accept_points"
            " && core_points__ready && !core_points__valid",
            "a voxel waits for the host": f"{offered} && !m_axis_voxels_tlast",
            "the last voxel waits for the host": f"{offered} && m_axis_voxels_tlast",
            "a program word waits for the loader": f"{word} && loader_loading",
            "a program word waits for the end of the job": f"{word} && running",
            "a point waits for the start of a job": "s_axis_points_tvalid"
            " && !s_axis_points_tready && !running",
        },
    }
    if config.outputs > 1:
        result["voxel_reader"] = {
            "the voxel reader waits for room": "reading && !has_room",
            "both halves of the voxel banks are claimed": "claimed == 3",
            "a tile is complete while another one is read": "reading && complete",
        }
    return result


def errors(config: AcceleratorConfig) -> Conditions:
    """Return every error, its causes, and the last value of each size that is no error."""
    start = "command[1:0] != 0 && !command[2]"
    idle = "!(running || waiting || loader_loading)"
    ends = {
        f"a program ends with {error.name}": f"loader_done && loader_error == {error.value}"
        for error in Error
        if error not in (Error.NO_PROGRAM, Error.BUSY)
    }
    loader = {
        f"cut short in {state}": f"fsm_state == {LOADER_STATES.index(state)} && halves[1] && last"
        for state in ("HEADER", "COEFFICIENTS", "CONSTANTS", "WEIGHTS", "PADDING")
    }
    header = "fsm_state == 1 && halves != 0 && number =="
    version = HEADER.index("version")
    loader["a second error is not reported"] = f"{header} {version} && error != 0 && item != 1"
    wide = "{item, earlier_items[47:32]}"
    for name, limit, item, value in (
        ("frequencies", config.frequencies, "frequencies", "item"),
        ("neurons in a layer", config.width, "width", "item"),
        ("layers", config.depth, "depth", "item"),
        ("weights", config.weight_depth, "weights_high", wide),
        ("neurons", config.constant_depth, "neurons_high", wide),
    ):
        for text, count in (("no", 0), ("the most", limit), ("too many", limit + 1)):
            loader[f"{text} {name}"] = f"{header} {HEADER.index(item)} && {value} == {count}"
    return {
        "program_loader": loader,
        TOP: {
            **ends,
            "NO_PROGRAM": f"{start} && !loaded && {idle}",
            "BUSY during a job": f"{start} && running",
            "BUSY before a job": f"{start} && waiting",
            "BUSY while a program is loading": f"{start} && loader_loading",
        },
    }


def programs(config: AcceleratorConfig) -> Conditions:
    """Return the kinds of programs of which a job is started."""
    last_layer, skips = "\\core_shape.last_layer ", "\\core_shape.skips "
    last_frequency, last_neuron = "\\core_shape.last_frequency ", "\\core_shape.last_neuron "
    kinds = {
        "depth 1": f"{last_layer} == 0",
        "depth 2": f"{last_layer} == 1",
        "the largest depth": f"{last_layer} == {config.depth - 1}",
        "1 frequency": f"{last_frequency} == 0",
        "the most frequencies": f"{last_frequency} == {config.frequencies - 1}",
        "width 1": f"{last_neuron} == 0",
        "the largest width": f"{last_neuron} == {config.width - 1}",
        "fewer neurons than columns": f"{last_neuron} + 1 < {config.columns}",
        "as many neurons as columns": f"{last_neuron} + 1 == {config.columns}",
        "one neuron more than columns": f"{last_neuron} == {config.columns}",
        "no skip connection": f"{last_layer} != 0 && {skips} == 0",
        "a skip connection to a hidden layer": f"{skips} != 0 && !({skips} >> {last_layer})",
        "a skip connection to the output layer": f"({skips} >> {last_layer}) == 1",
        "skip connections to all layers": f"{last_layer} > 1"
        f" && {skips} == (1 << ({last_layer} + 1)) - 2",
        "a job of a grid": "from_grid",
        "a job of points": "!from_grid",
        "a second job of a program": "cycles != 0",
    }
    if config.outputs > 1:
        last_output, per_beat = "\\core_shape.last_output ", config.voxels_per_beat
        kinds |= {
            "one output on hardware for several": f"{last_output} == 0",
            "the most outputs": f"{last_output} == {config.outputs - 1}",
            "as many outputs as columns": f"{last_output} == {config.columns - 1}",
            "more outputs than columns": f"{last_output} >= {config.columns}",
            "depth 1 with several outputs": f"{last_output} != 0 && {last_layer} == 0",
        }
        if per_beat > 1:
            rest = f"({last_output} + 1) % {per_beat}"
            kinds[f"outputs that fill beats of {per_beat}"] = f"{rest} == 0"
            kinds[f"outputs that do not fill beats of {per_beat}"] = f"{rest} != 0"
    return {TOP: {name: f"core_start && {condition}" for name, condition in kinds.items()}}


def memories(config: AcceleratorConfig) -> Conditions:
    """Return accesses to the first and last word of every bank, or of the halves of a bank."""
    words = {"features": 2 * config.frequencies, "hidden": config.width}
    words["voxels"] = -(-config.outputs // config.voxels_per_beat)
    result: Conditions = {}
    for bank, _ in banks(config):
        edges = {"first word": 0, "last word": bank.depth - 1}
        if bank.role in words:
            half, last = 1 << address_bits(words[bank.role]), words[bank.role] - 1
            edges = {"first word of half 0": 0, "last word of half 0": last}
            edges |= {"first word of half 1": half, "last word of half 1": half + last}
        result[f"ram_{bank.role}"] = {
            f"{access} of the {name} of {bank.role}": f"{access}_enable"
            f" && {access}_address == {address}"
            for access in ("write", "read")
            for name, address in edges.items()
        }
    return result


def tiles(config: AcceleratorConfig) -> Conditions:
    """Return the sizes of voxel tiles and lane batches."""
    full, last = config.rows - 1, "points__payload[48]"
    sizes = {
        "a full tile": f"row == {full} && !{last}",
        "a full last tile": f"row == {full} && {last}",
        "a last tile of one point": f"row == 0 && {last}",
    }
    if config.rows > 2:
        sizes["a last tile of some points"] = f"row != 0 && row != {full} && {last}"
    loaded = "points__valid && points__ready"
    mapper = {
        f"{name} in half {half}": f"{loaded} && {condition} && fill_select == {half}"
        for name, condition in sizes.items()
        for half in (0, 1)
    }
    mapper |= {"both halves are occupied": "occupied == 3", "both are full": "full_halves == 3"}
    if not release_delay(config.formats, config.lanes):
        mapper["a half is released as the other one is filled"] = "release_half && tile_ends"
    if 1 < config.lanes < config.rows:
        mapper["a full lane batch"] = f"{loaded} && lane[{config.lanes - 1}]"
        mapper["a lane batch of one point"] = f"{loaded} && lane[0] && (row == {full} || {last})"
    one = "core_points__valid && core_points__ready && core_points__payload[48]"
    return {
        "fourier_mapper": mapper,
        TOP: {"a job of one point": f"{one} && !first_point_accepted"},
    }


def grids(config: AcceleratorConfig) -> Conditions:
    """Return the shapes of grids, and the turns at the ends of lines and planes."""
    x, y, z = (f"\\grid.size_minus_one[{axis}] " for axis in range(3))
    shapes = {
        "one voxel": f"{x} == 0 && {y} == 0 && {z} == 0",
        "one line": f"{x} != 0 && {y} == 0 && {z} == 0",
        "lines of one voxel": f"{x} == 0 && {y} != 0",
        "planes of one line": f"{x} != 0 && {y} == 0 && {z} != 0",
        "three axes": f"{x} != 0 && {y} != 0 && {z} != 0",
    }
    turns = {
        "the next voxel": "addend_select[1]",
        "the next line": "addend_select[2]",
        "the next plane": "addend_select[3]",
        "the last voxel": "points__valid && points__ready && points__payload[48]",
        "a carry into the second part": "carry_12 != 0",
        "a carry into the third part": "carry_24 != 0",
    }
    started = {name: f"start && {condition}" for name, condition in shapes.items()}
    return {"coordinate_generator": started | turns}


def arithmetic(config: AcceleratorConfig) -> Conditions:
    """Return shifts, limits of results, corners of the sine table, and carries of counters."""
    formats = config.formats
    requantizer = {
        f"{name} shift of {value}": f"enables != 0 && {name} == {value}"
        for name in ("coarse", "fine")
        for value in range(8)
    }
    ends = f"enables[{requantizer_latency(formats) - 1}]"
    requantizer["a result below 0"] = f"{ends} && $signed(shifted_1) < 0"
    for name, bits, flag in (
        ("activation", formats.activation_bits, "!voxel"),
        ("voxel", formats.output_bits, "voxel"),
    ):
        result = f"{ends} && {flag} && $signed(shifted_1) >= 0 && saturated[{bits - 1}:0]"
        requantizer[f"{name} of the largest value"] = f"{result} == {(1 << bits) - 1}"
        requantizer[f"{name} of 0"] = f"{result} == 0"
    quarter = formats.table_address_bits - 2
    table = {
        f"{name} of the {text} phase of quadrant {quadrant}": f"{flag}"
        f" && phase == {quadrant << quarter | rest}"
        for quadrant in range(4)
        for text, rest in (("first", 0), ("last", (1 << quarter) - 1))
        for name, flag in (("cosine", "cosine"), ("sine", "!cosine"))
    }
    extremes = {"largest": "16'h7fff", "smallest": "16'h8000"}
    lane = {
        f"the {name} {what}": f"{condition} == {value}"
        for name, value in extremes.items()
        for what, condition in (
            ("coefficient", "advance && coefficient"),
            ("coordinate", "load && point[15:0]"),
        )
    }
    top, weight = (1 << formats.activation_bits) - 1, 1 << formats.weight_bits - 1
    element = {
        "the largest product": f"weight_in == {weight - 1} && activation_in == {top}",
        "the smallest product": f"weight_in == {weight} && activation_in == {top}",
    }
    if config.gate_zeros:
        element["a product with 0 is gated"] = "weight_in != 0 && activation_in == 0"
    counters = ("cycles", "active_cycles", "input_stall", "output_stall", "useful_macs")
    return {
        "requantizer": requantizer,
        "sin_cos_table": table,
        "fourier_lane": lane,
        "processing_element": element,
        TOP: {f"{name} reaches its second part": f"{name}[17:16] != 0" for name in counters},
    }


def voxels(config: AcceleratorConfig) -> Conditions:
    """Return the sizes of the last beat, and what meets in the voxel packer."""
    per_beat, moves = config.voxels_per_beat, "m_axis_voxels_tvalid && m_axis_voxels_tready"
    top = {"a voxel is taken at once": f"{moves} && running && output_stall == 0"}
    if per_beat == 1:
        return {TOP: top}
    for count in range(1, per_beat + 1):
        keep = f"m_axis_voxels_tkeep == {(1 << 2 * count) - 1}"
        name = f"a last beat of {count} of {per_beat} voxels"
        top[name] = f"{moves} && m_axis_voxels_tlast && {keep}"
    packer = {
        f"a word meets {level} of {per_beat} voxels": f"words__valid && words__ready"
        f" && level == {level}"
        for level in range(per_beat)
    }
    if config.outputs > 1 and per_beat > 2:  # with two, no word can be one voxel too long
        packer[f"the rest follows a full beat of {per_beat}"] = "flush && beat_free"
        packer[f"the rest waits behind a full beat of {per_beat}"] = "flush && !beat_free"
    return {TOP: top, "voxel_packer": packer}


def interruptions(config: AcceleratorConfig) -> Conditions:
    """Return an abort and a reset in each state, and what follows an abort."""
    states = {f"in {name}": f"loader.fsm_state == {n}" for n, name in enumerate(LOADER_STATES)}
    states |= {
        "without a job": "loaded && !running && !waiting",
        "at the start of a job": "waiting && drained",
        "before the start of a job": "waiting && !drained",
        "while the core drains": "!drained && drain_cycles_left != 0",
        "before the first point": "running && !first_point_accepted && accept_points",
        "in a grid": "running && from_grid && accept_points",
        "with a point": "running && core_points__valid && core_points__ready",
        "after the last point": "running && !accept_points",
        "while B is read": "running && core.mapper.running",
        "in a step with a feature": "running && core.sequencer.issue && core.sequencer.in_features",
        "in a step without one": "running && core.sequencer.issue && !core.sequencer.in_features",
        "in a stall": "running && core.sequencer.stall",
        "while accumulators drain": "running && core.sequencer.draining",
        "before a bypass sum": "running && core.sequencer.bypass_wait != 0",
        "with a voxel that waits": "running && m_axis_voxels_tvalid && !m_axis_voxels_tready",
        "with a held voxel": "held",
    }
    if config.outputs > 1:
        states["while voxels are read"] = "running && core.voxel_reader.reading"
        states["with two tiles of voxels"] = "running && core.voxel_reader.claimed == 3"
    if config.outputs > 1 and config.voxels_per_beat > 2:
        states["before the rest of the voxels"] = "running && core.voxel_packer.flush"
    conditions = {
        f"{event} {name}": f"{signal} && {condition}"
        for event, signal in (("abort", "abort"), ("reset", "rst"))
        for name, condition in states.items()
    }
    delivered = "m_axis_voxels_tvalid && m_axis_voxels_tready"
    conditions |= {
        "abort and start in one write": "command[2] && command[1:0] != 0",
        "abort with a voxel that is taken": f"abort && {delivered} && !m_axis_voxels_tlast",
        "abort with the last voxel": f"abort && {delivered} && m_axis_voxels_tlast",
        "a held voxel is taken": f"held && {delivered} && !m_axis_voxels_tlast",
        "the last voxel was held and is taken": f"held && {delivered} && m_axis_voxels_tlast",
        "a job waits for a held voxel": "held && waiting",
        "points of an aborted job are dropped": "s_axis_points_tvalid && s_axis_points_tready"
        " && !running",
    }
    return {TOP: conditions}


def registers(config: AcceleratorConfig) -> Conditions:
    """Return the cases of the register port and of the interrupts."""
    read, write = "ar_full && !rvalid", "aw_full && w_full && !bvalid"
    conditions = {
        "a read and a write at once": f"{read} && {write}",
        "an address waits for its data": "aw_full && !w_full",
        "data wait for their address": "w_full && !aw_full",
        "a write waits for the last response": "aw_full && w_full && bvalid",
        "a read waits for the last response": "ar_full && rvalid",
        "the response to a write waits": "bvalid && !bready",
        "the response to a read waits": "rvalid && !rready",
        "a write of some bytes": f"{write} && w_request[35:32] != 15",
        "a cause is cleared": "write_interrupt_0_0 && (pending & w_request[2:0]) != 0",
        "an event meets its clearing": "write_interrupt_0_0 && (events & w_request[2:0]) != 0",
    }
    for response in Response:
        conditions[f"{response.name} to a write"] = f"bvalid && bready && bresp == {response.value}"
        conditions[f"{response.name} to a read"] = f"rvalid && rready && rresp == {response.value}"
    for bit, event in enumerate(("done", "loaded", "error")):
        conditions[f"{event} raises the interrupt"] = f"pending[{bit}] && rw[{bit}]"
        conditions[f"{event} does not raise it"] = f"pending[{bit}] && !rw[{bit}]"
    return {"control_registers": conditions}
