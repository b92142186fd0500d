"""The ways of computing a product, one a file."""
