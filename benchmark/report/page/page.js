"use strict";
// Filters, sorting and the details of a cell. Text goes in by textContent alone: names in records are never markup.

const boards = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("filters");
const dialog = document.getElementById("detail");
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DASHES = ["", "6 3", "2 2", "8 3 2 3"];

function make(tag, text, attributes = {}, space = null) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== null && text !== undefined) node.textContent = text;
  return node;
}

// ---- filters

function chosen(name) {
  return new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value));
}

function count(details) {
  const boxes = [...details.querySelectorAll("input")];
  const on = boxes.filter((box) => box.checked).length;
  details.querySelector(".count").textContent = on === boxes.length ? "(all)" : `(${on} of ${boxes.length})`;
}

function filterColumns(table, want) {
  const visible = new Set();
  for (const head of table.querySelectorAll("th[data-column]")) {
    const dense = head.dataset.sparsity === "dense";
    head.hidden = !(want.task.has(head.dataset.task) && (dense || want.sparsity.has(head.dataset.sparsity)));
    if (!head.hidden) visible.add(head.dataset.column);
  }
  for (const head of table.querySelectorAll("th[data-from]")) {
    let span = 0;
    for (let j = Number(head.dataset.from); j < Number(head.dataset.to); j++) span += visible.has(String(j));
    head.hidden = span === 0;
    if (span) head.colSpan = span;
  }
  return visible;
}

function filterRows(table, want, visible) {
  let rows = 0;
  for (const row of table.tBodies[0].rows) {
    const dense = row.classList.contains("dense");
    row.hidden = !(dense || (want.criterion.has(row.dataset.criterion) && want.regularizer.has(row.dataset.regularizer)));
    rows += !row.hidden;
    for (const cell of row.querySelectorAll("td")) cell.hidden = !visible.has(cell.dataset.column);
  }
  return rows;
}

function filter() {
  const want = Object.fromEntries(["task", "sparsity", "criterion", "regularizer", "model"].map((n) => [n, chosen(n)]));
  let rows = 0, columns = 0, shown = 0;
  for (const section of document.querySelectorAll("section.board")) {
    const table = section.querySelector("table.headline");
    const visible = filterColumns(table, want);
    section.hidden = !visible.size || !section.dataset.models.split("\n").some((model) => want.model.has(model));
    if (section.hidden) continue;
    shown += 1;
    columns += visible.size;
    rows += filterRows(table, want, visible);
  }
  for (const details of form.querySelectorAll("details")) count(details);
  sideways();
  document.getElementById("shown").textContent = `${rows} rows and ${columns} ${columns === 1 ? "column" : "columns"} shown` +
    (boards.length > 1 ? `, ${shown} of ${boards.length} boards` : "");
}

form.addEventListener("change", filter);
document.getElementById("all").addEventListener("click", () => {
  for (const box of form.querySelectorAll("input")) box.checked = true;
  filter();
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("keydown", (event) => {
  const open = event.target.closest("details[open]");
  if (event.key === "Escape" && open) { open.open = false; open.querySelector("summary").focus(); }
});
document.addEventListener("click", (event) => {
  for (const open of form.querySelectorAll("details[open]")) if (!open.contains(event.target)) open.open = false;
});

// ---- sorting: the dense row stays on top, empty cells at the bottom

function key(row, button) {
  if (button.dataset.field !== undefined) return row.querySelectorAll("th")[Number(button.dataset.field)].textContent;
  const value = row.querySelector(`td[data-column="${button.dataset.column}"]`).dataset.value;
  return value === "" ? null : Number(value);
}

function sort(button) {
  const head = button.closest("th"), table = button.closest("table"), body = table.tBodies[0];
  const first = button.dataset.field !== undefined || button.dataset.less !== undefined ? "ascending" : "descending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  for (const each of table.querySelectorAll("th[aria-sort]")) each.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rank = (row) => [row.classList.contains("dense") ? 0 : key(row, button) === null ? 2 : 1, key(row, button)];
  const rows = [...body.rows].map((row) => [rank(row), row]);
  rows.sort(([[a, x], s], [[b, y], t]) => a - b || (a === 1 ? sign * (x < y ? -1 : x > y ? 1 : 0) : 0) || s.dataset.row - t.dataset.row);
  for (const [, row] of rows) body.append(row);
}

// ---- details of a cell

function list(pairs) {
  const found = make("dl");
  for (const [name, text] of pairs) found.append(make("dt", name), make("dd", text));
  return found;
}

function number(value, digits) {
  return value === null ? "not a number" : value.toFixed(digits);
}

function recordLink(id, records) {
  const cell = make("td");
  cell.append(records ? make("a", id, { href: `${records}/${encodeURIComponent(id)}.json` }) : id);
  return cell;
}

function runsTable(runs, digits, records) {
  const names = [...new Set(runs.flatMap(([, run]) => Object.keys(run.metrics)))];
  const table = make("table"), head = make("tr"), body = make("tbody"), thead = make("thead");
  table.append(make("caption", "Runs"), thead, body);
  thead.append(head);
  for (const name of ["seed", ...names, "zeros / prunable", "selected", "training", "criterion", "peak memory", "record"]) {
    head.append(make("th", name, { scope: "col" }));
  }
  runs.forEach(([id, run], i) => {
    const row = make("tr"), seed = make("th", null, { scope: "row" });
    seed.append(swatch(i), document.createTextNode(run.seed));
    row.append(seed);
    for (const name of names) row.append(make("td", name in run.metrics ? number(run.metrics[name], digits + 1) : ""));
    const sparsity = run.met ? run.sparsity : `${run.sparsity} (not as requested)`;
    const times = [`${number(run.seconds, 1)} s`, `${number(run.criterion, 2)} s`, `${(run.peak / 2 ** 20).toFixed(0)} MiB`];
    for (const text of [sparsity, run.selected, ...times]) row.append(make("td", text));
    row.append(recordLink(id, records));
    body.append(row);
  });
  const scroll = make("div", null, { class: "scroll", role: "region", "aria-label": "Runs", tabindex: "0" });
  scroll.append(table);
  return scroll;
}

const SVG = "http://www.w3.org/2000/svg";

function look(i) {
  return { stroke: COLORS[i % COLORS.length], "stroke-dasharray": DASHES[i % DASHES.length], "stroke-width": "1.6", fill: "none" };
}

function swatch(i) {
  const svg = make("svg", null, { viewBox: "0 0 30 8", class: "swatch", "aria-hidden": "true" }, SVG);
  svg.append(make("path", null, { d: "M0 4H30", ...look(i) }, SVG));
  return svg;
}

function chart(name, quantity, runs) {
  const lines = runs.map(([, run]) => run.curve.step.map((s, i) => [s, run.curve[quantity][i]]).filter(([, y]) => y !== null));
  const points = lines.flat();
  if (!points.length) return null;
  const [x0, x1] = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
  const [y0, y1] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
  const x = (v) => 38 + (x1 > x0 ? (v - x0) / (x1 - x0) : 0.5) * 240;
  const y = (v) => 130 - (y1 > y0 ? (v - y0) / (y1 - y0) : 0.5) * 105;
  const said = `${name} from ${points[0][1].toPrecision(3)} at step ${x0} to ${points.at(-1)[1].toPrecision(3)} at step ${x1}, ${runs.length} runs`;
  const svg = make("svg", null, { viewBox: "0 0 290 155", role: "img", "aria-label": said }, SVG);
  svg.append(make("title", said, {}, SVG), make("text", name, { x: 4, y: 12, class: "name" }, SVG));
  svg.append(make("path", null, { d: "M38 20V130H280", class: "axis" }, SVG));
  svg.append(make("text", y1.toPrecision(3), { x: 34, y: 28, "text-anchor": "end" }, SVG));
  svg.append(make("text", y0.toPrecision(3), { x: 34, y: 132, "text-anchor": "end" }, SVG));
  svg.append(make("text", `step ${x0}`, { x: 38, y: 146 }, SVG));
  svg.append(make("text", `step ${x1}`, { x: 280, y: 146, "text-anchor": "end" }, SVG));
  lines.forEach((line, i) => {
    const d = line.map(([s, v], k) => `${k ? "L" : "M"}${x(s).toFixed(1)} ${y(v).toFixed(1)}`).join("");
    svg.append(make("path", null, { d, ...look(i) }, SVG));
  });
  return svg;
}

function curves(runs) {
  const box = make("div", null, { class: "curves" });
  for (const [name, quantity] of [["training loss", "loss"], ["sparsity", "sparsity"], ["selection score", "score"]]) {
    const svg = chart(name, quantity, runs);
    if (svg) box.append(svg);
  }
  return box;
}

function commandBox(command) {
  const box = make("div", null, { class: "command" }), copy = make("button", "Copy", { type: "button", class: "copy" });
  copy.addEventListener("click", () => {
    navigator.clipboard?.writeText(command).then(() => { copy.textContent = "Copied"; }, () => { copy.textContent = "Select it by hand"; });
  });
  box.append(make("code", command), copy);
  return box;
}

function open(button) {
  const board = boards[Number(button.dataset.board)], cell = board.cells[button.dataset.cell];
  const runs = cell.runs.map((id) => [id, board.runs[id]]).filter(([, run]) => run);
  const close = make("button", "Close", { type: "button", class: "close" });
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(make("h2", cell.name, { id: "detail-title" }), close);
  dialog.append(make("p", `${cell.metric} ${cell.shown}`.trim(), { class: "big" }));
  const facts = [["runs", `${runs.length} of ${cell.planned}`]];
  if (cell.mean !== null) facts.push(["mean", number(cell.mean, board.digits + 1)]);
  if (cell.sd !== null) facts.push(["standard deviation", number(cell.sd, board.digits + 1)]);
  if (cell.low !== null) facts.push(["95 % t interval", `${number(cell.low, board.digits)} to ${number(cell.high, board.digits)}`]);
  if (cell.floor !== null) facts.push(["trivial predictor", number(cell.floor, board.digits)]);
  for (const note of cell.notes) facts.push(["note", note]);
  for (const [name, reason] of cell.absent) facts.push([name, reason]);
  dialog.append(list(facts));
  if (runs.length) dialog.append(runsTable(runs, board.digits, board.records), curves(runs));
  if (cell.command) dialog.append(make("h3", "To reproduce"), make("p", `In the folder that holds ${board.folder}:`), commandBox(cell.command));
  const said = [...new Set(runs.flatMap(([, run]) => run.notes))];
  if (said.length) dialog.append(make("h3", "Remarks of the runs"), list(said.map((text) => ["", text])));
  if (runs.length) dialog.append(make("h3", "Made with"), list(Object.entries(runs[0][1].made)));
  dialog.showModal();
  close.focus();
  dialog.addEventListener("close", () => button.focus(), { once: true });
}

dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// ---- tables wider than the page say so

function sideways() {
  for (const hint of document.querySelectorAll(".sideways")) {
    const box = hint.nextElementSibling;
    hint.hidden = box.scrollWidth <= box.clientWidth + 1;
  }
}
addEventListener("resize", sideways);

// ---- cells by arrow keys, as in a spreadsheet

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function move(event, button) {
  const [down, right] = STEPS[event.key];
  const rows = [...button.closest("tbody").rows].filter((row) => !row.hidden);
  const buttons = (row) => [...row.querySelectorAll("td:not([hidden])")].map((cell) => cell.querySelector("button.cell"));
  const i = rows.indexOf(button.closest("tr")), j = buttons(rows[i]).indexOf(button);
  const target = rows[i + down] && buttons(rows[i + down])[j + right];
  if (target) { target.focus(); event.preventDefault(); }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.sort, button.cell");
  if (button) (button.classList.contains("sort") ? sort : open)(button);
});
document.addEventListener("keydown", (event) => {
  const button = event.target.closest?.("button.cell");
  if (button && event.key in STEPS) move(event, button);
});
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("section details")) details.open = true;
});

filter();
