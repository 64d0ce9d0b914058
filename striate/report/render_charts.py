"""The process that draws charts: it hears Vega-Lite specifications and answers each with its SVG or an error.

An answer is {"svg": "<svg ..."} or {"error": "what vl-convert says"}. vl-convert can abort its whole process, which is
why the page is not built in this one.
"""

from striate.core.processes import Channel, Message


def main() -> None:
    channel = Channel()
    for spec in channel.messages():
        channel.send(_answer(spec))


def _answer(spec: Message) -> Message:
    import vl_convert

    try:
        return {"svg": vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])}
    except ValueError as error:  # the only exception that vl-convert raises
        lines = [line for line in str(error).splitlines() if not line.startswith("    at ")]  # no JavaScript stack
        return {"error": " ".join(lines)[:300]}


if __name__ == "__main__":
    main()
