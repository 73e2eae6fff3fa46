"""TRAINYARD_* variables: TRAINYARD_GATES_MIN_ACCURACY is `min_accuracy` of `[gates]`, and so on."""

import re
from collections.abc import Mapping
from typing import Any

from cli.errors import UsageError
from settings.files import Sections, fields_of, hint
from settings.schema import Settings

PREFIX = "TRAINYARD_"
# Kubernetes tells every pod of the services in its namespace by such variables; ours are called trainyard-….
_OF_SERVICES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP)(_.+)?)")
# What Jenkins or a ConfigMap passes on without a value sets nothing: each model keeps what its own files say.
_NEVER_EMPTY = {("dataset", "uri"), ("mail", "owner"), ("mail", "sender")}


def read(environment: Mapping[str, str]) -> Sections:
    """What the variables in `environment` say, by section and field. Other programs' variables are passed over.

    Raises:
        UsageError: a section's name is followed by no field of it.
    """
    values: Sections = {}
    known = {
        f"{PREFIX}{section}_{field}".upper(): (section, field)
        for section in Settings.model_fields
        for field in fields_of(Settings, [section])
    }
    for name, text in environment.items():
        if name in known:
            section, field = known[name]
            if (section, field) in _NEVER_EMPTY and not text.strip():
                continue
            values.setdefault(section, {})[field] = _from_text(section, field, name, text)
        elif name.startswith(PREFIX) and not _OF_SERVICES.search(name):
            for section in Settings.model_fields:
                if name.startswith(f"{PREFIX}{section}_".upper()):
                    fields = [f"{PREFIX}{section}_{field}".upper() for field in fields_of(Settings, [section])]
                    raise UsageError(f"The variable {name} sets nothing: {hint(name, fields)}")
    return values


def _from_text(section: str, field: str, name: str, text: str) -> Any:
    schema = Settings.model_fields[section].annotation
    if schema is None or schema.model_fields[field].annotation != list[str]:
        return text
    if text.strip().startswith("["):
        raise UsageError(f"{name} is {text!r}: its values are separated by commas, without brackets or quotes.")
    return [part.strip() for part in text.split(",") if part.strip()]
