"""The sections of the page in their order, so that a sentence can name one by its number."""

SECTIONS = (
    ("answer", "Answer"),
    ("compared", "What was compared"),
    ("differences", "Differences"),
    ("looks", "Looks and seeds"),
    ("curves", "Training curves"),
    ("cost", "Cost"),
    ("classes", "Classes and confusion"),
    ("mistakes", "Mistakes"),
    ("trust", "Trust"),
    ("runs", "All runs"),
    ("reproduce", "Reproduce"),
    ("limits", "Limits and glossary"),
)
NUMBERS = {name: number for number, (name, _) in enumerate(SECTIONS, 1)}
TITLES = dict(SECTIONS)


def section(name: str) -> str:
    """`section 5`, as a sentence names it."""
    return f"section {NUMBERS[name]}"
