"use strict";
(() => {
const SHOWN = 200, PRINTED = 2000, BARS = 50, REASONS = 50;
const byId = id => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { people, happenings, reasons, subjects, parts, bars } = data;
const many = bars.length > 1;
const listed = new Set(people.subject);
const number = new Intl.NumberFormat("en").format;
// Every text comes in as text, so no name is ever read as HTML.
const make = (tag, attributes, ...children) => {
  const made = tag === "svg" || tag === "rect" ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

function figure(counts) {
  const whole = counts.reduce((sum, count) => sum + count, 0);
  const widths = counts.map(count => count && Math.max(100 * count / whole, 1.5));
  const scale = 100 / widths.reduce((sum, width) => sum + width, 0);
  const svg = make("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  widths.forEach((width, part) => {
    if (!width) return;
    svg.append(make("rect", { class: `fill-${parts[part][0]}`, x, y: 0, width: width * scale, height: 10 }));
    x += width * scale;
  });
  return svg;
}

function showBars(all) {
  const now = document.title.startsWith("Plan") ? "now" : "before";
  byId("bars").replaceChildren(...(all ? bars : bars.slice(0, BARS)).map(([about, before, counts, note]) => {
    const name = listed.has(about) ? make("button", { type: "button", class: "link" }, subjects[about]) : subjects[about];
    if (listed.has(about)) name.addEventListener("click", () => {
      byId("subject").value = about;
      choose();
      byId("people").scrollIntoView();
      byId("search").focus({ preventScroll: true });
    });
    const line = make("span", { class: "counts" });
    const some = counts.some(count => count);
    if (some || before) line.append(make("span", {}, `${number(before)} ${now}`));
    counts.forEach((count, part) => {
      if (count) line.append(make("span", {}, make("i", { class: `key fill-${parts[part][0]}` }), `${number(count)} ${parts[part][1]}`));
    });
    if (note) line.append(make("span", { class: "note" }, note));
    return make("li", {}, make("span", { class: "subject" }, name), ...(some ? [figure(counts)] : []), line);
  }));
  if (bars.length <= BARS) return;
  const button = make("button", { type: "button" }, all ? `Show the first ${BARS}` : `Show all ${number(bars.length)}`);
  button.addEventListener("click", () => showBars(!all));
  byId("more-bars").replaceChildren(button);
}

if (many) showBars(false);
const { subject, happening, reason, reference, name, email, ref, changes } = people;
const everyone = Uint32Array.from(subject, (_, at) => at);
if (!everyone.length) return;

const fold = text => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
const title = at => name[at] || email[at] || ref[at] || reference[at] || "(blank)";
const values = [
  at => subjects[subject[at]],
  title,
  at => happenings[happening[at]][0],
  at => reasons[reason[at]] || (changes[at] || []).map(change => change[0]).join(" "),
];

function cells(at) {
  const more = [name[at] && email[at], (name[at] || email[at]) && ref[at]].filter(Boolean).join(" · ");
  const [words, part] = happenings[happening[at]];
  const why = make("td", { role: "cell" }, reasons[reason[at]]);
  for (const [field, before, after] of changes[at] || [])
    why.append(make("span", { class: "change" }, `${field}: `, make("del", {}, before || "(none)"), " → ", make("ins", {}, after || "(none)")));
  const row = make("tr", { role: "row" },
    make("td", { role: "cell" }, make("b", {}, title(at)), make("small", {}, more)),
    make("td", { role: "cell" }, make("i", { class: `key fill-${part}` }), words), why);
  if (many) row.prepend(make("td", { role: "cell", class: "subject-column" }, subjects[subject[at]]));
  return row;
}

// What a search looks through, made at the first search.
let haystack;
function searched(words) {
  haystack ||= Array.from(everyone, at => fold([
    reference[at], name[at], email[at], ref[at], reasons[reason[at]], subjects[subject[at]],
    ...(changes[at] || []).flat()].join("\n")));
  return at => words.every(word => haystack[at].includes(word));
}

let found = [], place = 0, sort = -1, falling = false;
const orders = new Map();
function ordered(column) {
  if (!orders.has(column)) {
    const keys = Array.from(everyone, at => fold(values[column](at)));
    orders.set(column, everyone.slice().sort((a, b) => keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b));
  }
  return orders.get(column);
}

function choose() {
  const words = fold(byId("search").value).split(/\s+/).filter(Boolean);
  const wanted = [["subject", subject], ["happens", happening], ["why", reason]]
    .map(([id, column]) => [column, byId(id).value]).filter(([, value]) => value !== "").map(([column, value]) => [column, Number(value)]);
  const matches = words.length ? searched(words) : () => true;
  const order = sort < 0 ? everyone : ordered(sort);
  found = order.filter(at => wanted.every(([column, value]) => column[at] === value) && matches(at));
  if (falling) found.reverse();
  place = 0;
  show();
}

function show(most = SHOWN) {
  const some = found.slice(place, place + most);
  byId("rows").replaceChildren(...Array.from(some, cells));
  byId("found").textContent = found.length === everyone.length
    ? `${number(found.length)} people and entries` : `${number(found.length)} of ${number(everyone.length)} people and entries`;
  if (most === PRINTED && found.length > most) byId("found").textContent += `, of which the first ${number(most)} are printed`;
  byId("pager").hidden = found.length <= SHOWN;
  byId("place").textContent = `${number(place + 1)} to ${number(place + some.length)} of ${number(found.length)}`;
  byId("back").disabled = place === 0;
  byId("next").disabled = place + some.length >= found.length;
  headers.forEach(header => {
    const column = Number(header.dataset.column);
    header.setAttribute("aria-sort", column !== sort ? "none" : falling ? "descending" : "ascending");
    header.querySelector("span").textContent = column !== sort ? "" : falling ? " ▼" : " ▲";
  });
  byId("sort").value = String(sort);
}

function options(id, all, labels, column, most = Infinity) {
  const counts = new Map();
  for (const value of column) counts.set(value, (counts.get(value) || 0) + 1);
  const chosen = [...counts].filter(([value]) => labels(value)).sort((a, b) => b[1] - a[1]).slice(0, most);
  byId(id).append(make("option", { value: "" }, all),
    ...chosen.map(([value, count]) => make("option", { value }, `${labels(value)} (${number(count)})`)));
  byId(id).addEventListener("change", choose);
}

options("happens", "everything", value => happenings[value][0], happening);
options("why", "any reason", value => reasons[value].slice(0, 120), reason, REASONS);
options("subject", "all audiences", value => subjects[value], subject);
byId("by-subject").hidden = !many;
byId("sort").querySelector('[value="0"]').hidden = !many;
const headers = [...document.querySelectorAll("#list th")];
const sortBy = (column, down) => { sort = column; falling = down; choose(); };
headers.forEach(header => {
  const column = Number(header.dataset.column);
  const button = make("button", { type: "button" }, header.textContent, make("span", { "aria-hidden": "true" }));
  button.addEventListener("click", () => sortBy(column, column === sort && !falling));
  header.replaceChildren(button);
});
byId("sort").addEventListener("change", event => sortBy(Number(event.target.value), false));
let waiting;
byId("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(choose, 80); });
byId("controls").addEventListener("submit", event => event.preventDefault());
const turn = by => { place += by; show(); byId("list").scrollIntoView(); };
byId("back").addEventListener("click", () => turn(-SHOWN));
byId("next").addEventListener("click", () => turn(SHOWN));
let before;
addEventListener("beforeprint", () => { before = place; place = 0; show(PRINTED); if (many) showBars(true); });
addEventListener("afterprint", () => { place = before; show(); if (many) showBars(false); });
byId("controls").hidden = false;
choose();
document.documentElement.dataset.ready = "true";
})();
