// Publishers' pages over https, and the way to the program, as a proxy in front of it has it. One
// listener speaks for all hosts; browsers are told to find every `*.example` there.

import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as forward } from "node:http";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./program.mjs";

/** Hosts that lead to the program: one of its own, one within the publisher's site. */
const OWN = ["dmp.example", "px.pub.example"];
/** The clients' address: of a network for documentation. */
const CLIENT = "203.0.113.7";

/** A certificate for all hosts that nobody but these tests trusts. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-certificate-"));
  const [key, chain] = ["key.pem", "chain.pem"].map((name) => join(folder, name));
  const names = "DNS:*.example,DNS:pub.example,DNS:*.pub.example,DNS:shop.example,"
    + "DNS:dmp.example,DNS:evil.example";
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=mayfly tests",
    "-addext", `subjectAltName=${names}`,
  ], { stdio: "pipe" });
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const { publicKey } = new X509Certificate(readFileSync(chain));
  const spki = publicKey.export({ type: "spki", format: "der" });
  return { key, chain, pin: createHash("sha256").update(spki).digest("base64") };
}

export const CERTIFICATE = certificate();

/** All hosts of one test world. */
export class Hosts {
  pages = new Map();
  /** What the program answered to the proxy: `{ host, method, path, status, headers, outcome }`. */
  answers = [];
  /** What hosts of partners do: host → `(url, cookie, response)`. */
  partners = new Map();
  /** Headers that do not pass the proxy, as if the browser did not know them. */
  unknown = [];
  /** How long the way to the program takes, milliseconds. */
  delay = 0;
  #open = 0;

  static async open(program) {
    const hosts = new Hosts();
    hosts.program = program;
    const keys = { key: readFileSync(CERTIFICATE.key), cert: readFileSync(CERTIFICATE.chain) };
    hosts.server = createServer(keys, (request, response) => hosts.#serve(request, response));
    hosts.server.listen(0, "127.0.0.1");
    await once(hosts.server, "listening");
    return hosts;
  }

  get port() {
    return this.server.address().port;
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  /** Every request that came has been answered. */
  async quiet() {
    await until(() => this.#open === 0, "the end of all requests");
  }

  #serve(request, response) {
    const { host } = request.headers;
    if (OWN.includes(host)) {
      this.#open += 1;
      return setTimeout(() => this.#pass(request, response), this.delay);
    }
    const url = new URL(request.url, `https://${host}`);
    const partner = this.partners.get(host);
    if (partner) {
      partner(url, request.headers.cookie, response);
      return response.end();
    }
    const { pathname } = url;
    const page = this.pages.get(host + pathname);
    response.statusCode = page ? 200 : 404;
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.setHeader("Cache-Control", "max-age=60");
    if (page?.csp) response.setHeader("Content-Security-Policy", page.csp);
    response.end(page ? page.html : "<!doctype html><title>none</title>");
  }

  #pass(request, response) {
    if (request.aborted) {
      this.#open -= 1;
      return;
    }
    const { method, url: path, headers: said } = request;
    const headers = { ...said, "x-forwarded-for": CLIENT, "x-forwarded-proto": "https" };
    for (const name of this.unknown) delete headers[name];
    const options = { port: this.program.port, method, path, headers };
    const passed = forward(options, (answer) => {
      const { statusCode: status, headers: given } = answer;
      const outcome = given["x-mayfly-outcome"];
      this.answers.push({ host: said.host, method, path, said, status, headers: given, outcome });
      response.writeHead(status, answer.rawHeaders);
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    // A page that is gone has not taken its last word back: the program is still at it.
    passed.on("close", () => (this.#open -= 1));
    request.on("aborted", () => passed.destroy());
    request.pipe(passed);
  }

  /** The cookies that the program set since the beginning, as it wrote them. */
  cookiesSet() {
    return this.answers.flatMap(({ headers }) => headers["set-cookie"] ?? []);
  }

  /**
   * Puts a page at `address` (host and path). With a `site` the tag of `from` runs on it, and the
   * pixel stands in its <noscript>; with `tag: false` the pixel alone.
   */
  publish(address, { title = "A page", head = "", body = "", csp, nonce, ...snippet } = {}) {
    const { site, from, data = "", tag = true } = snippet;
    const once = nonce ? `nonce="${nonce}"` : "";
    const script = `<script async ${once} src="https://${from}/tag.js" data-site="${site}" ${data}>`
      + "</script>";
    const pixel = `<noscript><img src="https://${from}/p.gif?s=${site}" alt=""></noscript>`;
    const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
      <link rel="icon" href="data:,">${head}${site && tag ? script : ""}
      <body>${site ? pixel : ""}${body}</body></html>`;
    this.pages.set(address, { html, csp });
    return `https://${address}`;
  }
}
