"""The formats that images come in. Each module finds a source at a path and reads its `Contents`."""
