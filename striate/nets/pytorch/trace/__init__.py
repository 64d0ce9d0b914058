"""Any torch module as a graph: `tracer` runs it once, `ops` and `windows` read each call, `axes` follows the axes of the image."""
