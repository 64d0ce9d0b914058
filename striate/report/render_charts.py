"""The process that draws: it hears Vega-Lite specifications and answers each with its SVG, or hears an SVG and answers with PNG and PDF.

An answer is {"svg": "<svg ..."}, {"png": base64, "pdf": base64} or {"error": "what vl-convert says"}. vl-convert can abort its
whole process, which is why the page is not built in this one.
"""

import base64

from striate.core.processes import Channel, Message

SCALE = 3  # pixels of a PNG for one of the chart


def main() -> None:
    channel = Channel()
    for message in channel.messages():
        channel.send(_answer(message))


def _answer(message: Message) -> Message:
    import vl_convert

    try:
        if "svg" not in message:
            return {"svg": vl_convert.vegalite_to_svg(message, allowed_base_urls=[])}
        made = {
            "png": vl_convert.svg_to_png(message["svg"], scale=SCALE),
            "pdf": vl_convert.svg_to_pdf(message["svg"]),
        }
        return {kind: base64.b64encode(content).decode("ascii") for kind, content in made.items()}
    except ValueError as error:  # the only exception that vl-convert raises
        lines = [line for line in str(error).splitlines() if not line.startswith("    at ")]  # no JavaScript stack
        return {"error": " ".join(lines)[:300]}


if __name__ == "__main__":
    main()
