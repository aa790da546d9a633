// The demo's pixel and its live view. No library; nothing leaves this server.
"use strict";

const PING_SECONDS = 10;
const POLL_MS = 1000;
const HITS_SHOWN = 8;

/** What the pixel of this page was answered, by event. */
let answered = "waiting …";
/** Set by "forget me": this page view sends nothing more. */
let forgotten = false;

/** One hit. An `<img>` does the same; `fetch` can read the outcome as well. */
async function hit(parameters) {
  const keywords = document.querySelector("meta[name=keywords]").content;
  const query = new URLSearchParams({
    s: "demo",
    u: location.href,
    r: document.referrer,
    t: document.title,
    k: keywords,
    cb: String(Date.now()),
    ...parameters,
  });
  const answer = await fetch(`/p.gif?${query}`, { cache: "no-store" });
  return answer.headers.get("X-Mayfly-Outcome") ?? `status ${answer.status}`;
}

/** An element with text or children. Text is never read as HTML. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function row(tag, cells, attributes = {}) {
  return make("tr", attributes, ...cells.map((cell) => {
    const isNumber = typeof cell === "number";
    return make(tag, isNumber ? { class: "number" } : {}, isNumber ? String(cell) : cell);
  }));
}

function table(caption, head, rows) {
  return make("table", { "aria-label": caption },
    make("thead", {}, row("th", head)), make("tbody", {}, ...rows));
}

function aboutYou(me) {
  const who = me?.visitor ? `You are visitor ${me.visitor}.` : "Nothing is held about you.";
  return [
    make("h2", {}, "You"),
    make("p", {}, who),
    make("p", { class: "soft" }, `This page’s pixel: ${answered}`),
  ];
}

function segments(state, mine) {
  const rows = state.segments.map((segment) => {
    const name = make("td", {}, make("strong", {}, segment.name), make("br", {}),
      make("code", {}, segment.rule));
    const counts = [segment.held, segment.seen["24h"]];
    const cells = counts.map((n) => make("td", { class: "number" }, String(n)));
    return make("tr", mine.includes(segment.name) ? { class: "in" } : {}, name, ...cells);
  });
  return [
    make("h2", {}, "Segments"),
    table("Segments", ["segment", "held", "24 h"], rows),
    make("p", { class: "soft" }, `Exact as of ${state.as_of}`),
  ];
}

function lastHits(me) {
  const newest = (me?.hits ?? []).slice(-HITS_SHOWN).reverse();
  const rows = newest.map((h) => {
    const time = new Date(h.time).toLocaleTimeString("en-GB");
    const page = make("span", { class: "page" }, h.title?.split(" · ")[0] || h.url || "–");
    return row("td", [time, h.event, page]);
  });
  return rows.length === 0
    ? []
    : [make("h2", {}, "Your last hits"), table("Your last hits", ["time", "event", "page"], rows)];
}

function partner(state) {
  const rows = state.partner.segments.map((own) =>
    row("td", [own.segment, make("code", {}, own.code), own.users]));
  const at = state.partner.accepted_at;
  return [
    make("h2", {}, "What a partner knows"),
    make("p", { class: "soft" }, "AdCorp is played by this server. It is told within two seconds " +
      "who enters and who leaves, under a name that is made for it alone."),
    table("What a partner knows", ["segment", "its code", "visitors"], rows),
    make("p", { class: "soft" }, at ? `Last accepted ${at}` : "Nothing was delivered yet."),
  ];
}

function outcomes(state) {
  const seen = Object.entries(state.hits).filter(([, n]) => n > 0);
  const text = seen.map(([outcome, n]) => `${n} ${outcome}`).join(", ") || "none yet";
  return [make("p", { class: "soft" }, `All hits of this server: ${text}`)];
}

async function json(path) {
  const answer = await fetch(path, { cache: "no-store" });
  return answer.ok ? answer.json() : null;
}

async function forgetMe() {
  forgotten = true;
  const answer = await fetch("/api/v1/me", { method: "DELETE" });
  answered = answer.ok ? "forgotten; the next page starts anew" : `status ${answer.status}`;
  await show();
}

const live = document.getElementById("live");
const view = make("div", {});
const button = make("button", { type: "button" }, "Forget me");
button.addEventListener("click", forgetMe);
live.append(view, button);

/** What is shown now, as text: the page is touched only when it changes. */
let shown = "";

async function show() {
  try {
    const [me, state] = await Promise.all([json("/api/v1/me"), json("/demo/state")]);
    const now = JSON.stringify([me, state, answered]);
    if (now === shown || state === null) return;
    shown = now;
    const mine = me?.segments ?? [];
    view.replaceChildren(
      ...aboutYou(me), ...segments(state, mine), ...partner(state), ...lastHits(me),
      ...outcomes(state));
  } catch {
    shown = "";
    view.replaceChildren(make("p", {}, "The server does not answer. Trying again …"));
  }
}

/** Engaged time: seconds add up in the page's categories, they are no visits. */
async function ping() {
  if (document.visibilityState !== "visible" || forgotten) return;
  await hit({ e: "engagement", d: String(PING_SECONDS * 1000) });
}

async function begin() {
  try {
    answered = await hit({});
  } catch {
    answered = "not sent";
  }
  await show();
  setInterval(() => void show(), POLL_MS);
  setInterval(() => void ping().catch(() => {}), PING_SECONDS * 1000);
}

void begin();
