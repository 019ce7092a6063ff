"""Times: interleaved blocks, warm-up calls, medians over photos."""

from pathlib import Path

from facegeom_lab.measures.timing import Pair, Timer, calls_ms, interleaved, summarize_pairs


def test_blocks_are_interleaved_and_pooled() -> None:
    order: list[str] = []
    times = {"ours": iter([[1.0, 1.0], [3.0, 3.0]]), "peer": iter([[4.0], [4.0]])}

    def timer(name: str) -> Timer:
        def run(array: Path, repetitions: int, warm: int) -> list[float]:
            order.append(name)
            return next(times[name])

        return run

    pair = interleaved(timer("ours"), timer("peer"), Path("x.npy"), 2, 1)
    assert order == ["ours", "peer", "peer", "ours"]
    assert (pair.ours_ms, pair.peer_ms, pair.ratio) == (2.0, 4.0, 0.5)


def test_warm_calls_are_not_counted() -> None:
    calls: list[int] = []
    assert len(calls_ms(lambda: calls.append(1), repetitions=4, warm=3)) == 4
    assert len(calls) == 7


def test_medians_over_photos() -> None:
    pairs = [Pair(1, 2), Pair(3, 3), Pair(4, 2)]
    assert summarize_pairs(pairs) == (3, 2, 1.0, 0.5, 2.0, 3)
    assert summarize_pairs([]) == (None, None, None, None, None, 0)
