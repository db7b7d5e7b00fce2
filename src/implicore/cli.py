"""The command line: one verb a function; the only module that imports upward, and lazily.

Exit codes: 0 done, 1 it ran and the answer is no, 2 bad input or a missing tool, with one
sentence on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .atomic import require_writable, write_json
from .errors import BadInput
from .formats import Formats
from .grid import PLANES, Grid
from .network_shape import NETWORKS

EPILOG = "Exit codes: 0 done, 1 ran and the answer is no, 2 bad input or a missing tool."


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        for path in (getattr(options, "output", None), options.json):
            if path:
                require_writable(path)
        metrics = _carry_out(options)
        if options.json:
            write_json(options.json, metrics)
    except BadInput as error:
        print(f"implicore {options.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"implicore {options.name}: stopped", file=sys.stderr)
        return 130
    return options.exit_code


def _carry_out(options) -> dict:
    with _one_blas_thread():
        return options.verb(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="implicore",
        description="Turn a medical image into a small neural network, and the network into "
        "integers that silicon decodes.",
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    fit = _verb(verbs, _fit, "train a network on an image")
    fit.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="a NIfTI file (.nii, .nii.gz) or a folder with one DICOM series; several images of "
        "one subject are fitted jointly; the bundled T1 MRI if none is given",
    )
    fit.add_argument("-o", "--output", required=True, metavar="MODEL", help="model file to write")
    fit.add_argument(
        "--preset",
        choices=NETWORKS,
        default="demo",
        help="size of the network: %(choices)s (default: %(default)s)",
    )
    for name, text in (
        ("depth", "fully connected layers"),
        ("width", "neurons of a hidden layer"),
        ("frequencies", "Fourier frequencies L"),
    ):
        fit.add_argument(f"--{name}", type=int, metavar="N", help=f"{text} (else the preset's)")
    fit.add_argument(
        "--skips",
        type=_skips,
        metavar="A,B",
        help="layers, counted from 1, that the features join; 'none' for none (else the preset's)",
    )
    fit.add_argument("--crop", metavar="X0:X1,Y0:Y1,Z0:Z1", help="fit these voxel indices only")
    budget = fit.add_mutually_exclusive_group()
    budget.add_argument("--seconds", type=float, metavar="N", help="train this long (default: 60)")
    budget.add_argument("--steps", type=int, metavar="N", help="train this many steps instead")
    fit.add_argument(
        "--sigma",
        type=float,
        metavar="S",
        help="standard deviation of the frequencies, in turns over half the longest axis "
        "(default: chosen by a short probe)",
    )
    fit.add_argument(
        "--profile",
        choices=("point", "slice"),
        default="point",
        help="what a voxel of a thick slice is: the image at its centre, or its mean over the "
        "slice (default: %(default)s)",
    )
    fit.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    fit.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    fit.add_argument("--resume", action="store_true", help="go on from an interrupted run")

    compile_ = _verb(verbs, _compile, "turn a trained network into an integer program")
    compile_.add_argument("model", metavar="MODEL", help="model file that fit wrote")
    compile_.add_argument(
        "-o", "--output", required=True, metavar="PROGRAM", help="program file (.inr) to write"
    )
    compile_.add_argument(
        "--formats",
        type=_formats,
        default="w8a12",
        metavar="NAME",
        help="bits of weights and activations, as in w8a12, and optionally m multiplier, t table "
        "address, c accumulator, o output bits, as in w8a12m8t10 (default: %(default)s)",
    )
    compile_.add_argument(
        "--finetune",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="tune the weights for their integers this long (default: not at all)",
    )
    compile_.add_argument(
        "--image",
        action="append",
        metavar="IMAGE",
        help="the image the model was trained on, if it has moved since; several for several",
    )

    inspect = _verb(verbs, _inspect, "describe a model or a program")
    inspect.add_argument("file", metavar="FILE", help="model or program file")

    render = _verb(verbs, _render, "decode a program with the golden model")
    render.add_argument("program", metavar="PROGRAM", help="program file (.inr)")
    render.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="NIfTI volume (.nii, .nii.gz) or, for a plane, a PNG picture",
    )
    where = render.add_mutually_exclusive_group()
    where.add_argument(
        "--plane",
        metavar="NAME:MM",
        help=f"one plane ({', '.join(PLANES)}) at a position in mm, as in axial:12.5",
    )
    where.add_argument(
        "--grid",
        metavar="FILE.json",
        help='any affine grid, oblique ones too: {"shape": [X, Y, Z], "affine": 4 x 4 to RAS mm}',
    )
    render.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="K",
        help="refinement, any positive number (default: 1, the source's own voxels)",
    )
    render.add_argument(
        "--reference", metavar="IMAGE", help="compare the result with this image, voxel by voxel"
    )

    generate = _verb(verbs, _generate, "write an accelerator as Verilog")
    generate.add_argument(
        "-o", "--folder", required=True, metavar="DIR", help="folder to write, made if missing"
    )
    _configuration(generate)
    generate.add_argument(
        "--memories",
        choices=("inferred", "blackbox"),
        default="inferred",
        help="memories as Verilog arrays, or as empty modules to be replaced by SRAM macros "
        "(default: %(default)s)",
    )
    generate.add_argument(
        "--tests",
        action="store_true",
        help="also write tests that need cocotb but no implicore: python DIR/tests/run.py",
    )
    generate.add_argument(
        "--program", metavar="PROGRAM", help="what these tests decode (default: random weights)"
    )

    simulate = _verb(verbs, _simulate, "run a program on simulated hardware, bit for bit")
    simulate.add_argument("program", metavar="PROGRAM", help="program file (.inr)")
    _configuration(simulate)
    simulate.add_argument(
        "--simulator",
        choices=("icarus", "verilator", "fast"),
        default="fast",
        help="icarus and verilator run the cocotb bench, fast a compiled simulator of the same "
        "Verilog (default: %(default)s)",
    )
    simulate.add_argument(
        "--plane",
        metavar="NAME:MM",
        help=f"decode one plane ({', '.join(PLANES)}) at a position in mm, as in axial:12.5",
    )
    simulate.add_argument("--grid", metavar="FILE.json", help="decode any grid, as in render")
    simulate.add_argument(
        "--scale", type=float, default=1.0, metavar="K", help="refinement (default: 1)"
    )
    simulate.add_argument(
        "--points", type=int, metavar="N", help="decode N random voxels as free points instead"
    )
    simulate.add_argument(
        "--stall",
        type=float,
        default=0.0,
        metavar="P",
        help="probability with which each stream is held up in each cycle (default: 0)",
    )
    simulate.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    simulate.add_argument(
        "-o", "--output", metavar="PNG", help="picture of source, golden model, hardware"
    )
    simulate.add_argument("--source", metavar="IMAGE", help="the image, for the picture")
    simulate.add_argument(
        "--planes", metavar="DIR", help="write the same pictures as a file each, a pixel a voxel"
    )
    simulate.add_argument(
        "--timeline",
        metavar="FILE.csv",
        help="write how busy the array is while it decodes, by the hardware's counters",
    )
    simulate.add_argument("--waves", metavar="FILE.vcd", help="write a waveform of the beginning")

    synth = _verb(verbs, _synth, "measure area, clock and energy of an accelerator")
    synth.add_argument(
        "-o", "--folder", required=True, metavar="DIR", help="folder for the reports and netlists"
    )
    _configuration(synth)
    synth.add_argument(
        "--target",
        default="osu018",
        metavar="NAME|FILE.toml",
        help="osu018 and ihp-sg13g2 (standard cells), ecp5 (an FPGA board), generic (gates, no "
        "library), or the description of another cell library (default: %(default)s)",
    )
    synth.add_argument(
        "--program",
        metavar="PROGRAM",
        help="program (.inr) to decode gate by gate: without one there are no figures of energy",
    )
    synth.add_argument(
        "--clock-mhz",
        type=float,
        metavar="MHZ",
        help="clock to synthesize for (default: the processing element's best; ecp5: 100)",
    )

    sweep = _verb(verbs, _sweep, "predict many accelerators, synthesize the good ones, choose one")
    sweep.add_argument(
        "spec",
        nargs="?",
        metavar="SPEC.toml",
        help="the grid to go through, constraints and objectives; docs/exploration.md describes it",
    )
    sweep.add_argument(
        "-o",
        "--folder",
        required=True,
        metavar="DIR",
        help="folder for results.parquet, results.csv and report.html, or the one that has them",
    )
    sweep.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a running Dask scheduler, as in tcp://host:8786 (default: workers on this machine)",
    )
    sweep.add_argument("--resume", action="store_true", help="go on with an interrupted sweep")
    sweep.add_argument(
        "--best",
        metavar="FIGURE",
        help="instead of sweeping: name the design in DIR that is best in this figure, as in "
        "nj_per_voxel, and write DIR/best.toml for generate --config",
    )
    sweep.add_argument(
        "--where",
        metavar="CONDITION",
        help='what that design must meet, as in "psnr_db > 38 and area_um2 < 4e6"',
    )

    report = _verb(verbs, _report, "write the page of a sweep or a demo")
    report.add_argument("folder", metavar="DIR", help="folder that sweep or demo wrote")

    demo = _verb(verbs, _demo, "go the whole path on the bundled MRI: minutes, and a page to see")
    demo.add_argument(
        "-o",
        "--folder",
        required=True,
        metavar="DIR",
        help="folder to write; what an earlier, even interrupted run left there is gone on from",
    )
    return parser


def _configuration(parser) -> None:
    parser.add_argument(
        "--config",
        default="medium",
        metavar="PRESET|FILE.toml",
        help="accelerator: tiny, small, medium, large, paper, or a TOML file "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        metavar="FIELD=VALUE",
        help="change a field of the configuration, as in rows=16; networks=demo,fast sizes the "
        "memories for these networks; may be repeated",
    )


def _verb(verbs, function, text: str) -> argparse.ArgumentParser:
    name = function.__name__.strip("_")
    parser = verbs.add_parser(
        name, help=text, description=text.capitalize() + ".", epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to a JSON file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    parser.set_defaults(verb=function, name=name, exit_code=0)
    return parser


def _formats(text: str) -> Formats:
    try:
        return Formats.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _skips(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'none' or layers such as 6,11, not {text!r}") from None


def _one_blas_thread():
    """A context in which numpy multiplies on one thread.

    The products here are small: a second thread gains little on an idle machine and loses several
    times as much on a busy one.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


# ------------------------------------------------------------------------------------- the verbs


def _fit(options) -> dict:
    from dataclasses import replace

    _need("fit", "torch", "train")
    from .model.train import fit
    from .model.volume import load_source

    shape = NETWORKS[options.preset]
    changes = {
        name: getattr(options, name)
        for name in ("depth", "width", "frequencies", "skips")
        if getattr(options, name) is not None
    }
    try:
        shape = replace(shape, **changes)
    except (TypeError, ValueError) as error:
        raise BadInput(str(error)) from None
    sources = [{"path": str(Path(path).resolve())} for path in options.images] or [{"path": None}]
    if options.crop:
        sources = [{**source, "crop": options.crop} for source in sources]
    volumes = [load_source(source) for source in sources]
    seconds = 60.0 if options.seconds is None and options.steps is None else options.seconds
    model = fit(
        volumes,
        shape,
        seconds=seconds,
        steps=options.steps,
        sigma=options.sigma,
        seed=options.seed,
        device=options.device,
        profile=options.profile,
        output=options.output,
        resume=options.resume,
        sources=sources,
        quiet=options.quiet,
    )
    metrics = {
        "psnr_db": model.training["psnr_db"],
        "ssim": model.training["ssim"],
        "parameters": shape.parameters,
        "bits_per_voxel": model.bits_per_voxel,
        "seconds": model.training["seconds"],
        "steps": model.training["steps"],
        "sigma": model.sigma,
    }
    _say(
        options,
        f"{options.output}: {metrics['psnr_db']:.2f} dB, SSIM {metrics['ssim']:.4f}, "
        f"{metrics['parameters']} parameters, {metrics['steps']} steps in "
        f"{metrics['seconds']:.0f} s, sigma {metrics['sigma']:.2f}",
    )
    return metrics


def _compile(options) -> dict:
    from contextlib import ExitStack
    from functools import partial

    from .model.checkpoint import Model
    from .model.compiler import compile_model
    from .model.volume import load_source

    model = Model.load(options.model)
    if not (0 <= options.finetune < float("inf")):
        raise BadInput(f"--finetune must be a number of seconds from 0, not {options.finetune:g}.")
    sources = [{"path": path} for path in options.image] if options.image else model.images
    if options.image and len(options.image) == len(model.images):
        sources = [{**image, **source} for image, source in zip(model.images, sources, strict=True)]
    volumes = [load_source(source) for source in sources]
    tune = None
    if options.finetune:
        _need("compile --finetune", "torch", "train")
        from .model.finetune import tuned

        tune = partial(tuned, options.formats, seconds=options.finetune, quiet=options.quiet)
    voxels = sum(volume.grid.voxels for volume in volumes)
    with ExitStack() as stack:

        def progress(total):
            return stack.enter_context(_bar(options, total, "evaluating")).update

        compiled = compile_model(model, options.formats, volumes, tune=tune, progress=progress)
    program = compiled.program
    program.save(options.output)
    size = Path(options.output).stat().st_size
    metrics = {
        "formats": str(program.formats),
        "psnr_float_db": compiled.psnr_float_db,
        "psnr_db": compiled.psnr_db,
        "loss_db": compiled.loss_db,
        "losses_db": compiled.losses_db,
        "bytes": size,
        "bits_per_voxel": 8 * size / voxels,
        "accumulator_bits": program.accumulator_bits,
        "digest": program.digest,
    }
    _say(
        options,
        f"{options.output}: {program.formats}, {size} bytes, {metrics['bits_per_voxel']:.3f} "
        f"bits a voxel\n"
        f"  {compiled.psnr_db:.2f} dB, {compiled.loss_db:.3f} dB below the trained network's "
        f"{compiled.psnr_float_db:.2f} dB, of which",
    )
    for stage, loss in compiled.losses_db.items():
        _say(options, f"    {stage:12} {loss:7.3f} dB")
    _say(
        options,
        f"  no sum can overflow {program.accumulator_bits} bits (proven from the weights); "
        f"the accumulator has {program.formats.accumulator_bits}",
    )
    return metrics


def _inspect(options) -> dict:
    from .model.describe import describe

    description = describe(options.file)
    width = max(map(len, description))
    for name, value in description.items():
        _say(options, f"{name.replace('_', ' '):{width}}  {_plain(value)}")
    return description


def _render(options) -> dict:
    from time import perf_counter

    from .model.golden import Renderer
    from .model.metrics import psnr, ssim
    from .model.volume import load_volume, save_plane_png, save_volume, to_intensities
    from .program import Program

    program = Program.load(options.program)
    grid = _chosen_grid(program.grid, options)
    output = Path(options.output)
    picture = output.suffix.lower() == ".png"
    if picture and grid.shape[2] != 1:
        raise BadInput("A picture shows one plane: add --plane, or write a NIfTI file instead.")
    if not picture and not output.name.lower().endswith((".nii", ".nii.gz")):
        raise BadInput(f"The output must end in .nii, .nii.gz or .png, not {output.name!r}.")
    reference = load_volume(options.reference) if options.reference else None
    if reference is not None and reference.grid.shape != grid.shape:
        raise BadInput(
            f"The reference has {reference.grid.shape} voxels, and the rendered grid {grid.shape}."
        )
    import numpy as np

    intensity, top = program.intensity, program.formats.output_max
    # There are at most 65,536 different voxels: look their intensities up.
    intensities = to_intensities(intensity.values(np.arange(top + 1), top), intensity.dtype)
    started = perf_counter()
    with _bar(options, grid.voxels, "rendering") as bar:
        data = Renderer(program).render(grid, intensities.__getitem__, bar.update)
    seconds = perf_counter() - started
    if picture:
        save_plane_png(output, data[:, :, 0], intensity.low, intensity.high)
    else:
        save_volume(output, data, grid, exact=grid is program.grid)
    metrics = {"voxels": grid.voxels, "voxels_per_second": grid.voxels / seconds}
    text = f"{output}: {' x '.join(map(str, grid.shape))} voxels in {seconds:.1f} s"
    if reference is not None:
        low, high = reference.intensity_range
        metrics["psnr_db"] = psnr(reference.data, data, high - low)
        metrics["ssim"] = ssim(reference.data, data, high - low)
        text += f", {metrics['psnr_db']:.2f} dB, SSIM {metrics['ssim']:.4f}"
    _say(options, text)
    return metrics


def _generate(options) -> dict:
    from time import perf_counter

    from .config_file import read_config
    from .program import Program

    config = read_config(options.config, options.set)
    program = None
    if options.program:
        if not options.tests:
            raise BadInput("--program is what the tests decode: add --tests.")
        program = Program.load(options.program)
        config.check_fits(program)
    _need("generate", "amaranth", "hw")
    from .hw.verilog import generate
    from .sim.bundle import write_tests

    folder = Path(options.folder)
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file, not a folder.")
    started = perf_counter()
    try:
        metrics = generate(config, folder, memories=options.memories)
        if options.tests:
            metrics["files"] += write_tests(folder, config, program)
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror}.") from None
    metrics["seconds"] = perf_counter() - started
    _say(
        options,
        f"{folder}: {config.rows} x {config.columns} processing elements, {config.formats}, "
        f"{metrics['modules']} modules, {metrics['bytes']} bytes of Verilog in "
        f"{metrics['seconds']:.1f} s\n  {', '.join(metrics['files'])}",
    )
    return metrics


def _simulate(options) -> dict:
    from .config_file import read_config
    from .program import Program

    program = Program.load(options.program)
    config = read_config(options.config, options.set)
    config.check_fits(program)
    given = options.plane or options.grid or options.scale != 1
    grid = _chosen_grid(program.grid, options) if given else None
    _need("simulate", "amaranth", "sim")
    from .sim.simulate import simulate

    source = None
    if options.source:
        from .model.volume import load_volume

        source = load_volume(options.source)
    metrics = simulate(
        program,
        config,
        simulator=options.simulator,
        grid=grid,
        points=options.points,
        stall=options.stall,
        seed=options.seed,
        source=source,
        picture=options.output,
        planes=options.planes,
        timeline=options.timeline,
        waves=options.waves,
    )
    verdict = "all equal to the golden model's"
    if not metrics["agrees"]:
        verdict = f"{metrics['mismatches']} differ from the golden model's"
        options.exit_code = 1
    _say(
        options,
        f"{metrics['voxels']} voxels, {verdict}\n"
        f"  {metrics['cycles']} cycles (predicted {metrics['predicted_cycles']}), "
        f"{100 * metrics['utilization']:.2f} % of the multiply slots used\n"
        f"  {metrics['cycles_per_second'] / 1e3:.0f} k cycles a second by {options.simulator}",
    )
    for complaint in metrics["complaints"]:
        _say(options, f"  {complaint}")
    return metrics


def _synth(options) -> dict:
    from .config_file import read_config
    from .program import Program

    config = read_config(options.config, options.set)
    _need("synth", "pyosys", "synth")
    if options.clock_mhz is not None and not 0 < options.clock_mhz < 1e5:
        raise BadInput(f"--clock-mhz must be above 0 and below 100000, not {options.clock_mhz:g}.")
    program = Program.load(options.program) if options.program else None
    if program is not None:
        config.check_fits(program)
    from .synth import synthesize

    return synthesize.synthesize(
        config,
        options.target,
        options.folder,
        clock_mhz=options.clock_mhz,
        program=program,
        report=lambda line: _say(options, line),
    )


def _sweep(options) -> dict:
    import signal

    if (options.spec is None) == (options.best is None):
        raise BadInput("Name either the SPEC.toml to sweep, or what to be --best in.")
    if options.where and not options.best:
        raise BadInput("--where narrows --best; for a sweep, write it into [constraints].")
    for package in (
        "pyosys",
        "distributed",
        "pandas",
        "pyarrow",
        "moocore",
        "plotly",
        "matplotlib",
    ):
        _need("sweep", package, "sweep")
    from .synth.explore.sweep import choose_one, sweep

    if options.best:
        found = choose_one(options.folder, options.best, options.where)
        if found is None:
            options.exit_code = 1
            _say(options, "No design meets this.")
            return {"point": None}
        _say(
            options,
            f"{found['point']}: {options.best} {_plain(found[options.best])}, {found['source']}\n"
            f"  {found['config']}: generate --config takes it\n  {found['command']}",
        )
        return found
    from .synth.explore.space import read_spec
    from .synth.report.sweep import sweep_page

    # Whoever ends it, a batch system as well, finds the results so far.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    metrics = sweep(
        read_spec(options.spec),
        options.folder,
        bar=lambda total, text: _bar(options, total, text, "point"),
        scheduler=options.scheduler,
        resume=options.resume,
        report=lambda line: _say(options, line),
    )
    page = sweep_page(options.folder)
    _say(
        options,
        f"{metrics['points']} points, {metrics['failed']} failed, {metrics['synthesized']} "
        f"synthesized, {len(metrics['pareto'])} on the front, in {metrics['seconds']:.1f} s\n"
        f"  {page}",
    )
    return metrics


def _report(options) -> dict:
    for package in ("pandas", "pyarrow", "moocore", "plotly", "matplotlib", "jinja2"):
        _need("report", package, "sweep")
    from .synth.report.recognize import write_report

    page = write_report(options.folder)
    _say(options, f"{page}")
    return {"page": str(page)}


def _demo(options) -> dict:
    from .demo import demo

    def verb(arguments: list[str]) -> tuple[int, dict]:
        inner = _parser().parse_args(arguments)
        metrics = _carry_out(inner)
        return inner.exit_code, metrics

    options.exit_code, metrics = demo(options.folder, verb, quiet=options.quiet)
    return metrics


def _chosen_grid(source: Grid, options) -> Grid:
    """The grid that ``--plane``, ``--grid`` and ``--scale`` ask for."""
    if options.plane:
        name, _, position = options.plane.partition(":")
        try:
            millimetres = float(position)
        except ValueError:
            raise BadInput(
                f"--plane must be written like axial:12.5, not {options.plane!r}."
            ) from None
        return source.plane(name, millimetres, options.scale)
    if options.grid:
        try:
            content = json.loads(Path(options.grid).read_text(encoding="utf-8"))
            source = Grid.from_array(content["shape"], content["affine"])
        except OSError as error:
            raise BadInput(f"{options.grid} cannot be read: {error.strerror}.") from None
        except BadInput as error:
            raise BadInput(f"{options.grid} describes no grid: {error}") from None
        except (ValueError, TypeError, KeyError):
            raise BadInput(
                f'{options.grid} must hold {{"shape": [X, Y, Z], "affine": 4 x 4 numbers}}.'
            ) from None
    return source.scaled(options.scale)


# --------------------------------------------------------------------------------------- helpers


def _need(verb: str, package: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise BadInput(f"{verb} needs {package}: install it with pip install 'implicore[{extra}]'.")


def _bar(options, total: int, text: str, unit: str = "voxel"):
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=text,
        unit=unit,
        unit_scale=unit == "voxel",
        disable=options.quiet,
        leave=False,
        delay=1,  # seconds: short work needs no bar
    )


def _say(options, text: str) -> None:
    if not options.quiet:
        print(text)


def _plain(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(entry) for entry in value) or "none"
    return str(value)
