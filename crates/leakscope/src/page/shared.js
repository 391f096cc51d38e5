"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const isHprof = data.format === "hprof";

// ---- words ----
function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = Math.abs(n), unit = 0;
  while (value >= 1023.5 && unit + 1 < units.length) { value /= 1024; unit += 1; }
  const digits = unit === 0 || value >= 99.95 ? 0 : value < 9.995 ? 2 : 1;
  return (n < 0 ? "-" : "") + value.toFixed(digits) + " " + units[unit];
}
const signed = (n, show) => (n < 0 ? "-" : "+") + show(Math.abs(n));
const number = (n) => n.toLocaleString("en-US");
const percent = (part, whole) => {
  const value = whole > 0 ? 100 * part / whole : 0;
  return (value >= 9.95 || value === 0 ? value.toFixed(0) : value < 0.05 ? "<0.1" : value.toFixed(1)) + " %";
};
const objectId = (id) => (isHprof ? "0x" + id.toString(16) : "@" + id);
const place = (at) => (at ? at.file + ":" + at.line + (at.column ? ":" + at.column : "") : "");

/** An element with text or children; text is never read as markup. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") node.className = value;
    else if (key === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
function showHeader(what) {
  $("what").textContent = what + ", " + data.format;
  $("title").textContent = data.title;
  document.title = "leakscope: " + data.title;
  for (const warning of data.warnings) $("warnings").append(el("p", { style: "color:var(--warn)" }, "⚠ " + warning));
}

// ---- suspects ----
function pathList(path) {
  const list = el("ol", { class: "path" });
  let edge = "";
  path.forEach((step, depth) => {
    const item = el("li", {}, "  ".repeat(Math.min(depth, 30)));
    if (depth > 0) item.append("└ ", el("span", { class: "edge" }, edge), " → ");
    item.append(step.name, " ", el("span", { class: "id" }, objectId(step.id)));
    list.append(item);
    edge = step.edge;
  });
  if (edge) list.append(el("li", {}, "  ".repeat(Math.min(path.length, 30)) + "└ ", el("span", { class: "edge" }, edge)));
  return list;
}
/** Cards of the suspects. `whole`: what their shares are shares of; `what`: what was captured. */
function showSuspects(whole, what) {
  const isDiff = data.captures.length > 1;
  if (data.suspects.length === 0) $("suspects").append(el("p", { class: "soft" }, isDiff ? "Nothing grew that stands out." : "Nothing stands out in this " + what + "."));
  data.suspects.forEach((suspect, index) => {
    const alarm = suspect.confidence >= 0.5;
    const grew = suspect.growth_bytes !== null;
    const [held, count] = grew ? [suspect.growth_bytes, suspect.growth_count] : [suspect.bytes, suspect.count];
    const isCounted = suspect.path.length > 0 || count !== 0;
    const fact = (shown, ...words) => el("span", {}, el("b", {}, shown), ...words);
    const facts = el("p", { class: "facts" },
      isCounted && held === 0 ? null : fact(grew ? signed(held, bytes) : bytes(held), suspect.growth_error_bytes ? " ± " + bytes(suspect.growth_error_bytes) : "", grew ? " growth" : " held"),
      fact(percent(suspect.share, 1), grew ? " of the growth" : " of the " + whole),
      isCounted ? fact(grew ? signed(count, number) : number(count), suspect.kind === "goroutine" ? " goroutines" : " objects") : null,
      suspect.growth_bytes_per_hour ? fact(signed(suspect.growth_bytes_per_hour, bytes), " an hour") : null,
      suspect.growth_bytes_per_request ? fact(signed(suspect.growth_bytes_per_request, bytes), " a request") : null,
      grew ? el("span", {}, suspect.grew_in_every_step ? "in every step" : "not in every step") : null,
      el("span", {}, "confidence ", el("b", {}, suspect.confidence.toFixed(2))));
    const share = Math.max(0, Math.min(1, suspect.share)) * 100;
    const card = el("article", { class: "card" + (alarm ? " alarm" : "") },
      el("h3", {}, (alarm ? "▲ " : "? ") + (index + 1) + ". " + suspect.title), facts,
      el("div", { class: "meter" }, el("i", { style: "width:" + share.toFixed(1) + "%" })),
      el("p", {}, suspect.reason));
    if (suspect.location) card.append(el("p", {}, suspect.stack.length > 0 ? "made at " : "declared at ", el("code", {}, place(suspect.location))));
    const more = (title, list) => {
      const details = el("details", {}, el("summary", {}, title), list);
      details.open = index < 2;
      card.append(details);
    };
    if (suspect.path.length > 0) more("held by " + suspect.path.length + " steps from the root", pathList(suspect.path));
    if (suspect.stack.length > 0) {
      const line = (frame) => frame.function + (frame.file ? "  " + frame.file + (frame.line ? ":" + frame.line : "") : "");
      more("made by", el("ol", { class: "path" }, ...suspect.stack.map((frame) => el("li", {}, line(frame)))));
    }
    $("suspects").append(card);
  });
  if (!isDiff && data.suspects.length > 0) $("suspects").append(el("p", { class: "soft" }, "One capture shows what is large; `leakscope diff` of two or more shows what grows."));
}

// ---- tables ----
/** Columns: title, value to sort by, text to show; words stand left. */
function table(section, title, columns, rows, sortBy, filtered) {
  const SHOWN = 100;
  let order = sortBy, down = true, all = false, wanted = "";
  const body = el("tbody"), head = el("tr"), more = el("p", { class: "soft", style: "padding:0 12px" });
  const buttons = columns.map((column, index) => {
    const button = el("button", { type: "button", on: { click: () => { down = order === index ? !down : !column.word; order = index; draw(); } } }, column.title);
    head.append(el("th", { class: column.word ? "word" : "", scope: "col" }, button));
    return button;
  });
  function draw() {
    const { value } = columns[order];
    const found = rows.filter((row) => wanted === "" || columns.some((column) => column.word && column.text(row).toLowerCase().includes(wanted)));
    found.sort((a, b) => { const [x, y] = [value(a), value(b)]; return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1); });
    buttons.forEach((button, index) => {
      button.textContent = columns[index].title + (index === order ? (down ? " ↓" : " ↑") : "");
      button.parentElement.setAttribute("aria-sort", index === order ? (down ? "descending" : "ascending") : "none");
    });
    const part = all ? found : found.slice(0, SHOWN);
    body.replaceChildren(...part.map((row) => el("tr", {}, ...columns.map((column) => el("td", { class: column.word ? "word name" : "", title: column.word ? column.text(row) : undefined }, column.text(row))))));
    more.replaceChildren(number(part.length) + " of " + number(found.length) + " ");
    if (part.length < found.length) more.append(el("button", { type: "button", on: { click: () => { all = true; draw(); } } }, "show all"));
  }
  const heading = el("h2", { id: section.id + "-title" }, title);
  const input = filtered ? el("input", { type: "search", placeholder: "filter by name", "aria-label": "filter by name", on: { input: (event) => { wanted = event.target.value.toLowerCase(); draw(); } } }) : null;
  section.replaceChildren(el("div", { class: "row" }, heading, input), el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), body), more));
  section.hidden = false;
  draw();
}
const word = (title, text) => ({ title, word: true, value: (row) => text(row).toLowerCase(), text });
const amount = (title, value, show) => ({ title, value, text: (row) => { const found = value(row); return found === null ? "-" : show(found); } });
