"""Celery on Redis: tasks of one recipient, or of many.

Remembers recipients, who got which broadcast and the day's counts in Redis. Tasks are acknowledged
when they are done: at least once.
"""

import os
from collections.abc import Sequence
from typing import Any

import redis
import urllib3
from celery import Celery
from celery.signals import worker_ready

from benchmarks.peers.workers import work
from benchmarks.peers.workers.work import Recipient

TURN = 5000
"""Members that one task hands out. A long task would outlive the visibility timeout."""
RECIPIENTS_A_TASK = int(os.environ["PEER_RECIPIENTS_A_TASK"])
_KEPT_SECONDS = 172_800

_COUNT = """
for _, key in ipairs(KEYS) do
  redis.call('INCR', key)
  redis.call('EXPIRE', key, ARGV[1])
end
"""
"""A day's count of each recipient: one command for all of a request."""

settings = work.settings()
app = Celery("peer", broker=settings.broker)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=int(os.environ["PEER_PREFETCH"]),
    worker_disable_rate_limits=True,
    broker_connection_retry_on_startup=True,
    # By default an hour, for which what a killed worker had in hand lies there.
    broker_transport_options={"visibility_timeout": 30},
)
state = redis.Redis.from_url(settings.broker)
count = state.register_script(_COUNT)
# As many as tasks at a time: one that is not kept is opened anew for each request.
http = urllib3.PoolManager(headers=settings.headers, maxsize=int(os.environ["PEER_CONNECTIONS"]))


def fan_out(broadcast: str, after: str) -> None:
    """The next members after this one, and a task for those after them."""
    begins = f"({after}" if after else "-"
    found = state.zrange("audience", begins, "+", bylex=True, offset=0, num=TURN)
    members = [each.decode() for each in found]
    with app.producer_or_acquire() as producer:
        for start in range(0, len(members), RECIPIENTS_A_TASK):
            users = members[start : start + RECIPIENTS_A_TASK]
            send_task.apply_async((broadcast, users), producer=producer)
        if members:
            fan_out_task.apply_async((broadcast, members[-1]), producer=producer)


def send(broadcast: str, users: Sequence[str]) -> None:
    done = f"done:{broadcast}"
    read = state.pipeline(transaction=False)
    read.mget([f"recipient:{each}" for each in users])
    read.smismember(done, users)
    rows, marks = read.execute()
    people = [work.decode_recipient(each) for each in rows]
    keys = [_count_key(each) for each in people]
    receipts, wanted, counted = [], [], {}
    for person, mark, key, sent_today in zip(people, marks, keys, state.mget(keys), strict=True):
        now = work.local_now(person.timezone)
        if mark:  # sent before a crash, which may have lost its receipt
            receipts.append(work.receipt(broadcast, person.user_id, ""))
        elif reason := work.refusal(person, now, int(sent_today or 0)):
            receipts.append(work.receipt(broadcast, person.user_id, reason))
        else:
            wanted.append(person)
            counted[person.user_id] = key
    for language, recipients in work.by_language(wanted).items():
        _post(work.mail(broadcast, language, recipients))
        _remember(broadcast, recipients, [counted[each.user_id] for each in recipients])
    if receipts:
        state.rpush("receipts", *receipts)


def _count_key(person: Recipient) -> str:
    return f"count:{work.local_now(person.timezone).day}:{person.user_id}"


def _post(body: bytes) -> None:
    answer = http.request("POST", settings.url, body=body)
    if answer.status != 202:
        raise RuntimeError(f"the provider said {answer.status}")


def _remember(broadcast: str, recipients: Sequence[Recipient], keys: Sequence[str]) -> None:
    """And write their receipts, with the same round trip."""
    done = f"done:{broadcast}"
    write = state.pipeline(transaction=False)
    write.sadd(done, *(each.user_id for each in recipients))
    write.expire(done, _KEPT_SECONDS)
    count(keys=keys, args=[_KEPT_SECONDS], client=write)
    write.rpush("receipts", *(work.receipt(broadcast, each.user_id, "") for each in recipients))
    write.execute()


fan_out_task: Any = app.task(fan_out, name="fan_out")
send_task: Any = app.task(send, name="send")


def _ready(**_: object) -> None:
    settings.is_ready()


worker_ready.connect(_ready)
