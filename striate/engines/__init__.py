"""What trains a network: the driver of a run, the protocol of an engine, and two engines, PyTorch and from scratch."""
