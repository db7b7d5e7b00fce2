"""Accelerator configurations from user input: a preset or a TOML file, changed by settings."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

from .accelerator_config import ACCELERATORS, AcceleratorConfig
from .errors import BadInput
from .formats import Formats
from .network_shape import NETWORKS, NetworkShape

FIELDS = tuple(field.name for field in fields(AcceleratorConfig))
SIZING = ("rows", "columns", "formats", "gate_zeros", "weight_word_bits", "protection")
"""Arguments of ``AcceleratorConfig.sized`` besides the networks; it computes the other fields."""


def read_config(source: str, settings: list[str] | None = None) -> AcceleratorConfig:
    """Read the configuration named ``source`` and change it by ``settings``.

    Parameters
    ----------
    source : str
        A preset (``accelerator_config.ACCELERATORS``), or a TOML file with fields of
        ``AcceleratorConfig``. ``formats`` is a name such as ``w8a12``. ``networks``, a list of
        network presets, sizes the memories and the lanes (``AcceleratorConfig.sized``).
    settings : list of str, optional
        Each is ``field=value``, with the same fields. Commas separate the entries of a list.

    Raises
    ------
    BadInput
        A preset or field is unknown, the file is not TOML, or a value is out of range.
    """
    if source in ACCELERATORS:
        values = ACCELERATORS[source].to_dict()
        values["formats"] = ACCELERATORS[source].formats
    else:
        values = _read_toml(source)
    changes = dict(_setting(text) for text in settings or [])
    if "networks" in changes:  # compute the memory sizes again
        values = {name: values[name] for name in SIZING if name in values}
    return make_config({**values, **changes}, f"The accelerator {source}")


def make_config(values: dict, owner: str = "The accelerator") -> AcceleratorConfig:
    """Make a configuration from its fields.

    Parameters
    ----------
    values : dict
        As in a file. ``networks`` may also contain shapes.
    owner : str
        The source of the fields, for error messages.

    Raises
    ------
    BadInput
        A field is unknown or missing, or a value is out of range.
    """
    values = dict(values)
    unknown = sorted(set(values) - {*FIELDS, "networks"})
    if unknown:
        raise BadInput(
            f"An accelerator has no field {unknown[0]}; its fields are {', '.join(FIELDS)}, "
            "networks."
        )
    required = FIELDS[:3] if "networks" in values else FIELDS[:7]
    for name in required:
        if name not in values:
            raise BadInput(f"{owner} has no field {name}, which is required.")
    try:
        if isinstance(values["formats"], str):
            values["formats"] = Formats.parse(values["formats"])
        networks = values.pop("networks", None)
        if networks is None:
            return AcceleratorConfig(**values)
        sizes = {name: values.pop(name) for name in SIZING if name in values}
        config = AcceleratorConfig.sized(networks=[network(name) for name in networks], **sizes)
        return replace(config, **values)
    except BadInput:
        raise
    except (TypeError, ValueError) as error:
        raise BadInput(str(error)) from None


def to_toml(config: AcceleratorConfig) -> str:
    """Return a configuration as TOML, which ``read_config`` reads back."""
    values = {**vars(config), "formats": str(config.formats)}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def network(name: str | NetworkShape) -> NetworkShape:
    """Return the network preset of this name. A shape is returned as it is."""
    if isinstance(name, NetworkShape):
        return name
    if name not in NETWORKS:
        raise BadInput(f"There is no network preset {name}; the presets are {', '.join(NETWORKS)}.")
    return NETWORKS[name]


def _setting(text: str) -> tuple[str, int | bool | str | list[str]]:
    """Parse ``rows=16`` into a name and a value."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise BadInput(f"A setting must have the form rows=16, not {text!r}.")
    if name == "networks":
        return name, value.split(",")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        return name, int(value)
    except ValueError:
        return name, value


def _read_toml(source: str) -> dict:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef]

    try:
        return tomllib.loads(Path(source).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            f"{source} is neither a preset ({', '.join(ACCELERATORS)}) nor an existing file."
        ) from None
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadInput(f"{source} is not TOML: {error}.") from None
