"""Markdown as a deck: each heading begins a slide, and what follows it stands on that slide.

Items of lists are points; paragraphs, quotes, code, tables and pictures are what they are. A quote or
a paragraph that begins with `Note:` or `Notes:` is not shown: it is what is said. Raw HTML is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from progresshub.jobs.film.deck import Code, Deck, Element, Paragraph, Picture, Point, Quote, Slide, Table
from progresshub.jobs.film.failures import Unfit

TITLE_CHARS = 200
TEXT_CHARS = 2_000
NOTES_CHARS = 20_000
CODE_LINES = 40
MOST_ELEMENTS = 40
MOST_ROWS = 16
MOST_COLUMNS = 8
MOST_LEVELS = 2

_NOTES = re.compile(r"notes?\s*[::]\s*", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")


def deck(topic: str, text: str, most_slides: int) -> Deck:
    """The slides of a text; Unfit when there are too many, or none."""
    slides = [_slide(title, nodes) for title, nodes in _parts(topic, text)]
    if not slides:
        raise Unfit("the content has nothing to show: begin each slide with a heading, such as # Tea", "content")
    if len(slides) > most_slides:
        raise Unfit(f"the content has {len(slides)} slides, and the most are {most_slides}", "content")
    return Deck(topic, tuple(slides))


def clean(text: str, most: int = TEXT_CHARS) -> str:
    """One line without what can't be seen, cut with an ellipsis."""
    text = " ".join(_UNSEEN.sub(" ", text).split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _parts(topic: str, text: str) -> Iterator[tuple[str, list[SyntaxTreeNode]]]:
    """Each heading with the blocks below it; what comes before the first one stands below the topic."""
    title, nodes = "", list[SyntaxTreeNode]()
    for node in SyntaxTreeNode(MarkdownIt("commonmark", {"html": False}).enable("table").parse(text)).children:
        if node.type != "heading":
            nodes.append(node)
            continue
        if title or nodes:
            yield title or topic, nodes
        title, nodes = clean(_text(node), TITLE_CHARS) or topic, []
    if title or nodes:
        yield title or topic, nodes


def _slide(title: str, nodes: list[SyntaxTreeNode]) -> Slide:
    elements, notes = list[Element](), list[str]()
    for node in nodes:
        text = clean(_text(node), NOTES_CHARS) if node.type in ("paragraph", "blockquote") else ""
        if found := _NOTES.match(text):
            notes.append(text[found.end() :])
        else:
            elements += _elements(node, clean(text))
    return Slide(title, tuple(elements[:MOST_ELEMENTS]), " ".join(notes))


def _elements(node: SyntaxTreeNode, text: str) -> Iterator[Element]:
    match node.type:
        case "paragraph":
            yield from [Paragraph(text)] if text else []
            yield from _pictures(node)
        case "blockquote" if text:
            yield Quote(text)
        case "bullet_list" | "ordered_list":
            yield from _points(node, 0)
        case "fence" | "code_block":
            yield from _code(node.content)
        case "table":
            yield from _table(node)


def _points(node: SyntaxTreeNode, level: int) -> Iterator[Element]:
    """The items of a list, each followed by those of the lists in it."""
    first = int(node.attrs.get("start", 1))
    for position, item in enumerate(node.children):
        number = f"{first + position}." if node.type == "ordered_list" else ""
        for inner in item.children:
            if inner.type in ("bullet_list", "ordered_list"):
                yield from _points(inner, min(level + 1, MOST_LEVELS))
            elif inner.type == "paragraph" and (text := clean(_text(inner))):
                yield Point(text, level, number)
                yield from _pictures(inner)
            else:
                yield from _elements(inner, clean(_text(inner)))


def _pictures(node: SyntaxTreeNode) -> Iterator[Picture]:
    for inner in node.walk():
        if inner.type == "image":
            yield Picture(_file_name(str(inner.attrs.get("src", ""))), clean(inner.content))


def _file_name(address: str) -> str:
    """What a file at this address is called, as it is in an upload, which knows no folders; Markdown escapes it."""
    path = unquote(address)
    return path.rpartition("/")[2] or path


def _code(text: str) -> Iterator[Code]:
    lines = [_UNSEEN.sub(" ", line.expandtabs(4)).rstrip()[:TITLE_CHARS] for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > CODE_LINES:
        lines = [*lines[: CODE_LINES - 1], "…"]
    if lines:
        yield Code("\n".join(lines))


def _table(node: SyntaxTreeNode) -> Iterator[Table]:
    rows = [
        tuple(clean(_text(cell), TITLE_CHARS) for cell in row.children[:MOST_COLUMNS])
        for part in node.children
        for row in part.children
    ]
    if rows:
        yield Table(tuple(rows[:MOST_ROWS]))


def _text(node: SyntaxTreeNode) -> str:
    """The words in a block, without their dress; pictures say nothing here."""
    if node.type == "image":
        return ""
    if node.type in ("text", "code_inline"):
        return node.content
    if node.type in ("softbreak", "hardbreak"):
        return " "
    between = "" if node.type in ("inline", "strong", "em", "link") else " "
    return between.join(map(_text, node.children))
