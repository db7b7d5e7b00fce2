"""The one exception a user is meant to see."""


class BadInput(ValueError):
    """Something given from outside cannot be used: a file, an option, a program.

    The message is one whole sentence for somebody who has never seen the code. The command line
    prints it on stderr and exits with code 2; a traceback is never shown for it.
    """
