"use strict";
// Renders the overview of a scan. Everything from the cluster becomes text, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const AT_ONCE = 100;
const OPENED = 10;

function make(name, options, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(options || {})) {
    if (key === "class") element.className = value;
    else if (key === "click") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((it) => it !== null));
  return element;
}

const number = (count) => count.toLocaleString("en");
const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const title = (owner) => `${owner.kind} ${owner.name}`;

// Every finding, with what the search looks at. A change is listed as one, too.
const namespaces = data.overview.namespaces.map((namespace) => {
  const rows = [];
  for (const owner of namespace.owners) {
    const add = (it) => {
      const words = [namespace.name, title(owner), it.rule, it.message, it.field, it.fix || "", ...it.names];
      rows.push({ ...it, owner, words: words.join(" ").toLowerCase() });
    };
    const whole = { field: "", names: [], pods: owner.pods };
    if (owner.unreadable) {
      add({ ...whole, rule: "unreadable", grade: "denied", message: `it cannot be read: ${owner.unreadable}` });
    }
    owner.findings.forEach(add);
    if (owner.change) {
      add({ ...whole, rule: "changed", grade: "changed", message: `callgate would ${owner.change}` });
    }
  }
  return { ...namespace, rows };
});

const form = document.getElementById("filter");
const FILTERS = ["q", "rule", "grade", "safe"];

function filters() {
  return Object.fromEntries(FILTERS.map((key) => [key, form.elements[key].value]));
}

// The fragment of the address holds the filters, so that a view can be shared.
function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of FILTERS) {
    const [field, value] = [form.elements[key], given.get(key) || ""];
    const isNew = field.options && ![...field.options].some((it) => it.value === value);
    if (isNew) choices(key, [value]);
    field.value = value;
  }
}

function writeFragment() {
  const set = Object.entries(filters()).filter(([, value]) => value !== "");
  history.replaceState(null, "", `#${new URLSearchParams(set)}`);
}

// Appends what `render` makes of the items, some at a time.
function inPortions(parent, items, render, noun) {
  let shown = 0;
  const more = make("button", { type: "button", click: next });
  function next() {
    more.remove();
    for (const it of items.slice(shown, shown + AT_ONCE)) parent.append(render(it));
    shown = Math.min(items.length, shown + AT_ONCE);
    if (shown < items.length) {
      more.textContent = `Show more: ${counted(items.length - shown, noun)} left`;
      parent.append(more);
    }
  }
  next();
}

// Details whose content is made when they are first opened.
function opening(options, summary, fill, isOpen) {
  const details = make("details", options, summary);
  let isFilled = false;
  const open = () => {
    if (!isFilled) {
      isFilled = true;
      fill(details);
    }
  };
  details.addEventListener("toggle", () => details.open && open());
  if (isOpen) {
    open();
    details.open = true;
  }
  return details;
}

function part(kind) {
  if (kind === "RuntimeDefault") return "default";
  if (kind.startsWith("Localhost") && !kind.endsWith("filters nothing")) return "local";
  return kind === "Windows" ? "other" : "open";
}

function bar(pods) {
  const runs = Object.entries(pods.runsUnder);
  const words = runs.map(([kind, count]) => `${number(count)} ${kind}`).join(", ") || "no pods";
  const element = make("span", { class: "bar", role: "img", "aria-label": words, title: words });
  const sums = { open: 0, local: 0, default: 0, other: 0 };
  for (const [kind, count] of runs) sums[part(kind)] += count;
  for (const [name, count] of Object.entries(sums)) {
    if (count === 0) continue;
    const piece = make("i", { class: name });
    piece.style.flexGrow = count;
    element.append(piece);
  }
  return element;
}

function facts(pairs) {
  const list = make("dl");
  for (const [key, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", null, key), make("dd", null, value));
  }
  return list;
}

function finding(row) {
  const summary = make("summary", null,
    make("span", { class: `badge ${row.grade}` }, row.grade), " ",
    make("b", null, title(row.owner)), " ", row.message,
    row.grade === "changed" ? null : make("span", { class: "soft" }, ` [${row.rule}]`));
  return opening({ class: "finding" }, summary, (details) => {
    const listed = row.names.join(", ") + (row.pods > row.names.length && row.names.length > 0 ? ", …" : "");
    const pods = counted(row.pods, "pod") + (listed ? `: ${listed}` : "");
    const inside = make("div", { class: "inside" }, facts([
      ["owner", `${title(row.owner)} (${row.owner.apiVersion})`],
      ["made by", row.owner.madeBy ? title(row.owner.madeBy) : ""],
      ["pods", pods],
      ["field", row.field ? make("span", { class: "field" }, row.field) : ""],
      ["fix", row.fix],
      ["exemption", row.exemption],
    ]));
    const page = data.pages[row.rule];
    if (page) {
      const head = make("summary", null, `Why: the page of ${row.rule}`);
      inside.append(opening({}, head, (it) => it.append(make("pre", null, page))));
    }
    details.append(inside);
  });
}

const declared = (it) => it.localhostProfile ? `Localhost "${it.localhostProfile}"` : it.declared;
const isContradiction = (it) => it.declared === "RuntimeDefault" || it.declared === "Localhost";

// The containers that run without a filter, by the kernel, beside what their pods declare.
function unfiltered(namespace) {
  const all = namespace.unfiltered || [];
  const list = make("ul", { class: "seen" });
  for (const it of all) {
    const words = `${it.pod}, container ${it.container}, on ${it.node}: declared ${declared(it)}`;
    list.append(make("li", { class: isContradiction(it) ? "no" : "" }, words));
  }
  return all.length === 0 ? "" : list;
}

// The calls that filters denied or logged in containers, by audit records.
function denials(namespace) {
  const all = namespace.denials || [];
  const list = make("ul", { class: "seen" });
  for (const it of all) {
    const isLogged = it.action === "SCMP_ACT_LOG";
    const times = `${it.syscall} ${isLogged ? "logged" : "denied"} ${counted(it.count, "time")}`;
    const words = `${it.pod}, container ${it.container}, on ${it.node}: ${times}, declared ${declared(it)}, last at ${it.last}`;
    list.append(make("li", { class: isLogged ? "" : "no" }, words));
  }
  return all.length === 0 ? "" : list;
}

const SAFE = { yes: "safe", no: "not safe", unknown: "unknown" };

function namespaceRow({ namespace, rows }, isOpen) {
  const { pods, workloads } = namespace;
  const counts = [counted(pods.all, "pod"), counted(workloads.all, "workload")];
  if (workloads.denied) counts.push(`${number(workloads.denied)} denied`);
  if (workloads.changed) counts.push(`${number(workloads.changed)} changed`);
  const summary = make("summary", null,
    make("b", null, namespace.name),
    make("span", null, make("span", { class: `badge ${namespace.safe}` }, namespace.isEnforced ? `enforced` : SAFE[namespace.safe])),
    bar(pods),
    make("span", { class: "soft" }, counts.join(", ")));
  return opening({ class: "namespace" }, summary, (details) => {
    const runs = Object.entries(pods.runsUnder).map(([kind, count]) => `${number(count)} ${kind}`);
    const inside = make("div", { class: "inside" }, facts([
      ["webhook", namespace.isLeftOut ? "the webhook configurations leave this namespace out" : ""],
      ["policy", namespace.policy],
      ["safe to enforce", [SAFE[namespace.safe], ...namespace.reasons].join("; ")],
      ["pods", runs.join(", ") || "none"],
      ["run without a filter, by the kernel", unfiltered(namespace)],
      ["denied or logged, by audit records", denials(namespace)],
      ["next", namespace.command ? make("code", null, namespace.command) : ""],
    ]));
    inPortions(inside, rows, finding, "finding");
    details.append(inside);
  }, isOpen);
}

function render() {
  const { q, rule, grade, safe } = filters();
  const words = q.toLowerCase().split(/\s+/).filter((it) => it !== "");
  const isOfRow = words.length > 0 || rule !== "" || grade !== "";
  const chosen = [];
  let found = 0;
  for (const namespace of namespaces) {
    if (safe !== "" && namespace.safe !== safe) continue;
    const rows = namespace.rows.filter((row) =>
      (rule === "" || row.rule === rule) && (grade === "" || row.grade === grade) &&
      words.every((it) => row.words.includes(it)));
    const isNamed = rule === "" && grade === "" && words.every((it) => namespace.name.includes(it));
    if (isOfRow && rows.length === 0 && !isNamed) continue;
    found += rows.length;
    chosen.push({ namespace, rows });
  }
  const all = namespaces.reduce((sum, it) => sum + it.rows.length, 0);
  document.getElementById("count").textContent =
    `${number(found)} of ${counted(all, "finding")}, ${number(chosen.length)} of ${counted(namespaces.length, "namespace")}`;
  const list = document.getElementById("namespaces");
  list.replaceChildren();
  let at = 0;
  inPortions(list, chosen, (it) => namespaceRow(it, isOfRow && at++ < OPENED), "namespace");
}

function choices(key, values) {
  for (const it of values) form.elements[key].append(make("option", { value: it }, it));
}

function start() {
  const { totals, unread, stopped, seen, denials } = data.overview;
  const notes = document.getElementById("notes");
  if (stopped) notes.append(make("p", { class: "note" }, `Incomplete: ${stopped}`));
  for (const it of unread) notes.append(make("p", { class: "note" }, `Not read: ${it.resource}: ${it.why}`));
  const cards = [
    [totals.safe, "safe to enforce", "yes"], [totals.notSafe, "not safe", "no"], [totals.unknown, "unknown", "unknown"],
    [totals.pods, "pods", ""], [totals.unfiltered, "pods without a filter", "no"],
    [totals.denied, "workloads denied", "denied"], [totals.changed, "workloads changed", ""],
  ];
  if (seen) cards.push([seen.none, `containers without a filter, by the kernel of ${counted(seen.nodes, "node")}`, "no"]);
  if (denials) {
    const least = denials.isLowerBound ? "at least, " : "";
    cards.push([denials.denied, `calls denied in containers, ${least}by audit records of ${counted(denials.nodes, "node")}`, "no"]);
  }
  for (const [count, words, kind] of cards) {
    document.getElementById("cards").append(make("li", null, make("b", { class: count ? kind : "" }, number(count)), words));
  }
  choices("rule", [...new Set(namespaces.flatMap((it) => it.rows.map((row) => row.rule)))].sort());
  choices("grade", ["denied", "unknown", "warned", "changed", "recorded"]);
  choices("safe", ["no", "unknown", "yes"]);
  readFragment();
  render();
  let timer = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { writeFragment(); render(); }, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { writeFragment(); render(); }));
  addEventListener("hashchange", () => { readFragment(); render(); });
  addEventListener("keydown", (event) => {
    const isTyping = ["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement.tagName);
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      form.elements.q.focus();
    }
  });
  addEventListener("beforeprint", () => {
    for (const it of document.querySelectorAll("details.namespace")) it.open = true;
  });
}

start();
