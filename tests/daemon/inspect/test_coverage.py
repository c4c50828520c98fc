"""The ledger of frames: what it keeps of many sessions."""

from __future__ import annotations

from stripwatch.inspect.coverage import SESSIONS_MAX, Account, Ledger, Miss
from stripwatch.wire.causes import Cause


def miss(session: str, seq: int) -> Miss:
    return Miss("top", session, seq, seq, Cause.LOST)


def test_a_session_that_goes_on_is_never_forgotten() -> None:
    """However many others have sent a frame meanwhile; of those the oldest are forgotten."""
    ledger = Ledger()
    for seq in range(2 * SESSIONS_MAX):
        ledger.book_miss(miss("steady", seq))
        ledger.book_miss(miss(f"other-{seq}", 0))
    last = 2 * SESSIONS_MAX - 1
    account = ledger.account("top", "steady")
    assert (account.first_seq, account.last_seq, account.missed[Cause.LOST]) == (0, last, last + 1)
    assert ledger.last_seq("top", "other-0") is None
    assert ledger.last_seq("top", f"other-{last}") == 0


def test_a_restored_session_goes_on_counting() -> None:
    """A session whose counts begin behind its last frame has none yet."""
    ledger = Ledger()
    ledger.restore("top", Account("s", 10, 9))
    ledger.book_miss(miss("s", 10))
    assert ledger.account("top", "s").first_seq == 10
    assert ledger.account("top", "s").missed == {Cause.LOST: 1}
