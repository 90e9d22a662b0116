"""The colours of slides, light and dark."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as "#rrggbb": `panel` is what code stands on, `line` what is thin, `faint` what may be overlooked."""

    paper: str
    ink: str
    title: str
    faint: str
    accent: str
    panel: str
    line: str


THEMES = {
    "light": Theme("#fbfaf7", "#2c3440", "#161c26", "#8a8f98", "#2563c9", "#eef0f3", "#d8dbe0"),
    "dark": Theme("#14181f", "#d5dae2", "#f5f7fa", "#7f8793", "#5da2ff", "#1f252e", "#343c48"),
}


def theme(name: str, accent: str) -> Theme:
    """The theme of that name, with the accent of the settings if they have one."""
    return replace(THEMES[name], accent=accent) if accent else THEMES[name]
