"""What every room uses: errors, records, configuration, seeds, processes; and the version, which needs no package metadata here."""

__version__ = "0.1.0"
