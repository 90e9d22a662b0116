"""A task's progress as a small picture: a pure function from the task to SVG.

No text from outside gets into it unescaped, nothing is fetched, and no script is in it: it may stand on any page.
"""

from __future__ import annotations

import unicodedata
from html import escape

from progresshub.edge.redact import redact_text
from progresshub.model import Progress, State, Task

TITLE_CHARS = 32
BAR_PX = 96
HEIGHT_PX = 26
PAD_PX = 10
CHAR_PX, WIDE_PX = 6.7, 12.0
UNITS = ("B", "kB", "MB", "GB", "TB")

WORD = {
    State.SCHEDULED: "scheduled",
    State.PENDING: "waiting",
    State.RUNNING: "running",
    State.RETRYING: "will retry",
    State.COMPLETED: "done",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
FILL = {State.COMPLETED: "done", State.FAILED: "failed", State.RUNNING: "moving"}

STYLE = """
text{font:12px system-ui,sans-serif;fill:#1c2430;unicode-bidi:plaintext}
.card{fill:#fff;stroke:#c9d1dc}.track{fill:#dfe5ed}.rest{fill:#8a94a3}.moving{fill:#2563eb}.done{fill:#15803d}
.failed{fill:#c62828}.stalled{fill:#b45309}.state{fill:#4a5565}
.unknown{animation:sweep 1.6s ease-in-out infinite alternate}
.sheen{fill:#fff;opacity:.35;animation:shine 1.8s linear infinite}
@keyframes sweep{to{transform:translateX(64px)}}
@keyframes shine{from{transform:translateX(-24px)}to{transform:translateX(96px)}}
@media(prefers-color-scheme:dark){text{fill:#e8edf4}.card{fill:#161b22;stroke:#3a4452}.track{fill:#2b3440}
.rest{fill:#7d8898}.moving{fill:#6ea8ff}.done{fill:#4ade80}.failed{fill:#ff7b72}.stalled{fill:#f0b04a}.state{fill:#a9b4c2}}
@media(prefers-reduced-motion:reduce){.unknown,.sheen{animation:none}}
"""


def badge(task: Task) -> str:
    """The picture, as wide as its words need. Without a known percentage the bar tells that something moves."""
    title, state = _shown(redact_text(task.spec.title), TITLE_CHARS), said(task)
    title_px, state_px = _width_px(title), _width_px(state)
    bar_at = PAD_PX + title_px + PAD_PX
    state_at = bar_at + BAR_PX + PAD_PX
    width = state_at + state_px + PAD_PX
    label = escape(f"{title}: {state}")
    size = f'width="{width:g}" height="{HEIGHT_PX}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">
<title>{label}</title><style>{STYLE}</style>
<rect class="card" x=".5" y=".5" width="{width - 1:g}" height="{HEIGHT_PX - 1}" rx="6"/>
<text x="{PAD_PX + title_px / 2:g}" y="17" text-anchor="middle">{escape(title)}</text>
<svg x="{bar_at:g}" y="9" width="{BAR_PX}" height="8">{_bar(task)}</svg>
<text class="state" x="{state_at + state_px / 2:g}" y="17" text-anchor="middle">{escape(state)}</text>
</svg>
"""


def said(task: Task) -> str:
    """How it stands, in a few words."""
    if task.state is not State.RUNNING:
        return WORD[task.state]
    if task.cancelling:
        return "cancelling"
    progress = task.progress or Progress()
    parts = [_percent(progress), "stalled" if task.stalled else _speed(progress.speed_bps)]
    return " · ".join(part for part in parts if part) or _shown(progress.stage, TITLE_CHARS) or WORD[task.state]


def _bar(task: Task) -> str:
    share = 1.0 if task.state is State.COMPLETED else _share(task)
    fill = "stalled" if task.stalled else FILL.get(task.state, "rest")
    track = f'<rect class="track" width="{BAR_PX}" height="8" rx="4"/>'
    if share is None:
        return f'{track}<rect class="{fill} unknown" width="{BAR_PX // 3}" height="8" rx="4"/>'
    done_px = round(BAR_PX * share, 1)
    bar = f'{track}<rect class="{fill}" width="{done_px:g}" height="8" rx="4"/>'
    if fill != "moving" or done_px < 8:
        return bar
    shine = '<rect class="sheen" width="24" height="8"/>'
    return f'{bar}<svg width="{done_px:g}" height="8">{shine}</svg>'


def _share(task: Task) -> float | None:
    """How much of it is done, 0 to 1; None while it runs and nobody knows."""
    percent = None if task.progress is None else task.progress.percent
    if percent is None:
        return None if task.state is State.RUNNING else 0.0
    return percent / 100


def _percent(progress: Progress) -> str:
    return "" if progress.percent is None else f"{min(99, int(progress.percent))} %"


def _speed(bytes_per_s: float | None) -> str:
    if not bytes_per_s:
        return ""
    figure, unit = bytes_per_s, 0
    while figure >= 999.5 and unit < len(UNITS) - 1:
        figure, unit = figure / 1000, unit + 1
    return f"{figure:.3g} {UNITS[unit]}/s"


def _shown(text: str, most: int) -> str:
    """One line without what is no character in XML, or turns the direction of what follows."""
    kept = "".join(" " if char.isspace() else char for char in text if _is_visible(char))
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _is_visible(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _width_px(text: str) -> float:
    """About what a system's own font needs."""
    return round(sum(WIDE_PX if unicodedata.east_asian_width(char) in "WF" else CHAR_PX for char in text), 1)
