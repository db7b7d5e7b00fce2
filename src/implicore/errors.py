"""The exception for errors that a user can correct."""


class BadInput(ValueError):
    """An input cannot be used: a file, an option, a program.

    The message is one sentence that makes sense without knowledge of the code. The command line
    prints it on stderr, without a traceback, and exits with code 2.
    """

    @property
    def clause(self) -> str:
        """The message with a lower-case first letter, to follow a colon in another message."""
        message = str(self)
        return message[:1].lower() + message[1:]
