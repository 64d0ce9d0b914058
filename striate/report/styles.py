"""How an arm looks, the same in every figure: a color, a dash and a marker, by its place in the study.

Colors are names of CSS variables (`report.css` gives them their values, for light and for dark), so a drawing follows the
page it stands in. Dash and marker tell the arms apart where color cannot: in print, and for color-blind readers.
"""

from dataclasses import dataclass

# Okabe and Ito's eight, https://jfly.uni-koeln.de/color/; the pair that is easiest to tell apart comes first.
COLORS = tuple(f"var(--c{n})" for n in range(1, 9))
OTHER = "var(--c-other)"  # a ninth hue would be mistaken for one of the eight

DASHES: tuple[tuple[int, ...], ...] = ((), (6, 3), (2, 2), (9, 3, 2, 3), (4, 2), (12, 3), (1, 3), (6, 2, 1, 2, 1, 2))

# Paths in a box of -1 to 1, so that charts and keys draw the very same marker.
MARKERS = (
    "M0.9,0A0.9,0.9,0,1,1,-0.9,0A0.9,0.9,0,1,1,0.9,0Z",
    "M-0.8,-0.8H0.8V0.8H-0.8Z",
    "M0,-1L1,0.75H-1Z",
    "M0,-1.1L1.1,0L0,1.1L-1.1,0Z",
    "M-0.35,-1H0.35V-0.35H1V0.35H0.35V1H-0.35V0.35H-1V-0.35H-0.35Z",
    "M0,1L1,-0.75H-1Z",
    "M-0.9,0L0.8,-1V1Z",
    "M0.9,0L-0.8,-1V1Z",
)
CROSS = "M-1,-1L1,1M1,-1L-1,1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    color: str
    dash: tuple[int, ...]
    marker: str


def style(index: int) -> Style:
    """The look of the arm that stands at `index` in the study."""
    color = COLORS[index] if index < len(COLORS) else OTHER
    return Style(color=color, dash=DASHES[index % len(DASHES)], marker=MARKERS[index % len(MARKERS)])
