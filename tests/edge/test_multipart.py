"""Forms: read the same however they are cut into pieces, and refused when they are none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub.edge.multipart import MOST_HEADER_BYTES, NAME_BYTES, Multipart, Part, PartEnd
from progresshub.errors import InvalidRequest

TYPE = 'multipart/form-data; boundary="sea"'
FIELD = b'--sea\r\nContent-Disposition: form-data; name="word"\r\n\r\nhello\r\n'
FILE = b'--sea\r\nContent-Disposition: form-data; name="song"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
END = b"\r\n--sea--\r\n"


def read(body: bytes, size: int = 1 << 20, content_type: str = TYPE) -> tuple[list[Part], list[bytes], bool]:
    """The parts of a body that comes in pieces of that size, their contents, and whether it was whole."""
    form = Multipart(content_type)
    parts: list[Part] = []
    contents: list[bytes] = []
    for start in range(0, len(body), size):
        for piece in form.feed(body[start : start + size]):
            if isinstance(piece, Part):
                parts.append(piece)
                contents.append(b"")
            elif isinstance(piece, bytes):
                contents[-1] += piece
    return parts, contents, form.ended


@given(content=st.binary(max_size=300), size=st.integers(1, 400), before=st.sampled_from([b"", b"hi\r\n", b"\r\n"]))
def test_the_pieces_in_which_a_form_comes_are_no_matter(content, size, before):
    content = content.replace(b"\r\n--sea", b"")

    parts, contents, ended = read(before + FIELD + FILE + content + END + b"and more", size)

    assert parts == [Part("word", None), Part("song", "a.mp3")]
    assert contents == [b"hello", content]
    assert ended


@given(body=st.lists(st.sampled_from([FIELD, FILE, END, b"--sea", b"\r\n", b"--", b'"', b";", b"\xff", b"x"])))
def test_whatever_comes_is_read_or_refused(body):
    with suppress(InvalidRequest):
        read(b"".join(body), 3)


@given(headers=st.text(alphabet=st.sampled_from("=;\"*\\ \r\nfilename%nameUTF-8'äx\x00:"), max_size=60))
def test_whatever_headers_say_is_read_or_refused(headers):
    with suppress(InvalidRequest):
        read(b"--sea\r\nContent-Disposition: form-data; " + headers.encode() + b"\r\n\r\nx" + END)


def test_a_form_that_stops_is_not_whole():
    *_, ended = read(FIELD + FILE + b"half")

    assert not ended


def test_what_may_be_a_boundary_waits_for_the_rest():
    form = Multipart(TYPE)
    list(form.feed(FILE))

    first = list(form.feed(b"content\r\n--se"))
    second = list(form.feed(b"cond"))
    third = list(form.feed(END))

    assert first == [b"content"]
    assert b"".join(piece for piece in first + second + third if isinstance(piece, bytes)) == b"content\r\n--second"
    assert third[-1] == PartEnd()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('"a b.mp3"', "a b.mp3"),
        ('"Käse ♫.mp3"', "Käse ♫.mp3"),
        ('"say %22hi%22.mp3"', 'say "hi".mp3'),
        ('"say \\"hi\\".mp3"', 'say "hi".mp3'),
        ('"semi;colon.mp3"', "semi;colon.mp3"),
        ('"100%.mp3"', "100%.mp3"),
        ("plain.mp3", "plain.mp3"),
        ('"C:\\music\\a.mp3"', "C:\\music\\a.mp3"),
        ('""', ""),
    ],
)
def test_a_file_has_the_name_that_its_browser_meant(said, name):
    body = f'--sea\r\ncontent-disposition: form-data; name="song"; filename={said}\r\n\r\nx'.encode()

    (part,), *_ = read(body + END)

    assert part == Part("song", name)


def test_a_name_in_another_alphabet_may_be_encoded():
    body = b"--sea\r\nContent-Disposition: form-data; name=song; filename*=UTF-8''K%C3%A4se.mp3\r\n\r\nx"

    (part,), *_ = read(body + END)

    assert part.file_name == "Käse.mp3"


@pytest.mark.parametrize(
    "body",
    [
        b"--sea\r\n\r\nx" + END,
        b"--sea\r\nContent-Disposition: attachment; name=a\r\n\r\nx" + END,
        b"--sea\r\nContent-Disposition: form-data\r\n\r\nx" + END,
        b'--sea\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx' + END,
        b"--sea\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nx" + END,
        b"--sea\r\nX: " + b"x" * MOST_HEADER_BYTES + b"\r\n\r\nx" + END,
        b"--sea\r\nX: " + b"x" * MOST_HEADER_BYTES,
        b"--seaside\r\n\r\n" + END,
        b"--sea" + b" " * 300,
        b"--sea\r\nContent-Disposition: form-data; name=" + b"a" * (NAME_BYTES + 1) + b"\r\n\r\nx" + END,
    ],
    ids=["no headers", "other", "no name", "not UTF-8", "encoded", "long", "endless", "no boundary", "padding", "name"],
)
def test_what_is_no_part_is_refused(body):
    with pytest.raises(InvalidRequest):
        read(body)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", "x", ""])
def test_a_form_without_a_boundary_is_refused(content_type):
    with pytest.raises(InvalidRequest):
        Multipart(content_type)


def test_what_comes_before_and_after_is_not_kept():
    form = Multipart(TYPE)
    for _ in range(100):
        list(form.feed(b"x" * 1_000))
    before = len(form._kept)
    list(form.feed(b"\r\n" + FIELD + b"--sea--"))
    for _ in range(100):
        list(form.feed(b"x" * 1_000))

    assert before < 10
    assert len(form._kept) == 0
