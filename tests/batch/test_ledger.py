"""Who is blamed when workers die."""

from facegeom.batch.ledger import Attempt, Ledger

NONE: frozenset[int] = frozenset()


def test_a_part_that_goes_well_is_never_watched() -> None:
    ledger = Ledger()
    for part in range(5):
        assert ledger.enter(part) == Attempt(careful=False, skip=NONE)
        ledger.leave(part)


def test_two_deaths_make_the_next_attempt_careful() -> None:
    ledger = Ledger()
    assert [ledger.enter(7).careful for _ in range(4)] == [False, False, True, True]
    assert ledger.enter(8).careful is False


def test_the_photo_of_two_watched_deaths_is_left_out() -> None:
    ledger = Ledger()
    for expected in (NONE, NONE, NONE, NONE, frozenset({5})):
        attempt = ledger.enter(0)
        assert attempt.skip == expected
        if attempt.careful:
            ledger.begin(0, 4)
            ledger.begin(0, 5)


def test_deaths_at_different_photos_blame_none() -> None:
    ledger = Ledger()
    for photo in range(10):
        assert ledger.enter(0).skip == NONE
        ledger.begin(0, photo)


def test_two_deadly_photos() -> None:
    ledger = Ledger()
    deadly, attempts = {3, 6}, 0
    while True:
        attempts += 1
        attempt = ledger.enter(0)
        met = sorted(deadly - attempt.skip)
        if not met:
            break
        if attempt.careful:
            ledger.begin(0, met[0])
    assert (attempt.skip, attempts) == (frozenset(deadly), 7)


def test_a_part_that_is_done_is_forgotten() -> None:
    ledger = Ledger()
    for _ in range(4):
        ledger.enter(0)
        ledger.begin(0, 1)
    ledger.leave(0)
    assert ledger.enter(0) == Attempt(careful=False, skip=NONE)
