"""Posts one payment in each content mode of CloudEvents over HTTP, as the Python SDK spells it.

  post_events.py URL PREFIX

Prints the status and the body of each answer as one JSON object: structured, binary, batched, versionless.
"""

import json
import sys
from datetime import datetime, timezone

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent


def payment(event_id: str, schema: str | None = "urn:riverbank:payment.initiated:2") -> CloudEvent:
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "type": "payment.initiated",
        "source": "urn:python:sdk",
        "subject": "c-1",
        "time": datetime.now(timezone.utc),
        "datacontenttype": "application/json",
    }
    if schema is not None:
        attributes["dataschema"] = schema
    data = {"customerId": "c-1", "terminalId": "t-1", "amountMinor": 1250, "currency": "EUR"}
    return CloudEvent(attributes, data)


def main(url: str, prefix: str) -> None:
    def post(headers: dict[str, str], body: bytes) -> dict[str, object]:
        answer = requests.post(url, data=body, headers=headers, timeout=30)
        return {"status": answer.status_code, "body": answer.json()}

    structured = to_structured_event(payment(f"{prefix}-structured"))
    binary = to_binary_event(payment(f"{prefix}-binär 100%"))
    versionless = to_binary_event(payment(f"{prefix}-versionless", None))
    # The SDK has no batches: they are arrays of what it writes.
    batch = [json.loads(to_structured_event(payment(f"{prefix}-batch-{n}")).body) for n in range(2)]
    answers = {
        "structured": post(structured.headers, structured.body),
        "binary": post(binary.headers, binary.body),
        "batched": post({"content-type": "application/cloudevents-batch+json"}, json.dumps(batch).encode()),
        "versionless": post(versionless.headers, versionless.body),
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
