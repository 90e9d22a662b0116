"""What is written for people is true: it says what the program does today."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import progresshub
from progresshub.config import template

ROOT = Path(__file__).parent.parent


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_config_toml_is_what_the_program_would_write():
    written = (ROOT / "config.toml").read_bytes()

    assert written == template().encode(), (
        "bring config.toml up to date:"
        """ python3 -c 'from progresshub.config import template; print(template(), end="")' > config.toml"""
    )


def test_the_changelog_speaks_of_this_version():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert progresshub.__version__ in headings[0]


def test_the_licence_that_is_named_is_the_one_that_lies_there():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert setup()["metadata"]["license"] == "Apache-2.0"
    assert re.match(r"\s*Apache License\s+Version 2\.0", text)


def test_the_package_says_what_its_metadata_say():
    first_line = (progresshub.__doc__ or "").partition("\n")[0]

    assert setup()["metadata"]["description"] == first_line


def test_the_pictures_that_readme_shows_are_there():
    shown = re.findall(r"""[("](tests/pictures/[^)"]+)""", (ROOT / "README.md").read_text(encoding="utf-8"))

    assert len(shown) == 3
    assert [path for path in shown if not (ROOT / path).is_file()] == []


def test_every_module_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "progresshub").rglob("*.py"))
        if not re.match(r'(#!.*\n)?r?"""\S', path.read_text(encoding="utf-8"))
    ]

    assert silent == [], "each begins with a docstring: what it is, then the rule it keeps"
