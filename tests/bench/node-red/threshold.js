// What the filter `threshold` does, as the text of a function node: `field` is /t, the limit 30.
const payload = JSON.parse(msg.payload);
const reading = payload.t;
if (typeof reading !== "number") return msg;
let kept = context.get("kept");
if (kept === undefined) context.set("kept", (kept = new Map()));
const before = kept.get(msg.topic);
if (before === reading) return null;
kept.set(msg.topic, reading);
const trend = before === undefined ? "first" : reading > before ? "rising" : "falling";
msg.userProperties = { ...msg.userProperties, trend };
if (reading > 30 && !(before > 30)) {
    const alert = { topic: msg.topic + "/alert", payload: JSON.stringify({ reading, limit: 30 }), qos: msg.qos };
    return [[msg, alert]];
}
return msg;
