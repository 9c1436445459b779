"""
The windows of features/ in Quix Streams, for `npm run bench:peers`. The only argument is an order in JSON. Ends with
SIGTERM.

Its `kind` is one of two ways to state them. `windows` takes the sliding windows of Quix: each answers an event with the
window that ends at the event, the event itself included, and hands its answer to the next one, with the newest event
inside, so that one record has all windows of an entity. `state` counts by hand, over a list of payments that it keeps in
the state of each entity.
"""

import json
import sys
from bisect import insort
from datetime import datetime

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Latest, Sum

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
CUSTOMER_WINDOWS = {"5m": 5 * MINUTE_MS, "1h": HOUR_MS, "1d": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS}
TERMINAL_WINDOWS = {"1h": HOUR_MS, "1d": DAY_MS}
# Payments of one customer come in order. Those of a terminal come from all partitions, one of which may be days ahead
# after a burst; without this grace Quix drops the late ones.
KEPT_MS = 31 * DAY_MS


def event_time_ms(event, headers, timestamp, timestamp_type):
    return round(datetime.fromisoformat(event["time"]).timestamp() * 1000)


def payment(event):
    data = event["data"]
    amount = data["amountMinor"]
    return {
        "id": event["id"],
        "time_ms": event_time_ms(event, None, None, None),
        "customer": data["customerId"],
        "terminal": data["terminalId"],
        "amount": amount,
        "amount_squared": amount * amount,
    }


def stddev(count, total, squares):
    return ((squares - total * total / count) / (count - 1)) ** 0.5 if count > 1 else None


def with_window(frame, entity, name, length_ms, aggregates):
    # A window of Quix has both of its ends; one of Riverbank lacks the event that is exactly as old as it is long.
    grace_ms = KEPT_MS if entity == "terminal" else 0
    windows = frame.sliding_window(length_ms - 1, grace_ms, name=f"{entity}_{name}")
    counted = windows.agg(event=Latest(), **aggregates).current()

    def flatten(answer):
        row = answer["event"]
        count = answer["count"]
        row[f"{entity}_count_{name}"] = count
        if "sum" in answer:
            row[f"{entity}_sum_{name}"] = answer["sum"]
            row[f"{entity}_mean_{name}"] = answer["sum"] / count
        if "squares" in answer:
            row[f"{entity}_stddev_{name}"] = stddev(count, answer["sum"], answer["squares"])
        return row

    # A window's answer carries the time of its start.
    return counted.apply(flatten).set_timestamp(lambda row, *_: row["time_ms"])


def customer_windows(frame):
    for name, length_ms in CUSTOMER_WINDOWS.items():
        aggregates = {"count": Count(), "sum": Sum("amount")}
        if name == "30d":
            aggregates["squares"] = Sum("amount_squared")
        frame = with_window(frame, "customer", name, length_ms, aggregates)
    return frame


def terminal_windows(frame):
    for name, length_ms in TERMINAL_WINDOWS.items():
        frame = with_window(frame, "terminal", name, length_ms, {"count": Count()})
    return frame


def seen(state, entry):
    """What the state keeps of an entity, in order of time."""
    entries = state.get("seen") or []
    insort(entries, entry)
    oldest_ms = entries[-1][0] - KEPT_MS
    while entries[0][0] <= oldest_ms:
        entries.pop(0)
    state.set("seen", entries)
    return entries


def customer_state(row, state):
    time_ms = row["time_ms"]
    entries = seen(state, [time_ms, row["amount"]])
    for name, length_ms in CUSTOMER_WINDOWS.items():
        amounts = [amount for at_ms, amount in entries if time_ms - length_ms < at_ms <= time_ms]
        row[f"customer_count_{name}"] = len(amounts)
        row[f"customer_sum_{name}"] = total = sum(amounts)
        row[f"customer_mean_{name}"] = total / len(amounts)
    row["customer_stddev_30d"] = stddev(len(amounts), total, sum(amount * amount for amount in amounts))
    return row


def terminal_state(row, state):
    time_ms = row["time_ms"]
    entries = seen(state, [time_ms])
    for name, length_ms in TERMINAL_WINDOWS.items():
        row[f"terminal_count_{name}"] = sum(1 for (at_ms,) in entries if time_ms - length_ms < at_ms <= time_ms)
    return row


def at_terminal(row, state):
    """The pair has no window: its count lives as long as the customer. Pairs stand in the state of their customer."""
    key = f"at {row['terminal']}"
    known = state.get(key)
    count, first_ms = (0, row["time_ms"]) if known is None else known
    state.set(key, [count + 1, first_ms])
    row["pair_count"] = count + 1
    row["pair_seconds_since_first"] = (row["time_ms"] - first_ms) // 1000
    return row


def main(order):
    app = Application(
        broker_address=order["brokers"],
        consumer_group=order["group"],
        state_dir=order["stateDir"],
        auto_offset_reset="earliest",
        processing_guarantee=order["guarantee"],
        loglevel="WARNING",
    )
    events = app.topic(order["input"], value_deserializer="json", key_deserializer="str", timestamp_extractor=event_time_ms)
    customers = app.topic(order["customers"], value_serializer="json", key_serializer="str")
    terminals = app.topic(order["terminals"], value_serializer="json", key_serializer="str")
    payments = app.dataframe(events).filter(lambda event: event["type"] == "payment.initiated").apply(payment)
    of_pairs = payments.apply(at_terminal, stateful=True)
    # A broker that stamps records when it appends them (LogAppendTime) stamps those of the repartitioned topic, too.
    of_terminals = payments.group_by("terminal").set_timestamp(lambda row, *_: row["time_ms"])
    if order["kind"] == "windows":
        customer_windows(of_pairs).to_topic(customers)
        terminal_windows(of_terminals).to_topic(terminals)
    else:
        of_pairs.apply(customer_state, stateful=True).to_topic(customers)
        of_terminals.apply(terminal_state, stateful=True).to_topic(terminals)
    app.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
