"""Other packages: their arrays and interfaces. Each module imports its package; the core imports none of them."""
