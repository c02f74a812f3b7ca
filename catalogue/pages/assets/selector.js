/* Filters, sorts, compares and downloads tactics; without it the page shows all. */
(() => {
  "use strict";
  const [MOST_COMPARED, MOST_ROWS] = [4, 70];
  const part = (id) => document.getElementById(id);
  const form = part("find-form");
  const body = part("found").tBodies[0];
  const { licence, ranks, tactics, sources } = JSON.parse(part("find-data").textContent);
  const inputs = [...form.querySelectorAll("fieldset input")];
  const { loss, sort } = form.elements;
  const asked = new URLSearchParams(location.search);
  const words = (name) => [...new Set((asked.get(name) ?? "").split(","))].filter(Boolean);

  /* A habit to avoid is no answer to what must improve. */
  const suits = (tactic, { name, value }) => {
    if (name === "keeps") return !tactic.worsens.includes(value);
    if (name === "evidence") return value <= tactic.evidence;
    return !(name === "improves" && tactic.kind === "dark") && [tactic[name]].flat().includes(value);
  };
  const rows = body.querySelectorAll("tr:not(.gt-rank)");
  const collator = new Intl.Collator("en");
  const entries = tactics
    .map((tactic, index) => {
      const has = Uint8Array.from(inputs, (input) => suits(tactic, input));
      const row = rows[index];
      return { tactic, has, row, tick: row.querySelector(".gt-tick") };
    })
    .sort((one, other) => collator.compare(one.tactic.title, other.tactic.title));
  const known = (id) => tactics.some((tactic) => tactic.id === id);
  let ticked = words(asked.has("compare") ? "compare" : "ticked").filter(known).slice(0, MOST_COMPARED);
  let [found, ordered, mostRows] = [entries, entries, MOST_ROWS];

  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const withData = (node, data) => (Object.assign(node.dataset, data), node);
  const button = (text, data) =>
    withData(element("button", { type: "button", className: "gt-button" }, text), data);
  const count = (number, noun = "tactic") => `${number} ${noun}${Number(number) === 1 ? "" : "s"}`;
  const titleOf = (input) => input.closest("[data-chip]").dataset.chip;
  const wordOf = (input) =>
    input === loss ? `at most ${count(loss.value, "point")}` : input.nextElementSibling.textContent;

  /* Filters */
  /* Reproduced, or else as the record lets expect. */
  const largestLoss = ({ loss_points, worsens, depends }) =>
    loss_points ?? ([...worsens, ...depends].includes("functional-correctness") ? Infinity : 0);
  /* Places of chosen inputs among all, by question. */
  const chosen = () => {
    const wanted = {};
    inputs.forEach((input, index) => {
      const given = input === loss ? loss.validity.valid : input.checked;
      if (given && input.value) (wanted[input.name] ??= []).push(index);
    });
    return wanted;
  };
  const fits = ({ tactic, has }, name, places, limit) => {
    if (name === "loss") return largestLoss(tactic) <= limit;
    return name === "keeps" ? places.every((index) => has[index]) : places.some((index) => has[index]);
  };
  /* Fills `found`; returns what fits all other questions. */
  const filter = (wanted) => {
    const [nearly, limit, questions] = [{}, loss.valueAsNumber, Object.keys(wanted)];
    found = [];
    for (const entry of ordered) {
      let failed, count = 0;
      for (const name of questions) {
        if (!fits(entry, name, wanted[name], limit)) {
          failed = name;
          if (++count > 1) break;
        }
      }
      if (!count) found.push(entry);
      else if (count === 1) (nearly[failed] ??= []).push(entry);
    }
    return nearly;
  };
  const byEvidence = (one, other) => other.evidence[1] - one.evidence[1];
  const lossOf = ({ loss_points }) => loss_points ?? 1000;
  /* Factors of different kinds have no order; claims move nothing. */
  const kinds = Object.keys(ranks);
  const last = 2 * kinds.length - 1;
  const rank = ({ effect, effect_on, provenance }, quality) => {
    if (effect === null) return last;
    const other = Boolean(quality) && !effect_on.includes(quality);
    return kinds.indexOf(provenance) + other * kinds.length;
  };
  const headings = {};
  const heading = (place) => {
    const other = place >= kinds.length && place !== last ? "Figures for another quality. " : "";
    const text = other + ranks[kinds[place % kinds.length]];
    return (headings[place] ??= element(
      "tr",
      { className: "gt-rank" },
      element("td", { colSpan: body.parentElement.tHead.rows[0].cells.length }, text),
    ));
  };
  const ORDERS = {
    effect: (one, other, quality) =>
      rank(one, quality) - rank(other, quality) || other.effect - one.effect || byEvidence(one, other),
    name: () => 0,
    evidence: byEvidence,
    loss: (one, other) => lossOf(one) - lossOf(other),
    effort: (one, other) => "SML".indexOf(one.effort) - "SML".indexOf(other.effort),
  };
  const tally = (nearly) => {
    inputs.forEach((input, index) => {
      if (input === loss || !input.value) return;
      let number = 0;
      for (const { has } of found) number += has[index];
      // Each tick of what must not get worse takes tactics away.
      const others = (input.name !== "keeps" && nearly[input.name]) || [];
      for (const { has } of others) number += has[index];
      input.parentElement.lastElementChild.textContent = number;
      input.disabled = !number && !input.checked;
    });
  };
  const address = (wanted, list) => {
    const given = Object.entries(wanted).map(
      ([name, places]) => `${name}=${places.map((index) => inputs[index].value).join(",")}`,
    );
    if (sort.value !== "effect") given.push(`sort=${sort.value}`);
    if (ticked.length) given.push(`${list}=${ticked.join(",")}`);
    return given.length ? `?${given.join("&")}` : location.pathname;
  };
  const drawChips = (wanted) => {
    const chip = (index) => {
      const { name, value } = inputs[index];
      const text = `${titleOf(inputs[index])}: ${wordOf(inputs[index])}`;
      const made = button(text, { do: "drop", name, value });
      made.append(element("span", {}, " \u00d7"));
      return Object.assign(made, { ariaLabel: `Remove ${text}` });
    };
    const chips = Object.values(wanted).flat().map(chip);
    if (chips.length) chips.push(button("Reset", { do: "reset" }));
    part("find-chips").replaceChildren(...chips);
  };
  const drawEmpty = (nearly) => {
    const size = (name) => nearly[name].length;
    const offers = Object.keys(nearly)
      .sort((one, other) => size(other) - size(one))
      .map((name) => {
        const title = titleOf(form.querySelector(`[name=${name}]`));
        return button(`Drop \u201c${title}\u201d: ${count(size(name))}`, { do: "drop", name });
      });
    const advice = offers.length ? "Drop one of these:" : "More than one filter has to go.";
    part("find-empty").hidden = found.length > 0;
    part("find-empty").replaceChildren(element("p", {}, `No tactic fits all filters. ${advice}`), ...offers);
  };
  let [lastTicked, lastOrder] = [null, ""];
  const drawTicked = (wanted) => {
    const full = ticked.length === MOST_COMPARED;
    if (lastTicked !== (lastTicked = ticked.join())) {
      for (const { tactic, tick } of entries) {
        tick.checked = ticked.includes(tactic.id);
        tick.disabled = full && !tick.checked;
      }
    }
    const link = { href: address(wanted, "compare"), className: "gt-button" };
    part("find-ticked").hidden = !ticked.length;
    const next = ticked.length > 1 ? element("a", link, `Compare ${count(ticked.length)}`) : "Tick one more.";
    const most = full ? " Four is the most." : " Up to four can be compared.";
    part("find-ticked").replaceChildren(next, most, button("Untick all", { do: "untick" }));
  };
  const drawRows = (quality) => {
    let lastPlace;
    const rows = found.slice(0, mostRows).flatMap(({ tactic, row }) => {
      const place = sort.value === "effect" ? rank(tactic, quality) : undefined;
      return place === lastPlace ? [row] : [heading((lastPlace = place)), row];
    });
    // Rows that stay keep the focus.
    if (rows.length !== body.rows.length || rows.some((row, index) => row !== body.rows[index])) {
      body.replaceChildren(...rows);
    }
    const left = found.length - mostRows;
    part("find-more").hidden = left <= 0;
    part("find-more").firstElementChild.textContent = `Show ${left} more`;
  };
  const update = () => {
    const wanted = chosen();
    const quality = inputs[wanted.improves?.[0]]?.value;
    if (lastOrder !== (lastOrder = `${sort.value} ${quality}`)) {
      const by = ORDERS[sort.value];
      ordered = [...entries].sort((one, other) => by(one.tactic, other.tactic, quality));
    }
    const nearly = filter(wanted);
    tally(nearly);
    drawRows(quality);
    drawChips(wanted);
    drawEmpty(nearly);
    drawTicked(wanted);
    for (const id of ["found", "find-hint", "find-downloads"]) part(id).hidden = !found.length;
    const of = Object.keys(wanted).length ? `${found.length} of ` : "";
    part("found-count").textContent = of + count(tactics.length);
    history.replaceState(null, "", address(wanted, "ticked"));
  };
  const drop = (name, value) => {
    for (const input of inputs) {
      const meant = !value || input.value === value || input.type === "radio";
      if (name && (input.name !== name || !meant)) continue;
      if (input === loss) loss.value = "";
      else input.checked = !input.value;
    }
  };

  /* Comparison */
  const listed = (items) => element("ul", {}, ...items.map((item) => element("li", {}, item)));
  const labelled = (words) =>
    words.map((word) => word[0].toUpperCase() + word.slice(1).replaceAll("-", " ")).join(", ") || "\u2013";
  const file = (id, kind) =>
    element("a", { href: `../api/v1/tactics/${id}.${kind}` }, kind === "bib" ? "BibTeX" : "JSON");
  const page = ({ id, title }) => element("a", { href: `../tactics/${id}/index.html` }, title);
  const COMPARED = {
    Intent: ({ intent }) => intent,
    Improves: ({ improves }) => labelled(improves),
    Worsens: ({ worsens }) => labelled(worsens),
    "Depends on a condition": ({ depends }) => labelled(depends),
    Claimed: ({ claimed }) => claimed,
    Reproduced: ({ reproduced, not_counted }) =>
      (reproduced ?? "not yet") + (not_counted ? `; not counted: ${not_counted}` : ""),
    Quality: ({ quality }) => quality ?? "\u2013",
    Evidence: ({ evidence, marks, evidence_reason }) => `${[evidence, ...marks].join(", ")}: ${evidence_reason}`,
    Effort: ({ effort, effort_reason }) => `${effort}: ${effort_reason}`,
    "Applies when": ({ applies_when }) => listed(applies_when),
    "Avoid when": ({ avoid_when }) => listed(avoid_when),
    Links: ({ id }) => listed([page({ id, title: "Page" }), file(id, "json"), file(id, "bib")]),
  };
  const compare = (compared) => {
    const titles = compared.map((tactic) => element("th", { scope: "col" }, page(tactic)));
    const rows = Object.entries(COMPARED).map(([name, of]) => {
      const cell = (tactic) => withData(element("td", {}, of(tactic)), { label: tactic.title });
      return element("tr", {}, element("th", { scope: "row" }, name), ...compared.map(cell));
    });
    const head = element("thead", {}, element("tr", {}, element("td", {}), ...titles));
    const back = location.search.replace("compare=", "ticked=");
    part("comparison").append(
      element("h2", { id: "comparison-heading" }, `${count(compared.length)} side by side`),
      element("p", {}, element("a", { href: back }, "Back to the list")),
      element("table", { className: "gt-cards gt-compared" }, head, element("tbody", {}, ...rows)),
    );
    found = compared.map((tactic) => ({ tactic }));
    part("comparison").hidden = false;
    form.hidden = part("find-list").hidden = true;
    document.title = `Compare: ${compared.map(({ title }) => title).join("; ")}`;
  };

  /* Downloads */
  const cell = (value) => {
    const text = Array.isArray(value) ? value.join("; ") : String(value ?? "");
    const harmless = typeof value === "string" && /^[=+\-@]/.test(text) ? `'${text}` : text; // no formula
    return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  const line = (values) => `${values.map(cell).join(",")}\r\n`;
  const FILES = {
    csv: (shown) => [Object.keys(shown[0]), ...shown.map(Object.values)].map(line).join(""),
    json: (shown) => `${JSON.stringify({ licence, tactics: shown }, null, 1)}\n`,
    bib: (shown) => [...new Set(shown.flatMap((one) => one.sources))].map((key) => sources[key]).join("\n"),
  };
  const TYPES = { csv: "text/csv", json: "application/json", bib: "application/x-bibtex" };
  const download = (kind) => {
    const file = new Blob([FILES[kind](found.map(({ tactic }) => tactic))], { type: TYPES[kind] });
    const href = URL.createObjectURL(file);
    element("a", { href, download: `tactics.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  };

  /* Start */
  const restore = () => {
    for (const input of inputs) {
      if (input === loss) loss.value = asked.get("loss") ?? "";
      else if (input.value) input.checked = words(input.name).includes(input.value);
    }
    for (const option of sort.options) if (option.value === asked.get("sort")) option.selected = true;
  };
  const DO = {
    drop: ({ name, value }) => drop(name, value),
    reset: () => drop(),
    untick: () => (ticked = []),
    more: () => (mostRows = Infinity),
  };
  const finder = part("finder");
  finder.addEventListener("input", ({ target }) => {
    const rest = ticked.filter((id) => id !== target.value);
    if (target.classList.contains("gt-tick")) ticked = target.checked ? [...rest, target.value] : rest;
    else mostRows = MOST_ROWS;
    update();
  });
  finder.addEventListener("click", ({ target }) => {
    const { do: action, ...what } = target.closest("[data-do]")?.dataset ?? {};
    if (action in FILES) download(action);
    if (!(action in DO)) return;
    DO[action](what);
    update();
    if (!target.isConnected) (part("find-chips").querySelector("button") ?? inputs[0]).focus();
  });
  form.addEventListener("submit", (event) => event.preventDefault());

  if (asked.has("compare") && ticked.length > 1) {
    compare(ticked.map((id) => tactics.find((tactic) => tactic.id === id)));
  } else {
    restore();
    update();
  }
})();
