"""The part of deploying that needs torch."""
