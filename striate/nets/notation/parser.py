"""From text to layers. Every error is a NetworkError with a caret under the character that is at fault.

layers   = item { item }                               separated by spaces
item     = [ COUNT "x" ] ( word | "res(" layers [ "|" layers ] ")" [ ":" activation ] )
         | COUNT "x(" layers ")"
word     = KIND [ sizes ] { LETTER sizes } [ ":" own { "," own } ]      `words.WORDS` has the own words
sizes    = NUMBER | "(" NUMBER { "," NUMBER } ")"
"""

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.nets.layers import Activation, Layer, Residual
from striate.nets.notation.cursor import Cursor
from striate.nets.notation.vocabulary import ACTIVATIONS, ALONE, KINDS, read_alone, read_layer

# Repetitions multiply; this many layers is a slip of the keyboard, and would fill the memory before an error.
MOST_LAYERS = 2000


def parse(text: str) -> tuple[Layer, ...]:
    """The layers that `text` names.

    Raises:
        NetworkError: with a caret under the character that cannot be read.
    """
    if not text.strip():
        raise NetworkError("the notation names no layer; write something like 'conv32 pool conv64 pool fc128'")
    cursor = Cursor(text)
    layers = _layers(cursor)
    if not cursor.ended:
        what = "closes nothing" if cursor.see(r"\)") else "separates a shortcut, and stands in res( ... | ... ) only"
        raise cursor.error(f"'{cursor.text[cursor.at]}' {what}")
    return layers


def _layers(cursor: Cursor) -> tuple[Layer, ...]:
    """Items up to the end, a closing parenthesis or a bar."""
    found: list[Layer] = []
    cursor.take(r"\s*")
    while not cursor.ended and not cursor.see(r"[)|]"):
        start = cursor.at
        found += _item(cursor)
        if len(found) > MOST_LAYERS:
            raise cursor.error(f"more than {MOST_LAYERS} layers", start)
        if not cursor.take(r"\s+") and not cursor.ended and not cursor.see(r"[)|]"):
            raise cursor.error("layers are separated by spaces")
    return tuple(found)


def _item(cursor: Cursor) -> tuple[Layer, ...]:
    start = cursor.at
    times = cursor.take(r"\d+x(?=[\w(])")
    if times and not 1 <= int(times[:-1]) <= MOST_LAYERS:
        raise cursor.error(f"'{times}': repeats from 1 to {MOST_LAYERS} times", start)
    if cursor.see(r"res\b"):
        return (_residual(cursor),) * int(times[:-1] or 1)
    if cursor.see(r"\("):
        if not times:
            raise cursor.error("a group is repeated, 3x(...), or a residual block, res(...)")
        return _group(cursor, start) * int(times[:-1])
    return (_word(cursor),) * int(times[:-1] or 1)


def _group(cursor: Cursor, start: int) -> tuple[Layer, ...]:
    opened = cursor.at
    cursor.take(r"\(")
    layers = _layers(cursor)
    _close(cursor, opened)
    if not layers:
        raise cursor.error("nothing to repeat", start)
    return layers


def _residual(cursor: Cursor) -> Residual:
    start = cursor.at
    cursor.take("res")
    opened = cursor.at
    if not cursor.take(r"\("):
        raise cursor.error("res is followed by its layers in parentheses, as in res(conv64 conv64)")
    body = _layers(cursor)
    bar = cursor.at
    has_bar = bool(cursor.take(r"\|"))
    shortcut = _layers(cursor) if has_bar else ()
    _close(cursor, opened)
    if not body:
        raise cursor.error("a residual block needs layers, as in res(conv64 conv64)", start)
    if has_bar and not shortcut:
        raise cursor.error("after the bar come the layers of the shortcut; leave the bar out for none", bar)
    return Residual(body=body, shortcut=shortcut, activation=_after_sum(cursor))


def _after_sum(cursor: Cursor) -> Activation | None:
    if not cursor.take(":"):
        return None
    start, word = cursor.at, cursor.take(r"\w*")
    if word not in ACTIVATIONS:
        raise cursor.error(f"'{word}': after res(...) comes its activation; {suggest(word, ACTIVATIONS)}", start)
    return ACTIVATIONS[word]


def _close(cursor: Cursor, opened: int) -> None:
    if cursor.see(r"\|"):
        raise cursor.error("'|' separates the shortcut of res( ... | ... ), once")
    if not cursor.take(r"\)"):
        raise cursor.error("this parenthesis is not closed", opened)


def _word(cursor: Cursor) -> Layer:
    start = cursor.at
    if alone := read_alone(cursor.take(r"\w+")):
        return alone
    cursor.at = start
    kind = cursor.take(r"[a-z]+")
    if kind not in KINDS:
        cursor.at = start
        known = [*KINDS, "res", *ALONE]
        raise cursor.error(f"'{cursor.word()}' is not a layer; {suggest(kind or cursor.word(), known)}")
    return read_layer(cursor, kind, start)
