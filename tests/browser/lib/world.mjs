// The worlds of the tests: a program in one placement on one store, its hosts, and browsers with
// and without third-party cookies. A test has a browser of its own, with nothing in it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { chromium } from "playwright-core";
import { AGENT, Browser, launchOptions } from "./browser.mjs";
import { CERTIFICATE, Hosts } from "./hosts.mjs";
import { Program, Redis, until } from "./program.mjs";

const DEFINITIONS = `
format = 1

[[site]]
key = "news"
origins = ["https://pub.example"]
consent = "none"
attributes = ["colour"]
events = ["signup"]

[[site]]
key = "shop"
origins = ["https://shop.example"]
consent = "none"

[[site]]
key = "asks"
origins = ["https://pub.example", "https://shop.example"]
consent = "tcf"
role = "vendor"
vendor_id = 999

[[site]]
key = "synced"
origins = ["https://pub.example"]
consent = "none"
sync = ["acme", "beta"]

[[partner]]
key = "acme"
vendor_id = 7
sync = "https://acme.example/get?to={{redirect_url}}&gdpr={{gdpr}}&us={{our_uid}}"

[[partner]]
key = "beta"
processor = true
sync = "https://beta.example/match?r={{redirect_url}}&us={{our_uid}}"
uid_macro = "[UID]"

[[category]]
name = "Sports"
rule = 'path startswith "/sport"'

[[segment]]
name = "sports-fans"
rule = 'visited("Sports", within 30d)'
on_page = ["news"]

[[segment]]
name = "hidden"
rule = 'visited("Sports", within 30d)'

[[segment]]
name = "everyone"
rule = 'visited("*", within 90d)'
`;

/** The embedded store, and browsers that speak with the program itself, without a proxy. */
export const OWN_TLS = "embedded, its own TLS";
export const EMBEDDED_AND_REDIS = ["embedded", "redis"];
const TIMEOUT_MS = 60_000;

const worlds = new Map();

after(async () => {
  for (const world of await Promise.all(worlds.values())) await world.close();
});

class World {
  static async open(placement, store) {
    const world = new World();
    const settings = { "collector.placement": placement };
    if (store === "redis") {
      world.redis = await Redis.start();
      settings["store.url"] = world.redis.url;
    } else if (store === OWN_TLS) {
      settings["http.tls_certificate"] = CERTIFICATE.chain;
      settings["http.tls_key"] = CERTIFICATE.key;
      world.isDirect = true;
    }
    world.program = await Program.start(settings, DEFINITIONS);
    world.hosts = await Hosts.open(world.program);
    return world;
  }

  /** The browser that most tests share; each has a context of its own in it. */
  browser() {
    this.shared ??= chromium.launch(launchOptions(this, AGENT));
    return this.shared;
  }

  async close() {
    if (this.shared) await (await this.shared).close();
    await this.hosts.close();
    await this.program.stop();
    if (this.redis) await this.redis.stop();
  }
}

function worldOf(placement, store) {
  const key = `${placement} ${store}`;
  if (!worlds.has(key)) worlds.set(key, World.open(placement, store));
  return worlds.get(key);
}

/** One test's view of its world: what changed since it began, and its browsers. */
class Trial {
  browsers = [];

  constructor(world, placement) {
    const { program, hosts } = world;
    Object.assign(this, { world, program, hosts, placement });
    this.usual = placement === "third_party" ? "allowed" : "blocked";
    /** The program's host, as pages of this placement name it. */
    this.from = placement === "first_party" ? "px.pub.example" : "dmp.example";
  }

  async begin() {
    this.hosts.answers.length = 0;
    Object.assign(this.hosts, { unknown: [], delay: 0 });
    this.hosts.partners.clear();
    this.before = await this.program.counts();
    this.visitorsBefore = await this.program.visitors();
  }

  async end() {
    for (const browser of this.browsers.splice(0)) await browser.close();
    await this.hosts.quiet();
  }

  /** What was counted since the test began. */
  async counts() {
    await this.hosts.quiet();
    const now = await this.program.counts();
    const all = Object.entries(now).map(([name, n]) => [name, n - (this.before[name] ?? 0)]);
    return Object.fromEntries(all.filter(([, n]) => n !== 0));
  }

  /** Waits until so much was counted of one outcome or reason. */
  counted(name, n = 1) {
    const look = async () => ((await this.counts())[name] ?? 0) >= n;
    return until(look, `${n} ${name}`).catch(async ({ message }) => {
      throw new Error(`${message}; counted: ${JSON.stringify(await this.counts())}`);
    });
  }

  /** Nothing came into the store, and nothing into the browser; all was refused for a reason. */
  async isUntouched(browser, reason) {
    const { [reason]: refused, no_consent: asked = 0, opted_out: out = 0, ...rest } =
      await this.counts();
    // The last word of a page that an earlier test left before the choice may come this late.
    const { pre_choice: late = 0, ...others } = rest;
    assert.deepEqual(others, {});
    assert.equal(refused, reason ? asked + out - late : undefined);
    assert.deepEqual(await this.newVisitors(), []);
    assert.deepEqual(this.hosts.cookiesSet(), []);
    assert.deepEqual(await browser.cookies(), {});
  }

  /** Does something, waits for the one hit that comes of it, and answers what was counted. */
  async hitOf(work) {
    const total = async () => {
      const { stored = 0, opted_out = 0, no_consent = 0 } = await this.counts();
      return stored + opted_out + no_consent;
    };
    const before = await total();
    await work();
    await until(async () => (await total()) > before, "a hit");
    return this.counts();
  }

  /** Who came into the store since the test began. */
  async newVisitors() {
    await this.hosts.quiet();
    const all = await this.program.visitors();
    return all.filter((visitor) => !this.visitorsBefore.includes(visitor));
  }

  publish(address, page) {
    return this.hosts.publish(address, { from: this.from, ...page });
  }

  /** A browser that nobody used before. `cookies`: whether it keeps third-party ones. */
  async browser({ cookies = this.usual, agent = AGENT, before, ...options } = {}) {
    const browser = new Browser(this);
    this.browsers.push(browser);
    await browser.open(cookies, agent, options);
    if (before) await browser.context.addInitScript(before);
    return browser;
  }
}

/** A test in one placement, on each of some stores. */
export function trial(name, { placement = "first_party", stores = ["embedded"], ...rest }, work) {
  for (const store of stores) {
    const where = store === "embedded" ? placement : `${placement}, ${store}`;
    test(`${name} (${where})`, { timeout: TIMEOUT_MS, ...rest }, async () => {
      const own = new Trial(await worldOf(placement, store), placement);
      await own.begin();
      try {
        await work(own);
      } finally {
        await own.end();
      }
    });
  }
}

export { until };
