"""Who acts as one with whom, as inline SVG; where things stand is :mod:`conduct_layout`'s."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from mashbill.core.plain import counted
from mashbill.report.conduct_layout import DIRECTED, FEW, LETTER, Disc, Layout, Tag, lay_out
from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.conduct.evidence.case import Case

REASONS = {
    "payment": "same means of payment",
    "address": "same network address",
    "signup": "opened in one burst",
    "network": "same network block",
    "agent": "same client program",
    "template": "same family of prompts",
    "handover": "takes over after a limit",
    "succession": "goes on after a ban",
    "replay": "presents its sealed reasoning",
}
"""why -> what a link says"""
ARROWS = 40
"""drawn at most"""
_WIDTH = 1080.0
_BUNDLES = 50  # lines between labels and discs that are read side by side; more are fainter


def draw_graph(case: Case) -> tuple[Markup, Layout]:
    """Draw a case's graph, and return with it what is drawn; empty where no two accounts are."""
    layout = lay_out(case)
    if len(case.graph.nodes) < 2:
        return Markup(""), layout
    things: list[Disc | Tag] = [*layout.discs, *layout.tags]
    wide = max(one.x + _reach(one) for one in things) + 10
    high = max(one.y + (one.radius if isinstance(one, Disc) else 12) for one in things) + 34
    shift = max(0.0, (_WIDTH - wide) / 2)
    parts = [
        (
            f'<svg class="graph" viewBox="{-shift:.1f} 0 {max(wide, _WIDTH):.1f} {high:.1f}" '
            'role="img" aria-label="accounts in groups, and what holds them together"><defs>'
        )
    ]
    parts += [
        f'<marker id="{why}" class="w{why}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0,0L8,4L0,8z"/></marker>'
        for why in DIRECTED
    ]
    parts.append("</defs>")
    parts += _tags(layout)
    parts += _discs(case, layout)
    parts += _arrows(case, layout)
    parts += [
        f'<text x="{disc.x}" y="{disc.y + disc.radius + 14:.1f}">{disc.label}</text>'
        for disc in layout.discs
    ]
    parts += [
        f'<text class="on" x="{tag.x}" y="{tag.y + 4:.1f}">{tag.label}</text>'
        for tag in layout.tags
    ]
    return Markup("".join(parts) + "</svg>"), layout  # noqa: S704 - every text in it is escaped


def _reach(one: Disc | Tag) -> float:
    half = len(one.label) * LETTER / 2
    return max(one.radius, half) if isinstance(one, Disc) else half + 10


def _tags(layout: Layout) -> Iterator[str]:
    """Yield each tag with its lines to discs, the wider the more accounts they stand for."""
    counts = [count for tag in layout.tags for count in tag.joins.values()]
    most = max(counts, default=1)
    faint = " faint" if len(counts) > _BUNDLES else ""
    for tag in layout.tags:
        said = f"{counted(len(tag.hub.members), 'account')}: {REASONS[tag.hub.why]}"
        yield f'<g class="tag w{tag.hub.why}{faint}"><title>{said}</title>'
        for place, count in sorted(tag.joins.items()):
            disc = layout.discs[place]
            wide = 1.2 + 6 * math.sqrt(count / most)
            yield (
                f'<line class="bundle" x1="{tag.x}" y1="{tag.y}" x2="{disc.x}" y2="{disc.y}" '
                f'stroke-width="{wide:.1f}"><title>{count:,} of '
                f"{counted(len(disc.accounts), 'account')} here: {REASONS[tag.hub.why]}"
                "</title></line>"
            )
        half = len(tag.label) * LETTER / 2 + 9
        yield (
            f'<rect x="{tag.x - half:.1f}" y="{tag.y - 11:.1f}" width="{2 * half:.1f}" '
            f'height="22" rx="11"/></g>'
        )


def _discs(case: Case, layout: Layout) -> Iterator[str]:
    nodes = {node.account: node for node in case.graph.nodes}
    most = max(node.exchanges for node in case.graph.nodes) or 1
    for disc in layout.discs:
        yield (
            f'<g class="disc w{disc.why or "none"}"><circle class="ring" cx="{disc.x}" '
            f'cy="{disc.y}" r="{disc.radius:.1f}"><title>{counted(len(disc.accounts), "account")}'
            f"{': ' + REASONS[disc.why] if disc.why else ''}</title></circle>"
        )
        for name in disc.accounts:
            node, (x, y) = nodes[name], layout.spots[name]
            size = 2.2 + 2.3 * math.sqrt(node.exchanges / most)
            outside = "" if node.role == "member" else ", outside of the finding"
            yield (
                f'<circle class="{node.role}" cx="{x}" cy="{y}" r="{size:.1f}"><title>'
                f"{drawn(case.name_of(name), 60)}: {counted(node.exchanges, 'exchange')}{outside}"
                "</title></circle>"
            )
        yield "</g>"


def _arrows(case: Case, layout: Layout) -> Iterator[str]:
    """Yield who followed whom: the strongest, an arrow each."""
    faint = " faint" if len(layout.arrows) > FEW else ""
    strongest = sorted(layout.arrows, key=lambda link: (-link.strength, link.a, link.b))[:ARROWS]
    for link in strongest:
        (x1, y1), (x2, y2) = layout.spots[link.a], layout.spots[link.b]
        far = math.hypot(x2 - x1, y2 - y1) or 1.0
        # Ends stay clear of the dots, and the line is bent, so that there and back are two.
        ax, ay = (x2 - x1) / far, (y2 - y1) / far
        gap = min(6.0, far / 3)
        bend = far * 0.14
        mx, my = (x1 + x2) / 2 - ay * bend, (y1 + y2) / 2 + ax * bend
        names = " → ".join(drawn(case.name_of(end), 40) for end in (link.a, link.b))
        yield (
            f'<path class="arrow w{link.why}{faint}" marker-end="url(#{link.why})" '
            f'd="M{x1 + ax * gap:.1f},{y1 + ay * gap:.1f}Q{mx:.1f},{my:.1f} '
            f'{x2 - ax * gap:.1f},{y2 - ay * gap:.1f}">'
            f"<title>{names}: {REASONS[link.why]}</title></path>"
        )
