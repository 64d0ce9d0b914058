"""A renderer with faults: it does with a chart what the specification's "plant" says."""

import json
import os
import sys
import time

for line in sys.stdin:
    match json.loads(line).get("plant"):
        case "die":
            os.abort()
        case "hang":
            time.sleep(600)
        case "raise":
            answer = {"error": "Error: no such mark in /home/somebody/spec.json"}
        case _:
            answer = {"svg": '<svg width="10" height="10"><text>drawn</text></svg>'}
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
