// What pages do beyond HTML. All of them work without it, but for what is live.
"use strict";

// A page's live parts: <div id="x" data-live="5"> is asked for again every 5 seconds and put in the place of itself.
// Nothing is replaced that somebody is using. With data-from="/y" it is asked for there. A change on trial is told on every page.
for (const part of document.querySelectorAll("[data-live]")) {
  const seconds = Number(part.dataset.live);
  const again = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(part.dataset.from ?? location.href, { headers: { "x-by-itself": "1", accept: "text/html" }, redirect: "error" });
        const page = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page && page.getElementById(part.id);
        const trial = document.getElementById("trial"), told = page && page.getElementById("trial");
        if (told && !trial.contains(document.activeElement)) trial.replaceWith(told);
        const now = document.getElementById(part.id);
        if (fresh && now && !now.contains(document.activeElement) && !now.querySelector(".dragged")) {
          const open = [...now.querySelectorAll("details")].map((details) => details.open);
          fresh.querySelectorAll("details").forEach((details, at) => { details.open = Boolean(open[at]); });
          now.replaceWith(fresh);
        }
      } catch { /* The gateway is away, or nobody is signed in any more: what is there stays. */ }
    }
    setTimeout(again, seconds * 1000);
  };
  setTimeout(again, seconds * 1000);
}

// Menus close with Escape and with a click beside them.
for (const menu of document.querySelectorAll("details.menu")) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
}

// Plugins change places by dragging one onto another; their buttons do the same.
let dragged = null;
const stage = (event) => (event.target.closest ? event.target.closest("[data-place]") : null);
document.addEventListener("dragstart", (event) => {
  dragged = stage(event);
  if (!dragged) return;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.dataset.place);
  dragged.classList.add("dragged");
});
document.addEventListener("dragover", (event) => {
  const over = dragged && stage(event);
  document.querySelectorAll(".over").forEach((other) => other.classList.toggle("over", other === over));
  if (!over) return;
  event.preventDefault();
  if (over !== dragged) over.classList.add("over");
});
document.addEventListener("drop", (event) => {
  const over = dragged && stage(event);
  if (!over || over === dragged) return;
  event.preventDefault();
  const form = dragged.querySelector("[data-move]"), place = document.createElement("input");
  place.type = "hidden";
  place.name = "place";
  place.value = over.dataset.place;
  form.append(place);
  form.submit();
});
document.addEventListener("dragend", () => {
  document.querySelectorAll(".dragged, .over").forEach((other) => other.classList.remove("dragged", "over"));
  dragged = null;
});

// An upload says how far it is, and can be cancelled until all of it is there. Its answer leads to a page that says what came of
// it; that one is not to be said to the script, so it asks by itself. The form may have come with a live part.
document.addEventListener("submit", async (event) => {
  const upload = event.target;
  if (upload.id !== "upload-form") return;
  event.preventDefault();
  const way = document.getElementById("upload-way"), said = document.getElementById("upload-said");
  const send = upload.querySelector("button"), bar = way.querySelector("progress"), cancel = way.querySelector("button");
  const MIB = 1024 * 1024, { begins, none, sent } = upload.dataset;
  const say = (words) => { if (said.textContent !== words) said.textContent = words; };
  const end = (words) => { way.hidden = true; send.disabled = false; say(words); };
  if (begins) {
    // What is something else needs not be sent first.
    const beginning = upload.querySelector("[type=file]").files[0].slice(0, begins.length);
    if (await beginning.text().catch(() => begins) !== begins) return end(`Not done: ${none}`);
  }
  const asked = new XMLHttpRequest();
  asked.upload.onprogress = ({ loaded, total }) => {
    bar.max = total;
    bar.value = loaded;
    // Not each step, or a screen reader would say nothing else.
    say(`${Math.floor((loaded / total) * 10) * 10} % of ${(total / MIB).toFixed(1)} MiB`);
  };
  asked.upload.onload = () => {
    cancel.hidden = true;
    bar.removeAttribute("value");
    say(sent);
  };
  asked.onload = () => {
    if (asked.status < 400) return location.assign(asked.responseURL);
    const page = new DOMParser().parseFromString(asked.responseText, "text/html");
    end(page.getElementById("error")?.textContent ?? `Not done: the gateway says ${asked.status} ${asked.statusText}.`);
  };
  asked.onerror = () => end("Not done: the gateway can't be reached.");
  asked.onabort = () => end("Cancelled. Nothing has changed.");
  cancel.onclick = () => { asked.abort(); send.focus(); };
  asked.open("POST", upload.action);
  asked.setRequestHeader("x-by-itself", "1");
  asked.setRequestHeader("accept", "text/html");
  bar.removeAttribute("value");
  cancel.hidden = way.hidden = false;
  send.disabled = true;
  say("");
  asked.send(new FormData(upload));
});

const make = (name, text, kind) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};

// The log: new lines come on top of those that the page has.
const logs = document.getElementById("logs");
if (logs) {
  const MOST = 500; // Rows that are kept.
  const $ = (id) => document.getElementById(id);
  const rows = $("log-rows"), waiting = [], MARKS = { error: "bad", warn: "notice" };
  let paused = false, missed = 0;
  $("log-tools").hidden = false;
  const state = (kind, word) => $("log-state").replaceChildren(make("span", word, `state ${kind}`));
  const draw = () => {
    if (paused) return;
    const fresh = document.createDocumentFragment();
    for (const line of waiting.splice(0)) {
      const row = make("tr", "", line.skipped ? "skipped" : "");
      row.insertCell().append((line.at || "").slice(0, 19).replace("T", " "));
      row.cells[0].className = "time";
      row.insertCell().append(line.level ? make("span", line.level, `state ${MARKS[line.level] || ""}`) : "");
      row.insertCell().append(line.part || "");
      row.insertCell().append(line.skipped ? `${line.skipped} lines were skipped` : line.text, make("span", line.pairs, "pairs"));
      fresh.prepend(row);
    }
    rows.prepend(fresh);
    while (rows.rows.length > MOST) rows.lastElementChild.remove();
    $("log-missed").textContent = missed;
    $("log-empty").hidden = rows.rows.length > 0;
  };
  const source = new EventSource(`/api/v1/logs/live?${logs.dataset.query}&from=${logs.dataset.from}`);
  source.onopen = () => state("good", "live");
  source.onerror = () => state("bad", source.readyState === EventSource.CLOSED ? "ended: load the page again" : "connecting again");
  source.addEventListener("lines", (event) => {
    const come = JSON.parse(event.data);
    if (come.missed) { missed += come.missed; waiting.push({ skipped: come.missed }); }
    waiting.push(...come.lines);
    if (waiting.length > MOST) { missed += waiting.length - MOST; waiting.splice(0, waiting.length - MOST); }
    draw();
  });
  $("log-pause").onclick = () => {
    paused = !paused;
    $("log-pause").setAttribute("aria-pressed", paused);
    draw();
  };
}

// Live messages.
const live = document.getElementById("live");
if (live) {
  const MOST = 500; // Rows that are kept.
  const AT_ONCE = 50; // Rows that one picture takes on, so that the page stays smooth: 3,000 a second.
  const $ = (id) => document.getElementById(id);
  const rows = $("live-rows"), waiting = [];
  let paused = false, shown = 0, skipped = 0, drawing = false;
  live.hidden = false;

  const state = (kind, word) => $("live-state").replaceChildren(make("span", word, `state ${kind}`));
  const fits = (row) => row.textContent.toLowerCase().includes($("search").value.toLowerCase());
  // Topics break behind their slashes.
  const broken = (topic) => topic.split(/(?<=\/)/).flatMap((level) => [level, make("wbr")]);
  const hex = (base64) => [...atob(base64)].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
  const pretty = (text) => { try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; } };
  // Short payloads stand as they are; of long ones the beginning, and all of it, laid out, when it is opened.
  const payload = (message) => {
    const text = message.encoding === "text" ? message.payload : hex(message.payload);
    if (text.length <= 160) return text;
    const details = make("details");
    details.append(make("summary", `${text.slice(0, 120)}…`));
    details.addEventListener("toggle", () => { if (details.children.length < 2) details.append(make("pre", pretty(text))); });
    return details;
  };
  // Messages that somebody chose, to try a plugin on or to make a case of; in the order in which they came.
  const chosen = new Map(), form = $("chosen");
  const choose = (message) => {
    const time = message.time.slice(11, 23);
    if (!form) return [time];
    const label = make("label", "", "choose"), box = make("input");
    box.type = "checkbox";
    box.checked = chosen.has(message.id);
    box.setAttribute("aria-label", `Choose the message of ${time}, ${message.topic}`);
    box.onchange = () => {
      if (box.checked) chosen.set(message.id, message); else chosen.delete(message.id);
      $("chosen-count").textContent = chosen.size;
      form.hidden = chosen.size === 0;
    };
    label.append(box, time);
    return [label];
  };
  if (form) form.onsubmit = (event) => {
    const all = [...chosen.values()].sort((a, b) => (a.time < b.time ? -1 : 1));
    $("chosen-messages").value = all.map((message) => JSON.stringify(message)).join("\n");
    form.action = `/plugins/${$("chosen-plugin").value}/${event.submitter.value}`;
  };
  const rowOf = (message) => {
    const row = make("tr");
    for (const content of [choose(message), broken(message.topic), [message.origin], [payload(message)]]) row.insertCell().append(...content);
    return row;
  };
  // With the way of each, a row is a message, and its last cell has what became of it, step by step.
  const ways = new Map();
  const MARKS = { delivered: "good", filtered: "notice", dropped: "bad", held: "notice" };
  const step = (hop) => {
    let row = ways.get(hop.id), fresh = null;
    if (!row) {
      if (!hop.message) return null; // It came before this page did.
      row = fresh = rowOf(hop.message);
      row.insertCell().append(make("ol"));
      ways.set(hop.id, row);
    }
    const item = make("li");
    if (hop.place === "plugin") item.append(make("strong", hop.plugin));
    item.append(MARKS[hop.did] ? make("span", hop.did, `state ${MARKS[hop.did]}`) : hop.did);
    if (hop.reason) item.append(hop.reason);
    item.append(make("span", `${(hop.after_micros / 1000).toFixed(2)} ms`, "quiet"));
    row.cells[4].firstElementChild.append(item);
    if (hop.did === "changed") row.cells[3].append(make("br"), "→ ", payload(hop.message));
    return fresh;
  };
  const draw = () => {
    drawing = false;
    if (paused) return;
    // Newer than what fits is what counts; the rest was never to be seen.
    if (waiting.length > MOST) { skipped += waiting.length - MOST; waiting.splice(0, waiting.length - MOST); }
    const fresh = document.createDocumentFragment();
    for (const seen of waiting.splice(0, AT_ONCE)) {
      let row;
      if (seen.missed) {
        row = make("tr", "", "skipped");
        row.insertCell();
        row.insertCell().append(`${seen.missed} were skipped`);
      } else {
        row = seen.did ? step(seen) : rowOf(seen);
        if (row) shown += 1;
      }
      if (!row) continue;
      row.hidden = !fits(row);
      fresh.prepend(row);
    }
    rows.prepend(fresh);
    while (rows.rows.length > MOST) rows.lastElementChild.remove();
    if (ways.size > 2 * MOST) for (const [id, row] of ways) if (!row.isConnected) ways.delete(id);
    $("live-count").textContent = shown;
    $("live-skipped").textContent = skipped;
    $("live-empty").hidden = rows.rows.length > 0;
    soon();
  };
  const soon = () => {
    if (waiting.length && !drawing && !paused) { drawing = true; requestAnimationFrame(draw); }
  };
  const take = (seen) => {
    waiting.push(...seen);
    if (waiting.length > 4 * MOST) { skipped += waiting.length - MOST; waiting.splice(0, waiting.length - MOST); }
    soon();
  };

  const stream = live.dataset.way ? "way" : "live";
  const source = new EventSource(`/api/v1/${stream}?filter=${encodeURIComponent(live.dataset.filter)}`);
  source.onopen = () => state("good", "live");
  source.onerror = () => state("bad", source.readyState === EventSource.CLOSED ? "ended: load the page again" : "connecting again");
  for (const event of ["messages", "hops"]) source.addEventListener(event, (come) => take(JSON.parse(come.data)));
  source.addEventListener("missed", (event) => {
    const { missed } = JSON.parse(event.data);
    skipped += missed;
    take([{ missed }]);
  });
  $("pause").onclick = () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", paused);
    draw();
  };
  $("clear").onclick = () => { rows.replaceChildren(); ways.clear(); waiting.length = 0; shown = 0; skipped = 0; draw(); };
  $("search").oninput = () => { for (const row of rows.rows) row.hidden = !fits(row); };
}
