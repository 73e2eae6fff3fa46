"""The reference of the REST interface, from the OpenAPI document that an adapter gives out."""

import asyncio
from typing import Any

from serving.adapter.access import Access, AccessOptions
from serving.adapter.backend import Backend
from serving.adapter.limits import Limits
from serving.adapter.predictor import Predictor
from serving.adapter.rest_api import create_app
from serving.adapter.service import Service


def document() -> dict[str, Any]:
    """OpenAPI of an adapter with the default limits; nobody is asked for it."""
    return asyncio.run(_described())


async def _described() -> dict[str, Any]:
    # In a loop, as a channel belongs to one.
    limits = Limits()
    async with Backend("127.0.0.1:1", "MODEL") as backend:
        service = Service(Predictor(backend, limits), limits)
        return create_app(service, Access.of(AccessOptions()), loopback=True).openapi()


def page() -> str:
    """All paths and all bodies, in MyST."""
    described = document()
    parts = [
        "# REST\n\nMade from the OpenAPI document, which a running adapter has at `/openapi.json`, and draws at "
        "`/docs`. Errors are problem documents (RFC 9457): `type`, `title`, `status`, `detail`.\n"
    ]
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            parts.append(_call(method.upper(), path, call))
    parts.append("## Bodies\n")
    for name, schema in described["components"]["schemas"].items():
        parts.append(_body(name, schema))
    return "\n".join(parts)


def _call(method: str, path: str, call: dict[str, Any]) -> str:
    lines = [f"## {method} {path}\n", f"{call.get('summary', '')}.\n"]
    if call.get("description"):
        lines.append(f"{' '.join(call['description'].split())}\n".replace("{", "\\{"))
    if call.get("parameters"):
        lines += ["| parameter | in | is | meaning |", "|---|---|---|---|"]
        for one in call["parameters"]:
            row = (f"`{one['name']}`", one["in"], _type(one["schema"]), one.get("description", ""))
            lines.append("| " + " | ".join(row) + " |")
        lines.append("")
    kinds = call.get("requestBody", {}).get("content", {})
    if kinds:
        lines.append("Body: " + ", ".join(f"`{kind}`" for kind in kinds) + ".\n")
    lines += ["| status | answer |", "|---|---|"]
    for status, answer in call["responses"].items():
        types = {_type(content.get("schema", {})) for content in answer.get("content", {}).values()} - {""}
        lines.append(f"| {status} | {' or '.join(sorted(types)) or answer.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _body(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}\n"]
    if schema.get("description"):
        lines.append(f"{schema['description']}\n")
    lines += ["| field | is | meaning |", "|---|---|---|"]
    for field, one in schema.get("properties", {}).items():
        lines.append(f"| `{field}` | {_type(one)} | {one.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "anyOf" in schema:
        return " or ".join(kind for kind in map(_type, schema["anyOf"]) if kind != "null")
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"{_type(schema['additionalProperties'])} by name"
    return str(schema.get("type", ""))
