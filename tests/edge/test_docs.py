"""The documentation page: complete, without script, and safe whatever stands in the document."""

from __future__ import annotations

import json
import shlex
from html.parser import HTMLParser
from typing import Any

import pytest

from progresshub import __version__
from progresshub.dialects import DIALECTS
from progresshub.edge.docs import curl, page, style
from progresshub.edge.house import HOUSE
from progresshub.edge.openapi import document
from progresshub.web import WEB
from tests.edge.served import served

VOID = {"meta", "link", "wbr", "br"}


class Reader(HTMLParser):
    """Notes every tag and attribute, and that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return document((*DIALECTS, WEB, HOUSE), __version__)


@pytest.fixture(scope="module")
def read(whole) -> Reader:
    return Reader(page(whole))


def test_everything_that_is_opened_is_closed(read):
    assert read.open == []


def test_it_needs_no_script_and_nothing_from_elsewhere(read):
    assert "script" not in read.tags
    assert "style" not in read.tags
    assert [name for name, _ in read.attributes if name.startswith("on") or name in ("src", "style")] == []
    assert [link for link in read.values("href") if "//" in link] == []
    assert "url(" not in style()
    assert "@import" not in style()


def test_every_link_within_the_page_leads_somewhere(read):
    anchors = {link[1:] for link in read.values("href") if link.startswith("#")}

    assert anchors - set(read.values("id")) == set()
    assert len(read.values("id")) == len(set(read.values("id")))


def test_every_operation_and_schema_is_on_it(whole, read):
    operations = {one["operationId"] for path in whole["paths"].values() for one in path.values()}
    schemas = {f"schema-{name}" for name in whole["components"]["schemas"]}

    assert operations | schemas <= set(read.values("id"))


def test_looks_come_for_every_class_that_is_used(read):
    used = {name for value in read.values("class") for name in value.split()}

    assert {name for name in used if f".{name}" not in style()} == set()


def test_nothing_in_the_document_becomes_markup(whole):
    bad = '"><script>alert(1)</script>'
    nasty = json.loads(json.dumps(whole).replace("Submit a task", json.dumps(bad)[1:-1]))

    read = Reader(page(nasty))

    assert "script" not in read.tags
    assert read.open == []


def test_each_operation_is_a_command_that_a_shell_understands(whole):
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            words = shlex.split(curl(method, path, operation))
            assert words[0] == "curl"
            assert words[-1].startswith(f"$HUB{path}")


def test_commands_are_as_short_as_they_can_be(whole):
    tasks, task = whole["paths"]["/api/v1/tasks"], whole["paths"]["/api/v1/tasks/{id}"]
    stream = whole["paths"]["/api/v1/tasks/{id}/progress/stream"]["get"]

    assert curl("get", "/api/v1/tasks", tasks["get"]) == 'curl "$HUB/api/v1/tasks"'
    assert curl("delete", "/x", task["delete"]) == 'curl -X DELETE "$HUB/x"'
    assert curl("get", "/x", stream).startswith("curl -N ")
    sent = json.loads(shlex.split(curl("post", "/x", tasks["post"]))[2])
    assert sent["type"] == "demo"


async def test_it_is_served_under_a_policy_that_allows_nothing_but_its_style(tmp_path):
    async with served(tmp_path) as site:
        async with site.client.get("/docs") as response:
            policy = response.headers["Content-Security-Policy"]
            text = await response.text()
        (sheet,) = [link for link in Reader(text).values("href") if link.endswith(".css")]
        async with site.client.get(f"/{sheet}") as response:
            assert response.content_type == "text/css"
            assert await response.text() == style()

    assert "default-src 'none'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
