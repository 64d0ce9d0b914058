"""Finds statements of a test that look like checks and check nothing, too little, or the speed of the machine."""

import ast
import re
from collections.abc import Iterator

PREDICATES = {"allclose", "array_equal", "equal", "isclose"}
# Exceptions that carry no message.
SILENT = {"KeyboardInterrupt", "SystemExit"}
CLOCK = re.compile(r"elapsed|seconds|took|duration|perf_counter|monotonic|process_time|(^|_)time$|rusage")


def empty_checks(source: str) -> Iterator[tuple[int, str]]:
    """(line, reason) for each statement that checks nothing, accepts any error, or bounds a time from above."""
    tree = ast.parse(source)
    excused = set(_tested_by_raising(tree))
    bound = {item.context_expr for item in ast.walk(tree) if isinstance(item, ast.withitem) and item.optional_vars}
    dropped = {node for node in ast.walk(tree) if isinstance(node, ast.Expr)} - excused
    names = PREDICATES | set(_aliases(tree))
    for node in ast.walk(tree):
        if node in dropped and isinstance(node.value, ast.Compare):
            yield node.lineno, "comparison without assert"
        elif node in dropped and isinstance(node.value, ast.Call) and _called(node.value) in names:
            yield node.lineno, f"{_called(node.value)}(...) without assert"
        elif isinstance(node, ast.Raise) and _is_split_message(node.exc):
            yield node.lineno, "message split by a comma"
        elif isinstance(node, ast.Assert) and isinstance(node.test, ast.Tuple) and node.test.elts:
            yield node.lineno, "assert of a tuple"
        elif isinstance(node, ast.Assert) and any(_bounds_a_time(part) for part in ast.walk(node.test)):
            yield node.lineno, "assert that something is fast"
        elif isinstance(node, ast.Call) and _accepts_any_message(node) and node not in bound:
            yield node.lineno, f"{_called(node)}(...) without match="


def _tested_by_raising(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements inside `with raises(...)` or `with warns(...)`: there a bare expression is the thing tested."""
    for block in ast.walk(tree):
        if isinstance(block, ast.With) and any(_is_expectation(item.context_expr) for item in block.items):
            yield from ast.walk(block)


def _is_expectation(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and _called(expression) in {"raises", "warns"}


def _accepts_any_message(call: ast.Call) -> bool:
    """`raises(E)`: any E would do. `with raises(E) as caught` is excused: ruff finds a `caught` that nobody reads."""
    is_silent = bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id in SILENT
    return _is_expectation(call) and not is_silent and not {"match", "check"} & {word.arg for word in call.keywords}


def _bounds_a_time(comparison: ast.AST) -> bool:
    """`elapsed < 1` or `1 > elapsed`; a lower bound such as `seconds > 0` holds on every machine."""
    if not isinstance(comparison, ast.Compare):
        return False
    sides = [comparison.left, *comparison.comparators]
    for small, operator, large in zip(sides, comparison.ops, sides[1:], strict=False):
        if isinstance(operator, ast.Gt | ast.GtE):
            small = large
        if isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE) and any(map(CLOCK.search, _words(small))):
            return True
    return False


def _words(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _aliases(tree: ast.AST) -> Iterator[str]:
    """Local names of predicates: `close = np.isclose` must not hide a bare `close(a, b)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr in PREDICATES:
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _called(call: ast.Call) -> str:
    """The last name of what is called; methods of `self` are somebody's own and not meant."""
    if isinstance(call.func, ast.Attribute):
        is_own = isinstance(call.func.value, ast.Name) and call.func.value.id == "self"
        return "" if is_own else call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_split_message(raised: ast.expr | None) -> bool:
    """`raise E("a", f"b")`: the comma makes a tuple of what was meant as one sentence."""
    if not isinstance(raised, ast.Call) or len(raised.args) < 2:
        return False
    texts = (ast.JoinedStr, ast.Constant)
    return all(
        isinstance(arg, texts) and not (isinstance(arg, ast.Constant) and not isinstance(arg.value, str))
        for arg in raised.args
    )
