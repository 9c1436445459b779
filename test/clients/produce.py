"""Sends records to Kafka with librdkafka: brokers, topic, codec; records as lines of JSON on stdin, bytes in base64.

A record: {"key": b64 or null, "value": b64 or null, "headers": [[name, b64 or null], ...]}. All go into partition 0.
"""

import json
import sys
from base64 import b64decode

from confluent_kafka import Producer

brokers, topic, codec = sys.argv[1:4]
failures = []


def decoded(text):
    return None if text is None else b64decode(text)


def delivered(error, _message):
    if error is not None:
        failures.append(str(error))


producer = Producer({"bootstrap.servers": brokers, "compression.type": codec, "linger.ms": 200, "acks": "all"})
for line in sys.stdin:
    record = json.loads(line)
    headers = [(name, decoded(value)) for name, value in record["headers"]]
    key, value = decoded(record["key"]), decoded(record["value"])
    producer.produce(topic, value=value, key=key, headers=headers, partition=0, on_delivery=delivered)
left = producer.flush(60)
if failures or left:
    sys.exit(f"{failures[:1]}, {left} not delivered")
