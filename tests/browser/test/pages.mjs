// Pages as people use them: back and forth, without loads, shut at once, in two tabs.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { trial, until } from "../lib/world.mjs";

/** Longer than the least engaged time that the tag tells. */
const LOOK_MS = 1_200;

const short = (hits) => hits.map((hit) => `${hit.event} ${new URL(hit.url).pathname}`);

/** The way to a server on the same continent. */
const WAY_MS = 50;
/** Longer than a tab takes to shut on a busy machine. */
const LONG_WAY_MS = 2_000;

trial("going back to a page that was kept whole is a view of its own", {}, async (t) => {
  const [one, two] = ["one", "two"].map((name) =>
    t.publish(`pub.example/${name}`, { site: "news" }));
  const browser = await t.browser();
  await browser.goto(one);
  await browser.run(() => {
    window.whole = true;
    addEventListener("pageshow", (event) => (window.persisted = event.persisted));
  });
  const visitor = await browser.visitor();
  await sleep(LOOK_MS);
  await browser.goto(two);
  await sleep(LOOK_MS);
  await browser.page.goBack({ waitUntil: "commit" });
  await until(() => browser.run(() => window.whole && window.persisted), "the page, kept whole");
  await sleep(LOOK_MS);
  await browser.goto("about:blank");
  const hits = await t.program.hits(visitor, 6);
  const order = (hit) => `${hit.time} ${hit.event}`;
  const pages = [...hits].sort((a, b) => order(a).localeCompare(order(b)));
  assert.deepEqual(short(pages).filter((hit) => hit.startsWith("page_view")), [
    "page_view /one",
    "page_view /two",
    "page_view /one",
  ]);
  assert.deepEqual(short(pages).filter((hit) => hit.startsWith("engagement")), [
    "engagement /one",
    "engagement /two",
    "engagement /one",
  ]);
  for (const hit of hits.filter(({ event }) => event === "engagement")) {
    assert.ok(hit.engaged_s >= 1 && hit.engaged_s <= 9, `${hit.engaged_s} s`);
  }
  assert.deepEqual(await t.counts(), { stored: 6, probes: 1 });
  assert.deepEqual(browser.complaints, []);
});

trial("a page that changes itself by history.pushState", {}, async (t) => {
  const page = t.publish("pub.example/app", { site: "news", title: "Start" });
  const browser = await t.browser();
  await browser.goto(page);
  const visitor = await browser.visitor();
  for (const path of ["/sport/one", "/sport/two"]) {
    await sleep(LOOK_MS);
    await browser.run((path) => {
      history.pushState({}, "", path);
      document.title = `At ${path}`;
    }, path);
  }
  await sleep(LOOK_MS + 200);
  await browser.goto("about:blank");
  const hits = await t.program.hits(visitor, 6);
  const views = hits.filter(({ event }) => event === "page_view");
  assert.deepEqual(views.map(({ url, title, referrer }) => [url, title, referrer]), [
    ["https://pub.example/app", "Start", ""],
    ["https://pub.example/sport/one", "At /sport/one", "pub.example"],
    ["https://pub.example/sport/two", "At /sport/two", "pub.example"],
  ]);
  const engaged = hits.filter(({ event }) => event === "engagement");
  const paths = engaged.map(({ url }) => new URL(url).pathname);
  assert.deepEqual(paths.sort(), ["/app", "/sport/one", "/sport/two"]);
  assert.ok(engaged.every(({ engaged_s }) => engaged_s >= 1), JSON.stringify(engaged));
  assert.deepEqual(await t.counts(), { stored: 6, probes: 1 });
});

trial("a page that is shut at once, by a visitor who is known", {}, async (t) => {
  const page = t.publish("pub.example/sport/derby", { site: "news" });
  const browser = await t.browser();
  await browser.goto(page);
  const visitor = await browser.visitor();
  await t.program.hits(visitor, 1);
  const [shut, left] = ["shut", "left"].map((name) =>
    t.publish(`pub.example/${name}`, { site: "news" }));
  const tab = await browser.context.newPage();
  await tab.goto(shut);
  await tab.close();
  const [, hit] = await t.program.hits(visitor, 2, "page_view");
  assert.equal(hit.url, shut);
  const other = await browser.context.newPage();
  await other.goto(left);
  await other.goto("about:blank");
  const [, , last] = await t.program.hits(visitor, 3, "page_view");
  assert.equal(last.url, left);
  assert.deepEqual(await t.newVisitors(), [visitor]);
});

trial("a page that is shut at once, by a stranger", {}, async (t) => {
  // Were the way short, the second round trip might be over before the tab is.
  t.hosts.delay = LONG_WAY_MS;
  const page = t.publish("pub.example/sport/derby", { site: "news" });
  const browser = await t.browser();
  const tab = await browser.context.newPage();
  await tab.goto(page);
  await tab.close();
  // Nobody is there any more to show that he keeps a cookie: the hit is counted, not stored.
  await t.counted("cookieless");
  const { cookieless, no_cookie: reason, ...rest } = await t.counts();
  assert.deepEqual([reason, rest], [cookieless, {}]);
  assert.deepEqual(await t.newVisitors(), []);
});

const ROUNDS = 3;

trial("two tabs at once at first sight are one visitor", {}, async (t) => {
  t.hosts.delay = WAY_MS;
  const pages = ["one", "two"].map((name) => t.publish(`pub.example/${name}`, { site: "news" }));
  const browser = await t.browser();
  for (let round = 1; round <= ROUNDS; round += 1) {
    // The last word of the round before may still bring a cookie.
    await t.hosts.quiet();
    await browser.context.clearCookies();
    const tabs = await Promise.all(pages.map(() => browser.context.newPage()));
    await Promise.all(tabs.map((tab, nth) => tab.goto(pages[nth])));
    await t.counted("stored", 2 * round);
    await Promise.all(tabs.map((tab) => tab.close()));
  }
  await until(async () => (await t.newVisitors()).length >= ROUNDS, "a visitor a round");
  assert.equal((await t.newVisitors()).length, ROUNDS);
});

trial("three pixels at once at first sight are one visitor", {}, async (t) => {
  t.hosts.delay = WAY_MS;
  const pixel = (nth) =>
    `<img src="https://px.pub.example/p.gif?s=news&u=https://pub.example/${nth}" alt="">`;
  const page = t.publish("pub.example/bare", { body: [1, 2, 3].map(pixel).join("") });
  const browser = await t.browser();
  for (let round = 1; round <= ROUNDS; round += 1) {
    // The last word of the round before may still bring a cookie.
    await t.hosts.quiet();
    await browser.context.clearCookies();
    await browser.goto(page);
    await t.counted("stored", 3 * round);
    await browser.goto("about:blank");
  }
  await until(async () => (await t.newVisitors()).length >= ROUNDS, "a visitor a round");
  assert.equal((await t.newVisitors()).length, ROUNDS);
});

trial("two events at once that differ in their attributes are both stored", {}, async (t) => {
  const page = t.publish("pub.example/sport/derby", { site: "news" });
  const browser = await t.browser();
  await browser.goto(page);
  const visitor = await browser.visitor();
  await browser.run(() => {
    for (const colour of ["red", "blue"]) mayfly.event("signup", { colour });
  });
  await until(async () => {
    const { stored, duplicate = 0 } = await t.counts();
    return stored + duplicate >= 3;
  }, "three hits");
  const events = await t.program.hits(visitor, 1, "signup");
  assert.deepEqual(events.map(({ attributes }) => attributes.colour), ["red", "blue"]);
});

trial("the tag is blocked: the page is as it was", {}, async (t) => {
  const page = t.publish("pub.example/sport/derby", {
    site: "news",
    head: '<script>mayfly = { q: [["event", "signup"]] }</script>',
    body: "<button onclick=\"this.textContent = 'done'\">do</button>",
  });
  const browser = await t.browser();
  const errors = [];
  browser.page.on("pageerror", (error) => errors.push(error));
  await browser.context.route("**/tag.js", (route) => route.abort());
  await browser.goto(page);
  await browser.page.click("button");
  assert.equal(await browser.page.textContent("button"), "done");
  await sleep(700);
  assert.deepEqual(errors, []);
  assert.deepEqual(browser.complaints, ["Failed to load resource: net::ERR_FAILED"]);
  assert.deepEqual([await t.counts(), t.hosts.answers], [{}, []]);
  assert.deepEqual(await browser.cookies(), {});
});

trial("a page with a strict content security policy", {}, async (t) => {
  const csp = "default-src 'none'; script-src 'nonce-abc'; connect-src https://px.pub.example; "
    + "img-src data:; base-uri 'none'; require-trusted-types-for 'script'";
  const page = t.publish("pub.example/sport/derby", { site: "news", csp, nonce: "abc" });
  const browser = await t.browser();
  await browser.goto(page);
  const visitor = await browser.visitor();
  await t.program.hits(visitor, 1);
  await sleep(LOOK_MS);
  await browser.goto("about:blank");
  await t.program.hits(visitor, 1, "engagement");
  assert.deepEqual(browser.complaints, []);
});
