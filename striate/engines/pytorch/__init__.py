"""The PyTorch engine; `engine.open_engine` is its entry point."""
