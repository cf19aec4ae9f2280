"""A sending role-partition in memory: what is undone, its state, and a process that can die."""

from collections.abc import Callable, Sequence
from pathlib import Path

from agents.pace import Pace, WorkerPace
from agents.receipts import ReceiptWriter
from agents.send import Send
from agents.settlement import Terms
from agents.stage import Effects, Item
from channels.rendering import Rendering
from channels.templates import Templates
from policies.clock import ManualClock, elapsed_ms
from policies.rules import Category, InDoubt, NotificationType, RateLimit, Rules
from policies.stops import StopList
from schemas.delivery import (
    CHANNELS,
    LANES,
    Body,
    Channel,
    DeliveryBatch,
    Returned,
    Target,
    decode_batch,
    decode_returned,
)
from schemas.kafka import Record
from schemas.receipt import Receipt, decode_receipt
from schemas.topics import DELIVERIES_RETURNED, RECEIPTS
from tables.send_schedule import SCHEDULES
from tables.state import Kind
from tests.doubles import BatchOf, MemoryState, apply
from tests.doubles.sending import (
    ObedientSender,
)

NOW_MS = 1_800_000_000_000
_IN_DOUBT: dict[str, InDoubt] = {"news": "hold", "letter": "hold", "code": "resend"}
RULES = Rules(
    types={
        name: NotificationType(name, Category(name, in_doubt=in_doubt), CHANNELS)
        for name, in_doubt in _IN_DOUBT.items()
    }
)
TEMPLATES = {
    "news/default/email.subject": "News",
    "news/default/email.text": "It is {{ data.weather }}.",
    "news/default/push.title": "News",
    "news/default/push.body": "It is {{ data.weather }}.",
    "news/default/sms.text": "It is {{ data.weather }}.",
    "news/default/in_app.title": "News",
    "news/default/in_app.body": "It is {{ data.weather }}.",
    "code/default/email.subject": "Your code",
    "code/default/email.text": "1234",
    "letter/default/email.subject": "For you",
    "letter/default/email.text": "Dear {{ recipient.name }}",
}


def write_templates(root: Path) -> Rendering:
    for name, text in TEMPLATES.items():
        path = root / f"{name}.j2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Rendering(Templates(root))


def body_of(
    type_name: str = "news",
    *,
    ttl_ms: int = 86_400_000,
    fallback: tuple[Channel, ...] = (),
) -> Body:
    return Body(
        type_name, type_name, {"weather": "fine"}, expires_ms=NOW_MS + ttl_ms, fallback=fallback
    )


def target_of(name: str, *, body: int = 0, device: str = "", devices: int = 1) -> Target:
    """`name` stands for the user, and with the device for the address."""
    return Target(
        user_id=name,
        notification_id=name.encode().rjust(16, b"\x11"),
        delivery_id=name.encode().rjust(16, b"\x22"),
        address=name + device,
        address_hash=(name + device).encode().rjust(16, b"\x33"),
        body=body,
        name=name,
        device_id=device,
        device_count=devices,
    )


def batch_of(
    *names: str,
    body: Body | None = None,
    channel: Channel = "email",
    slice_id: bytes = b"",
    round_: int = 0,
    targets: Sequence[Target] = (),
) -> DeliveryBatch:
    return DeliveryBatch(
        channel,
        "normal",
        [body or body_of()],
        [target_of(name) for name in names] + list(targets),
        released_ms=NOW_MS,
        slice_id=slice_id,
        round=round_,
    )


class Desk:
    """`put` what is to be sent, then `turn`; a crash forgets all but the state."""

    def __init__(self, rendering: Rendering, *, max_batch: int = 1) -> None:
        self.clock = ManualClock(NOW_MS)
        self.sender = ObedientSender(max_batch=max_batch)
        self.stops = StopList(RULES)
        self.pace: Pace = WorkerPace(limit=None, partitions=4)
        self.state = MemoryState()
        self.misconfigured: list[tuple[str, str]] = []
        self.records: list[Record] = []
        self.undone: list[Item[DeliveryBatch]] = []
        self.is_draining = False
        self._rendering = rendering
        self.send = self.start()

    def start(self) -> Send:
        terms = Terms(
            rules=RULES,
            stops=self.stops,
            receipts=ReceiptWriter(partitions=4),
            partitions=4,
            on_misconfigured=lambda provider, reason: self.misconfigured.append((provider, reason)),
        )
        self.send = Send(
            sender=self.sender,
            rendering=self._rendering,
            pace=self.pace,
            terms=terms,
            clock=self.clock,
        )
        return self.send

    def opt_out(self, user_id: str) -> None:
        now_ms = self.clock.now_ms()
        self.stops.note_choice(
            user_id,
            False,
            channel="email",
            source="user",
            occurred_ms=now_ms,
            appended_ms=now_ms,
        )

    def limit(self, limit: RateLimit) -> None:
        """As if the worker had just been given its only partition."""
        pace = WorkerPace(limit=limit, partitions=1)
        pace.take_over({0}, elapsed_ms(self.clock))
        self.pace = pace
        self.start()

    def put(self, *batches: DeliveryBatch) -> None:
        self.undone += [Item(batch, "deliveries.email.normal", 0, 7) for batch in batches]

    def due(self) -> list[Item[DeliveryBatch]]:
        return [
            Item(decode_batch(value), row_key=key)
            for lane in LANES
            for key, value in SCHEDULES[lane].due(self.state, self.clock.now_ms(), 100)
        ]

    def waiting(self) -> list[DeliveryBatch]:
        """All that is in the schedule, due or not."""
        rows = self.state.scan(Kind.DURABLE, b"s", b"t", 1000)
        return [decode_batch(value) for _, value in rows]

    def batch(self) -> BatchOf[DeliveryBatch]:
        """All that is undone or due, as the runner would hand it over."""
        items = self.undone + self.due()
        return BatchOf(items, self.clock.now_ms(), self.state, self.is_draining)

    async def turn(
        self, *, die_after: int | None = None, is_last_lost: bool = False
    ) -> list[Effects]:
        """Work on all that is undone or due. To die after some yields means that no later one is
        applied; with `is_last_lost` the process dies once it has reached the one after them."""
        generator = self.send.handle(self.batch())
        applied: list[Effects] = []
        is_dead = die_after == 0 and not is_last_lost
        while not is_dead:
            effects = await anext(generator, None)
            if effects is None:
                break
            is_dead = len(applied) == die_after
            if not is_dead:
                self.apply(effects)
                applied.append(effects)
                is_dead = len(applied) == die_after and not is_last_lost
        await generator.aclose()  # type: ignore[attr-defined]  # a stage's handle is a generator
        if is_dead:
            self.start()
        else:
            assert not self.undone, "each item is done"
        return applied

    def apply(self, effects: Effects) -> None:
        apply(self.state, effects)
        self.records += effects.records
        done = set(map(id, effects.done))
        self.undone = [item for item in self.undone if id(item) not in done]

    async def settle(self, turns: int = 20, step_ms: int = 700_000) -> None:
        """Let time pass until nothing is undone or scheduled."""
        for _ in range(turns):
            await self.turn()
            if not self.waiting():
                return
            self.clock.advance(ms=step_ms)
        raise AssertionError("something waits for ever")

    def receipts(self) -> list[Receipt]:
        return [decode_receipt(r.value or b"") for r in self.records if r.topic == RECEIPTS]

    def told(self, of: Callable[[Receipt], bool] = lambda receipt: True) -> list[tuple[str, str]]:
        return [(receipt.user_id, receipt.status) for receipt in self.receipts() if of(receipt)]

    def returned(self) -> list[Returned]:
        return [
            decode_returned(r.value or b"") for r in self.records if r.topic == DELIVERIES_RETURNED
        ]
