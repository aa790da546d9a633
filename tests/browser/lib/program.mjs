// The program under test on a data folder of its own, on the embedded store or on a Redis, and what
// it has in its store: nothing here looks at what a page meant to send.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const BINARY = process.env.MAYFLY_BIN;
const PATIENCE_MS = 15_000;
const GLANCE_MS = 20;

// What is to be done at the end is done on `exit`, which a signal alone does not bring about. Not on
// SIGPIPE: a browser that hangs up while it is answered is part of the tests.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => process.exit(1));
}

/** Waits until `look` finds something. */
export async function until(look, what, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(GLANCE_MS);
  }
}

/** A port that nobody listens on now. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A child process, its output in a file. It does not outlive the tests, however they end. */
class Child {
  constructor(file, args, options, log) {
    const all = ["--pdeathsig", "KILL", file, ...args];
    this.process = spawn("setpriv", all, { ...options, stdio: ["ignore", log.fd, log.fd] });
    this.end = once(this.process, "exit");
  }

  get hasEnded() {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async stop(signal = "SIGTERM") {
    this.process.kill(signal);
    await this.end;
  }
}

/** A Redis that keeps nothing on disk. */
export class Redis {
  static async start() {
    const redis = new Redis();
    redis.folder = await mkdtemp(join(tmpdir(), "mayfly-redis-"));
    redis.port = await freePort();
    const log = await open(join(redis.folder, "log"), "a");
    const own = ["--port", `${redis.port}`, "--bind", "127.0.0.1", "--dir", redis.folder];
    const args = [...own, "--save", "", "--appendonly", "no"];
    redis.child = new Child("redis-server", args, {}, log);
    const file = join(redis.folder, "log");
    await until(async () => {
      if (redis.child.hasEnded) throw new Error(await readFile(file, "utf8"));
      return (await readFile(file, "utf8")).includes("Ready to accept connections");
    }, "Redis");
    await log.close();
    return redis;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  async stop() {
    await this.child.stop();
    await rm(this.folder, { recursive: true });
  }
}

/** A running server. */
export class Program {
  /** `settings` are keys of the settings file: `{ "collector.placement": "chips" }`. */
  static async start(settings, definitions) {
    const program = new Program();
    program.folder = await mkdtemp(join(tmpdir(), "mayfly-browser-"));
    program.port = await freePort();
    program.privatePort = await freePort();
    const own = { "http.private": `127.0.0.1:${program.privatePort}` };
    program.environment = { ...process.env };
    for (const [key, value] of Object.entries({ ...own, ...settings })) {
      program.environment[`MAYFLY_${key.toUpperCase().replace(".", "__")}`] = value;
    }
    const file = join(program.folder, "definitions.toml");
    await writeFile(file, definitions);
    await program.run("apply", file);
    await program.#serve();
    program.token = (await readFile(join(program.data, "admin.token"), "utf8")).trim();
    return program;
  }

  get data() {
    return join(this.folder, "data");
  }

  async #serve() {
    const log = await open(join(this.folder, "log"), "a");
    const args = ["serve", "--data", this.data, "--bind", `127.0.0.1:${this.port}`];
    this.child = new Child(BINARY, args, { env: this.environment, cwd: this.folder }, log);
    await log.close();
    await until(async () => {
      if (this.child.hasEnded) throw new Error(await this.log());
      return (await fetch(this.base + "ready").catch(() => ({}))).ok;
    }, "the server");
  }

  /** The listener for API and metrics; the other is for browsers. */
  get base() {
    return `http://127.0.0.1:${this.privatePort}/`;
  }

  /** Runs a command; answers what it printed. */
  async run(...args) {
    const options = { env: this.environment, cwd: this.folder };
    return (await promisify(execFile)(BINARY, [...args, "--data", this.data], options)).stdout;
  }

  log() {
    return readFile(join(this.folder, "log"), "utf8");
  }

  async stop() {
    await this.child.stop();
    await rm(this.folder, { recursive: true });
  }

  /** The answer of the API to the admin. */
  async api(path) {
    const headers = { authorization: `Bearer ${this.token}` };
    const answer = await fetch(`${this.base}api/v1/${path}`, { headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** Who a cookie (`mf_id`) or an id kept by the tag for a site (`mf_fp`) stands for. */
  async visitorOf({ cookie, site, fp }) {
    if (cookie) return (await this.held(cookie)).visitor;
    const query = `s=${site}&fp=${encodeURIComponent(fp)}`;
    const answer = await fetch(`http://127.0.0.1:${this.port}/api/v1/me?${query}`);
    return (await answer.json()).visitor;
  }

  /** What the store holds of a visitor: `{hits, segments}`. */
  held(visitor) {
    return this.api(`visitors/${encodeURIComponent(visitor)}`);
  }

  /** All visitors with hits in the store. */
  async visitors() {
    const { members } = JSON.parse(await this.run("segment", "members", "everyone", "--json"));
    return members;
  }

  /** The hits of a visitor once there are `n`, oldest first; those of one event if named. */
  async hits(visitor, n, event) {
    let found = [];
    const all = async () => {
      found = (await this.held(visitor)).hits.filter((hit) => !event || hit.event === event);
      return found.length >= n;
    };
    await until(all, `${n} hits of ${visitor}`).catch((error) => {
      const lines = found.map((hit) => `${hit.event} ${hit.url} ${hit.engaged_s} s ${hit.time}`);
      throw new Error([`${error.message}; there are:`, ...lines].join("\n"));
    });
    return found;
  }

  /** Hits by outcome, refusals by reason, probes; those that are not 0. */
  async counts() {
    const text = await (await fetch(this.base + "metrics")).text();
    const counter = /^mayfly_(?:hits|refusals|probes)_total(?:\{\w+="(\w+)"\})? (\d+)$/gm;
    const all = [...text.matchAll(counter)].filter(([, , n]) => n !== "0");
    return Object.fromEntries(all.map(([, name = "probes", n]) => [name, Number(n)]));
  }
}
