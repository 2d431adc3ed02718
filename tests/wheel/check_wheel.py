"""Build the wheel, install it alone into an empty environment, and use it there as a stranger would.

Run by `make wheel-test`; leaves with 1 and says why when anything is not as it should be. What it shows: the wheel
carries what it needs and nothing else, the core runs without any extra, the public face works from end to end, and a
type checker sees its types. Needs a package index for the core dependencies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[2]

POLICY: Final = """\
format = 1
time_zone = "Europe/Berlin"
roles = ["support-agent"]

[controller]
name = "Example Shop GmbH"
contact = "privacy@shop.example"
jurisdiction = "DE"

[[notices]]
version = "2024-01"
language = "en"
address = "https://shop.example/privacy/2024-01"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[fields]
channel = { enum = ["web", "app"] }
platform = { enum = ["desktop", "mobile"] }
device = { token = true }

[[kinds]]
names = ["login"]
fields = ["channel", "platform", "device"]

[purposes.support]
title = "Help you when you contact us"
dpv = "dpv:CustomerCare"
notice = "2024-01"
lifetime = "730 days"
retention = "12 months"
evidence = "36 months"
readers = ["support-agent"]
precision = "second"
keep = 1_000
collect = { "*" = ["channel", "platform", "device"] }
"""

PROGRAM: Final = """\
from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import consentprofile as cp


def events_seen(store: cp.Store) -> int | None:
    with store.view("support", actor="support-agent:17", reason="ticket") as view:
        profile: cp.Profile | None = view.profile("acct-17")
        return None if profile is None else profile.events


def record(store: cp.Store, event_id: str) -> None:
    fields = {"channel": "web", "platform": "desktop", "device": "d-1"}
    store.record(cp.Event(account="acct-17", kind="login", at=datetime.now(UTC), id=event_id, fields=fields))


def main() -> None:
    assert importlib.util.find_spec("numpy") is None, "an extra is installed"
    with cp.Store.create("profiles", policy="policy.toml", key=cp.KeyFile("profiles.key")) as store:
        record(store, "before consent")
        assert events_seen(store) is None, "recorded without consent"
        store.give_consent("acct-17", ["support"], notice="2024-01", method="signup form")
        assert events_seen(store) == 0, "an event from before consent is there"
        record(store, "e-1")
        record(store, "e-1")
    with cp.Store.open("profiles", key=cp.KeyFile("profiles.key")) as store:
        assert events_seen(store) == 1, "recorded once, seen otherwise"
        seen = store.audit.checkpoint()
        withdrawn = store.withdraw_consent("acct-17", ["support"])
        assert events_seen(store) is None, "there after withdrawal"
        certificate = cp.open_certificate(withdrawn.file, store.audit.public_key)
        assert certificate.statement.key_ids == withdrawn.key_ids, "certified otherwise than done"
        assert store.audit.extends(seen) < store.audit.verify().size, "the log has not grown"
        Path("certificate.json").write_bytes(withdrawn.file)
        Path("log.pub").write_text(store.audit.public_key, encoding="utf-8")
        try:
            store.view("nonsense", actor="support-agent:17").__enter__()
        except cp.ConsentProfileError:
            pass
        else:
            raise AssertionError("an undeclared purpose was readable")
    print("the public face works")


if __name__ == "__main__":
    main()
"""


def stop(reason: str) -> NoReturn:
    """Leave with 1."""
    sys.exit(f"wheel: {reason}")


def run(what: str, *command: str | Path, cwd: Path) -> str:
    """What ``command`` says on its standard output; stop with all that it said if it fails.

    The child knows nothing of this checkout: no PYTHONPATH, none of our variables, a folder outside it.
    """
    print(f"== {what}", flush=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONSENTPROFILE_", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        stop(f"could not {what} (exit {done.returncode})\n{done.stdout}{done.stderr}")
    return done.stdout


def check_contents(wheel: Path) -> None:
    """Every file of the package is in the wheel, the .sql files and py.typed included, and nothing but the package."""
    ends = {".py", ".sql", ".typed"}
    expected = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "consentprofile").rglob("*") if path.suffix in ends
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(f"{info}/METADATA").decode())
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if missing := expected - names:
        stop(f"is without {sorted(missing)}")
    if "consentprofile/py.typed" not in names or not any(name.endswith(".sql") for name in names):
        stop("is without py.typed or without any .sql file")
    if strangers := {name for name in names if name.split("/")[0] not in {"consentprofile", info}}:
        stop(f"carries what does not belong to it: {sorted(strangers)}")
    for name in ("LICENSE", "NOTICE"):
        if f"{info}/licenses/{name}" not in names:
            stop(f"is without {name}")
    if metadata["Version"] != declared["version"] or metadata["License-Expression"] != "Apache-2.0":
        stop("has another version or licence than pyproject.toml")


def check_use(wheel: Path, folder: Path) -> None:
    """The wheel alone, with its core dependencies, does the main job and shows its types."""
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run("install the wheel alone", *pip, "install", wheel, cwd=folder)
    run("agree on dependencies", *pip, "check", cwd=folder)
    place = run("import it", python, "-c", "import consentprofile; print(consentprofile.__file__)", cwd=folder).strip()
    if not Path(place).is_relative_to(environment):
        stop(f"is not what was imported, but {place}")
    usage = run("show the help", environment / "bin" / "consentprofile", "--help", cwd=folder)
    if "consent" not in usage or "erase" not in usage:
        stop(f"has a command line that does not name its commands:\n{usage}")
    (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    run("give, record, read, withdraw", python, "program.py", cwd=folder)
    verify = ("certificate", "verify", "certificate.json", "--public-key", "@log.pub")
    run("verify the certificate without a store", environment / "bin" / "consentprofile", *verify, cwd=folder)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--cache-dir", folder / "types")
    run("see its types", *mypy, "--python-executable", python, "program.py", cwd=folder)


def main() -> None:
    """All of it, in a temporary folder outside the checkout."""
    with tempfile.TemporaryDirectory(prefix="consentprofile-wheel-") as name:
        folder = Path(name).resolve()
        if folder.is_relative_to(ROOT):
            stop("needs a temporary folder outside the checkout: set TMPDIR")
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
        run("build the wheel", *pip, "wheel", "--no-deps", "--wheel-dir", folder / "dist", ROOT, cwd=folder)
        wheels = list((folder / "dist").glob("*.whl"))
        if len(wheels) != 1:
            stop(f"was built {len(wheels)} times")
        check_contents(wheels[0])
        check_use(wheels[0], folder)
        print(f"wheel: {wheels[0].name} works in an empty environment")


if __name__ == "__main__":
    main()
