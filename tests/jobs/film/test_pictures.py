import struct
import zlib

import pytest
from PIL import Image

from progresshub.jobs.film import pictures
from progresshub.jobs.film.deck import Deck, Picture, Slide
from progresshub.jobs.film.failures import Unfit
from tests.films import cup

MOST_BYTES, MOST_PIXELS = 1_000_000, 1_000_000


def load(directory, name="cup.png"):
    return pictures.load(directory, Picture(name, ""), MOST_BYTES, MOST_PIXELS)


def test_a_picture_is_loaded(tmp_path):
    loaded = load(tmp_path, cup(tmp_path))

    assert (loaded.mode, loaded.size) == ("RGBA", (320, 200))


def test_a_photo_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (320, 200)).save(tmp_path / "photo.jpg", exif=exif)

    assert load(tmp_path, "photo.jpg").size == (200, 320)


def a_bomb(path, side, pixels):
    """A small PNG that says it has so many pixels in each direction."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def test_a_bomb_is_refused_before_it_goes_off(tmp_path):
    a_bomb(tmp_path / "cup.png", 5_000, zlib.compress(bytes(5_000 * 5_001)))

    with pytest.raises(Unfit, match="more than 1000000 pixels"):
        load(tmp_path)


@pytest.mark.parametrize("side", [20_000, 100_000, 2**31 - 1])
def test_a_claim_beyond_all_reason_is_refused(side, tmp_path):
    a_bomb(tmp_path / "cup.png", side, b"")

    with pytest.raises(Unfit, match=r"more than 1000000 pixels|can't be read"):
        load(tmp_path)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    (tmp_path / "cup.png").write_bytes(bytes(MOST_BYTES + 1))

    with pytest.raises(Unfit, match="larger than 1000000 bytes"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg/>", b"\x89PNG\r\n\x1a\n" + bytes(50), b"%!PS\n"])
def test_what_is_no_picture_is_refused_without_a_path(content, tmp_path):
    (tmp_path / "cup.png").write_bytes(content)

    with pytest.raises(Unfit, match=r"image 'cup\.png' can't be read") as refused:
        load(tmp_path)

    assert str(tmp_path) not in str(refused.value)


def test_half_a_picture_is_refused(tmp_path):
    path = tmp_path / cup(tmp_path, "cup.jpg", (400, 400))
    path.write_bytes(path.read_bytes()[:700])

    with pytest.raises(Unfit, match="can't be read"):
        load(tmp_path, "cup.jpg")


def test_no_link_is_followed(tmp_path):
    cup(tmp_path, "secret.png")
    (tmp_path / "cup.png").symlink_to(tmp_path / "secret.png")

    with pytest.raises(Unfit, match="is not there"):
        load(tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/hostname", "http://127.0.0.1/x.png", "file:///x.png", "pot.png"]
)
def test_a_slide_shows_only_what_was_uploaded(name):
    deck = Deck("Tea", (Slide("A"), Slide("B", (Picture(name, ""),))))

    with pytest.raises(Unfit, match=r"slide 2 shows .* not among the uploaded images \(cup.png\)"):
        pictures.check(deck, ["cup.png"])
