"""``init``: make a store, and say what must not be lost."""

from __future__ import annotations

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, InputFile, pass_context, store_options
from consentprofile.cli.output import Misuse, count


@click.command("init", cls=Command)
@click.option(
    "--policy", required=True, type=InputFile(text=True), metavar="FILE", help="The policy that the store shall obey."
)
@click.option(
    "--origin",
    metavar="NAME",
    help="What outsiders know the audit log by, for good, such as shop.example/consent-log. [a random name]",
)
@store_options
@pass_context
def init_command(context: Context, policy: str, origin: str | None) -> None:
    """Make a store that obeys a policy, and its key.

    The key comes from a key file, which is made if it is not there; from an environment variable (make its text with
    `consentprofile keys new`); or from a passphrase. The store is made whole or not at all.
    """
    out, path = context.out, context.store_path
    key = context.key(new=True)
    if isinstance(key, cp.KeyFile) and key.path.resolve().is_relative_to(path.resolve()):
        raise Misuse("the key file must not lie in the store's directory: whoever takes the one would have the other")
    accepted = cp.load_policy(policy)
    made = isinstance(key, cp.KeyFile) and not key.path.exists()
    with cp.Store.create(path, policy=accepted, key=key, clock=context.clock, origin=origin) as store:
        public_key = store.audit.public_key
    purposes = list(accepted.purposes)
    provider = _provider(key)
    out.document(
        {
            "store": str(path),
            "policy": accepted.digest.hex(),
            "purposes": purposes,
            "key": provider,
            "key_made": made,
            "public_key": public_key,
        }
    )
    out.line(f"The store is made. It obeys the policy of {accepted.controller.name}")
    out.line(f"for {count(len(purposes), 'purpose')}: {', '.join(purposes)}.")
    out.line()
    for text in _warnings(key, made=made):
        out.warn(text)


def _provider(key: cp.KeyProvider) -> str:
    if isinstance(key, cp.KeyFile):
        return "key-file"
    return "environment" if isinstance(key, cp.EnvKey) else "passphrase"


def _warnings(key: cp.KeyProvider, *, made: bool) -> list[str]:
    """What losing the key means, and how to keep it."""
    if isinstance(key, cp.KeyFile):
        what = "The key file was made now and is readable by you alone." if made else "The key file was there already."
        how = (
            "Keep a copy of it offline (printed, or in a password safe: it is one line), never beside the store "
            "and never in a backup of it."
        )
    elif isinstance(key, cp.EnvKey):
        what = "The key is in the environment variable alone; the store does not hold it."
        how = "Keep it in a secret manager, with a copy offline, never in a backup of the store."
    else:
        what = "The key follows from the passphrase; it is written nowhere."
        how = "Keep the passphrase in a password safe."
    return [
        f"{what} Whoever has it and the store can read everything; whoever loses it has lost everything, for "
        "nobody can open the store without it.",
        how,
        "Write down the public key of the audit log too (`consentprofile audit public-key`), and publish it: with it "
        "anybody can verify what the log proves, and it is no secret.",
    ]
