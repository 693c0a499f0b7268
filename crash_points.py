"""Named places in the walk of a delivery and of a call. Tests of faults end, stop or fail a process there.

Nothing here reads a setting: whoever wants something to happen replaces `reach` before the program starts, as
tests/faults/child.py does. In production it is an empty function, called twice for a delivery and else once for a batch
or a call.
"""


def reach(name: str) -> None:
    """This process has come to the place `name`, such as `writer.stored`."""
