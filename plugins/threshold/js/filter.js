// Lets through readings that changed, and raises an alert where one passes a limit.
import kv from "stile:filter/kv@1.0.0";
import { Invalid, at, drop, fromUtf8, json, like, makeFilter, modify, pass, reject, replace, toUtf8 } from "./stile.js";

export const filter = makeFilter((given) => {
  const { field, limit, alerts } = checked(given);

  return (message) => {
    const payload = json(message);
    const reading = payload === undefined ? undefined : at(payload, field);
    // What is too large for a number is read as infinite.
    if (payload === undefined || Math.abs(reading) === Infinity) return reject("the payload is no JSON");
    if (typeof reading !== "number") return pass;
    const before = last(message.topic);
    if (before === reading) return drop("unchanged");
    keep(message.topic, reading);
    const trend = before === undefined ? "first" : reading > before ? "rising" : "falling";
    if (reading <= limit || before > limit) return modify({ set: { trend } });
    const changed = like(message);
    changed.properties = changed.properties.filter(({ name }) => name !== "trend").concat({ name: "trend", value: trend });
    return replace(changed, {
      topic: `${message.topic}/${alerts}`,
      payload: JSON.stringify({ reading, limit }),
      qos: message.qos,
      contentType: "application/json",
    });
  };
});

/** The settings; throws what the operator has to change. */
function checked({ field = "", limit, alerts = "alert", ...unknown }) {
  for (const name in unknown) throw new Invalid(`there is no setting \`${name}\``);
  if (typeof limit !== "number") throw new Invalid("`limit` has to be a number");
  if (typeof field !== "string") throw new Invalid("`field` has to be a text");
  if (field !== "" && !field.startsWith("/")) throw new Invalid(`\`field\` is no JSON Pointer; write \`/${field}\``);
  if (typeof alerts !== "string" || !/^[^+#\0]+$/.test(alerts)) throw new Invalid("`alerts` is no level of a topic");
  return { field, limit, alerts };
}

/** The reading of this topic that went on last. */
function last(topic) {
  const kept = kv.get(topic);
  return kept ? Number(fromUtf8(kept)) : undefined;
}

/** What can't be kept lets a message too many go on, and none too few. */
function keep(topic, reading) {
  try {
    kv.set(topic, toUtf8(String(reading)), undefined);
  } catch {}
}
