// What an author of a filter in JavaScript depends on. It hides the batch, makes actions of plain calls, and answers
// with an error where something is thrown: what left the component uncaught would say nothing of itself.
import context from "stile:filter/context@1.0.0";
import log from "stile:filter/log@1.0.0";

/** The message goes on as it is. */
export const pass = null;

/** It ends here, as the filter is meant to. Keep to a few different reasons, such as `unchanged`. */
export const drop = (reason) => ({ tag: "drop", val: reason });

/** The filter can't judge it: the operator's `on-failure` decides. */
export const reject = (why) => ({ tag: "reject", val: why });

/** It goes on, changed: `{ payload, topic, qos, retain, contentType, …, set: { name: value }, unset: [name] }`. */
export const modify = (patch) => ({ tag: "modify", val: toPatch(patch) });

/** It ends here, and these go on instead: `{ topic, payload, qos, retain, …, properties: [{ name, value }] }`. */
export const replace = (...drafts) => ({ tag: "replace", val: drafts.map(toDraft) });

/** Thrown while settings are read: tells the operator what to change. */
export class Invalid extends Error {}

/** Thrown where something is not there now: the same call may succeed later. */
export class Unavailable extends Error {}

/**
 * Makes what the component exports. `make` is called once for each instance, with the settings and the whole setup, and
 * gives the function that is called for each message.
 */
export function makeFilter(make) {
  let judge;
  return {
    configure: guarded((setup) => {
      judge = make(JSON.parse(setup.config), setup);
    }),
    process: guarded((messages) => {
      const decisions = [];
      messages.forEach((message, index) => {
        message.index = index;
        const action = judge(message);
        if (action) decisions.push({ index, action });
      });
      return decisions;
    }),
  };
}

/** A message as it came, to go on beside others. How long it is still worth delivering is not known here. */
export function like(message) {
  const { topic, payload, qos, retain, index } = message;
  return {
    topic,
    payload,
    qos,
    retain,
    contentType: context.contentType(index),
    responseTopic: context.responseTopic(index),
    correlation: context.correlation(index),
    properties: context.userProperties(index),
  };
}

/** The payload as JSON; undefined where it is none, or nested so deep that the engine's stack would end there. */
export function json(message) {
  try {
    const text = fromUtf8(message.payload);
    return isDeep(text) ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Levels of nesting that the engine is sure to bear. */
const DEEPEST = 500;

function isDeep(text) {
  // Most texts are too short for it.
  if (text.length <= DEEPEST) return false;
  const marks = /["\\[\]{}]/g;
  let depth = 0;
  let quoted = false;
  for (let mark; (mark = marks.exec(text)); ) {
    if (mark[0] === '"') quoted = !quoted;
    else if (quoted) marks.lastIndex += mark[0] === "\\" ? 1 : 0;
    else if ((depth += mark[0] === "[" || mark[0] === "{" ? 1 : -1) > DEEPEST) return true;
  }
  return false;
}

/** What stands at a JSON Pointer (RFC 6901), such as `/object/temperature`; undefined where nothing does. */
export function at(value, pointer) {
  for (const name of pointer.split("/").slice(1)) {
    const key = name.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    if (Array.isArray(value) && !/^(0|[1-9][0-9]*)$/.test(key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Text of bytes of UTF-8. Throws where they are none. The engine has no TextDecoder. */
export function fromUtf8(bytes) {
  let latin1 = "";
  for (let at = 0; at < bytes.length; at += 4096) latin1 += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return /[^\0-\x7f]/.test(latin1) ? decodeURIComponent(escape(latin1)) : latin1;
}

/** Bytes of a text. */
export function toUtf8(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (char) => char.charCodeAt(0));
}

/** Calls, and makes of what is thrown the error that the gateway expects. What nobody foresaw goes to its log, too. */
function guarded(call) {
  return (argument) => {
    try {
      return call(argument);
    } catch (error) {
      const said = String(error?.message ?? error);
      if (error instanceof Invalid) throw { tag: "invalid", val: said };
      if (error instanceof Unavailable) throw { tag: "unavailable", val: said };
      log.write("error", `${error}\n${error?.stack ?? ""}`.trimEnd());
      throw { tag: "broken", val: said };
    }
  };
}

const bytes = (payload) => (typeof payload === "string" ? toUtf8(payload) : payload);

/** Of what is not named nothing changes; what is not there is none to the bindings. */
function toPatch({ payload, set = {}, unset = [], ...rest }) {
  const properties = Object.entries(set).map(([name, value]) => ({ name, value: String(value) }));
  return { ...rest, payload: payload === undefined ? undefined : bytes(payload), set: properties, unset };
}

function toDraft({ payload = "", qos = "at-most-once", retain = false, properties = [], ...rest }) {
  return { ...rest, payload: bytes(payload), qos, retain, properties };
}
