
// A change on trial counts down on every page.
setInterval(() => {
  const left = document.getElementById("trial-left");
  if (!left) return;
  left.ends ??= Date.now() + Number(left.dataset.seconds) * 1000;
  const seconds = Math.max(0, Math.ceil((left.ends - Date.now()) / 1000));
  if (seconds > 0) {
    left.querySelector("strong").textContent = `${seconds} s`;
  } else if (!left.over) {
    left.over = true;
    left.textContent = "Its time is over: those of before come back now, unless somebody has confirmed it elsewhere.";
    document.querySelector("#trial form")?.remove();
  }
}, 250);

// The editor of settings: numbers beside the lines, and what is wrong as it is typed.
{
  const editor = document.getElementById("editor"), text = document.getElementById("text");
  const PAUSE = 400; // Milliseconds without a key until the text is checked.
  const lines = document.getElementById("lines"), verdict = document.getElementById("verdict"), caret = document.getElementById("caret");
  const number = () => {
    const count = text.value.split("\n").length;
    if (Number(lines.dataset.count) !== count) {
      lines.dataset.count = count;
      lines.textContent = Array.from({ length: count }, (_, at) => at + 1).join("\n");
    }
    lines.scrollTop = text.scrollTop;
  };
  const place = () => {
    const before = text.value.slice(0, text.selectionStart).split("\n");
    if (caret) caret.textContent = `Line ${before.length}, column ${[...before.at(-1)].length + 1}`;
  };
  // Puts the caret where something is wrong. Columns are characters, and not what JavaScript counts.
  const go = (line, column) => {
    const all = text.value.split("\n");
    const start = all.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    const here = start + [...(all[line - 1] ?? "")].slice(0, column - 1).join("").length;
    text.focus();
    text.setSelectionRange(here, start + (all[line - 1] ?? "").length);
    text.scrollTop = Math.max(0, (line - 4) * (text.scrollHeight / all.length));
    place();
  };
  const calm = (kind, word, rest) => {
    const row = make("p", "", "calm");
    row.append(make("span", word, `state ${kind}`), ` ${rest}`);
    return row;
  };
  const show = (found) => {
    const parts = [];
    const wrong = found.remarks.filter((remark) => remark.wrong).length;
    parts.push(found.good
      ? calm("good", "good", found.effects === null ? "" : found.effects.length ? `It would change: ${found.effects.join("; ")}.` : "No part of the gateway would be another.")
      : calm("bad", wrong === 1 ? "1 mistake" : `${wrong} mistakes`, ""));
    if (found.good && found.at_next_start.length) parts.push(make("p", `At the next start alone: ${found.at_next_start.join(", ")}.`, "quiet"));
    const list = make("ul", "", "remarks");
    for (const remark of found.remarks) {
      const item = make("li"), words = make("span");
      item.append(make("span", remark.wrong ? "wrong" : "odd", `state ${remark.wrong ? "bad" : "notice"}`), words);
      const own = remark.place === editor.dataset.file && remark.line;
      const where = make(own ? "button" : "strong", remark.line ? `${remark.place}, line ${remark.line}, column ${remark.column}` : remark.place, "where");
      if (own) { where.type = "button"; where.onclick = () => go(remark.line, remark.column); }
      words.append(where, remark.what, make("span", remark.remedy, "remedy"));
      item.append(words);
      list.append(item);
    }
    if (found.remarks.length) parts.push(list);
    verdict.replaceChildren(...parts);
    text.setAttribute("aria-invalid", !found.good);
  };
  let waits, asked;
  const check = async () => {
    asked?.abort();
    asked = new AbortController();
    const body = JSON.stringify({ files: { [editor.dataset.file]: text.value } });
    const headers = { "content-type": "application/json", "x-csrf-token": editor.elements.csrf.value };
    try {
      const answer = await fetch("/api/v1/configuration/check", { method: "POST", headers, body, signal: asked.signal });
      const found = await answer.json();
      if (answer.ok) show(found);
      else verdict.replaceChildren(calm("notice", "not checked", found.detail ?? ""));
    } catch (error) {
      if (error.name !== "AbortError") verdict.replaceChildren(calm("notice", "not checked", "The gateway can't be reached now."));
    }
  };
  if (editor && text) {
    lines.hidden = false;
    number();
    text.addEventListener("scroll", number);
    if (!text.readOnly) {
      place();
      for (const event of ["keyup", "click", "focus"]) text.addEventListener(event, place);
      text.addEventListener("input", () => {
        number();
        clearTimeout(waits);
        waits = setTimeout(check, PAUSE);
      });
    }
  }

  // A set-up's file is read into the field that its text could be pasted into.
  const form = document.getElementById("import-form");
  if (form) {
    const file = document.getElementById("set-up-file");
    file.hidden = false;
    file.querySelector("input").onchange = async (event) => {
      const chosen = event.target.files[0], field = form.elements.set_up;
      if (!chosen) return;
      field.value = chosen.size > field.maxLength ? "" : await chosen.text();
      field.setCustomValidity(chosen.size > field.maxLength ? "The file is larger than this page takes. Use stile config import on the gateway." : "");
      field.reportValidity();
    };
    form.elements.set_up.addEventListener("input", (event) => event.target.setCustomValidity(""));
  }
}

// The first message that comes from outside.
{
  const list = document.getElementById("first-messages");
  if (list) {
    const MOST = 5;
    const source = new EventSource("/api/v1/live");
    source.addEventListener("messages", (event) => {
      for (const message of JSON.parse(event.data).filter((message) => message.origin !== "gateway")) {
        const item = make("li");
        item.append(make("code", message.topic), ` ${message.encoding === "text" ? message.payload.slice(0, 200) : "bytes"}`);
        list.prepend(item);
        while (list.children.length > MOST) list.lastElementChild.remove();
      }
    });
  }
}
