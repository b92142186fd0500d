"""The flags that all benchmarks have, and Ctrl-C."""

import signal


def add_arguments(parser):
    """The flags that all benchmarks have."""
    parser.add_argument("--platform", choices=("cpu", "gpu", "tpu"), help="jax's choice unless given")
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes, for a smoke run")
    parser.add_argument("--json", help="append the result to this file, one line")


def set_platform(args):
    """Make jax use the platform asked for."""
    if args.platform:
        import jax

        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(args.platform, args.platform))


def completed(result):
    """What `training.fit` gives; where Ctrl-C has ended the run, the script ends, too."""
    if result.stopped == "interrupted":
        raise SystemExit(f"Stopped at step {result.state.step}; the same command goes on.")
    return result


def interrupted():
    """A list that is empty until Ctrl-C is pressed, so that a run ends in good order; a second one ends it at once."""
    pressed = []

    def press(*_):
        pressed.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, press)
    return pressed
