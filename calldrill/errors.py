"""The face's own errors: each is one line for a person, and an exit code."""

from measures.run import EXIT_BAD_INPUT, EXIT_COULD_NOT_RUN


class CalldrillError(Exception):
    """Base; ``exit_code`` is what the process ends with."""

    exit_code = EXIT_COULD_NOT_RUN


class InputError(CalldrillError):
    """The command line or a file is wrong."""

    exit_code = EXIT_BAD_INPUT


class RunError(CalldrillError):
    """The drill could not be run here."""
