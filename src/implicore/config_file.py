"""Accelerator configurations from what a user writes: a preset's name, a TOML file, settings."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

from .accelerator_config import ACCELERATORS, AcceleratorConfig
from .errors import BadInput
from .formats import Formats
from .network_shape import NETWORKS, NetworkShape

FIELDS = tuple(field.name for field in fields(AcceleratorConfig))
SIZING = ("rows", "columns", "formats", "gate_zeros", "weight_word_bits")
"""What ``AcceleratorConfig.sized`` takes besides the networks; all else follows from these."""


def read_config(source: str, settings: list[str] | None = None) -> AcceleratorConfig:
    """The configuration that ``source`` names, changed by ``settings``.

    Parameters
    ----------
    source : str
        A preset (``accelerator_config.ACCELERATORS``) or a TOML file with fields of
        ``AcceleratorConfig``; ``formats`` is written like ``w8a12``. ``networks``, a list of
        network presets, sizes the memories and lanes (``AcceleratorConfig.sized``).
    settings : list of str, optional
        ``field=value`` each, with the same fields; lists are written with commas.

    Raises
    ------
    BadInput
        An unknown preset or field, a file that is not TOML, or a configuration that cannot be.
    """
    if source in ACCELERATORS:
        values = ACCELERATORS[source].to_dict()
        values["formats"] = ACCELERATORS[source].formats
    else:
        values = _read_toml(source)
    changes = dict(_setting(text) for text in settings or [])
    if "networks" in changes:  # sized anew: what the preset's memories were no longer counts
        values = {name: values[name] for name in SIZING if name in values}
    return make_config({**values, **changes}, f"The accelerator {source}")


def make_config(values: dict, owner: str = "The accelerator") -> AcceleratorConfig:
    """The configuration of these fields.

    Parameters
    ----------
    values : dict
        As in a file: fields of ``AcceleratorConfig`` and ``networks``, which may here be shapes as
        well as names.
    owner : str
        Who lacks a field, for the error.

    Raises
    ------
    BadInput
        An unknown field, one that is missing, or a configuration that cannot be.
    """
    values = dict(values)
    unknown = sorted(set(values) - {*FIELDS, "networks"})
    if unknown:
        raise BadInput(
            f"{unknown[0]} is no field of an accelerator: they are {', '.join(FIELDS)}, networks."
        )
    required = FIELDS[:3] if "networks" in values else FIELDS[:7]
    for name in required:
        if name not in values:
            raise BadInput(f"{owner} does not say its {name}.")
    try:
        if isinstance(values["formats"], str):
            values["formats"] = Formats.parse(values["formats"])
        networks = values.pop("networks", None)
        if networks is None:
            return AcceleratorConfig(**values)
        sizes = {name: values.pop(name) for name in SIZING if name in values}
        config = AcceleratorConfig.sized(networks=[network(n) for n in networks], **sizes)
        return replace(config, **values)
    except BadInput:
        raise
    except (TypeError, ValueError) as error:
        raise BadInput(str(error)) from None


def to_toml(config: AcceleratorConfig) -> str:
    """The file that ``read_config`` reads back to the same configuration."""
    values = {**vars(config), "formats": str(config.formats)}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def network(name: str | NetworkShape) -> NetworkShape:
    """The network of this preset; a shape is its own."""
    if isinstance(name, NetworkShape):
        return name
    if name not in NETWORKS:
        raise BadInput(f"{name} is no network preset: they are {', '.join(NETWORKS)}.")
    return NETWORKS[name]


def _setting(text: str):
    """``rows=16`` as a name and a value of the type it looks like."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise BadInput(f"A setting must be written like rows=16, not {text!r}.")
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
        import tomli as tomllib

    try:
        return tomllib.loads(Path(source).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            f"{source} is neither a preset ({', '.join(ACCELERATORS)}) nor a file."
        ) from None
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadInput(f"{source} is not TOML: {error}.") from None
