// The page of a sweep. `data` has columns of equal length. A text column contains indices into its
// levels, the distinct entries, which keeps thousands of rows small.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const columns = data.columns;
const names = Object.keys(columns);
const rows = [...Array(data.rows).keys()];
const state = { shown: rows, chosen: null, sort: null, falling: false, limit: 25 };
const $ = (id) => document.getElementById(id);

function value(name, row) {
  const column = columns[name];
  if (!column) return null;
  const entry = column.values[row];
  return column.levels && entry !== null ? column.levels[entry] : entry;
}
const label = (name) => columns[name].title + (columns[name].unit ? ", " + columns[name].unit : "");
const numeric = names.filter((name) => columns[name].kind === "number");
const plottable = numeric.filter((name) => columns[name].varies);

function format(number) {
  if (number === null || number === undefined) return "–";
  if (typeof number === "boolean") return number ? "yes" : "no";
  if (typeof number !== "number") return String(number);
  if (Number.isInteger(number)) return number.toLocaleString("en");
  const size = Math.abs(number);
  if (size >= 1000) return Math.round(number).toLocaleString("en");
  return number.toLocaleString("en", { maximumSignificantDigits: size >= 100 ? 4 : 3 });
}

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// ------------------------------------------------------------------------------- the axes
function fill(select, options, chosen) {
  for (const [key, text] of options) select.append(new Option(text, key, false, key === chosen));
  select.addEventListener("change", draw);
}
const axes = plottable.map((name) => [name, label(name)]);
fill($("x"), axes, data.axes.x);
fill($("y"), axes, data.axes.y);
const colours = names.filter((name) => columns[name].varies && (columns[name].kind === "number" || columns[name].levels.length <= 8) && name !== "point");
fill($("color"), colours.map((name) => [name, label(name)]), data.axes.color);

// ---------------------------------------------------------------------------- the filters
const tests = []; // functions of a row, each of which reads its inputs
function buildFilters() {
  const container = $("filter-fields");
  for (const name of names) {
    const column = columns[name];
    if (!column.varies || name === "point" || !column.filter) continue;
    const field = element("fieldset", {}, element("legend", { textContent: label(name) }));
    if (column.filter === "choice") {
      const present = new Set(rows.map((row) => value(name, row)));
      const choices = [...present].filter((one) => one !== null);
      choices.sort((a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(b)));
      const chips = element("div", { className: "chips" });
      const boxes = choices.map((choice) => {
        const box = element("input", { type: "checkbox", defaultChecked: true, checked: true });
        box.dataset.column = name;
        box.dataset.value = choice;
        chips.append(element("label", {}, box, format(choice)));
        return [choice, box];
      });
      tests.push((row) => {
        const entry = value(name, row);
        return entry === null || boxes.some(([choice, box]) => box.checked && choice === entry);
      });
      field.append(chips);
    } else {
      const [low, high] = ["min", "max"].map((placeholder) =>
        element("input", { type: "number", step: "any", placeholder, ariaLabel: `${placeholder} ${label(name)}` }));
      field.append(element("div", { className: "between" }, low, "–", high));
      tests.push((row) => {
        const entry = value(name, row);
        if (low.value === "" && high.value === "") return true;
        return entry !== null && (low.value === "" || entry >= +low.value) && (high.value === "" || entry <= +high.value);
      });
    }
    container.append(field);
  }
  $("filters").querySelector("details").open = innerWidth > 900; // closed on a phone, which keeps the plot visible
  $("filters").addEventListener("input", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(filter));
}
function filter() {
  state.shown = rows.filter((row) => tests.every((test) => test(row)));
  $("count").textContent = `${state.shown.length} of ${rows.length} points`;
  draw();
  list();
}

// ---------------------------------------------------------------------------- the scatter
// Return the feasible points that are nondominated in the two metrics shown.
function paretoFront(points, x, y) {
  const way = (name) => ({ min: 1, max: -1 })[columns[name].better] || 0;
  if (!way(x) || !way(y)) return [];
  const ordered = points
    .filter((row) => value("feasible", row) !== false)
    .sort((a, b) => way(x) * (value(x, a) - value(x, b)) || way(y) * (value(y, a) - value(y, b)));
  let best = Infinity;
  return ordered.filter((row) => {
    const entry = way(y) * value(y, row);
    if (entry >= best) return false;
    best = entry;
    return true;
  });
}
const PALETTE = ["#1b8a97", "#8a63d2", "#5f9a2e", "#d1478c", "#3f7fd4", "#94792b", "#6b7a86", "#b34a4a"]; // none is the colour of the Pareto front
function spread(name, points) {
  const all = points.map((row) => value(name, row)).filter((entry) => entry > 0);
  return all.length === points.length && Math.max(...all) > 20 * Math.min(...all);
}
function describe(row) {
  return `<b>${data.titles[row]}</b><br>` + data.shown.filter((name) => value(name, row) !== null)
    .map((name) => `${columns[name].title} ${format(value(name, row))} ${columns[name].unit}`).join("<br>");
}
function draw() {
  const [x, y, color] = [$("x").value, $("y").value, $("color").value];
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(name).trim();
  const points = state.shown.filter((row) => value(x, row) !== null && value(y, row) !== null);
  const type = points.length > 1500 ? "scattergl" : "scatter";
  const at = (some) => ({ x: some.map((row) => value(x, row)), y: some.map((row) => value(y, row)) });
  const traces = [];
  const column = columns[color];
  const groups = column && column.kind !== "number" ? column.levels.map((_, code) => code) : [null];
  for (const group of groups) {
    const members = group === null ? points : points.filter((row) => column.values[row] === group);
    if (!members.length) continue;
    const marker = {
      size: members.map((row) => (value("source", row) === "synthesized" ? 10 : 7.5)),
      symbol: members.map((row) => (value("source", row) === "synthesized" ? "circle" : "circle-open")),
      opacity: members.map((row) => (value("feasible", row) === false ? 0.25 : 0.95)),
      line: { width: 1.6 },
    };
    if (group !== null) marker.color = PALETTE[group % PALETTE.length];
    else if (column) Object.assign(marker, {
      color: members.map((row) => value(color, row)), colorscale: "Viridis", showscale: true,
      colorbar: { title: { text: label(color), side: "right" }, thickness: 12, outlinewidth: 0 },
    });
    else marker.color = ink("--accent");
    traces.push({
      ...at(members), type, mode: "markers", marker, customdata: members, name: group === null ? "" : String(column.levels[group]),
      showlegend: group !== null, hovertext: members.map(describe), hoverinfo: "text",
    });
  }
  const line = paretoFront([...points], x, y);
  if (line.length > 1) traces.unshift({ ...at(line), type, mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: ink("--second"), width: 2 } });
  const ring = (some, size, width, colour) => traces.push({
    ...at(some), type, mode: "markers", hoverinfo: "skip", showlegend: false,
    marker: { size, symbol: "circle-open", color: colour, line: { width } },
  });
  ring(points.filter((row) => value("front", row) === true), 15, 1.6, ink("--second"));
  if (points.includes(state.chosen)) ring([state.chosen], 20, 3, ink("--ink"));
  const axis = (name) => ({
    title: { text: label(name), standoff: 8 }, ...(spread(name, points) ? { type: "log", dtick: "D2" } : { type: "linear" }),
    gridcolor: ink("--line"), zeroline: false, linecolor: ink("--line"), automargin: true,
  });
  const narrow = $("scatter").clientWidth < 520;
  const layout = {
    xaxis: axis(x), yaxis: axis(y), hovermode: "closest", dragmode: narrow ? false : "zoom",
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", margin: { l: 10, r: 10, t: 30, b: 10 },
    font: { color: ink("--ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    hoverlabel: { bgcolor: ink("--card"), bordercolor: ink("--line"), font: { color: ink("--ink") }, align: "left" },
  };
  Plotly.react("scatter", traces, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
}

// ------------------------------------------------------------------------ the selected point
function bars(key, title, unit, row, second) {
  const entries = Object.entries(data.blocks)
    .map(([block, metrics]) => [block, metrics[key][row]])
    .filter(([, entry]) => entry !== null && entry !== undefined)
    .sort((a, b) => b[1] - a[1]);
  if (!entries.length) return "";
  const largest = Math.max(...entries.map(([, entry]) => entry));
  const total = entries.reduce((sum, [, entry]) => sum + entry, 0);
  const body = element("tbody");
  for (const [block, entry] of entries) {
    const bar = element("span", { className: second ? "bar second" : "bar" });
    bar.style.width = `${(100 * entry) / largest}%`;
    body.append(element("tr", {}, element("th", { scope: "row", textContent: block }), element("td", {}, bar),
      element("td", { className: "number", textContent: format(entry) })));
  }
  return element("div", {}, element("h3", { textContent: `${title}: ${format(total)} ${unit}` }),
    element("table", { className: "bars", id: `blocks-${key}` }, body));
}
function picture(source, alt, caption) {
  return element("figure", {}, element("img", { src: source, alt }), element("figcaption", { textContent: caption }));
}
function choose(row, scroll) {
  state.chosen = row;
  const container = $("point");
  container.replaceChildren(element("h2", { textContent: data.titles[row] }));
  const badges = [[value("source", row), value("source", row) === "failed"]];
  if (value("front", row)) badges.push(["on the Pareto front", false]);
  if (value("feasible", row) === false) badges.push(["violates the constraints", true]);
  container.append(element("p", {}, ...badges.filter(([text]) => text).flatMap(([text, bad]) => [element("span", { className: bad ? "badge bad" : "badge", textContent: text }), " "])));
  if (value("error", row)) container.append(element("p", { textContent: value("error", row) }));
  const table = element("tbody");
  for (const name of names) {
    const entry = value(name, row);
    if (entry === null || entry === "" || ["command", "error", "point", "image"].includes(name)) continue;
    table.append(element("tr", {}, element("th", { scope: "row", textContent: columns[name].title }),
      element("td", { className: "number", textContent: `${format(entry)} ${columns[name].unit}`.trim() })));
  }
  const grid = element("div", { className: "chosen-grid" });
  const images = element("div", { className: "pair" });
  if (data.images.source) images.append(picture(data.images.source, "The middle axial slice of the source image", `Source: ${data.image || "the image"}`));
  const decoded = data.images.decoded[value("image", row)];
  const quality = value("psnr_db", row);
  if (decoded) images.append(picture(decoded, "The same slice, decoded by this point's program", `Decoded by this point's program${quality === null ? "" : `: ${format(quality)} dB over the volume`}`));
  const left = element("div", {}, images);
  if (images.children.length) grid.append(left);
  for (const figure of [bars("area", "Area by block", "mm²", row, false), bars("power", "Power by block", "mW", row, true)]) if (figure) grid.append(figure);
  container.append(grid, element("details", {}, element("summary", { textContent: "All metrics" }), element("table", { id: "metrics" }, table)));
  const command = value("command", row);
  if (command) container.append(element("h3", { textContent: "Command that synthesizes this point", style: "margin-top: 18px" }),
    element("div", { className: "command" }, element("code", { textContent: command, id: "command" }), element("button", { type: "button", className: "copy", textContent: "Copy" })));
  list();
  draw();
  if (scroll) container.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "nearest" });
}

// ------------------------------------------------------------------------------- the table
function head() {
  const row = element("tr");
  for (const name of ["", ...data.shown, "source"]) {
    const number = name && columns[name] && columns[name].kind === "number";
    const button = element("button", { type: "button", textContent: name ? label(name) : "Point" });
    const cell = element("th", { scope: "col", className: number ? "number" : "" }, button);
    cell.dataset.column = name;
    button.addEventListener("click", () => {
      state.falling = state.sort === name ? !state.falling : false;
      state.sort = name;
      list();
    });
    row.append(cell);
  }
  $("points").tHead.append(row);
}
function list() {
  const body = $("points").tBodies[0];
  let order = [...state.shown];
  if (state.sort !== null) {
    const key = (row) => (state.sort ? value(state.sort, row) : data.titles[row]);
    const sign = state.falling ? -1 : 1;
    order.sort((a, b) => {
      const [p, q] = [key(a), key(b)];
      if (p === null || q === null) return (p === null) - (q === null);
      return sign * (typeof p === "number" ? p - q : String(p).localeCompare(q, "en", { numeric: true }));
    });
  } else order.sort((a, b) => (value("front", b) === true) - (value("front", a) === true));
  for (const cell of $("points").tHead.rows[0].cells)
    cell.ariaSort = cell.dataset.column === state.sort ? (state.falling ? "descending" : "ascending") : "none";
  body.replaceChildren(...order.slice(0, state.limit).map((row) => {
    const line = element("tr", { tabIndex: 0, className: row === state.chosen ? "chosen" : "" });
    line.dataset.row = row;
    line.append(element("td", { className: "name" }, data.titles[row], " ", ...(value("front", row) ? [element("span", { className: "badge", textContent: "Pareto front" })] : [])));
    for (const name of data.shown)
      line.append(element("td", { className: columns[name].kind === "number" ? "number" : "", textContent: format(value(name, row)) }));
    line.append(element("td", { textContent: value("source", row) || "" }));
    return line;
  }));
  const rest = order.length - state.limit;
  $("more").hidden = rest <= 0;
  $("more").textContent = `Show ${Math.min(rest, 200)} more of ${rest}`;
}

// ------------------------------------------------------------------------------- start
$("more").addEventListener("click", () => { state.limit += 200; list(); });
for (const event of ["click", "keydown"])
  $("points").tBodies[0].addEventListener(event, (happened) => {
    const line = happened.target.closest("tr");
    if (!line || (event === "keydown" && happened.key !== "Enter")) return;
    choose(+line.dataset.row, true);
  });
head();
buildFilters();
filter();
$("scatter").on("plotly_click", (event) => {
  const clicked = event.points.find((point) => point.customdata !== undefined);
  if (clicked) choose(clicked.customdata, true);
});
if (data.first !== null) choose(data.first, false);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
