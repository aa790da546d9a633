// The world that the tag lives in: a real browser, a publisher's page, and a server on another site
// that records what it is sent and answers as each test says.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { DIST } from "../build.mjs";

const PATIENCE_MS = 20_000;
const BROWSER = process.env.CHROMIUM || "/usr/bin/chromium";

/** Waits until `look` finds something. */
export async function until(look, what) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}

async function textOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** The server's side of the contract, with a record of all it heard. */
class Host {
  requests = [];
  /** By site key: what a hit is answered (a function of its parameters), else `stored`. */
  answers = new Map();
  /** By site key: its segments, else two. */
  segments = new Map();
  /** By site key: its link to what is held. */
  links = new Map();
  tag = "";

  async serve(request, response) {
    const url = new URL(request.url, "http://host");
    const { method, headers } = request;
    const body = await textOf(request);
    const from = method === "GET" ? url.searchParams : new URLSearchParams(body);
    const parameters = Object.fromEntries(from);
    const { pathname: path } = url;
    const size = body.length;
    this.requests.push({ path, method, headers, parameters, size, at: Date.now() });
    response.setHeader("Access-Control-Allow-Origin", headers.origin || "*");
    response.setHeader("Access-Control-Allow-Credentials", "true");
    if (url.pathname.endsWith(".js")) {
      response.setHeader("Content-Type", "text/javascript");
      return response.end(this.tag);
    }
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(await this.answer(url.pathname, parameters)));
  }

  async answer(path, parameters) {
    if (path.endsWith("/segments")) {
      const { s } = parameters;
      return this.segments.has(s) ? this.segments.get(s) : { segments: ["football-fans", "new"] };
    }
    if (path.endsWith("/link")) return { as: this.links.get(parameters.s) };
    if (path.endsWith("/optout")) return { opted_out: parameters.action === "out" };
    const answer = this.answers.get(parameters.s);
    return answer ? answer(parameters) : { outcome: "stored", reason: null };
  }
}

function listen(serve) {
  const server = createServer((request, response) => {
    Promise.resolve(serve(request, response)).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

const portOf = (server) => server.address().port;

/** One visitor on one page; `site` is his test's own key. */
class Visit {
  constructor(world, site, page, clock) {
    const context = page.context();
    Object.assign(this, { world, site, page, context, clock, complaints: [], asked: [] });
    page.on("request", (request) => {
      if (request.url().startsWith(world.base)) this.asked.push(request);
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text());
    });
  }

  /** The hits so far, those of one event if one is named. */
  hits(event) {
    const { requests } = this.world.host;
    return requests
      .filter(({ path, parameters }) => path.endsWith("/p.gif") && parameters.s === this.site)
      .filter(({ parameters }) => !event || parameters.e === event)
      .map((request) => ({ ...request.parameters, request }));
  }

  /** The n-th hit (from 1), waited for. */
  hit(n = 1, event = undefined) {
    return until(() => this.hits(event)[n - 1], `hit ${n} ${event || ""} of ${this.site}`);
  }

  /** Whether it stays at so many hits, for long enough to tell. */
  async quiet(milliseconds = 400) {
    await sleep(milliseconds);
    return this.hits();
  }

  run(work, argument) {
    return this.page.evaluate(work, argument);
  }

  async cookies() {
    const all = await this.context.cookies(this.world.origin);
    return Object.fromEntries(all.map(({ name, value }) => [name, value]));
  }

  /** Makes the page believe that it is hidden (or seen again). */
  async becomes(state) {
    await this.run((now) => {
      Object.defineProperty(document, "visibilityState", { value: now, configurable: true });
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }, state);
  }
}

class World {
  host = new Host();
  pages = new Map();
  visits = 0;
  #free = [];

  static async open() {
    const world = new World();
    world.host.tag = await readFile(DIST, "utf8");
    world.publisher = await listen((request, response) => world.servePage(request, response));
    world.server = await listen((request, response) => world.host.serve(request, response));
    world.origin = `http://news.localhost:${portOf(world.publisher)}`;
    world.base = `http://dmp.localhost:${portOf(world.server)}/mayfly/`;
    world.browser = await chromium.launch({
      executablePath: BROWSER,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        // A process for each page costs more than the tests themselves.
        "--renderer-process-limit=2",
        "--disable-site-isolation-trials",
      ],
      // Playwright turns the cache for going back off; pages live with it.
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
    return world;
  }

  async close() {
    await this.browser.close();
    for (const server of [this.publisher, this.server]) {
      server.closeAllConnections();
      server.close();
    }
  }

  servePage(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    const page = this.pages.get(pathname) || { html: "<title>elsewhere</title>" };
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.setHeader("Cache-Control", "max-age=60");
    if (page.csp) response.setHeader("Content-Security-Policy", page.csp);
    response.end(page.html);
  }

  /** Puts a page with the tag at `path`. */
  publish(path, site, { head = "", body = "", data = "", title = "A derby", csp, tags } = {}) {
    const tag = `<script async src="${this.base}tag.js" data-site="${site}" ${data}></script>`;
    const html = `<!doctype html><meta charset="utf-8"><title>${title}</title>${head}
      ${tags === undefined ? tag : tags(site)}<body>${body}</body>`;
    this.pages.set(path, { html, csp });
  }

  /** A browser context with one tab: starting one takes longer than most tests. */
  async #tab(clock) {
    const free = !clock && this.#free.pop();
    if (free) return free;
    const context = await this.browser.newContext();
    const page = await context.newPage();
    if (clock) {
      await page.clock.install({ time: 0 });
      await page.clock.pauseAt(60_000);
    }
    return page;
  }

  /**
   * A new visitor opens a page. `before` runs in the page before anything else, `answer` is what
   * the server says to each hit; with `clock` time stands still unless the test lets it run.
   */
  async visit({ before, answer, cookies = [], clock, query = "", head = "", ...page } = {}) {
    const site = `s${++this.visits}`;
    const run = typeof before === "function" ? `(${before})()` : before;
    const first = run ? `<script>${run}</script>` : "";
    this.publish(`/${site}`, site, { ...page, head: first + head });
    if (answer) this.host.answers.set(site, answer);
    const tab = await this.#tab(clock);
    await tab.context().addCookies(cookies.map((c) => ({ url: this.origin, ...c })));
    const visit = new Visit(this, site, tab, clock);
    await tab.goto(`${this.origin}/${site}${query}`);
    return visit;
  }

  /** The visitor leaves, and nothing of him stays. */
  async leave({ page, context, clock }) {
    if (clock) return context.close();
    page.removeAllListeners();
    for (const other of context.pages()) if (other !== page) await other.close();
    await page.unrouteAll();
    await page.goto("about:blank");
    await context.clearCookies();
    this.#free.push(page);
  }
}

/** The one world of all tests: a browser takes its time to start. */
export const world = await World.open();

/** A test; `open` is `world.visit`, and who came by it leaves at the end. */
export function trial(name, work) {
  test(name, { timeout: 3 * PATIENCE_MS }, async () => {
    const visits = [];
    const open = async (options) => {
      const visit = await world.visit(options);
      visits.push(visit);
      return visit;
    };
    try {
      await work(open);
    } finally {
      for (const visit of visits) await world.leave(visit);
    }
  });
}
