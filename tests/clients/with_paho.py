"""The conversation of conversation.txt, spoken by paho-mqtt.

    with_paho.py tcp|tls|ws 3.1.1|5 HOST PORT [AUTHORITY]

It prints what it sees; `tests/tests/stock_clients.rs` compares. Whatever does not come in time ends it with an error.
"""

import queue
import subprocess
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 30
TRANSPORT, VERSION, HOST, PORT = sys.argv[1:5]
AUTHORITY = sys.argv[5] if len(sys.argv) > 5 else None
V5 = VERSION == "5"


def text(value):
    return {True: "yes", False: "no"}.get(value, value)


class Client:
    """A client that waits for each answer."""

    def __init__(self, name, persistent=False, will=None):
        self.messages, self.answers = queue.Queue(), queue.Queue()
        options = {} if V5 else {"clean_session": not persistent}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            name,
            protocol=mqtt.MQTTv5 if V5 else mqtt.MQTTv311,
            transport="websockets" if TRANSPORT == "ws" else "tcp",
            reconnect_on_failure=False,
            **options,
        )
        if TRANSPORT == "ws":
            self.client.ws_set_options(path="/mqtt")
        if TRANSPORT == "tls":
            self.client.tls_set(ca_certs=AUTHORITY)
        if will:
            self.client.will_set(will, "gone", qos=1)
        self.client.on_connect = lambda _c, _u, flags, reason, _p: self.answers.put((reason, flags.session_present))
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.answers.put([r.value for r in reasons])
        self.client.on_unsubscribe = lambda _c, _u, _m, _r, _p: self.answers.put("unsubscribed")
        self.client.on_publish = lambda _c, _u, _m, _r, _p: self.answers.put("published")
        self.client.on_disconnect = lambda *_: self.answers.put("disconnected")
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        properties, start = None, {}
        if V5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 60 if persistent else 0
            start = {"clean_start": not persistent, "properties": properties}
        self.client.connect(HOST, int(PORT), **start)
        self.client.loop_start()
        reason, self.present = self.answers.get(timeout=PATIENCE)
        assert not reason.is_failure, reason

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        return self.answers.get(timeout=PATIENCE)

    def unsubscribe(self, topic):
        self.client.unsubscribe(topic)
        assert self.answers.get(timeout=PATIENCE) == "unsubscribed"

    def publish(self, topic, payload, qos, retain=False, properties=None):
        self.client.publish(topic, payload, qos, retain, properties)
        assert self.answers.get(timeout=PATIENCE) == "published"

    def message(self):
        return self.messages.get(timeout=PATIENCE)

    def shown(self, what):
        m = self.message()
        return f"{what}: {m.topic} qos={m.qos} retained={text(m.retain)} {m.payload.decode()}"

    def show(self, what):
        print(self.shown(what))

    def leave(self):
        self.client.disconnect()
        assert self.answers.get(timeout=PATIENCE) == "disconnected"
        self.client.loop_stop()


def every_qos(one):
    print("granted:", *one.subscribe("all/#", 2))
    for qos in (0, 1, 2):
        one.publish(f"all/{qos}", f"hello {qos}", qos)
        one.show("message")
    one.publish("all/large", "x" * 100_000, 2)
    print("large:", len(one.message().payload))


def retained(one):
    one.publish("kept/a", "first", 1, retain=True)
    one.publish("kept/a", "last", 2, retain=True)
    one.publish("kept/b", "gone", 1, retain=True)
    one.publish("kept/b", "", 1, retain=True)
    one.subscribe("kept/#", 1)
    one.show("retained")
    one.publish("kept/end", "not retained", 0)
    one.show("then")
    one.unsubscribe("kept/#")
    one.publish("kept/a", "", 1, retain=True)


def will(one):
    arguments = [sys.executable, __file__, *sys.argv[1:5], AUTHORITY or "", "will"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "connected\n"
        child.kill()
    one.show("will")


def session(one):
    away = Client("away", persistent=True)
    print("session:", text(away.present))
    away.subscribe("away/#", 2)
    away.leave()
    for number, qos in enumerate((1, 2, 1)):
        one.publish("away/x", f"{number}", qos)
    away = Client("away", persistent=True)
    print("session:", text(away.present))
    # A message with QoS 2 takes one round trip more until it is shown.
    print("\n".join(sorted((away.shown("waited") for _ in range(3)), key=lambda line: line[-1])))
    away.leave()


def shared(one):
    both = [Client("worker a"), Client("worker b")]
    for worker in both:
        worker.subscribe("$share/workers/work", 1)
    for i in range(10):
        one.publish("work", str(i), 1)
    # In turn, so each gets half of them.
    numbers = [int(worker.message().payload) for worker in both for _ in range(5)]
    print("shared:", *sorted(numbers))
    for worker in both:
        worker.leave()


def properties(one):
    sent = Properties(PacketTypes.PUBLISH)
    sent.UserProperty = [("name", "value")]
    sent.ContentType = "text/plain"
    sent.ResponseTopic = "answer"
    sent.CorrelationData = b"7"
    sent.MessageExpiryInterval = 100
    one.publish("all/properties", "rich", 1, properties=sent)
    got = one.message().properties
    kept = [pair for pair in got.UserProperty if not pair[0].startswith("stile-")]
    expiry = 0 < got.MessageExpiryInterval <= 100
    data = got.CorrelationData.decode()
    print("properties:", got.ContentType, got.ResponseTopic, data, *kept[0], "expires" if expiry else got)


def main():
    if sys.argv[6:] == ["will"]:
        Client("willing", will="all/will")
        print("connected", flush=True)
        queue.Queue().get()
    one = Client("one")
    print("session:", text(one.present))
    for part in (every_qos, retained, will, session, shared):
        part(one)
    if V5:
        properties(one)
    one.leave()
    print("done")


main()
