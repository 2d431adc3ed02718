"""Files that people write (policies, mappings, release specifications), read with errors that say which one."""

from __future__ import annotations

import os
from pathlib import Path

from consentprofile.errors import Fault, InvalidPolicy, UnreadableInput
from consentprofile.model.policy import Policy
from consentprofile.model.policy_file import read_policy

PathLike = str | os.PathLike[str]


def load_policy(policy: PathLike | Policy) -> Policy:
    """A policy from its TOML file, or as it is. Raises :class:`InvalidPolicy` with every fault at its place."""
    if isinstance(policy, Policy):
        return policy
    name = Path(policy).name
    try:
        return read_policy(read_declared(policy, "policy"), name)
    except UnreadableInput as error:
        raise InvalidPolicy([Fault(name, str(error))]) from None


def name_of(policy: PathLike | Policy) -> str:
    """What messages call a policy: its file, or just that."""
    return "policy" if isinstance(policy, Policy) else Path(policy).name


def read_declared(path: PathLike, what: str) -> str:
    """The text of the file that is ``what``. Raises :class:`UnreadableInput`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableInput(f"the {what} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableInput(f"the {what} is not UTF-8 text") from None
