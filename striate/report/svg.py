"""A Vega-Lite dictionary to inline SVG, with vl-convert.

Promises: the same dictionary gives the same bytes; identifiers begin with the given prefix, so drawings never share a
clip path; nothing is fetched. Where vl-convert is not installed there is no drawing, and the caller shows the table.
"""

import html
import itertools
import re
from typing import Any

from markupsafe import Markup


def is_available() -> bool:
    try:
        import vl_convert  # noqa: F401
    except ImportError:
        return False
    return True


def render(spec: dict[str, Any], prefix: str, label: str) -> Markup:
    """The drawing; `label` is what a screen reader says of it."""
    import vl_convert

    return Markup(_inline(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]), prefix, label))


def _inline(svg: str, prefix: str, label: str) -> str:
    # vl-convert numbers clip paths on and on within a process: the second build would have other bytes.
    names: dict[str, str] = {}
    numbers = itertools.count(1)
    for name in re.findall(r'\bid="([^"]+)"', svg):
        names.setdefault(name, f"{prefix}-{next(numbers)}")
    for old, new in names.items():
        svg = svg.replace(f'id="{old}"', f'id="{new}"').replace(f"url(#{old})", f"url(#{new})")
    svg = re.sub(r"<[^>]*>", lambda tag: _slim(tag.group()), svg)
    svg = re.sub(r'<path d="M0,0h0v0h0Z"/>|<path d="" display="none"/>', "", svg)
    width = re.search(r'<svg[^>]* width="(\d+)', svg)
    size = f' style="max-width:{int(width.group(1)) * 1.12:.0f}px"' if width else ""
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg class="chart" role="img" aria-label="{html.escape(label)}"{size}', 1)


def _slim(tag: str) -> str:
    """A tag without what nobody needs; the text between tags is somebody's words and stays as it is."""
    # One image with one label: roles of its parts are noise to a screen reader and a third of the bytes.
    tag = re.sub(r' (?:aria-[a-z]+|role|class|pointer-events|xmlns:xlink|version)="[^"]*"', "", tag)
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}", tag)
