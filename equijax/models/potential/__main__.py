"""`python -m equijax.models.potential`: see `equijax.models.potential.commands`."""

from equijax.models.potential.commands import main

if __name__ == "__main__":
    main()
