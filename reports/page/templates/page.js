"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const theme = document.querySelector(".theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  // A page that is kept current loads itself anew, and stays as its reader left it.
  const kept = "kept: " + location.pathname;
  let place = () => ({ x: scrollX, y: scrollY, theme: root.dataset.theme });
  const taken = () => {
    try {
      const text = sessionStorage.getItem(kept);
      sessionStorage.removeItem(kept);
      return JSON.parse(text);
    } catch { return null; }
  };
  const before = taken();
  if (before?.theme) root.dataset.theme = before.theme;
  if (before) addEventListener("load", () => scrollTo({ left: before.x, top: before.y, behavior: "instant" }));
  if (root.dataset.reload)
    setInterval(() => {
      if (String(getSelection())) return;  // something is being copied
      try { sessionStorage.setItem(kept, JSON.stringify(place())); } catch { /* it is not allowed here */ }
      location.reload();
    }, 1000 * Number(root.dataset.reload));

  // One trial, marked in every figure and in the table.
  const read = id => JSON.parse(document.getElementById(id)?.textContent || "null");
  const marks = read("marks") || {}, trials = read("trials");
  const picked = document.querySelector(".picked");
  const SVG = "http://www.w3.org/2000/svg";
  let current = null;
  const shape = (name, attributes) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const byNumber = new Map();
  if (trials) {
    const at = trials.trials.columns.indexOf("number");
    for (const row of trials.trials.rows) byNumber.set(row[at], row);
  }
  const describe = number => {
    const columns = trials.trials.columns, row = byNumber.get(number), get = n => row[columns.indexOf(n)];
    const score = get("score") === null ? get("status") : trials.objective.name + " " + get("score");
    return "Trial " + get("trial_id") + ": " + score;
  };
  const mark = number => {
    for (const old of document.querySelectorAll(".mark")) old.remove();
    for (const row of document.querySelectorAll("tr.marked")) row.classList.remove("marked");
    current = number === current ? null : number;
    picked.replaceChildren();
    for (const row of rows) if (row.number === current) row.node.classList.add("marked");
    for (const button of document.querySelectorAll("button[data-trial]"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.trial) === current));
    if (current === null) return;
    for (const [name, list] of Object.entries(marks)) {
      const svg = document.querySelector("#figure-" + name + " svg");
      const group = shape("g", { class: "mark" });
      for (const entry of list) {
        if (entry[0] !== current) continue;
        if (entry.length === 3) group.append(shape("circle", { cx: entry[1], cy: entry[2], r: 7 }));
        else group.append(shape("polyline", { points: entry.slice(1).join(" ") }));
      }
      svg.append(group);
    }
    const text = document.createElement("span"), clear = document.createElement("button");
    text.textContent = describe(current);
    clear.textContent = "Clear (Esc)";
    clear.addEventListener("click", () => mark(current));
    picked.append(text, clear);
  };
  addEventListener("keydown", event => { if (event.key === "Escape" && current !== null) mark(current); });
  for (const plot of document.querySelectorAll(".plot[data-name]")) {
    plot.addEventListener("click", event => {
      const svg = plot.querySelector("svg"), box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
      let best = 18 ** 2, found = null;
      for (const entry of marks[plot.dataset.name] || [])
        for (let i = 1; i < entry.length; i += 2) {
          const far = (entry[i] - x) ** 2 + (entry[i + 1] - y) ** 2;
          if (far < best) { best = far; found = entry[0]; }
        }
      if (found !== null) mark(found);
    });
  }

  // The table of all trials, or studies: sorted, filtered, in pages, so that thousands stay quick.
  const table = document.querySelector("table[data-noun]"), rows = [];
  if (!table) return;
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search"), status = document.getElementById("status");
  const shown = document.getElementById("shown"), size = 200, keys = new Map();
  const [back, on] = [document.getElementById("back"), document.getElementById("on")];
  for (const node of [...body.rows])
    rows.push({ node, number: Number(node.dataset.number), text: node.textContent.toLowerCase(), status: node.dataset.status });
  let order = rows, page = 0, sorted = null;
  const key = column => {
    if (!keys.has(column)) {
      const texts = rows.map(row => row.node.cells[column]).map(cell => cell.dataset.key ?? cell.textContent.trim());
      const numbers = texts.map(text => text === "" ? NaN : Number(text.replaceAll(",", "")));
      const numeric = texts.every((text, i) => text === "" || !Number.isNaN(numbers[i]));
      keys.set(column, new Map(rows.map((row, i) => [row, numeric ? numbers[i] : texts[i] || NaN])));
    }
    return keys.get(column);
  };
  const filtered = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return order.filter(row => (!status.value || row.status === status.value) && words.every(w => row.text.includes(w)));
  };
  const draw = () => {
    const left = filtered();
    page = Math.min(page, Math.max(0, Math.ceil(left.length / size) - 1));
    body.replaceChildren(...left.slice(page * size, (page + 1) * size).map(row => row.node));
    const from = left.length ? page * size + 1 : 0, to = Math.min((page + 1) * size, left.length);
    shown.textContent = `${from} to ${to} of ${left.length} ${table.dataset.noun}`;
    back.disabled = page === 0;
    on.disabled = to >= left.length;
  };
  const sort = (column, down = sorted === column && heads[column].getAttribute("aria-sort") === "ascending") => {
    const values = key(column), sign = down ? -1 : 1;
    const missing = value => typeof value === "number" && Number.isNaN(value);
    order = [...rows].sort((a, b) => {
      const x = values.get(a), y = values.get(b);
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
    });
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    sorted = column;
    page = 0;
    draw();
  };
  heads.forEach((head, column) => {
    if (head.dataset.plain !== undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
  for (const input of [search, status]) input.addEventListener("input", () => { page = 0; draw(); });
  back.addEventListener("click", () => { page -= 1; draw(); });
  on.addEventListener("click", () => { page += 1; draw(); });
  addEventListener("beforeprint", () => body.replaceChildren(...filtered().map(row => row.node)));
  addEventListener("afterprint", draw);
  document.addEventListener("click", event => {
    const button = event.target.closest("button[data-trial]");
    if (button) mark(Number(button.dataset.trial));
  });
  for (const link of document.querySelectorAll("a[data-json]"))
    link.href = URL.createObjectURL(new Blob([document.getElementById("trials").textContent], { type: "application/json" }));
  const around = place;
  place = () => ({
    ...around(), search: search.value, typing: document.activeElement === search, status: status.value, page, current, sorted,
    down: sorted !== null && heads[sorted].getAttribute("aria-sort") === "descending",
  });
  if (before) {
    search.value = before.search ?? "";
    status.value = before.status ?? "";
    if (before.sorted !== null && heads[before.sorted]) sort(before.sorted, before.down);
    page = before.page ?? 0;
    if (before.typing) search.focus({ preventScroll: true });
    if (before.current !== null && trials && byNumber.has(before.current)) mark(before.current);
  }
  draw();
})();
