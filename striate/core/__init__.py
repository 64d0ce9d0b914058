"""What any room may use: errors, records and fingerprints, configuration, random streams, optional imports."""
