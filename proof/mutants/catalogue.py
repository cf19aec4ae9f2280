"""All planted faults, by name, each with the scene in which it shows and who must complain."""

from collections.abc import Mapping

from proof.faults.base import PROMISE, Calm
from proof.faults.clocks import ClockSet
from proof.faults.kills import Kill
from proof.faults.processes import OptOutBesideABacklog, RollingRestart, Suspended
from proof.faults.storms import Failing, LostReplies, Throttled
from proof.faults.torn import Torn
from proof.load.plan import doing
from proof.mutants import deciding, running, sending
from proof.mutants.base import CHANNELS, DECIDE, SENDERS, Mutant, Scene

_USUAL = {"seconds": 10.0, "rate": 30.0}
DAY = Scene(name="a day", fault=Calm(), changes=_USUAL)
REPEATS = Scene(
    name="repeats", fault=Calm(), changes=_USUAL | {"steps": doing(ask_again=30, contradict=20)}
)
NEWS = Scene(name="news", fault=Calm(), changes=_USUAL | {"steps": doing(ask=20, announce=8)})
PAUSES = Scene(name="pauses", fault=Calm(), changes=_USUAL | {"steps": doing(pause=6)})
SECOND_THOUGHTS = Scene(
    name="second thoughts", fault=Calm(), changes=_USUAL | {"steps": doing(cancel=50)}
)
SALE = Scene(
    name="sale",
    fault=Calm(),
    changes={"seconds": 30.0, "rate": 20.0, "people": 30, "kinds": {"alarm": 1.0},
             "steps": doing(hand_over=15)},
    lag_ms=8_000,
)  # fmt: skip
WISHES = Scene(
    name="wishes",
    fault=Calm(),
    changes={"seconds": 20.0, "rate": 30.0, "steps": doing(refuse=25, consent=25)},
    lag_ms=5_000,
)
NIGHT = Scene(
    name="night",
    fault=Calm(),
    changes=_USUAL | {"kinds": {"order": 3.0, "offer": 1.0}, "rate": 40.0},
)
SHORT_LIVES = Scene(
    name="short lives",
    fault=Calm(),
    changes=_USUAL | {"steps": doing(pause=6), "ttl_seconds": 8},
)
LADDER = Scene(name="ladder", fault=Failing(), changes={"seconds": 12.0, "ttl_seconds": 10})
RUBBISH = Scene(name="rubbish", fault=Calm(), changes=_USUAL | {"steps": doing(blunder=20)})
MISPLACED = Scene(name="misplaced", fault=Calm(), changes=_USUAL | {"misplaced_share": 0.4})
RUSH = Scene(
    name="rush",
    fault=Calm(),
    changes={"seconds": 8.0, "rate": 150.0, "people": 120, "kinds": {"order": 1.0},
             "steps": {"ask": 1.0}, "ttl_seconds": 45},
    slots={"email": 2},
)  # fmt: skip
KILLS = Scene(name="kills", fault=Kill(), changes={"seconds": 20.0})
TORN = Scene(name="torn", fault=Torn(), changes={"seconds": 30.0})
THROTTLE = Scene(name="throttle", fault=Throttled(), changes={"seconds": 12.0, "ttl_seconds": 50})
LOST = Scene(name="lost replies", fault=LostReplies(), changes={"seconds": 12.0, "ttl_seconds": 30})
RESTART = Scene(name="restart", fault=RollingRestart(), changes={"rate": 40.0})
CLOCKS = Scene(name="clocks", fault=ClockSet(), changes={"seconds": 40.0})
ZOMBIES = Scene(name="zombies", fault=Suspended(), changes={"seconds": 45.0})
WINDOW = Scene(
    name="window",
    fault=Calm(),
    changes={"seconds": 90.0, "rate": 15.0, "recent": 10_000, "steps": doing(ask_again=60)},
    settings={"dedup_window": "1m"},
)
BACKLOG = Scene(name="backlog", fault=OptOutBesideABacklog())

_ALL = (
    Mutant(
        name="acknowledge-before-sending",
        does="a message is told to be sent, and then handed to its provider",
        scene=KILLS, roles=SENDERS, caught_by={"L1"}, says="no provider has it",
        plant=sending.acknowledge_before_sending,
    ),
    Mutant(
        name="skip-the-intent",
        does="calls are made without an intent in the ledger",
        scene=KILLS, roles=SENDERS, caught_by={"L3"}, says="told in doubt 0 times",
        plant=sending.intend_nothing,
    ),
    Mutant(
        name="doubt-untold",
        does="what is in doubt goes on without a receipt that says so",
        scene=KILLS, roles=SENDERS, caught_by={"L1", "L3"}, plant=sending.tell_no_doubt,
    ),
    Mutant(
        name="drop-on-429",
        does="what a provider throttles is taken for sent",
        scene=THROTTLE, roles=SENDERS, caught_by={"L1"}, says="no provider has it",
        plant=sending.drop_what_is_throttled,
    ),
    Mutant(
        name="retry-after-ignored",
        does="a provider that says when to come back is asked before",
        scene=THROTTLE, roles=SENDERS, caught_by={"L5"}, says="before its Retry-After was over",
        plant=sending.ask_again_before_retry_after,
    ),
    Mutant(
        name="throttled-counts",
        does="a call that was throttled costs an attempt",
        scene=THROTTLE, roles=SENDERS, caught_by={"L5"}, says="costs none",
        plant=sending.count_what_is_throttled,
    ),
    Mutant(
        name="retry-a-lost-reply",
        does="what may have been sent is sent again, whatever the type asks for",
        scene=LOST, roles=SENDERS, caught_by={"L3"}, says="told in doubt 0 times",
        plant=sending.retry_what_may_have_been_sent,
    ),
    Mutant(
        name="resend-the-whole-batch",
        does="one bad mailbox in a batch, and all of it is sent again",
        scene=NEWS, roles=("email",), caught_by={"L5"}, says="though it was refused for good",
        plant=sending.send_the_whole_batch_again,
    ),
    Mutant(
        name="mix-up-a-batch",
        does="the messages of a batch go to each other's addresses",
        scene=NEWS, roles=("email",), caught_by={"L2"}, says="never theirs",
        plant=sending.mix_up_addresses,
    ),
    Mutant(
        name="limiter-per-process",
        does="each worker calls as fast as all together may",
        scene=RUSH, roles=("email",), caught_by={"L5"}, says="sendgrid: more than",
        plant=sending.limit_each_process,
    ),
    Mutant(
        name="inbox-unkept",
        does="what is told to be in an inbox is not put there",
        scene=DAY, roles=("in_app",), caught_by={"L1"}, says="no inbox has it",
        plant=sending.keep_no_inbox,
    ),
    Mutant(
        name="pause-unheard",
        does="senders do not follow what operators pause",
        scene=PAUSES, roles=CHANNELS, caught_by={"L4"}, says="was paused", plant=sending.hear_no_pause,
    ),
    Mutant(
        name="cancellation-unheard",
        does="nobody follows what was called off",
        scene=SECOND_THOUGHTS, caught_by={"L4"}, says="was called off",
        plant=sending.hear_no_cancellation,
    ),
    Mutant(
        name="start-before-the-tails-end",
        does="a sender starts before it has heard who opted out",
        scene=BACKLOG, roles=CHANNELS, caught_by={"L4"}, says="had turned off",
        plant=sending.send_before_the_tails_are_read,
    ),
    Mutant(
        name="preferences-for-ever",
        does="decisions go by what was first known of somebody, and senders ask nobody",
        scene=WISHES, caught_by={"L4"}, says="had turned off", plant=deciding.know_people_for_ever,
    ),
    Mutant(
        name="opt-outs-not-kept",
        does="decisions know of no opt-out, though senders do",
        scene=WISHES, roles=DECIDE, caught_by={"L4"}, says="was known to be off",
        plant=deciding.keep_no_opt_out,
    ),
    Mutant(
        name="no-dedup-window",
        does="a repeated request is decided again",
        scene=REPEATS, roles=DECIDE, caught_by={"L3"}, says="the same key was decided twice",
        plant=deciding.forget_what_was_decided,
    ),
    Mutant(
        name="window-too-short",
        does="a request is forgotten five seconds too early",
        scene=WINDOW, roles=DECIDE, caught_by={"L3"}, says="the same key was decided twice",
        plant=deciding.take_the_window_for_shorter,
    ),
    Mutant(
        name="window-too-long",
        does="a request is remembered for five seconds too long",
        scene=WINDOW, roles=DECIDE, caught_by={"L1"},
        plant=deciding.take_the_window_for_longer,
    ),
    Mutant(
        name="conflict-untold",
        does="another thing under the same key passes for a repeat",
        scene=REPEATS, roles=DECIDE, caught_by={"L1"},
        says="expected one of [('rejected', 'idempotency_conflict')]",
        plant=deciding.take_a_conflict_for_a_repeat,
    ),
    Mutant(
        name="utc-for-local-time",
        does="quiet hours and legal windows are kept by UTC",
        scene=NIGHT, caught_by={"L6"}, says="in quiet hours", plant=deciding.take_local_time_for_utc,
    ),
    Mutant(
        name="no-caps",
        does="nobody counts how often somebody was reached",
        scene=NEWS, roles=DECIDE, caught_by={"L5"}, says="more than 3 social on one day",
        plant=deciding.count_no_caps,
    ),
    Mutant(
        name="half-a-life",
        does="messages expire at half of their time to live",
        scene=SHORT_LIVES, roles=DECIDE, caught_by={"L1"}, says="before its time",
        plant=deciding.halve_the_time_to_live,
    ),
    Mutant(
        name="never-expires",
        does="messages go out a day after their time, if nothing let them out before",
        scene=LADDER, roles=DECIDE, caught_by={"L2"}, says="after it had expired",
        plant=deciding.let_nothing_expire,
    ),
    Mutant(
        name="at-once",
        does="what is to be sent later is sent at once",
        scene=DAY, roles=DECIDE, caught_by={"L2"}, says="before it was to be sent",
        plant=deciding.send_all_at_once,
    ),
    Mutant(
        name="slice-off-by-one",
        does="a broadcast passes over the last member of each slice",
        scene=NEWS, roles=DECIDE, caught_by={"L1"}, says="was forgotten by",
        plant=deciding.pass_over_the_last_member,
    ),
    Mutant(
        name="misplaced-not-forwarded",
        does="a record in the wrong partition is decided there",
        scene=MISPLACED, roles=DECIDE, caught_by={"L1"}, says="ended rejected no_address",
        plant=deciding.decide_where_it_was_found,
    ),
    Mutant(
        name="sold-phone-kept",
        does="a token has two holders",
        scene=SALE, caught_by={"L4"}, says="had been", plant=deciding.leave_sold_phones_alone,
    ),
    Mutant(
        name="ranks-alike",
        does="receipts say nothing of the order in which they count",
        scene=DAY, caught_by={"L7"}, says="is told as of rank", plant=deciding.rank_all_receipts_alike,
    ),
    Mutant(
        name="rubbish-thrown-away",
        does="what nobody can read is passed over without a dead letter",
        scene=RUBBISH, roles=DECIDE, caught_by={"L8"}, says="rubbish without a dead letter",
        plant=running.throw_rubbish_away,
    ),
    Mutant(
        name="records-outside-the-transaction",
        does="rows are committed before the records that belong to them",
        scene=KILLS, caught_by={"L1"}, plant=running.write_records_after_the_rows,
    ),
    Mutant(
        name="rows-before-the-commit",
        does="the local store runs ahead of Kafka",
        scene=KILLS, caught_by={"L1"}, plant=running.apply_rows_before_the_commit,
    ),
    Mutant(
        name="positions-ahead-of-the-work",
        does="what was only taken counts as done",
        scene=KILLS, caught_by={"L1"}, plant=running.be_done_with_what_was_only_taken,
    ),
    Mutant(
        name="no-fencing",
        does="who was suspended may write though another has the partition",
        scene=ZOMBIES, caught_by={"L1", "L3", "L7"},
        plant=running.fence_nobody,
    ),
    Mutant(
        name="a-part-for-the-whole",
        does="of a transaction that was torn, nothing is written again",
        scene=TORN, caught_by={"L1"}, plant=running.take_a_part_for_the_whole,
    ),
    Mutant(
        name="any-clock-believed",
        does="a worker goes by its own clock, an hour or a day off",
        scene=CLOCKS, caught_by={PROMISE}, says="nobody minded that clocks were wrong",
        plant=running.believe_any_clock,
    ),
    Mutant(
        name="give-up-without-a-drain",
        does="a clean stop throws away calls that are open",
        scene=RESTART, roles=SENDERS, caught_by={"L3"},
        plant=running.give_up_without_a_drain,
    ),
)  # fmt: skip
MUTANTS: Mapping[str, Mutant] = {each.name: each for each in _ALL}
