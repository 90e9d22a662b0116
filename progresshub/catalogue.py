"""The settings as a table that can be looked things up in: every section, and what each setting in it is like.

Made from the types in `settings` alone, so that it can't say anything else than they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Struct, inspect

from progresshub.settings import Config


class Setting(NamedTuple):
    """One setting as others see it; `default` is msgspec.NODEFAULT where it must be given. `parts` are what each
    table holds in a list of tables."""

    type: Any
    shape: inspect.Type
    about: str
    default: Any
    secret: bool
    parts: Mapping[str, Setting]


class Section(NamedTuple):
    """The table `[server]`, or for a `named` one any number of tables `[queues.NAME]`."""

    struct: type[Struct]
    named: bool
    about: str
    settings: Mapping[str, Setting]


def _section(field: inspect.Field) -> Section:
    named = isinstance(field.type, inspect.DictType)
    shape = field.type.value_type if isinstance(field.type, inspect.DictType) else field.type
    if not isinstance(shape, inspect.StructType):
        raise TypeError(f"{field.name} is not a section")
    return Section(shape.cls, named, (shape.cls.__doc__ or "").partition("\n")[0], _settings(shape))


def _settings(shape: inspect.StructType) -> dict[str, Setting]:
    types = get_type_hints(shape.cls, include_extras=True)
    return {inner.name: _setting(inner, types[inner.name]) for inner in shape.fields}


def _setting(field: inspect.Field, annotated: Any) -> Setting:
    metadata = field.type if isinstance(field.type, inspect.Metadata) else inspect.Metadata(field.type)
    about = (metadata.extra_json_schema or {}).get("description", "")
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    inner = metadata.type.item_type if isinstance(metadata.type, inspect.VarTupleType) else None
    parts = _settings(inner) if isinstance(inner, inspect.StructType) else {}
    secret = bool((metadata.extra or {}).get("secret"))
    return Setting(annotated, metadata.type, about, default, secret, parts)


def _catalogue() -> dict[str, Section]:
    shape = inspect.type_info(Config)
    return {field.name: _section(field) for field in shape.fields} if isinstance(shape, inspect.StructType) else {}


CATALOGUE: Mapping[str, Section] = _catalogue()
