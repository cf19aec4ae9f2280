"""Work under way is bounded by bytes; whoever waited goes on, in turn."""

from streams.engine.room import Room


def test_a_room_is_full_once_its_bound_is_reached_and_one_may_exceed_it() -> None:
    room = Room(100)
    room.enter(60)
    assert not room.is_full

    room.enter(500)

    assert room.is_full


def test_those_who_wait_are_called_in_turn_while_there_is_space() -> None:
    room, started = Room(100), list[str]()

    def start(name: str, size: int) -> None:
        started.append(name)
        room.enter(size)

    room.enter(100)
    for name, size in (("first", 40), ("second", 70), ("third", 1)):
        room.wait(name, lambda name=name, size=size: start(name, size))  # type: ignore[misc]

    room.leave(100)
    assert started == ["first", "second"], "then it was full again"
    room.leave(40)
    assert started == ["first", "second", "third"]


def test_whoever_asks_twice_is_called_once() -> None:
    room, calls = Room(1), list[int]()
    room.enter(1)

    room.wait("who", lambda: calls.append(1))
    room.wait("who", lambda: calls.append(2))
    room.leave(1)

    assert calls == [1]
