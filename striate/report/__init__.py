"""A study's results as one page: figures (numbers), drawings (SVG), sections (facts), the page (HTML)."""

from striate.report.pages import build, write

__all__ = ["build", "write"]
