"""Charts as SVG, made here: presentation attributes and classes alone, so that the strict policy takes them.

Each is for the eye; the table beside it says the same to everybody. What may not be shown (E-12) is hatched, of no
height that would tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from api.figures import Figure, Step

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 200, 40, 26, 10
LABELS_MAX: Final = 6
_DAY_MIN: Final = 1440


def bars(figures: Sequence[Figure], labels: Sequence[str], title: str) -> Markup:
    """Upright bars, one a figure."""
    top = _ceiling([one.count or 0 for one in figures])
    pitch = (WIDTH - LEFT) / max(len(figures), 1)
    wide = max(1.0, min(pitch * 0.8, 36.0))
    parts = [_axis(top)]
    every = -(-len(figures) // LABELS_MAX)
    for n, (one, label) in enumerate(zip(figures, labels, strict=True)):
        x = LEFT + n * pitch + (pitch - wide) / 2
        high = 8.0 if one.count is None else _height(one.count, top)
        kind = "bar" if one.count is not None else "bar hidden-bar"
        y = HEIGHT - BOTTOM - high
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"/>')
        if n % every == 0:
            parts.append(_label(LEFT + n * pitch + pitch / 2, label))
    return _svg(parts, title)


def lying_bars(figures: Sequence[Figure], labels: Sequence[str], title: str) -> Markup:
    """Bars that lie, each under its label, which may be long; no axis, each says its figure."""
    top = max((one.count or 0 for one in figures), default=0) or 1
    parts = []
    for n, (one, label) in enumerate(zip(figures, labels, strict=True)):
        y = n * 48
        wide = 12.0 if one.count is None else max(2.0, one.count / top * (WIDTH - 90))
        kind = "bar" if one.count is not None else "bar hidden-bar"
        said = "" if one.count is None else str(one.count)
        parts.append(f'<text class="chart-label" x="0" y="{y + 18}">{escape(label)}</text>')
        parts.append(f'<rect class="{kind}" x="0" y="{y + 25}" width="{wide:.1f}" height="16"/>')
        parts.append(f'<text class="chart-label" x="{wide + 8:.1f}" y="{y + 39}">{said}</text>')
    return _svg(parts, title, max(len(figures), 1) * 48)


def steps(found: Sequence[Step], title: str, until_minute: int = _DAY_MIN) -> Markup:
    """Heads over one day, as steps, up to a minute of it; hatched where there are one to four."""
    top = _ceiling([one.heads or 0 for one in found])
    parts = [_axis(top)]
    for n, one in enumerate(found):
        until = found[n + 1].minute if n + 1 < len(found) else max(one.minute, until_minute)
        x, wide = _at(one.minute), _at(until) - _at(one.minute)
        if one.heads is None:
            parts.append(
                f'<rect class="bar hidden-bar" x="{x:.1f}" y="{HEIGHT - BOTTOM - 8}" width="{wide:.1f}" height="8"/>'
            )
        elif one.heads:
            high = _height(one.heads, top)
            where = f'x="{x:.1f}" y="{HEIGHT - BOTTOM - high:.1f}" width="{wide:.1f}" height="{high:.1f}"'
            parts.append(f'<rect class="bar" {where}/>')
    parts += [_label(_at(hour * 60), f"{hour}:00") for hour in range(0, 24, 4)]
    return _svg(parts, title)


def _at(minute: int) -> float:
    return LEFT + minute / _DAY_MIN * (WIDTH - LEFT)


def _ceiling(counts: Sequence[int]) -> int:
    """A round, even number that none is above."""
    most = max(counts, default=0)
    step = int("1" + "0" * (len(str(most)) - 1))
    top = max(6, -(-most // step) * step)
    return top + top % 2


def _height(count: int, top: int) -> float:
    return count / top * (HEIGHT - BOTTOM - TOP)


def _axis(top: int) -> str:
    base = HEIGHT - BOTTOM
    lines = []
    for share in (0, 0.5, 1):
        y = base - share * (HEIGHT - BOTTOM - TOP)
        lines.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        said = f"{top * share:g}"
        lines.append(f'<text class="chart-label" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>')
    return "".join(lines)


def _label(x: float, text: str) -> str:
    return f'<text class="chart-label" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(text)}</text>'


def _svg(parts: Sequence[str], title: str, height: int = HEIGHT) -> Markup:
    inner = "".join(parts)
    return Markup(  # noqa: S704 - every text in it was escaped
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{inner}</svg>'
    )
