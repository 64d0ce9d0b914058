"""The layer table of a network: records, columns, renderers, and `summarize`."""
