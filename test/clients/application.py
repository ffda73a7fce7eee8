"""An application that uses PostHog's Python SDK. Options come as JSON in its argument; it prints each event it made."""

import json
import sys
import time

from posthog import Posthog

given = json.loads(sys.argv[1])
errors = []


def made(event):
    print(json.dumps({"uuid": event["uuid"], "event": event["event"], "distinctId": event["distinct_id"]}))
    return event


client = Posthog(
    given["token"],
    host=given["host"],
    before_send=made,
    on_error=lambda error, _batch: errors.append(str(error)),
    flush_at=given.get("flush_at", 100),
    **given["options"],
)

name = given["name"]
client.capture("looked", distinct_id=f"{name} anonymous", properties={"at": "shoes 👟"})
client.capture("$identify", distinct_id=name, properties={"$anon_distinct_id": f"{name} anonymous", "$set": {"plan": "free"}})
client.set(distinct_id=name, properties={"plan": "paid"})
client.set_once(distinct_id=name, properties={"source": "advert"})
client.alias(f"{name} alias", name)
client.group_identify("company", f"{name} company", {"size": 3}, distinct_id=name)
for number in range(given["events"]):
    client.capture("bought", distinct_id=name, properties={"number": number}, groups={"company": f"{name} company"})
    if given.get("pause_s"):
        time.sleep(given["pause_s"])
client.shutdown()
print(json.dumps({"errors": errors}))
