"""Who does what in which cycle: issue control issues steps, drain control follows the sums."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import output_mac_latency

from .memory import address_bits
from .row import step_layout


def shape_layout(config: AcceleratorConfig):
    """The shape of the network at work; every number is given less one."""
    return data.StructLayout(
        {
            "last_frequency": address_bits(config.frequencies),
            "last_neuron": address_bits(config.width),
            "last_layer": address_bits(config.depth),
            "skips": config.depth,
        }
    )


class Sequencer(wiring.Component):
    """Runs voxel tiles through the layers, one step a cycle unless one of four things is missing.

    A step that reads a feature waits for a full half of the feature banks. A step that reads
    neuron n of the layer before waits until it has been written. The last step of a column tile
    waits until the sums of the tile before have been drained, and that of a voxel tile until the
    voxels of the one before have been delivered. ``docs/hardware.md`` gives the reasons,
    ``implicore.cycles`` the cycles.

    Latency: none from a missing thing's arrival to the step. Throughput: a step a cycle.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    shape : In(shape_layout(config))
        Must not change while ``running``.
    start : In(1)
        Before the first step of a job.
    running : In(1)
    full, select : In(1)
        The feature mapper's; ``release_half`` : Out(1) releases the half.
    step : Out(step_layout)
    weight_enable, weight_address : Out
        The column's part of the step.
    drain : Out(1)
        A sum is drained: its constants are the next in the constant memory,
    voxel, output_mac, output_mac_last : Out(1)
        it is a voxel, and the last of its tile; it feeds the output-layer MAC; it is the last one
        to do so.
    written : In(1)
        A result is written to the activation bank of row 0 in the next cycle,
    write_address : Out
        namely here.
    output_free : In(1)
        The voxels of the last tile are delivered; ``finish`` : Out(1) the next ones are under way.
    columns_used : Out
        Columns that work for a neuron in this step; ``feeds_output_mac`` : Out(1) whether they will
        also work for the output-layer MAC.
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
                "output_mac": Out(1),
                "output_mac_last": Out(1),
                "written": In(1),
                "write_address": Out(address_bits(config.width) + 1),
                "output_free": In(1),
                "finish": Out(1),
                "columns_used": Out(self.column_bits),
                "feeds_output_mac": Out(1),
            }
        )

    @property
    def column_bits(self) -> int:
        """Width of a number of columns."""
        return self.config.columns.bit_length()

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        config, shape = self.config, self.shape
        feature_bits = address_bits(2 * config.frequencies)
        hidden_bits = address_bits(config.width)
        layer_bits = address_bits(config.depth)

        # The place of issue control. `neurons_left` counts this tile's neurons in, and is less one.
        layer = Signal(layer_bits)
        first_tile = Signal(init=1)
        neurons_left = Signal(hidden_bits)
        in_features = Signal(init=1)
        position = Signal(max(feature_bits, hidden_bits))
        weight_counter = Signal.like(self.weight_address)

        # The last layer runs on the array only if it takes features.
        on_array = Signal()
        last_array_layer = Signal(layer_bits)
        m.d.comb += [
            on_array.eq((shape.last_layer == 0) | shape.skips.bit_select(shape.last_layer, 1)),
            last_array_layer.eq(shape.last_layer - ~on_array),
        ]

        # The step at hand.
        present = Signal(config.width.bit_length())
        drain_free = Signal()
        at_segment_end, last_input, more_tiles, final_tile = (
            Signal(name=name)
            for name in ("at_segment_end", "last_input", "more_tiles", "final_tile")
        )
        missing = Signal()
        issue = Signal()
        last_feature = Cat(1, shape.last_frequency)
        m.d.comb += [
            at_segment_end.eq(position == Mux(in_features, last_feature, shape.last_neuron)),
            last_input.eq(at_segment_end & (~in_features | (layer == 0))),
            more_tiles.eq(neurons_left >= config.columns),
            final_tile.eq(~more_tiles & (layer == last_array_layer)),
            missing.eq(
                Mux(in_features, ~self.full, first_tile & (position >= present))
                | (last_input & ~drain_free)
                | (last_input & final_tile & ~self.output_free)
            ),
            issue.eq(self.running & ~missing),
            self.step.features.eq(issue & in_features),
            self.step.hidden.eq(issue & ~in_features),
            # High while idle: it clears the accumulators before the first job.
            self.step.last.eq(Mux(issue, last_input, ~self.running)),
            self.step.address.eq(
                Mux(
                    in_features,
                    position[:feature_bits] | (self.select << feature_bits),
                    # The layer before wrote to the half that its own number names.
                    position[:hidden_bits] | (~layer[0] << hidden_bits),
                )
            ),
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
                            Mux(next_layer == shape.last_layer, 0, shape.last_neuron),
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
                neurons_left.eq(Mux(shape.last_layer == 0, 0, shape.last_neuron)),
                weight_counter.eq(0),
            ]

        # Drain control: a token a cycle for each neuron of the tile, then perhaps the bypass sum's.
        tile_done = Signal()
        last_column = Signal(address_bits(config.columns))
        draining, to_voxel, to_output_mac, bypass_follows = (
            Signal(name=name)
            for name in ("draining", "to_voxel", "to_output_mac", "bypass_follows")
        )
        columns_left = Signal(address_bits(config.columns))
        waiting = Signal(output_mac_latency(config.formats))
        window_ends = draining & (columns_left == 0)
        m.d.comb += [
            tile_done.eq(issue & last_input),
            last_column.eq(Mux(more_tiles, config.columns - 1, neurons_left)),
            self.columns_used.eq(last_column + 1),
            self.feeds_output_mac.eq(tile_done & ~on_array & (layer == last_array_layer)),
            drain_free.eq(
                ~(draining | waiting.any()) | (window_ends & ~bypass_follows) | waiting[-1]
            ),
            self.drain.eq(draining | waiting[-1]),
            self.voxel.eq((draining & to_voxel) | waiting[-1]),
            self.output_mac.eq(draining & to_output_mac),
            self.output_mac_last.eq(window_ends & bypass_follows),
        ]
        m.d.sync += [
            columns_left.eq(columns_left - 1),
            waiting.eq(Cat(self.output_mac_last, waiting)),
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

        # What has been written of the layer being drained. When its first tile is complete, all
        # of the layer before it has been read, so its number is no longer needed.
        write_select = Signal()
        m.d.comb += self.write_address.eq(present[:hidden_bits] | (write_select << hidden_bits))
        with m.If(self.written):
            m.d.sync += present.eq(present + 1)
        with m.If(tile_done & first_tile):
            m.d.sync += [present.eq(0), write_select.eq(layer[0])]
        with m.If(self.start):
            m.d.sync += [draining.eq(0), waiting.eq(0)]
        return m
