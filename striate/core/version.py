"""The version of Striate. Here, because a source tree that is not installed has no package metadata."""

__version__ = "0.1.0"
