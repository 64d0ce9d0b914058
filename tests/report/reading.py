"""A page as a reader has it: its text, its tables and its elements, by the standard library's parser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Page(HTMLParser):
    source: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self._table: list[list[str]] | None = None
        self._in_cell = False
        self.feed(self.source)

    @property
    def text(self) -> str:
        """Everything that is read, spaces made plain."""
        return " ".join(" ".join(self.texts).replace("\u00a0", " ").split())

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if attributes.get("id")]

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self._open.append(tag)
        if attributes.get("role") == "region":
            self._table = self.tables.setdefault(attributes["aria-label"].replace("\u00a0", " "), [])
        if tag == "tr":
            self._table.append([])
        if tag in {"td", "th"}:
            self._table[-1].append("")
            self._in_cell = True

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> closes another element"
        if tag in {"td", "th"}:
            self._in_cell = False

    def handle_data(self, data):
        if "style" in self._open:
            return
        self.texts.append(data)
        if self._in_cell:
            self._table[-1][-1] += data.replace("\u00a0", " ")
