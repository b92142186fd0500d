"""Files of results: a line of JSON for each."""

import json


def append(path, result):
    """Add one line to a file of results."""
    with open(path, "a") as file:
        file.write(json.dumps(result) + "\n")
