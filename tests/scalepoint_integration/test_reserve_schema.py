"""The fixtures of ``reserve_updated`` against a schema of what Scalepoint documents. The few words of JSON Schema that
it uses are read here."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.world import FIXTURES

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas" / "reserve_updated.json").read_text())
TYPES = {"object": dict, "array": list, "string": str, "number": (int, float), "boolean": bool, "null": type(None)}


def wrong(value: Any, schema: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        return wrong(value, SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]])
    allowed = schema.get("type", [])
    allowed = allowed if isinstance(allowed, list) else [allowed]
    if allowed and not any(isinstance(value, TYPES[name]) for name in allowed):
        return [f"{value!r} is none of {allowed}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{value!r} is none of {schema['enum']}"]
    found = []
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"no {name}" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            found += wrong(inner, known.get(name, schema.get("additionalProperties", {})))
    if isinstance(value, list):
        found += [problem for inner in value for problem in wrong(inner, schema.get("items", {}))]
    return found


@pytest.mark.parametrize(
    ("name", "fits"),
    [("documented", True), ("changed", True), ("minimal", False), ("odd", False), ("nothing_to_know_it_by", False)],
)
def test_what_claims_to_be_documented_fits(name: str, fits: bool) -> None:
    event = json.loads((FIXTURES / "reserve_updated" / f"{name}.json").read_text())
    problems = wrong(event.get("attributes", event), SCHEMA)
    assert (problems == []) == fits, problems
