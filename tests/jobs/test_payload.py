import msgspec
import pytest

from progresshub.errors import InvalidPayload
from progresshub.jobs.payload import check_by, schema_of


class Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    width: int


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    size: Size | None = None
    tags: list[str] = []


check = check_by("picture", Picture)


def test_defaults_are_filled_in():
    assert check({"name": "x"}) == {"name": "x", "size": None, "tags": []}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "name is missing"),
        ({"name": 3}, "name: expected str, got int"),
        ({"name": "x", "colour": 1}, "there is no field colour"),
        ({"name": "x", "size": {}}, "size.width is missing"),
        ({"name": "x", "size": {"width": 1, "depth": 2}}, "there is no field size.depth"),
        ({"name": "x", "tags": ["y", None]}, "tags[1]: expected str, got null"),
    ],
)
def test_what_does_not_fit_is_said_with_the_field_first(payload, reason):
    with pytest.raises(InvalidPayload) as refused:
        check(payload)

    assert refused.value.details == {"kind": "picture", "reason": reason}


def test_the_schema_has_the_object_itself_at_the_top():
    schema = schema_of(Picture)

    assert schema["type"] == "object"
    assert schema["required"] == ["name"]
    assert schema["properties"]["size"]["anyOf"][0] == {"$ref": "#/$defs/Size"}
    assert schema["$defs"]["Size"]["required"] == ["width"]
