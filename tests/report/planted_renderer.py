"""A renderer with faults: it does with a chart what the specification's "plant" says."""

import os
import time

from striate.core.processes import Channel

channel = Channel()
for spec in channel.messages():
    match spec.get("plant"):
        case "die":
            os.abort()
        case "hang":
            time.sleep(600)
        case "raise":
            channel.send({"error": "Error: no such mark in /home/somebody/spec.json"})
        case _:
            channel.send({"svg": '<svg width="10" height="10"><text>drawn</text></svg>'})
