"""Kinds of decoders: building one from a config, and configs as plain dictionaries."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from .base import Decoder
from .coarse import CoarseMLP, CoarseVolumes
from .deepsdf import DeepSDF, DeepSDFConfig
from .dual import Dual, DualConfig
from .linear import Linear, LinearConfig
from .volumes import Volumes, VolumesConfig

DecoderConfig = DeepSDFConfig | DualConfig | LinearConfig | VolumesConfig
_KINDS: dict[type, type[Decoder]] = {
    DeepSDFConfig: DeepSDF,
    DualConfig: Dual,
    LinearConfig: Linear,
    VolumesConfig: Volumes,
}
_COARSE = {"mlp": CoarseMLP, "volumes": CoarseVolumes}


def build_decoder(config: DecoderConfig) -> Decoder:
    """Build the decoder of a config, initialised from torch's global generator.

    Raises:
        ValueError: the network would exceed the config's `max_bytes`.
        TypeError: not a decoder config.
    """
    if type(config) not in _KINDS:
        raise TypeError(f"not a decoder config: {config!r}")
    return _KINDS[type(config)](config)


def decoder_to_dict(config: DecoderConfig) -> dict[str, Any]:
    """Convert a config to plain numbers and strings, with the `kind` of its decoder."""
    plain = {"kind": _KINDS[type(config)].kind, **asdict(config)}
    if isinstance(config, DualConfig):
        name = next(name for name, kind in _COARSE.items() if isinstance(config.coarse, kind))
        plain["coarse"] = {"kind": name, **plain["coarse"]}
    return plain


def decoder_from_dict(plain: dict[str, Any]) -> DecoderConfig:
    """Restore a config from the result of `decoder_to_dict`.

    Raises:
        ValueError: unknown kind or field.
    """
    configs = {decoder.kind: config for config, decoder in _KINDS.items()}
    values = dict(plain)
    config = _look_up(configs, values.pop("kind", None), "decoder")
    if config is VolumesConfig and isinstance(values.get("volumes"), dict):
        values["volumes"] = _make_config(CoarseVolumes, values["volumes"])
    if config is DualConfig and isinstance(values.get("coarse"), dict):
        inner = dict(values["coarse"])
        if inner.get("kind") == "volumes":
            inner.setdefault("warp", 0)  # files of version 0.1 have no warp and no such field
        values["coarse"] = _make_config(_look_up(_COARSE, inner.pop("kind", None), "coarse branch"), inner)
    return _make_config(config, values)


def _look_up(table: dict[str, Any], name: Any, what: str) -> Any:
    if name not in table:
        raise ValueError(f"unknown {what} {name!r}; this version knows {', '.join(table)}")
    return table[name]


def _make_config(config: Any, values: dict[str, Any]) -> Any:
    known = {item.name for item in fields(config)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r} of {config.__name__}; it has {', '.join(sorted(known))}")
    return config(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
