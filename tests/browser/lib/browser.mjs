// Browsers: real ones, without a window. Who is not told otherwise is a visitor like any other.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { CERTIFICATE } from "./hosts.mjs";
import { until } from "./program.mjs";

const BROWSER = process.env.CHROMIUM || "/usr/bin/chromium";
/**
 * Chromium without a window says `HeadlessChrome`, which is refused as an automaton. Told otherwise
 * at its start, it keeps to that also in beacons; told later, it does not.
 */
export const AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
  + "Chrome/156.0.0.0 Safari/537.36";

/** How a browser of this world is started: it finds all hosts, and trusts their certificate. */
export function launchOptions({ hosts, program, isDirect }, agent) {
  const ways = [`MAP *.example 127.0.0.1:${hosts.port}`];
  if (isDirect) ways.unshift(`MAP px.pub.example 127.0.0.1:${program.port}`);
  return {
    executablePath: BROWSER,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      `--host-resolver-rules=${ways.join(",")}`,
      `--ignore-certificate-errors-spki-list=${CERTIFICATE.pin}`,
      ...(agent ? [`--user-agent=${agent}`] : []),
    ],
    // Playwright turns the cache for going back off; pages live with it.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  };
}

/** What one visitor browses with. */
export class Browser {
  /** Errors that pages made or the console shows; that there is no icon stands in `missing`. */
  complaints = [];
  missing = [];

  constructor(trial) {
    this.trial = trial;
  }

  /**
   * Chromium's private contexts keep no third-party cookies. Who is to keep them, or has another
   * name, gets a profile and a process of his own.
   */
  async open(cookies, agent, options) {
    const { world } = this.trial;
    if (cookies === "blocked" && agent === AGENT) {
      this.context = await (await world.browser()).newContext(options);
      await this.context.newPage();
    } else {
      this.folder = await mkdtemp(join(tmpdir(), "mayfly-profile-"));
      await mkdir(join(this.folder, "Default"));
      const profile = { cookie_controls_mode: 0, block_third_party_cookies: false };
      const file = join(this.folder, "Default", "Preferences");
      await writeFile(file, JSON.stringify({ profile }));
      const all = { ...launchOptions(world, agent), ...options };
      this.context = await chromium.launchPersistentContext(this.folder, all);
    }
    this.context.on("page", (page) => this.#hear(page));
    [this.page] = this.context.pages();
    this.#hear(this.page);
  }

  #hear(page) {
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() !== "error") return;
      const { url } = message.location();
      if (url.endsWith("/favicon.ico")) this.missing.push(url);
      else this.complaints.push(message.text());
    });
  }

  async close() {
    await this.context.close();
    const ways = { recursive: true, force: true, maxRetries: 5 };
    if (this.folder) await rm(this.folder, ways);
  }

  goto(address) {
    return this.page.goto(address, { waitUntil: "load" });
  }

  run(work, argument) {
    return this.page.evaluate(work, argument);
  }

  /** Cookies by name; of one host (and those above it), if one is named. */
  async cookies(host) {
    const all = await this.context.cookies(host ? `https://${host}` : []);
    return Object.fromEntries(all.map((cookie) => [cookie.name, cookie]));
  }

  /** A cookie's value, waited for. */
  async cookie(name, host) {
    return (await until(async () => (await this.cookies(host))[name], `cookie ${name}`)).value;
  }

  /** Who the program takes this browser for by its own cookie. */
  async visitor() {
    const cookie = await this.cookie("mf_id", this.trial.from);
    return until(() => this.trial.program.visitorOf({ cookie }), "whose cookie it is");
  }

  /** Who the program takes it for by the id that the tag keeps for a site. */
  async tagVisitor(site, host) {
    const fp = decodeURIComponent(await this.cookie("mf_fp", host));
    return until(() => this.trial.program.visitorOf({ site, fp }), "whose id it is");
  }
}
