// What pages do beyond HTML. All of them work without it, but for what is live.
"use strict";

// A page's live parts: <div id="x" data-live="5"> is asked for again every 5 seconds and put in the place of itself.
// Nothing is replaced that somebody is using.
for (const part of document.querySelectorAll("[data-live]")) {
  const seconds = Number(part.dataset.live);
  const again = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { "x-by-itself": "1", accept: "text/html" }, redirect: "error" });
        const fresh = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
        const now = document.getElementById(part.id);
        if (fresh && now && !now.contains(document.activeElement)) {
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

// Live messages.
const live = document.getElementById("live");
if (live) {
  const MOST = 500; // Rows that are kept.
  const $ = (id) => document.getElementById(id);
  const rows = $("live-rows"), waiting = [];
  let paused = false, shown = 0, skipped = 0, drawing = false;
  live.hidden = false;

  const state = (kind, word) => {
    const mark = document.createElement("span");
    mark.className = `state ${kind}`;
    mark.textContent = word;
    $("live-state").replaceChildren(mark);
  };
  const fits = (row) => row.textContent.toLowerCase().includes($("search").value.toLowerCase());
  const cells = (texts, name) => {
    const row = document.createElement("tr");
    if (name) row.className = name;
    for (const text of texts) row.insertCell().textContent = text;
    // Topics break behind their slashes.
    const topic = row.cells[1];
    topic.replaceChildren(...topic.textContent.split(/(?<=\/)/).flatMap((level) => [level, document.createElement("wbr")]));
    return row;
  };
  const draw = () => {
    drawing = false;
    if (paused) return;
    // Newer than what fits is what counts; the rest was never to be seen.
    if (waiting.length > MOST) { skipped += waiting.length - MOST; waiting.splice(0, waiting.length - MOST); }
    const fresh = document.createDocumentFragment();
    for (const message of waiting.splice(0)) {
      const row = message.missed
        ? cells(["", `${message.missed} messages were skipped`, "", ""], "skipped")
        : cells([message.time.slice(11, 23), message.topic, message.origin, message.encoding === "text" ? message.payload : `base64 ${message.payload}`]);
      row.hidden = !fits(row);
      fresh.prepend(row);
      if (!message.missed) shown += 1;
    }
    rows.prepend(fresh);
    while (rows.rows.length > MOST) rows.lastElementChild.remove();
    $("live-count").textContent = shown;
    $("live-skipped").textContent = skipped;
    $("live-empty").hidden = rows.rows.length > 0;
  };
  const take = (messages) => {
    waiting.push(...messages);
    if (waiting.length > 4 * MOST) { skipped += waiting.length - MOST; waiting.splice(0, waiting.length - MOST); }
    if (!drawing && !paused) { drawing = true; requestAnimationFrame(draw); }
  };

  const source = new EventSource(`/api/v1/live?filter=${encodeURIComponent(live.dataset.filter)}`);
  source.onopen = () => state("good", "live");
  source.onerror = () => state("bad", source.readyState === EventSource.CLOSED ? "ended: load the page again" : "connecting again");
  source.addEventListener("messages", (event) => take(JSON.parse(event.data)));
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
  $("clear").onclick = () => { rows.replaceChildren(); waiting.length = 0; shown = 0; skipped = 0; draw(); };
  $("search").oninput = () => { for (const row of rows.rows) row.hidden = !fits(row); };
}
