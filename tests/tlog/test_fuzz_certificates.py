"""A small helping of the fuzzer at every run; the large one has its own command (``fuzz_certificates.py``)."""

from __future__ import annotations

import pytest

from tests.tlog import fuzz_certificates
from tests.tlog.test_certificate import LOG


def test_malformed_certificates_are_refused_or_true() -> None:
    counts = fuzz_certificates.run(4_000, seed=1)
    assert counts.total() == 4_000
    assert counts["refused"] > counts["accepted"] > 0


def test_what_the_fuzzer_starts_from_is_good() -> None:
    for data in fuzz_certificates.ISSUED:
        fuzz_certificates.check(data, signed=False)


def test_the_fuzzer_notices_a_certificate_that_nobody_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    """If verifying let everything pass, the fuzzer would say so."""
    monkeypatch.setattr(fuzz_certificates, "ISSUED", fuzz_certificates.ISSUED[:1])
    with pytest.raises(fuzz_certificates.Broken):
        fuzz_certificates.check(LOG.certify("erasure", 6).encode(), signed=False)
