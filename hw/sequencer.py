"""Sequencer: issue control issues steps, drain control issues drain tokens."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import output_mac_latency

from .memory import address_bits
from .row import step_layout


def shape_layout(config: AcceleratorConfig):
    """Return the layout of a network's shape; every count is stored minus one.

    Hardware for a single output has no field for their number.
    """
    last_output = {"last_output": address_bits(config.outputs)} if config.outputs > 1 else {}
    return data.StructLayout(
        {
            "last_frequency": address_bits(config.frequencies),
            "last_neuron": address_bits(config.width),
            "last_layer": address_bits(config.depth),
            "skips": config.depth,
            **last_output,
        }
    )


class Sequencer(wiring.Component):
    """Run voxel tiles through the layers: issue one step per cycle unless a condition stalls it.

    - A step that reads a feature needs a full half of the feature banks.
    - A step that reads neuron n of the previous layer needs that neuron to be written.
    - The last step of a column tile needs drain control to be free.
    - The last step before the first voxels drain needs room for the voxels of the tile.

    ``docs/hardware.md`` gives the reasons, ``implicore.cycles`` the exact cycles.

    Latency: a step is issued in the cycle in which its last condition is met. Throughput: one step
    per cycle.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    shape : In(shape_layout(config))
        The network. It must be stable while ``running`` is high.
    start : In(1)
        Reset the sequencer before the first step of a job.
    running : In(1)
        Steps may be issued.
    full : In(1)
        The selected half of the feature banks can be read.
    select : In(1)
        The half of the feature banks to read.
    release_half : Out(1)
        The selected half can be written again.
    step : Out(step_layout)
        The step, for row 0.
    weight_enable : Out(1)
        A step was issued in this cycle.
    weight_address : Out
        The address of its weights, for column 0.
    drain : Out(1)
        A drain token is issued: an accumulator is drained and takes the next word of the constant
        memory.
    voxel : Out(1)
        The accumulator is a voxel.
    last_voxel : Out(1)
        It is the last voxel of its row in this voxel tile, and the last accumulator of the tile.
    output_mac : Out(1)
        The result feeds the output-layer MAC.
    output_mac_last : Out(1)
        The result is the last input of the output-layer MAC.
    written : In(1)
        Row 0 writes a result to its activation bank in the next cycle.
    write_address : Out
        The address of that write.
    output_free : In(1)
        There is room for the voxels of a tile.
    reserve : Out(1)
        This step needs that room: the voxels follow.
    finish : Out(1)
        The last step of a voxel tile is issued.
    columns_used : Out
        The columns that compute a neuron in this step.
    feeds_output_mac : Out(1)
        The neurons that this step completes feed the output-layer MAC.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "shape": In(shape_layout(config)),
                "start": In(1),
                "running": In(1),
                "full": In(1),
                "select": In(1),
                "release_half": Out(1),
                "step": Out(step_layout(2 * config.frequencies, config.width)),
                "weight_enable": Out(1),
                "weight_address": Out(address_bits(config.weight_depth)),
                "drain": Out(1),
                "voxel": Out(1),
                "last_voxel": Out(1),
                "output_mac": Out(1),
                "output_mac_last": Out(1),
                "written": In(1),
                "write_address": Out(address_bits(config.width) + 1),
                "output_free": In(1),
                "reserve": Out(1),
                "finish": Out(1),
                "columns_used": Out(self.column_bits),
                "feeds_output_mac": Out(1),
            }
        )

    @property
    def column_bits(self) -> int:
        """Width of ``columns_used``."""
        return self.config.columns.bit_length()

    def elaborate(self, platform):
        m = Module()
        config, shape = self.config, self.shape
        feature_bits = address_bits(2 * config.frequencies)
        hidden_bits = address_bits(config.width)
        layer_bits = address_bits(config.depth)
        last_output = shape.last_output if config.outputs > 1 else 0

        # State of issue control. `neurons_left` includes this column tile, and is stored minus one.
        layer = Signal(layer_bits)
        first_tile = Signal(init=1)
        neurons_left = Signal(max(hidden_bits, address_bits(config.outputs)))
        in_features = Signal(init=1)
        position = Signal(max(feature_bits, hidden_bits))
        weight_counter = Signal.like(self.weight_address)

        # The output layer runs on the array unless it is one neuron without features as inputs.
        on_array = Signal()
        last_array_layer = Signal(layer_bits)
        m.d.comb += [
            on_array.eq(
                (shape.last_layer == 0)
                | shape.skips.bit_select(shape.last_layer, 1)
                | (last_output != 0 if config.outputs > 1 else 0)
            ),
            last_array_layer.eq(shape.last_layer - ~on_array),
        ]

        # The current step.
        written_count = Signal(config.width.bit_length())
        drain_free = Signal()
        at_segment_end, last_input, more_tiles, final_layer, final_tile, before_voxels = (
            Signal(name=name)
            for name in (
                *("at_segment_end", "last_input", "more_tiles"),
                *("final_layer", "final_tile", "before_voxels"),
            )
        )
        stall = Signal()
        issue = Signal()
        last_feature = Cat(1, shape.last_frequency)
        m.d.comb += [
            at_segment_end.eq(position == Mux(in_features, last_feature, shape.last_neuron)),
            last_input.eq(at_segment_end & (~in_features | (layer == 0))),
            more_tiles.eq(neurons_left >= config.columns),
            final_layer.eq(layer == last_array_layer),
            final_tile.eq(~more_tiles & final_layer),
            # The bypass sum follows the last column tile; on the array, voxels follow the first.
            before_voxels.eq(
                final_layer & Mux(on_array, first_tile, ~more_tiles)
                if config.outputs > 1
                else final_tile
            ),
            stall.eq(
                Mux(in_features, ~self.full, first_tile & (position >= written_count))
                | (last_input & ~drain_free)
                | (last_input & before_voxels & ~self.output_free)
            ),
            issue.eq(self.running & ~stall),
            self.step.features.eq(issue & in_features),
            self.step.hidden.eq(issue & ~in_features),
            # High while idle, which clears the accumulators before the first job.
            self.step.last.eq(Mux(issue, last_input, ~self.running)),
            self.step.address.eq(
                Mux(
                    in_features,
                    position[:feature_bits] | (self.select << feature_bits),
                    # A layer writes to the half selected by the lowest bit of its number.
                    position[:hidden_bits] | (~layer[0] << hidden_bits),
                )
            ),
            self.reserve.eq(issue & last_input & before_voxels),
            self.weight_enable.eq(issue),
            self.weight_address.eq(weight_counter),
        ]

        # The next step.
        next_layer = Signal(layer_bits)
        m.d.comb += next_layer.eq(Mux(more_tiles, layer, layer + 1))
        with m.If(issue):
            m.d.sync += [position.eq(position + 1), weight_counter.eq(weight_counter + 1)]
            with m.If(at_segment_end):
                m.d.sync += [position.eq(0), in_features.eq(0)]
            with m.If(last_input):
                m.d.sync += [
                    first_tile.eq(~more_tiles),
                    layer.eq(next_layer),
                    neurons_left.eq(
                        Mux(
                            more_tiles,
                            neurons_left - config.columns,
                            Mux(next_layer == shape.last_layer, last_output, shape.last_neuron),
                        )
                    ),
                    in_features.eq((next_layer == 0) | shape.skips.bit_select(next_layer, 1)),
                ]
                with m.If(final_tile):
                    m.d.comb += [self.finish.eq(1), self.release_half.eq(1)]
        with m.If(self.start | self.finish):
            m.d.sync += [
                position.eq(0),
                layer.eq(0),
                first_tile.eq(1),
                in_features.eq(1),
                neurons_left.eq(Mux(shape.last_layer == 0, last_output, shape.last_neuron)),
                weight_counter.eq(0),
            ]

        # Drain control: one token per cycle, for each neuron of the column tile and then, after the
        # last hidden layer, for the bypass sum.
        tile_done = Signal()
        last_column = Signal(address_bits(config.columns))
        draining, to_voxel, to_output_mac, bypass_follows = (
            Signal(name=name)
            for name in ("draining", "to_voxel", "to_output_mac", "bypass_follows")
        )
        columns_left = Signal(address_bits(config.columns))
        bypass_wait = Signal(output_mac_latency(config.formats))
        window_ends = draining & (columns_left == 0)
        if config.outputs > 1:
            ends_tile = Signal()
            with m.If(tile_done):
                m.d.sync += ends_tile.eq(final_tile)
            m.d.comb += self.last_voxel.eq((window_ends & to_voxel & ends_tile) | bypass_wait[-1])
        else:
            m.d.comb += self.last_voxel.eq(self.voxel)
        m.d.comb += [
            tile_done.eq(issue & last_input),
            last_column.eq(Mux(more_tiles, config.columns - 1, neurons_left)),
            self.columns_used.eq(last_column + 1),
            self.feeds_output_mac.eq(tile_done & ~on_array & final_layer),
            drain_free.eq(
                ~(draining | bypass_wait.any()) | (window_ends & ~bypass_follows) | bypass_wait[-1]
            ),
            self.drain.eq(draining | bypass_wait[-1]),
            self.voxel.eq((draining & to_voxel) | bypass_wait[-1]),
            self.output_mac.eq(draining & to_output_mac),
            self.output_mac_last.eq(window_ends & bypass_follows),
        ]
        m.d.sync += [
            columns_left.eq(columns_left - 1),
            bypass_wait.eq(Cat(self.output_mac_last, bypass_wait)),
        ]
        with m.If(window_ends):
            m.d.sync += draining.eq(0)
        with m.If(tile_done):
            m.d.sync += [
                draining.eq(1),
                columns_left.eq(last_column),
                to_voxel.eq(layer == shape.last_layer),
                to_output_mac.eq(self.feeds_output_mac),
                bypass_follows.eq(self.feeds_output_mac & ~more_tiles),
            ]

        # The number of neurons written for the layer being drained. It restarts with the last step
        # of the layer's first column tile, when every neuron of the previous layer has been read.
        write_select = Signal()
        m.d.comb += self.write_address.eq(
            written_count[:hidden_bits] | (write_select << hidden_bits)
        )
        with m.If(self.written):
            m.d.sync += written_count.eq(written_count + 1)
        with m.If(tile_done & first_tile):
            m.d.sync += [written_count.eq(0), write_select.eq(layer[0])]
        with m.If(self.start):
            m.d.sync += [draining.eq(0), bypass_wait.eq(0)]
        return m
