"""A reader of stores that was written from docs/format.md alone.

It shares no code with the package: SQLite, HMAC, JSON and the primitives of ``cryptography`` are all that it uses. So
whatever it reads, a stranger can read who has the key and that page.
"""

# ruff: noqa: ANN401 - what MessagePack, JSON and SQLite answer is of any type

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

EPOCH_KEY, COMPARTMENT_KEY, ACCOUNT_KEY, EVIDENCE_KEY, BLOCK, TRAIL, ACCOUNT, EVIDENCE, ACTOR_BOOK = range(1, 10)
LEDGER = 10
WRAPS = {1: COMPARTMENT_KEY, 2: ACCOUNT_KEY, 3: EVIDENCE_KEY}
RUN = 1 << 40


# ---- canonical bytes ------------------------------------------------------------------------------


class MessagePack:
    """Reads one value after the other, and refuses every form that is not the shortest."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        self.at += count
        assert self.at <= len(self.data), "cut off"
        return self.data[self.at - count : self.at]

    def number(self, form: str, *smaller: range) -> int:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        assert not any(value in shorter for shorter in smaller), "not the shortest form"
        return int(value)

    def value(self) -> Any:
        first = self.take(1)[0]
        if first < 0x80 or first >= 0xE0:
            return first if first < 0x80 else first - 0x100
        if 0x90 <= first < 0xA0:
            return [self.value() for _ in range(first - 0x90)]
        if 0xA0 <= first < 0xC0:
            return self.take(first - 0xA0).decode()
        if first in {0xC0, 0xC2, 0xC3}:
            return {0xC0: None, 0xC2: False, 0xC3: True}[first]
        if 0xC4 <= first <= 0xC6:
            return self.take(self.sized(first - 0xC4, 0))
        if 0xCC <= first <= 0xCF:
            size = first - 0xCC
            return self.number(">" + "BHIQ"[size], range(128), *(range(256**step) for step in _steps(size)))
        if 0xD0 <= first <= 0xD3:
            size = first - 0xD0
            halves = [128 * 256 ** (step - 1) for step in _steps(size)]
            return self.number(">" + "bhiq"[size], range(-32, 2**63), *(range(-half, 0) for half in halves))
        if 0xD9 <= first <= 0xDB:
            return self.take(self.sized(first - 0xD9, 32)).decode()
        assert first in {0xDC, 0xDD}, "a form that stores do not use"
        count = self.number(">H", range(16)) if first == 0xDC else self.number(">I", range(2**16))
        return [self.value() for _ in range(count)]

    def sized(self, size: int, shortest: int) -> int:
        return self.number(">" + "BHI"[size], range(shortest), *(range(256**step) for step in _steps(size)))


def _steps(size: int) -> list[int]:
    return [1, 2, 4][:size]


def unpack(data: bytes) -> Any:
    """The one value that ``data`` is."""
    reader = MessagePack(data)
    value = reader.value()
    assert reader.at == len(data), "more behind it"
    return value


def pack(value: Any) -> bytes:
    """The canonical bytes of what this reader has to compute digests over: arrays, texts, bytes, small numbers."""
    if isinstance(value, list):
        head = bytes([0x90 + len(value)]) if len(value) < 16 else b"\xdc" + struct.pack(">H", len(value))
        return head + b"".join(map(pack, value))
    if isinstance(value, bytes):
        return (b"\xc4" + bytes([len(value)]) if len(value) < 256 else b"\xc5" + struct.pack(">H", len(value))) + value
    if isinstance(value, str):
        raw = value.encode()
        return (bytes([0xA0 + len(raw)]) if len(raw) < 32 else b"\xd9" + bytes([len(raw)])) + raw
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    assert -32 <= value < 128
    return bytes([value & 0xFF])


def canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# ---- cells of releases ----------------------------------------------------------------------------


def numbers(data: bytes) -> list[int]:
    """LEB128, every number in its shortest form."""
    found, number, length = [], 0, 0
    for byte in data:
        number += (byte & 127) << 7 * length
        length += 1
        if byte < 128:
            assert length == 1 or (byte and length < 10), "not the shortest form"
            found.append(number)
            number = length = 0
    assert length == 0, "cut off"
    return found


def read_cells(form: int, cells: Any) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """By key: what each member adds, by its pseudonym; value, own, limit, accounts."""
    if form < 3:
        found = {}
        for key, joined, value, own, *more in cells:
            limit, amounts, accounts = more if form == 2 else (1, [], None)
            names = apart(joined)
            added = amounts or [1] * len(names)
            found[tuple(key)] = (dict(zip(names, added, strict=True)), value, own, limit, accounts)
        return found
    joined, packed = cells
    names, found = apart(joined), {}
    for key, value, own, limit, accounts, gaps, added in packed:
        places, place = [], -1
        for gap in numbers(gaps):
            place += gap + 1
            places.append(place)
        amounts = [-(number + 1) // 2 if number % 2 else number // 2 for number in numbers(added)] or [1] * len(places)
        members = {names[at]: amount for at, amount in zip(places, amounts, strict=True)}
        found[tuple(key)] = (members, value, own, limit, accounts)
    assert {name for members, *_ in found.values() for name in members} == set(names)
    return found


def apart(joined: bytes) -> list[bytes]:
    """Pseudonyms that were joined in order."""
    names = [joined[at : at + 16] for at in range(0, len(joined), 16)]
    assert names == sorted(set(names))
    return names


# ---- sealing --------------------------------------------------------------------------------------


def associated(store: bytes, record: int, purpose: str, slot: int, generation: int, bound: bytes = b"") -> bytes:
    """What a record is bound to."""
    fields = [store, bytes([record]), purpose.encode(), struct.pack(">Q", slot), struct.pack(">Q", generation), bound]
    return b"\x01" + b"".join(struct.pack(">H", len(field)) + field for field in fields)


def open_sealed(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """The plaintext of a record: nonce, ciphertext, tag."""
    return AESGCMSIV(key).decrypt(sealed[:12], sealed[12:], bound_to)


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def derive_root(secret: bytes, store: bytes, epoch: int) -> bytes:
    info = b"consentprofile root " + struct.pack(">Q", epoch)
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=store, info=info).derive(secret)


# ---- the audit log --------------------------------------------------------------------------------


# ---- capabilities ---------------------------------------------------------------------------------


class OpenCapability(NamedTuple):
    """What a capability holds; its keys by name."""

    store: bytes
    epoch: int
    check: bytes
    id: bytes
    role: str
    keys: dict[str, bytes]


def open_capability(text: str, passphrase: str = "") -> OpenCapability:
    """What stands in the line of a capability."""
    prefix, packed = text.strip().split(":")
    assert prefix == "consentprofile-capability-1"
    head, held = unpack(base64.b64decode(packed, validate=True))
    store, epoch, check, identity, role, purposes, (provider, salt, memory, iterations, lanes) = head
    stated = base64.b64decode(packed)[1 : -len(pack(held))]
    if provider:
        assert provider == "passphrase"
        stretch = Argon2id(salt=salt, length=32, iterations=iterations, lanes=lanes, memory_cost=memory)
        info = b"consentprofile capability " + identity
        key = HKDF(hashes.SHA256(), 32, store, info).derive(stretch.derive(passphrase.encode()))
        opened = open_sealed(key, held, b"consentprofile capability 1\n" + stated)
    else:
        opened, seal = held[:-32], held[-32:]
        assert mac(opened[:32], b"\x07" + stated + opened) == seal
    names = ["index", *(f"purpose:{purpose}" for purpose in purposes)]
    assert len(opened) == 32 * len(names)
    keys = {name: opened[32 * at : 32 * at + 32] for at, name in enumerate(names)}
    return OpenCapability(store, epoch, check, identity, role, keys)


def leaf_hash(body: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + body).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, read aloud."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node(merkle_root(leaves[:half]), merkle_root(leaves[half:]))


def frontier_root(frontier: bytes) -> tuple[int, bytes]:
    """The size that a frontier speaks of, and its root."""
    (size,) = struct.unpack(">Q", frontier[:8])
    parts = [frontier[at : at + 32] for at in range(8, len(frontier), 32)]
    assert len(parts) == size.bit_count()
    root = parts.pop()
    while parts:
        root = node(parts.pop(), root)
    return size, root


# ---- the store ------------------------------------------------------------------------------------


class Slot(NamedTuple):
    """The 173 bytes, taken apart."""

    number: int
    kind: int
    state: int
    generation: int
    purpose: int
    terms: int
    since: int
    until: int
    tag: bytes
    key_id: bytes
    header: bytes
    wrapped: bytes


def read_slot(number: int, record: bytes) -> Slot:
    assert len(record) == 173
    assert record[0] == 1
    return Slot._make((number, *struct.unpack(">BBQHIqq32s16s", record[1:81]), record[:81], record[81:]))


class OpenSlot(NamedTuple):
    """A slot with its key and secret."""

    slot: Slot
    purpose: str
    key: bytes
    secret: bytes


class Decoder:
    """A store that nobody has open, read with nothing but its key."""

    def __init__(self, path: Path, key_text: str) -> None:
        prefix = "consentprofile-key-1:"
        assert key_text.startswith(prefix)
        secret = base64.b64decode(key_text.rstrip()[len(prefix) :], validate=True)
        self.keys = self._connect(path / "keys.db")
        self.data = self._connect(path / "data.db")
        self.store, self.origin, self.epoch = self.one(self.keys, "SELECT store, origin, epoch FROM keyring")
        assert self.one(self.data, "SELECT store FROM store WHERE id = 1") == (self.store,)
        query = "SELECT provider, check_value FROM epoch WHERE number = ?"
        provider, check_value = self.one(self.keys, query, self.epoch)
        self.provider = unpack(provider)
        root = derive_root(secret, self.store, self.epoch)
        assert mac(root, b"consentprofile check") == check_value
        self.epoch_keys = {
            name: open_sealed(root, wrapped, associated(self.store, EPOCH_KEY, name, 0, self.epoch))
            for name, wrapped in self.keys.execute("SELECT name, wrapped FROM epoch_key WHERE epoch = ?", (self.epoch,))
        }
        self.purposes = dict(self.keys.execute("SELECT number, name FROM purpose"))
        self.policies = {}
        for number, digest, text in self.data.execute("SELECT number, digest, text FROM policy"):
            assert hashlib.sha256(text).digest() == digest
            self.policies[number] = json.loads(text)
            assert canonical_json(self.policies[number]) == text
            assert self.accepted(number) == digest

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        assert connection.execute("PRAGMA application_id").fetchone() == (0x434F4E53,)
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        return connection

    @staticmethod
    def one(connection: sqlite3.Connection, query: str, *given: object) -> Any:
        (row,) = connection.execute(query, given).fetchall()
        return row

    def close(self) -> None:
        self.keys.close()
        self.data.close()

    # ---- keys ----

    def index(self, account: str) -> bytes:
        """The index key under which the keyring has the account: the one in force, or a former one."""
        former = [key for name, key in self.epoch_keys.items() if name.startswith("former:index:")]
        query = "SELECT count(*) FROM (SELECT tag FROM directory UNION ALL SELECT tag FROM suppression) WHERE tag = ?"
        for key in former:
            if self.one(self.keys, query, mac(key, b"\x01" + account.encode()))[0]:
                return key
        return self.epoch_keys["index"]

    def tag(self, account: str) -> bytes:
        return mac(self.index(account), b"\x01" + account.encode())

    def tried(self, name: str, sealed: bytes, to: Callable[[int], bytes]) -> bytes:
        """What the key of this name has sealed; while two epochs stand, perhaps the one before, in its own epoch."""
        try:
            return open_sealed(self.epoch_keys[name], sealed, to(self.epoch))
        except InvalidTag:
            if f"former:{name}" not in self.epoch_keys:
                raise
        return open_sealed(self.epoch_keys[f"former:{name}"], sealed, to(self.epoch - 1))

    def slots(self, account: str) -> dict[int, Slot]:
        """The account's slots by place."""
        query = "SELECT place, number, record FROM directory JOIN slot ON number = slot WHERE tag = ?"
        found = {
            place: read_slot(number, record) for place, number, record in self.keys.execute(query, (self.tag(account),))
        }
        for place, slot in found.items():
            assert slot.tag == self.tag(account)
            assert place == {1: 2 + slot.purpose, 2: 0, 3: 1}[slot.kind]
        return found

    def accepted(self, number: int) -> bytes:
        """The digest of the policy that was accepted under this number, its seal compared."""
        query = "SELECT digest, seal FROM accepted_policy WHERE number = ?"
        digest, seal = self.one(self.keys, query, number)
        assert seal == mac(self.epoch_keys["index"], b"\x06" + struct.pack(">Q", number) + digest)
        return bytes(digest)

    def public_key(self) -> bytes:
        """The public half of the signing key."""
        return Ed25519PrivateKey.from_private_bytes(self.epoch_keys["signing"]).public_key().public_bytes_raw()

    def terms(self, number: int) -> bytes:
        query = "SELECT number, purpose, notice, notice_sha256, declaration, policy FROM terms WHERE number = ?"
        return hashlib.sha256(pack(list(self.one(self.keys, query, number)))).digest()

    def unwrap(self, slot: Slot) -> OpenSlot | None:
        """The slot with its key; None where it has died."""
        if slot.wrapped == bytes(92):
            assert slot.key_id == bytes(16)
            return None
        purpose, bound, name = "", slot.header, "officer"
        if slot.kind == 1:
            purpose = self.purposes[slot.purpose]
            bound, name = slot.header + self.terms(slot.terms), f"purpose:{purpose}"
        to = associated(self.store, WRAPS[slot.kind], purpose, slot.number, slot.generation, bound)
        opened = self.tried(name, slot.wrapped, lambda _: to)
        return OpenSlot(slot, purpose, opened[:32], opened[32:])

    def rows(self, table: str, record: int, held: OpenSlot) -> list[bytes]:
        """The plaintexts of an account's rows of one table, in the order of arrival where there is one."""
        place = (held.slot.number, held.slot.generation)
        if table == "block":
            found = self.blocks(*place)
        else:
            query = f"SELECT sealed FROM {table} WHERE slot = ? AND generation = ? ORDER BY id"
            found = [sealed for (sealed,) in self.data.execute(query, place)]
        to = associated(self.store, record, held.purpose, *place)
        return [open_sealed(held.key, sealed, to) for sealed in found]

    def blocks(self, slot: int, generation: int) -> list[bytes]:
        """The sealed blocks of a slot: those in the tail, and those that one search in each run finds."""
        query = "SELECT sealed FROM block WHERE slot = ? AND generation = ? ORDER BY arrival"
        found = [sealed for (sealed,) in self.data.execute(query, (slot, generation))]
        for (run,) in self.data.execute("SELECT number FROM run ORDER BY number").fetchall():
            query = "SELECT max(id), body FROM pack WHERE id BETWEEN ? AND ?"
            _, body = self.one(self.data, query, run * RUN, run * RUN + slot)
            packed = [] if body is None else unpack(body)
            found += [sealed for number, held, sealed in packed if (number, held) == (slot, generation)]
        return found

    def runs(self) -> dict[int, list[tuple[int, list[list[Any]]]]]:
        """Every run whole: the first slot that each pack stands for, and its blocks; that all is in order compared."""
        runs: dict[int, list[tuple[int, list[list[Any]]]]] = {}
        for identity, body in self.data.execute("SELECT id, body FROM pack ORDER BY id"):
            runs.setdefault(identity // RUN, []).append((identity % RUN, unpack(body)))
        numbers = {number for (number,) in self.data.execute("SELECT number FROM run")}
        assert runs.keys() <= numbers
        assert {target for (target,) in self.data.execute("SELECT target FROM run")} <= numbers | {None}
        for packs in runs.values():
            firsts = [first for first, _ in packs] + [RUN]
            for (first, blocks), end in zip(packs, firsts[1:], strict=True):
                assert blocks == sorted(blocks)
                assert first <= blocks[0][0]
                assert blocks[-1][0] < end
        return runs

    # ---- what they open ----

    def account_id(self, held: OpenSlot) -> str:
        (plain,) = self.rows("account", ACCOUNT, held)
        return plain.decode()

    def evidence(self, held: OpenSlot) -> list[list[Any]]:
        return [unpack(plain) for plain in self.rows("evidence", EVIDENCE, held)]

    def trail(self, held: OpenSlot) -> list[list[Any]]:
        return [unpack(plain) for plain in self.rows("trail", TRAIL, held)]

    def events(self, held: OpenSlot) -> list[tuple[int, str, dict[str, Any], str]]:
        """The events of a compartment in words: (second, kind, fields, id), in the order of time."""
        found = {}
        for plain in self.rows("block", BLOCK, held):
            number, tokens, events = unpack(plain)
            policy = self.policies[number]
            for identity, at, kind, *pairs in events:
                fields = {}
                for position, value in zip(pairs[::2], pairs[1::2], strict=True):
                    field = policy["field_list"][position]
                    if field["type"] == "enum":
                        fields[field["name"]] = field["values"][value]
                    elif field["type"] == "token":
                        fields[field["name"]] = (value if isinstance(value, bytes) else tokens[value]).hex()
                    else:
                        fields[field["name"]] = value
                name = policy["kind_list"][kind]["name"]
                found[identity] = (at, name, fields, identity.hex())
        return sorted(found.values(), key=lambda event: (event[0], event[3]))

    def actor_book(self) -> list[tuple[int, list[Any]]]:
        found = []
        for leaf, sealed in self.data.execute("SELECT leaf, sealed FROM actor_book ORDER BY leaf"):
            found.append((leaf, self.entry(leaf, sealed)))
        return found

    def entry(self, leaf: int, sealed: bytes) -> list[Any]:
        """An entry of the actor book, under the officer key or under that of a purpose, whichever opens it."""
        for name in ["officer", *(name for name in self.epoch_keys if name.startswith("purpose:"))]:
            purpose = name.partition(":")[2]
            try:
                opened = self.tried(
                    name,
                    sealed,
                    lambda epoch, under=purpose: associated(self.store, ACTOR_BOOK, under, leaf, epoch),  # type: ignore[misc]
                )
            except InvalidTag:
                continue
            entry: list[Any] = unpack(opened)
            assert not purpose or entry[3] == "read-refused" or (entry[3], entry[4]) == ("read", purpose)
            return entry
        raise AssertionError("opens under no key")

    def ledger(self) -> list[list[Any]]:
        """The entry of every release, its digests compared; its cells read, or what it cost as it is."""
        found = []
        for number, digest, sealed in self.data.execute("SELECT number, digest, ledger FROM release ORDER BY number"):
            opened = self.tried(
                "officer",
                sealed,
                lambda epoch, at=number: associated(self.store, LEDGER, "", at, epoch),  # type: ignore[misc]
            )
            form, spec, series, *middle, cells, files = unpack(opened)
            terms = json.loads(spec)
            asked = {name: terms[name] for name in terms.keys() - {"from", "until", "protection", "cuts"}}
            known_by = spec if files else pack(["charged", spec])
            assert (canonical_json(terms), hashlib.sha256(known_by).digest()) == (spec, digest)
            assert hashlib.sha256(canonical_json(asked)).digest() == series
            found.append([form, terms, series, *middle, cells if form == 4 else read_cells(form, cells), dict(files)])
        return found

    def leaves(self) -> list[list[Any]]:
        """Every leaf, its hash compared."""
        found = []
        for sequence, hashed, body in self.data.execute("SELECT sequence, hash, body FROM leaf ORDER BY sequence"):
            assert leaf_hash(body) == hashed
            found.append(unpack(body))
            assert found[-1][:2] == [1, sequence]
        return found

    def counts(self) -> list[list[Any]]:
        """How often recording said what."""
        (counts,) = self.one(self.data, "SELECT counts FROM tree WHERE id = 1")
        found: list[list[Any]] = unpack(counts)
        return found

    def root(self) -> bytes:
        """The root over all leaves, compared with the frontier."""
        hashed = [hashed for (hashed,) in self.data.execute("SELECT hash FROM leaf ORDER BY sequence")]
        root = merkle_root(hashed)
        frontier, _ = self.one(self.data, "SELECT frontier, hour FROM tree WHERE id = 1")
        assert frontier_root(frontier) == (len(hashed), root)
        return root

    def root_at(self, size: int) -> bytes:
        """The root over the first leaves."""
        query = "SELECT hash FROM leaf WHERE sequence < ? ORDER BY sequence"
        hashed = [hashed for (hashed,) in self.data.execute(query, (size,))]
        assert len(hashed) == size
        return merkle_root(hashed)

    def nodes(self) -> dict[tuple[int, int], bytes]:
        """Every stored node by level and position, compared with the two below it."""
        found = {(0, at): hashed for at, hashed in self.data.execute("SELECT sequence, hash FROM leaf")}
        for level, at, hashed in self.data.execute("SELECT level, position, hash FROM node ORDER BY level, position"):
            assert hashed == node(found[level - 1, 2 * at], found[level - 1, 2 * at + 1])
            found[level, at] = hashed
        return found

    def checkpoints(self) -> list[tuple[int, bytes, bytes]]:
        """Every signed head: size, root, note."""
        return self.data.execute("SELECT size, root, note FROM checkpoint WHERE note <> x'' ORDER BY size").fetchall()

    def anchor(self) -> tuple[int, bytes]:
        """The size and root of the head that the keyring keeps."""
        size, root = self.one(self.keys, "SELECT size, root FROM anchor WHERE id = 1")
        return size, root

    def suppressions(self, account: str) -> list[str]:
        tag = self.tag(account)
        found = self.keys.execute(
            "SELECT reason, seal FROM suppression WHERE tag = ? ORDER BY reason", (tag,)
        ).fetchall()
        for reason, seal in found:
            assert seal == mac(self.index(account), b"\x02" + tag + reason.encode())
        return [reason for reason, _ in found]
