"""Named places in the walk of a delivery and of a call. Tests of faults end, stop or fail a process there.

Nothing here reads a setting: whoever wants something to happen replaces `reach` before the program starts, as
tests/faults/child.py does. It is called for a batch or a call, so that it costs nothing that can be measured.
"""


def reach(name: str) -> None:
    """This process has come to the place `name`, such as `writer.committed`."""
