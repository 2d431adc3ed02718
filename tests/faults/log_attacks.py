"""What somebody may do to a log who can write both files and has no key; and what verifying has to say of it.

The log is the one that test_log_attacks.py makes: 15 leaves, heads over 2, 9, 12 and 15 of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consentprofile.crypto import slots as slot_values
from consentprofile.store.ports import destroyed
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.checkpoint import Checkpoint, sign_checkpoint
from consentprofile.tlog.leaf import Leaf
from consentprofile.tlog.merkle import Frontier, leaf_hash
from tests.support.people import edit, look
from tests.support.stores import START

SIZE: Final = 15


def log_of(path: Path) -> list[Leaf]:
    """The leaves."""
    rows = look(path, "data.db", "SELECT body FROM leaf ORDER BY sequence")
    return [leaves.decode(body) for (body,) in rows if isinstance(body, bytes)]


def rewrite(path: Path, log: Sequence[Leaf | bytes]) -> Frontier:
    """Write these leaves as the log, with all that can be computed without a key: hashes, nodes, the frontier."""
    frontier = Frontier()
    with closing(sqlite3.connect(path / "data.db")) as data, data:
        data.execute("DELETE FROM leaf")
        data.execute("DELETE FROM node")
        for sequence, one in enumerate(log):
            body = one if isinstance(one, bytes) else one.encode()
            data.execute("INSERT INTO leaf VALUES (?, ?, ?)", (sequence, leaf_hash(body), body))
            for node in frontier.append(leaf_hash(body))[1:]:
                data.execute("INSERT INTO node VALUES (?, ?, ?)", node)
        hour = max(one.hour for one in log if isinstance(one, Leaf))
        data.execute("UPDATE tree SET frontier = ?, hour = ?", (frontier.encode(), hour))
    return frontier


def renumbered(log: Sequence[Leaf]) -> list[Leaf]:
    """The leaves with the sequences of the places where they stand now."""
    return [msgspec.structs.replace(one, sequence=sequence) for sequence, one in enumerate(log)]


def another(log: Sequence[Leaf], sequence: int) -> Leaf:
    """What a leaf could say instead."""
    return msgspec.structs.replace(log[sequence], role="officer", operation="read")


def change_leaf(path: Path, sequence: int, *, with_hash: bool) -> None:
    """Another leaf in this place, in no more than its row."""
    body = another(log_of(path), sequence).encode()
    edit(path, "data.db", "UPDATE leaf SET body = ? WHERE sequence = ?", body, sequence)
    if with_hash:
        edit(path, "data.db", "UPDATE leaf SET hash = ? WHERE sequence = ?", leaf_hash(body), sequence)


def cut(path: Path, size: int, *, heads: bool) -> None:
    """Take the log back to what it was at ``size``, tree and all, and where asked the heads with it."""
    rewrite(path, log_of(path)[:size])
    if heads:
        edit(path, "data.db", "DELETE FROM checkpoint WHERE size > ?", size)


def sign_again(path: Path, frontier: Frontier, size: int) -> None:
    """A head over another tree, in the form of ours, by a key of the attacker's own."""
    ((origin,),) = look(path, "keys.db", "SELECT origin FROM keyring")
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    head = Checkpoint(str(origin), size, frontier.root())
    note = sign_checkpoint(head, key.public_key().public_bytes_raw(), key.sign).encode()
    edit(path, "data.db", "UPDATE checkpoint SET note = ?, root = ? WHERE size = ?", note, head.root, size)


# ---- the attacks: what is done, and the first leaf that is named -----------------------------------------------


def leaf_edited(path: Path) -> None:
    change_leaf(path, 5, with_hash=False)


def leaf_edited_with_its_hash(path: Path) -> None:
    change_leaf(path, 5, with_hash=True)


def last_leaf_edited_with_its_hash(path: Path) -> None:
    change_leaf(path, 14, with_hash=True)


def leaf_edited_with_the_whole_tree(path: Path) -> None:
    log = log_of(path)
    rewrite(path, [*log[:5], another(log, 5), *log[6:]])


def newest_leaf_edited_with_the_whole_tree(path: Path) -> None:
    log = log_of(path)
    rewrite(path, [*log[:14], another(log, 14)])


def leaf_deleted(path: Path) -> None:
    edit(path, "data.db", "DELETE FROM leaf WHERE sequence = 9")


def leaf_deleted_and_the_others_moved_up(path: Path) -> None:
    log = log_of(path)
    rewrite(path, log[:9] + log[10:])


def leaf_deleted_and_the_others_renumbered(path: Path) -> None:
    log = log_of(path)
    rewrite(path, renumbered(log[:9] + log[10:]))


def leaf_deleted_renumbered_and_one_added_for_it(path: Path) -> None:
    log = log_of(path)
    rewrite(path, renumbered(log[:9] + log[10:] + log[-1:]))


def leaf_inserted(path: Path) -> None:
    log = log_of(path)
    rewrite(path, [*log[:7], log[9], *log[7:]])


def leaf_inserted_and_the_others_renumbered(path: Path) -> None:
    log = log_of(path)
    rewrite(path, renumbered([*log[:7], log[9], *log[7:]]))


def leaf_added_behind_the_tree(path: Path) -> None:
    edit(path, "data.db", "INSERT INTO leaf SELECT 15, hash, body FROM leaf WHERE sequence = 14")


def leaves_reordered(path: Path) -> None:
    for number, other in ((-1, 9), (9, 10), (10, -1)):
        edit(path, "data.db", "UPDATE leaf SET sequence = ? WHERE sequence = ?", number, other)


def leaves_reordered_with_the_whole_tree(path: Path) -> None:
    log = log_of(path)
    rewrite(path, renumbered([*log[:9], log[10], log[9], *log[11:]]))


def leaf_that_runs_backwards(path: Path) -> None:
    log = log_of(path)
    rewrite(path, [*log, msgspec.structs.replace(log[14], sequence=15, hour=log[14].hour - 1)])


def leaf_that_cannot_be_read(path: Path) -> None:
    rewrite(path, [*log_of(path), b"\xc1"])


def leaf_in_another_form(path: Path) -> None:
    """The same numbers, the first of them written longer than it has to be."""
    body = msgspec.structs.replace(log_of(path)[14], sequence=15).encode()
    assert body[:2] == b"\x98\x01"
    rewrite(path, [*log_of(path), b"\x98\xcc\x01" + body[2:]])


def leaves_cut_off(path: Path) -> None:
    edit(path, "data.db", "DELETE FROM leaf WHERE sequence >= 13")


def leaves_and_tree_cut_off(path: Path) -> None:
    cut(path, 13, heads=False)


def leaves_tree_and_heads_cut_off(path: Path) -> None:
    cut(path, 13, heads=True)


def everything_cut_off_but_a_head(path: Path) -> None:
    cut(path, 13, heads=False)
    edit(path, "keys.db", "UPDATE anchor SET size = 12, root = (SELECT zeroblob(32))")
    ((root,),) = look(path, "data.db", "SELECT root FROM checkpoint WHERE size = 12")
    edit(path, "keys.db", "UPDATE anchor SET root = ?", root)


def everything_rewound_over_a_grant(path: Path) -> None:
    """Back to before somebody's grant, with the anchor: his key is in the keyring and nowhere in the log."""
    cut(path, 7, heads=True)
    ((root,),) = look(path, "data.db", "SELECT root FROM checkpoint WHERE size = 2")
    edit(path, "keys.db", "UPDATE anchor SET size = 2, root = ?", root)


def forked(path: Path) -> None:
    """Cut, and grown to the same length in another way."""
    log = log_of(path)
    rewrite(path, renumbered([*log[:12], log[14], log[12], log[13]]))


def forked_without_its_heads(path: Path) -> None:
    forked(path)
    edit(path, "data.db", "DELETE FROM checkpoint WHERE size > 12")


def signed_again_with_another_key(path: Path) -> None:
    log = log_of(path)
    sign_again(path, rewrite(path, [*log[:14], another(log, 14)]), SIZE)


def signed_again_with_another_key_and_anchored(path: Path) -> None:
    log = log_of(path)
    frontier = rewrite(path, [*log[:14], another(log, 14)])
    sign_again(path, frontier, SIZE)
    edit(path, "keys.db", "UPDATE anchor SET root = ?", frontier.root())


def hash_edited(path: Path) -> None:
    edit(path, "data.db", "UPDATE leaf SET hash = zeroblob(32) WHERE sequence = 6")


def node_edited(path: Path) -> None:
    edit(path, "data.db", "UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND position = 5")


def high_node_edited(path: Path) -> None:
    edit(path, "data.db", "UPDATE node SET hash = zeroblob(32) WHERE level = 2 AND position = 2")


def node_deleted(path: Path) -> None:
    edit(path, "data.db", "DELETE FROM node WHERE level = 1 AND position = 3")


def last_node_deleted(path: Path) -> None:
    edit(path, "data.db", "DELETE FROM node WHERE level = 1 AND position = 6")


def node_added(path: Path) -> None:
    edit(path, "data.db", "INSERT INTO node VALUES (1, 7, zeroblob(32))")


def node_added_high_up(path: Path) -> None:
    edit(path, "data.db", "INSERT INTO node VALUES (9, 0, zeroblob(32))")


def frontier_edited(path: Path) -> None:
    ((frontier,),) = look(path, "data.db", "SELECT frontier FROM tree")
    assert isinstance(frontier, bytes)
    edit(path, "data.db", "UPDATE tree SET frontier = ?", frontier[:-32] + bytes(32))


def hour_edited(path: Path) -> None:
    edit(path, "data.db", "UPDATE tree SET hour = hour + 1000")


def tree_deleted(path: Path) -> None:
    edit(path, "data.db", "DELETE FROM tree")


def older_head_replayed(path: Path) -> None:
    note = "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 9) WHERE size = 15"
    edit(path, "data.db", note)


def older_head_replayed_with_its_root(path: Path) -> None:
    columns = "(note, root) = (SELECT note, root FROM checkpoint WHERE size = 9)"
    edit(path, "data.db", f"UPDATE checkpoint SET {columns} WHERE size = 12")


def head_moved_to_another_size(path: Path) -> None:
    edit(path, "data.db", "UPDATE checkpoint SET size = 10 WHERE size = 9")


def note_edited(path: Path) -> None:
    edit(path, "data.db", "UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), '\n9\n', '\n8\n') AS BLOB)")


def root_beside_the_note_edited(path: Path) -> None:
    edit(path, "data.db", "UPDATE checkpoint SET root = zeroblob(32) WHERE size = 12")


def junk_for_a_note(path: Path) -> None:
    edit(path, "data.db", "UPDATE checkpoint SET note = x'00' WHERE size = 2")


def newest_head_deleted(path: Path) -> None:
    edit(path, "data.db", "DELETE FROM checkpoint WHERE size = 15")


def every_head_deleted(path: Path) -> None:
    edit(path, "data.db", "DELETE FROM checkpoint")


def newest_head_unsigned(path: Path) -> None:
    edit(path, "data.db", "UPDATE checkpoint SET note = x'' WHERE size = 15")


def head_of_leaves_to_come(path: Path) -> None:
    edit(path, "data.db", "INSERT INTO checkpoint SELECT 99, root, note FROM checkpoint WHERE size = 15")


def anchor_of_another_root(path: Path) -> None:
    edit(path, "keys.db", "UPDATE anchor SET root = zeroblob(32)")


def anchor_ahead(path: Path) -> None:
    edit(path, "keys.db", "UPDATE anchor SET size = 16")


def anchor_where_no_head_was_signed(path: Path) -> None:
    log = log_of(path)
    frontier = Frontier()
    for one in log[:10]:
        frontier.append(leaf_hash(one.encode()))
    edit(path, "keys.db", "UPDATE anchor SET size = 10, root = ?", frontier.root())


def key_destroyed_without_a_leaf(path: Path) -> None:
    for number, record in look(path, "keys.db", "SELECT number, record FROM slot ORDER BY number"):
        assert isinstance(number, int)
        assert isinstance(record, bytes)
        slot = slot_values.decode(number, record)
        if slot.key_held and slot.header.kind == slot_values.SlotKind.COMPARTMENT:
            edit(
                path,
                "keys.db",
                "UPDATE slot SET record = ? WHERE number = ?",
                destroyed(slot, state=5, since=START).record,
                number,
            )
            return
    raise AssertionError("there was a key to destroy")


def grant_without_a_key(path: Path) -> None:
    log = log_of(path)
    grant = next(one for one in log if one.operation == "consent-given")
    forged = msgspec.structs.replace(grant, sequence=SIZE, facts=(("key-id", bytes(16)),))
    rewrite(path, [*log, forged])


def destruction_of_a_key_that_lives(path: Path) -> None:
    log = log_of(path)
    grant = next(one for one in log if one.operation == "consent-given")
    rewrite(path, [*log, msgspec.structs.replace(grant, sequence=SIZE, operation="erased")])


def destruction_of_one_key_told_of_another(path: Path) -> None:
    """As many keys as there should be, but not the same ones."""
    log = log_of(path)
    first, second = [one for one in log if one.operation == "consent-given"][:2]
    regrant = msgspec.structs.replace(first, sequence=SIZE, facts=(("key-id", bytes(16)),))
    rewrite(path, [*log, regrant, msgspec.structs.replace(second, sequence=SIZE + 1, operation="erased")])


Attack = Callable[[Path], None]

ATTACKS: Final[list[tuple[Attack, int, str]]] = [
    (leaf_edited, 5, "was edited"),
    (leaf_edited_with_its_hash, 4, "stored node"),
    (last_leaf_edited_with_its_hash, 14, "replaced together with its stored hash"),
    (leaf_edited_with_the_whole_tree, 9, "not one of this log"),
    (newest_leaf_edited_with_the_whole_tree, 15, "not one of this log"),
    (leaf_deleted, 9, "missing"),
    (leaf_deleted_and_the_others_moved_up, 9, "in the place of another"),
    (leaf_deleted_and_the_others_renumbered, 12, "not one of this log"),
    (leaf_deleted_renumbered_and_one_added_for_it, 12, "not one of this log"),
    (leaf_inserted, 7, "in the place of another"),
    (leaf_inserted_and_the_others_renumbered, 9, "not one of this log"),
    (leaf_added_behind_the_tree, 15, "behind the tree"),
    (leaves_reordered, 9, "in the place of another"),
    (leaves_reordered_with_the_whole_tree, 12, "not one of this log"),
    (leaf_that_runs_backwards, 15, "earlier than the one before"),
    (leaf_that_cannot_be_read, 15, "cannot be read"),
    (leaf_in_another_form, 15, "cannot be read"),
    (leaves_cut_off, 13, "lost its leaves"),
    (leaves_and_tree_cut_off, 13, "was cut"),
    (leaves_tree_and_heads_cut_off, 13, "was cut"),
    (everything_cut_off_but_a_head, 13, "was cut"),
    (everything_rewound_over_a_grant, 7, "log and keyring disagree"),
    (forked, 15, "not one of this log"),
    (forked_without_its_heads, 0, "anchored in the keyring"),
    (signed_again_with_another_key, 15, "does not verify"),
    (signed_again_with_another_key_and_anchored, 15, "does not verify"),
    (hash_edited, 6, "was edited"),
    (node_edited, 10, "stored node"),
    (high_node_edited, 8, "stored node"),
    (node_deleted, 6, "stored node"),
    (last_node_deleted, 12, "stored node"),
    (node_added, 15, "added beyond the log"),
    (node_added_high_up, 15, "added beyond the log"),
    (frontier_edited, 14, "replaced together"),
    (hour_edited, 14, "hour of its newest leaf"),
    (tree_deleted, 0, "lost its head"),
    (older_head_replayed, 15, "not one of this log"),
    (older_head_replayed_with_its_root, 12, "not one of this log"),
    (head_moved_to_another_size, 10, "not one of this log"),
    (note_edited, 9, "does not verify"),
    (root_beside_the_note_edited, 12, "not one of this log"),
    (junk_for_a_note, 2, "does not verify"),
    (newest_head_deleted, 15, "is gone"),
    (every_head_deleted, 15, "is gone"),
    (newest_head_unsigned, 15, "is gone"),
    (head_of_leaves_to_come, 15, "was cut"),
    (anchor_of_another_root, 0, "anchored in the keyring"),
    (anchor_ahead, 15, "was cut"),
    (anchor_where_no_head_was_signed, 10, "is gone"),
    (key_destroyed_without_a_leaf, 15, "log and keyring disagree"),
    (grant_without_a_key, 16, "log and keyring disagree"),
    (destruction_of_a_key_that_lives, 16, "log and keyring disagree"),
    (destruction_of_one_key_told_of_another, 17, "log and keyring disagree"),
]
"""(attack, the leaf that is named, what is said of it)"""
