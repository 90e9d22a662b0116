"""The dashboard's files as they are served."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import aiohttp
import pytest

from progresshub.settings import Config, Server
from progresshub.web import assets
from tests.edge.served import served

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
STATIC = Path(assets.__file__).parent / "static"
OURS = sorted(path for path in STATIC.iterdir() if ".min." not in path.name)
SOURCES = [path for path in OURS if path.suffix == ".js"]
MOST_BYTES = 150_000


def path(name: str, version: str | None = None) -> str:
    return f"/-/web/{version or assets.version()}/{name}"


async def test_people_get_the_page_and_programs_the_index(tmp_path):
    async with served(tmp_path) as site:
        async with site.client.get("/", headers=HTML) as response:
            policy = response.headers["Content-Security-Policy"]
            assert (response.status, response.content_type) == (200, "text/html")
            assert "default-src 'none'" in policy
            assert "require-trusted-types-for 'script'" in policy
            assert "unsafe" not in policy
        async with site.client.get("/", headers={"Accept": "*/*"}) as response:
            assert response.content_type == "application/json"


@pytest.mark.parametrize("address", ["/", "/new", "/tasks/0f8fad5b-d9cb-469f-a165-70867728950e"])
async def test_every_page_begins_with_the_same_shell(tmp_path, address):
    settings = Config(server=Server(base_path="/hub"))
    async with served(tmp_path, settings=settings) as site, site.client.get(f"/hub{address}", headers=HTML) as response:
        text = await response.text()

    assert '<base href="/hub/">' in text
    assert f"-/web/{assets.version()}/main.js" in text
    assert "{" not in text


def test_the_shell_names_every_script_that_the_list_begins_with():
    named = set(re.findall(r"modulepreload.*/([\w.-]+)\"", assets.shell("")))

    assert {"main.js", "list.js", "store.js", "row.js", "bar.js"} <= named
    assert "task.js" not in named
    assert named <= assets.assets().keys()


async def test_a_file_is_kept_for_good_under_its_version_and_asked_for_again_under_another(tmp_path):
    async with served(tmp_path) as site:
        async with site.client.get(path("main.js")) as response:
            assert "immutable" in response.headers["Cache-Control"]
            assert response.content_type == "text/javascript"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        async with site.client.get(path("main.js", "latest")) as response:
            assert response.headers["Cache-Control"] == "no-cache"
            etag = response.headers["ETag"]
        async with site.client.get(path("main.js", "latest"), headers={"If-None-Match": etag}) as response:
            assert (response.status, await response.read()) == (304, b"")


async def test_a_file_is_compressed_for_those_who_can_read_that(tmp_path):
    async with served(tmp_path) as site:
        address = site.client.make_url(path("main.js"))
        async with site.client.session.get(address, headers={"Accept-Encoding": "identity"}) as response:
            plain = await response.read()
            assert "Content-Encoding" not in response.headers
        async with aiohttp.ClientSession(auto_decompress=False) as raw, raw.get(address) as response:
            assert gzip.decompress(await response.read()) == plain == (STATIC / "main.js").read_bytes()


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2f__init__.py", "..%2F..%2Fsettings.py", "%00"])
async def test_there_is_nothing_but_the_files(tmp_path, name):
    async with served(tmp_path) as site:
        assert await site.status("GET", path(name)) == 404


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_script_makes_markup_out_of_text(source):
    text = source.read_text()

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


@pytest.mark.parametrize("source", [path for path in OURS if path.suffix != ".html"], ids=lambda source: source.name)
def test_no_file_is_longer_than_a_module_may_be(source):
    assert source.read_text().count("\n") < 400
    assert max(map(len, source.read_text().splitlines())) <= 200


def test_all_files_together_weigh_little():
    assert sum(len(asset.compressed or asset.data) for asset in assets.assets().values()) <= MOST_BYTES
