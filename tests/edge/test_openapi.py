"""The OpenAPI document is valid, complete and true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from aiohttp import web
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from progresshub import __version__
from progresshub.dialects import DIALECTS
from progresshub.edge import house
from progresshub.edge.openapi import document
from progresshub.edge.routes import Call, Dialect, Route, Upload
from progresshub.errors import HubError
from progresshub.web import WEB
from tests.edge.served import served

Json = dict[str, Any]
ALL = (*DIALECTS, WEB, house.HOUSE)


class Wanted(msgspec.Struct):
    """Which `things`."""

    size: Annotated[int, msgspec.Meta(ge=1, le=9)] = 3
    colour: str | None = None


class Message(msgspec.Struct):
    name: str
    size: int = 0


class Song(msgspec.Struct):
    file: bytes
    language: str | None = None


async def handler(call: Call[Any, Any]) -> web.Response:
    return web.Response()


def dialect(name: str = "little", *routes: Route, refuse: Any = house.refuse) -> Dialect:
    return Dialect(name=name, summary="A little one", routes=routes, prefixes=(), refuse=refuse)


def route(method: str = "GET", path: str = "/things", **given: Any) -> Route:
    return Route(method=method, path=path, handler=handler, summary="Things", **given)


def operation(*routes: Route, path: str = "/things") -> Json:
    """What the document says of the first of these routes."""
    made = document([dialect("little", *routes)], "1")
    OpenAPIV31SpecValidator(made).validate()
    found: Json = made["paths"][path][routes[0].method.lower()]
    return found


def operations(made: Json) -> Iterator[Json]:
    for path in made["paths"].values():
        yield from path.values()


@pytest.fixture(scope="module")
def whole() -> Json:
    return document(ALL, __version__)


def test_the_document_is_valid(whole):
    OpenAPIV31SpecValidator(whole).validate()


def test_every_route_is_in_it(whole):
    methods = sum(len(path) for path in whole["paths"].values())

    assert methods == len({(r.method, r.path) for d in ALL for r in d.routes})
    assert whole["info"]["version"] == __version__
    assert [tag["name"] for tag in whole["tags"]] == [d.name for d in ALL]


def test_no_two_operations_have_one_id(whole):
    ids = [one["operationId"] for one in operations(whole)]

    assert len(set(ids)) == len(ids)
    assert all(name.isidentifier() for name in ids)


def test_examples_of_bodies_are_what_their_schemas_describe(whole):
    examples = [
        (content["schema"], content["example"])
        for one in operations(whole)
        for content in one.get("requestBody", {}).get("content", {}).values()
        if "example" in content
    ]

    assert examples
    for schema, example in examples:
        OAS31Validator({**schema, "components": whole["components"]}).validate(example)


def test_query_parameters_come_from_the_type_that_reads_them():
    one = operation(route(query=Wanted))

    assert one["description"] == "Which `things`."
    assert one["parameters"] == [
        {
            "name": "size",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
        },
        {"name": "colour", "in": "query", "required": False, "schema": {"type": "string"}},
    ]


def test_path_parameters_are_named_and_their_patterns_told():
    path = r"/things/{id:[0-9a-f]{8}}/{rest:.+}"

    one = operation(route(path=path), path="/things/{id}/{rest}")

    assert [(p["name"], p["schema"].get("pattern")) for p in one["parameters"]] == [
        ("id", "^(?:[0-9a-f]{8})$"),
        ("rest", "^(?:.+)$"),
    ]


def test_a_raw_body_is_described_for_each_content_type():
    takes = ("application/json", "text/plain")

    content = operation(route("POST", body=Message, raw=True, takes=takes))["requestBody"]["content"]

    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Message"}
    assert content["text/plain"]["schema"] == {"type": "string"}


def test_an_upload_is_a_form_with_a_file():
    one = operation(route("POST", upload=Upload(form=Song), takes=("multipart/form-data",)))

    schema = one["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"] == {"file": {"type": "string", "format": "binary"}, "language": {"type": "string"}}
    assert schema["required"] == ["file"]


def test_a_body_of_no_known_shape_is_just_there():
    one = operation(route("PUT", body=bytes, raw=True, takes=("application/octet-stream",)))

    assert one["requestBody"]["content"] == {"application/octet-stream": {"schema": {}}}


def test_answers_are_types_or_words():
    one = operation(route(answers={200: list[Message], 202: "text/event-stream: ticks", 204: "nothing yet", 206: None}))

    answers = one["responses"]
    assert answers["200"]["content"]["application/json"]["schema"]["type"] == "array"
    assert answers["202"] == {"description": "ticks", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    assert answers["204"] == {"description": "nothing yet"}
    assert answers["206"] == {"description": "Partial Content"}
    assert [parameter["name"] for parameter in one["parameters"]] == ["Last-Event-ID"]


def test_what_is_open_says_so_and_the_rest_names_its_scope():
    assert operation(route(scope=None))["security"] == []
    assert operation(route(scope="admin"))["security"] == [{"bearer": ["admin"]}]


def test_a_status_that_the_route_speaks_of_is_left_to_it():
    one = operation(route(answers={403: "the feature is off"}))

    assert one["responses"]["403"] == {"description": "the feature is off"}


def test_refusals_are_shown_in_the_dialects_words():
    def refuse(error: HubError) -> web.Response:
        return web.json_response({"oh": error.code}, status=418)

    made = document([dialect("odd", route(), refuse=refuse)], "1")

    assert made["paths"]["/things"]["get"]["responses"] == {
        "418": {"$ref": "#/components/responses/odd_unauthorized"},
        "default": {"$ref": "#/components/responses/odd_internal"},
    }
    content = made["components"]["responses"]["odd_internal"]["content"]["application/json"]
    assert content == {"schema": {"$ref": "#/components/schemas/OddError"}, "example": {"oh": "internal"}}
    assert made["components"]["schemas"]["OddError"]["required"] == ["oh"]


def test_a_dialect_with_two_shapes_of_refusals_has_both_described():
    def refuse(error: HubError) -> web.Response:
        return web.json_response({"no": 1} if error.code == "internal" else {"detail": []}, status=400)

    made = document([dialect("two", route(), refuse=refuse)], "1")

    assert {"TwoError", "TwoError2"} <= made["components"]["schemas"].keys()


def test_types_of_one_name_are_kept_apart():
    def message() -> type[msgspec.Struct]:
        class Message(msgspec.Struct):
            text: str

        return Message

    made = document([dialect("little", route(answers={200: Message, 201: message()}))], "1")

    OpenAPIV31SpecValidator(made).validate()
    answers = made["paths"]["/things"]["get"]["responses"]
    references = {answers[status]["content"]["application/json"]["schema"]["$ref"] for status in ("200", "201")}
    assert len(references) == 2


def test_one_handler_for_two_routes_has_two_ids():
    made = document([dialect("little", route(), route("POST"), route(path="/others"))], "1")

    ids = [one["operationId"] for one in operations(made)]
    assert len(set(ids)) == 3
    assert ids[0] == "little_handler"


def test_the_base_path_is_the_servers_address():
    assert document(ALL, "1", "/hub")["servers"] == [{"url": "/hub"}]
    assert document(ALL, "1")["servers"] == [{"url": "/"}]


def test_an_answer_may_be_one_of_several_types():
    one = operation(route(answers={200: (Message, Wanted)}))

    shown = one["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert [shape["$ref"].rpartition("/")[2] for shape in shown] == ["Message", "Wanted"]


async def test_it_is_open_to_all_as_json(tmp_path):
    async with served(tmp_path) as site, site.client.get("/openapi.json") as response:
        assert response.content_type == "application/json"
        assert (await response.json())["openapi"].startswith("3.1")


async def test_a_refusal_looks_as_the_document_says(tmp_path, whole):
    async with served(tmp_path) as site, site.client.get("/api/v1/tasks/none") as response:
        answer = await response.json()

    reference = whole["paths"]["/api/v1/tasks/{id}"]["get"]["responses"][str(response.status)]["$ref"]
    described = whole["components"]["responses"][reference.rpartition("/")[2]]["content"]["application/json"]
    OAS31Validator({**described["schema"], "components": whole["components"]}).validate(answer)
