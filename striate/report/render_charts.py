"""The process that draws charts: a Vega-Lite specification (JSON) a line on stdin, an answer a line on stdout.

An answer is {"svg": "<svg ..."} or {"error": "what vl-convert says"}. vl-convert can abort its whole process, which is
why the page is not built in this one.
"""

import json
import sys
from typing import Any


def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(_answer(json.loads(line)))}\n")
        sys.stdout.flush()


def _answer(spec: dict[str, Any]) -> dict[str, str]:
    import vl_convert

    try:
        return {"svg": vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])}
    except ValueError as error:  # the only exception that vl-convert raises
        lines = [line for line in str(error).splitlines() if not line.startswith("    at ")]  # no JavaScript stack
        return {"error": " ".join(lines)[:300]}


if __name__ == "__main__":
    main()
