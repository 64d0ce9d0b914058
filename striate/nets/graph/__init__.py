"""A network as a graph of operations, made from its layers, and the receptive fields of its units. No torch here."""
