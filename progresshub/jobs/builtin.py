"""The kinds that every server has. Kept out of the package itself, so that workers need not import them all."""

from __future__ import annotations

from progresshub.jobs import audio, command, demo, download, external, video
from progresshub.kinds import Kind
from progresshub.settings import Config


def builtin_kinds(config: Config) -> dict[str, Kind]:
    """By name."""
    kinds = (
        demo.kind(),
        external.kind(),
        command.kind(config.commands),
        download.kind(config.downloads),
        audio.kind(config.audio),
        video.kind(config.video),
    )
    return {kind.name: kind for kind in kinds}
