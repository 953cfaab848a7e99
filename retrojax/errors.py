"""What can go wrong, in words a user can act on.

Two kinds. *Before* a run, `InputError`: one message naming the field, the value, what is allowed and the cure.
*During* a run nothing can raise inside compiled code, so the state carries error bits; the host reads them once per
chunk and turns the first one into a `RunError` with the text of `ERROR_TEXTS`.
"""

import contextlib
import enum
import errno
from collections.abc import Iterator


class RetrojaxError(Exception):
    """Base of every error that retrojax raises on purpose; the command line prints its text and exits with 1."""


class InputError(RetrojaxError, ValueError):
    """Something the user gave cannot be used.

    **Arguments**

    - `field`: dotted path of the setting, or the name of the argument.
    - `value`: what was given.
    - `allowed`: what would have been accepted.
    - `cure`: what to do about it.
    - `file`: the file it stands in, if any.
    """

    def __init__(self, field: str, value: object, allowed: str, cure: str, file: object = None):
        self.field, self.value, self.allowed, self.cure, self.file = field, value, allowed, cure, file
        where = f"{file}: " if file else ""
        shown = repr(value) if isinstance(value, str) else str(value)
        super().__init__(f"{where}{field} = {shown} cannot be used. Allowed: {allowed}. To fix: {cure}")


@contextlib.contextmanager
def naming_file(file: object) -> Iterator[None]:
    """Errors raised inside that name no file name this one."""
    try:
        yield
    except InputError as error:
        if error.file is not None or file is None:
            raise
        raise InputError(error.field, error.value, error.allowed, error.cure, file) from None


CURES = {
    errno.ENOSPC: "make room on that disk", errno.EDQUOT: "make room within your quota",
    errno.EACCES: "choose a folder that you may write to (--out)", errno.EPERM: "choose a folder that you may write to "
    "(--out)", errno.EROFS: "choose a folder that can be written to (--out)",
}
"""What to do where the operating system refuses, by its error number; else the path is wrong."""


def explain(error: OSError) -> str:
    """What the operating system refused, and what to do about it, in a sentence."""
    where = f"{error.filename}: " if error.filename else ""
    cure = CURES.get(error.errno or 0, "check the path")
    return f"{where}{error.strerror or error}. To fix: {cure}; what was saved before is untouched"


class RunError(RetrojaxError, RuntimeError):
    """A run stopped; its message says where, and which checkpoint is still good."""


class ErrorBit(enum.IntFlag):
    """Bits of `State.errors`; set inside compiled code, read by the host after every chunk."""

    NONE = 0
    NON_FINITE = 1
    INPUT_OVERFLOW = 2
    DEPOSIT_OVERFLOW = 4
    LANDINGS = 8


ERROR_TEXTS = {
    ErrorBit.NON_FINITE: "a value became infinite or not-a-number",
    ErrorBit.INPUT_OVERFLOW: "the summed synaptic input of a neuron left its fixed-point range; "
    "raise `network.input_headroom` or lower the weights",
    ErrorBit.DEPOSIT_OVERFLOW: "the messenger released into one voxel left its fixed-point range; "
    "lower the synthesis rate or use smaller voxels",
    ErrorBit.LANDINGS: "an axon spiked so often within the calcium delay of its spines that the oldest spike's calcium "
    "was forgotten; lower the rate of that source, or use the clocked schedule (`network.schedule: clocked`)",
}
