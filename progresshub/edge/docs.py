"""The OpenAPI document as a page for people: one static file, no script, all of its looks in one style sheet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from shlex import quote
from typing import Any

Json = dict[str, Any]

JSON = "application/json"
HUB = "http://127.0.0.1:8080"
_CODE = re.compile(r"`([^`]+)`")


@cache
def style() -> str:
    """The page's style sheet, which is served beside it."""
    return (files("progresshub") / "web" / "docs.css").read_text(encoding="utf-8")


def page(document: Json) -> str:
    """The whole page. Its links are relative, so it may be served below any path."""
    info = document["info"]
    sections = {tag["name"]: (tag, _operations(document, tag["name"])) for tag in document["tags"]}
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(info["title"])} · API</title>
<link rel="stylesheet" href="-/docs.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
{_contents(document, sections)}
<main id="content">
{_introduction(document)}
{"".join(_section(document, tag, operations) for tag, operations in sections.values())}
{_schemas(document)}
</main>
</body>
</html>
"""


Operation = tuple[str, str, Json]


def _operations(document: Json, tag: str) -> list[Operation]:
    """Method, path and operation, in the order of the routes."""
    return [
        (method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if tag in operation["tags"]
    ]


def _contents(document: Json, sections: Mapping[str, tuple[Json, list[Operation]]]) -> str:
    groups = "".join(
        f'<details open><summary><a href="#{escape(name)}">{escape(name)}</a></summary><ul>'
        + "".join(
            f'<li><a href="#{operation["operationId"]}">{_method(method)}<span>{_breakable(path)}</span></a></li>'
            for method, path, operation in operations
        )
        + "</ul></details>"
        for name, (_, operations) in sections.items()
    )
    info = document["info"]
    return f"""<nav aria-label="Contents">
<p class="brand"><a href="#content">{escape(info["title"])}</a> <small>{escape(info["version"])}</small></p>
{groups}
<p><a href="#schemas">Schemas</a> · <a href="openapi.json">openapi.json</a></p>
</nav>"""


def _introduction(document: Json) -> str:
    info = document["info"]
    base = document["servers"][0]["url"].rstrip("/")
    return f"""<header>
<h1>{escape(info["title"])}</h1>
<p class="lead">{escape(info["summary"])}</p>
<p>{_text(document["components"]["securitySchemes"]["bearer"]["description"])}</p>
<pre><code>HUB={HUB}{escape(base)}
# with a token, add to each call:  -H "Authorization: Bearer $TOKEN"</code></pre>
</header>
"""


def _section(document: Json, tag: Json, operations: Iterable[Operation]) -> str:
    name = escape(tag["name"])
    articles = "".join(_article(document, *operation) for operation in operations)
    return f"""<section id="{name}">
<h2><a href="#{name}">{name}</a></h2>
<p class="lead">{_text(tag["description"])}</p>
{articles}</section>
"""


def _article(document: Json, method: str, path: str, operation: Json) -> str:
    anchor = operation["operationId"]
    scopes = [scope for needed in operation["security"] for scope in needed["bearer"]]
    badge = "".join(f'<span class="scope">{escape(scope)}</span>' for scope in scopes or ["open"])
    about = f"<p>{_text(operation['description'])}</p>" if "description" in operation else ""
    return f"""<article id="{anchor}">
<h3>{_method(method)} <a href="#{anchor}">{_breakable(path)}</a> {badge}</h3>
<p class="summary">{_text(operation["summary"])}</p>
{about}{_parameters(operation["parameters"])}{_body(document, operation)}
<pre><code>{escape(curl(method, path, operation))}</code></pre>
{_answers(document, operation["responses"])}
</article>
"""


def curl(method: str, path: str, operation: Json) -> str:
    """The operation as a command to try."""
    streams = any("text/event-stream" in answer.get("content", {}) for answer in operation["responses"].values())
    words = ["curl", *(["-N"] if streams else []), *(["-X", method.upper()] if method not in ("get", "post") else [])]
    needed = "&".join(f"{p['name']}=…" for p in operation["parameters"] if p["in"] == "query" and p["required"])
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content and "example" in content[JSON]:
        words += ["--json", quote(json.dumps(content[JSON]["example"], ensure_ascii=False))]
    elif "multipart/form-data" in content:
        words += ["-F", "file=@FILE"]
    elif content:
        words += ["--data-binary", "@FILE"]
    elif method == "post":
        words += ["-X", "POST"]
    return " ".join([*words, f'"$HUB{path}{"?" if needed else ""}{needed}"'])


def _parameters(parameters: Iterable[Json]) -> str:
    rows = [
        (parameter["name"], parameter["schema"], parameter["required"], f"in the {parameter['in']}")
        for parameter in parameters
    ]
    return _table(rows)


def _body(document: Json, operation: Json) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return ""
    schema = next(iter(content.values()))["schema"]
    takes = " or ".join(f"<code>{escape(media)}</code>" for media in content)
    return f"<h4>Body <small>{takes}</small></h4>{_fields(_resolved(document, schema))}"


def _answers(document: Json, responses: Mapping[str, Json]) -> str:
    items = []
    for status, response in responses.items():
        known = _response(document, response)
        refused = "$ref" in response
        content = " ".join(_content(media, body) for media, body in known.get("content", {}).items())
        word = "else" if status == "default" else status
        kind = ' class="refused"' if refused else ""
        items.append(f"<li{kind}><b>{word}</b> <span>{_text(known['description'])} {content}</span></li>")
    return f'<ul class="answers">{"".join(items)}</ul>'


def _content(media: str, body: Json) -> str:
    shown = _type(body["schema"]) if media == JSON else f"<code>{escape(media)}</code>"
    code = body.get("example", {}).get("code") or body.get("example", {}).get("error")
    return f"<code>{escape(code)}</code>" if isinstance(code, str) and code.isupper() else shown


def _schemas(document: Json) -> str:
    blocks = "".join(
        f'<article id="schema-{escape(name)}"><h3><a href="#schema-{escape(name)}">{escape(name)}</a></h3>'
        f"{_fields(schema)}</article>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    return f'<section id="schemas"><h2><a href="#schemas">Schemas</a></h2>{blocks}</section>'


def _fields(schema: Json) -> str:
    about = f"<p>{_text(schema['description'])}</p>" if "description" in schema else ""
    required = schema.get("required", ())
    rows = [(name, part, name in required, "") for name, part in schema.get("properties", {}).items()]
    return about + (_table(rows) if rows else f"<p>{_type(schema)}</p>" if not about else "")


def _table(rows: Iterable[tuple[str, Json, bool, str]]) -> str:
    """Names, and what is known of them; `where` is said of parameters."""
    lines = "".join(
        f"<div><dt><code>{escape(name)}</code>{'<em>required</em>' if required else ''}</dt>"
        f"<dd>{' · '.join(_facts(schema, where))}</dd></div>"
        for name, schema, required, where in rows
    )
    return f"<dl>{lines}</dl>" if lines else ""


def _facts(schema: Json, where: str) -> Iterator[str]:
    yield _type(schema)
    if where:
        yield where
    if schema.get("default") not in (None, "", [], {}):
        yield f"default <code>{escape(json.dumps(schema['default'], ensure_ascii=False))}</code>"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        yield " to ".join(f"{bound:g}" for bound in (low, high) if bound is not None) + ("" if high else " or more")
    if "description" in schema:
        yield _text(schema["description"])


def _type(schema: Json) -> str:
    """A schema in a word or two, with links to those that have a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>' if "/schemas/" in schema["$ref"] else name
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("type", "anything")))


def _response(document: Json, response: Json) -> Json:
    found: Json = response
    if "$ref" in response:
        found = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return found


def _resolved(document: Json, schema: Json) -> Json:
    found: Json = schema
    if "$ref" in schema:
        found = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _method(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def _text(text: str) -> str:
    """Escaped, with what stands in backquotes as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def _breakable(path: str) -> str:
    """A path that may be broken after its slashes."""
    return escape(path).replace("/", "/<wbr>")
