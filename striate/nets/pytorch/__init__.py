"""Networks as torch modules: building, initial and published weights, freezing, and tracing any module as a graph."""
