// Times as the page's reader wants them, keys, and the search box. Everything else happens on the server.
(() => {
  "use strict";
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const NOTHING = "\u2013";
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function ago(date) {
    const seconds = (date - Date.now()) / 1000;
    for (const [unit, length] of UNITS) {
      if (Math.abs(seconds) >= length || unit === "second") return relative.format(Math.round(seconds / length), unit);
    }
  }
  function utc(date) { return date.toISOString().slice(0, 19).replace("T", " ") + " UTC"; }
  function show(element) {
    const date = new Date(element.getAttribute("datetime"));
    if (isNaN(date)) {
      if (element.getAttribute("datetime") === "" && element.textContent !== NOTHING) element.textContent = NOTHING;
      return;
    }
    const how = document.body.dataset.times || "relative";
    const text = how === "utc" ? utc(date) : how === "local" ? local.format(date) : ago(date);
    if (element.textContent !== text) element.textContent = text;
    const title = how === "utc" ? local.format(date) : utc(date);
    if (element.title !== title) element.title = title;
  }
  function showAll() { document.querySelectorAll("time[datetime]").forEach(show); }
  window.showTimes = showAll;
  let asked = false;
  new MutationObserver(() => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; showAll(); goToTarget(); });
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["datetime", "data-times"] });
  setInterval(showAll, 5000);

  // What an address points at comes later than the page: the browser has given up looking for it by then.
  let target = location.hash.slice(1);
  function goToTarget() {
    if (!target || !document.getElementById(target)) return;
    location.replace("#" + target);
    target = "";
  }

  const PAGES = { o: "/", r: "/runs", p: "/pipelines", s: "/schedules", b: "/backfills", t: "/tenants", k: "/api-keys", a: "/audit" };
  let goes = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    const typing = at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
    if (typing) {
      if (event.key === "Escape") at.blur();
      return;
    }
    if (event.key === "/") {
      const search = document.getElementById("search");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "?") {
      const help = document.getElementById("help-button");
      if (help) help.click();
    } else if (event.key === "g") {
      goes = Date.now();
    } else if (Date.now() - goes < 1500 && PAGES[event.key] && document.querySelector(`a[href="${PAGES[event.key]}"]`)) {
      window.location.href = PAGES[event.key];
    }
  });
})();

// Lines of a run's log: they are only here, so that the server keeps none of them.
window.addLines = (id, lines) => {
  const box = document.getElementById(id);
  if (!box) return;
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const made = document.createDocumentFragment();
  for (const line of lines) {
    const row = document.createElement("p");
    row.id = "L" + line.sequence;
    row.className = "l-" + line.level;
    row.dataset.level = line.level;
    const when = document.createElement("a");
    when.href = "#L" + line.sequence;
    when.className = "dim";
    when.textContent = line.time;
    when.title = line.at;
    const step = document.createElement("span");
    step.className = "dim";
    step.textContent = line.step;
    const text = document.createElement("span");
    text.textContent = line.text;
    row.append(when, step, text);
    made.append(row);
  }
  box.append(made);
  while (box.children.length > 5000) box.firstChild.remove();
  if (atEnd && !box.querySelector(":target")) box.scrollTop = box.scrollHeight;
};
window.filterLines = (id, levels) => {
  const box = document.getElementById(id);
  if (box) box.dataset.levels = levels;
};
