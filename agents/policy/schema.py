"""The JSON Schema of the policy's file, for editors that complete and check it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, NoDefault

from agents.policy.parts import written
from agents.policy.policy import Policy


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12). It describes a TOML date as text of the format `date`, as editors expect."""
    head = {"$schema": GenerateJsonSchema.schema_dialect}
    return head | Policy.model_json_schema(schema_generator=_OfAFile)


class _OfAFile(GenerateJsonSchema):
    """Fits pydantic's schema to TOML: no null, defaults as the file writes them, and no titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def get_default_value(self, schema: Any) -> Any:
        default = super().get_default_value(schema)
        return NoDefault if default is None or isinstance(default, BaseModel) else default

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        found = super().default_schema(schema)
        if found.get("type") == "string" and isinstance(found.get("default"), int):
            found["default"] = written(found["default"])
        return found
