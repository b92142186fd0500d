"""Other packages: their arrays and interfaces. Each module imports its package; nothing here is imported by the core."""
