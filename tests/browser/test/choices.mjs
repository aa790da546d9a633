// What visitors see and decide themselves: /privacy, /optout, and the page's own way to both.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { EMBEDDED_AND_REDIS, trial, until } from "../lib/world.mjs";

/** The button of a form that does this. */
const button = (action) => `form:has(input[name=action][value=${action}]) button`;

/** Presses it and waits for the page that follows. */
async function press(page, action) {
  await Promise.all([page.waitForNavigation(), page.click(button(action))]);
  return page.textContent("[role=status]");
}

/** How a site leads to what is held about its visitor. */
const LINK = '<button id="privacy" onclick="mayfly.privacy()">Your privacy</button>';

/** A browser with one stored hit, and more pages of the site. */
async function known(t, options) {
  const pages = [1, 2, 3, 4].map((nth) =>
    t.publish(`pub.example/sport/${nth}`, { site: "news", title: `Derby ${nth}`, body: LINK }));
  const browser = await t.browser(options);
  await browser.goto(pages[0]);
  await t.counted("stored");
  const [visitor] = await t.newVisitors();
  return { browser, visitor, pages, door: `https://${t.from}` };
}

/** Goes to /privacy by itself, or by the page's link. */
async function toPrivacy(t, browser, isLinked) {
  if (!isLinked) return browser.page.goto(`https://${t.from}/privacy`);
  const [door] = await Promise.all([
    browser.context.waitForEvent("page"),
    browser.page.click("#privacy"),
  ]);
  browser.page = door;
  return door.waitForLoadState();
}

async function seesAndErases(t, { isLinked, ...options }) {
  const { browser, visitor, pages } = await known(t, options);
  const first = browser.page;
  await toPrivacy(t, browser, isLinked);
  const { page } = browser;
  const text = await page.textContent("main");
  for (const held of [visitor, pages[0], "Derby 1", "news", "sports-fans"]) {
    assert.ok(text.includes(held), `${held} is not on the page`);
  }
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.click("a[href*='download=1']"),
  ]);
  const copy = JSON.parse(Buffer.concat(await (await file.createReadStream()).toArray()));
  assert.equal(copy.visitor, visitor);
  assert.equal(copy.hits[0].url, pages[0]);

  await press(page, "erase");
  assert.ok(!(await page.textContent("main")).includes(pages[0]));
  if (!isLinked) assert.ok(!(await browser.cookies(t.from)).mf_id);
  browser.page = first;
  assert.deepEqual((await t.program.held(visitor)).hits, []);
  assert.deepEqual(await t.newVisitors(), []);
  await browser.goto(pages[1]);
  await until(async () => (await t.newVisitors()).length, "another visitor");
  const [next, ...others] = await t.newVisitors();
  assert.notEqual(next, visitor);
  assert.deepEqual(others, []);
  await t.program.hits(next, 1);
  assert.deepEqual(browser.complaints, []);
}

async function optsOutAndIn(t, options) {
  const { browser, pages, door } = await known(t, options);
  const { page } = browser;
  await page.goto(`${door}/optout`);
  await press(page, "out");
  const { mf_optout: cookie } = await browser.cookies(t.from);
  assert.equal(cookie.value, "1");
  assert.equal(cookie.sameSite, t.placement === "first_party" ? "Lax" : "None");
  assert.deepEqual([cookie.secure, cookie.httpOnly], [true, true]);
  assert.ok((cookie.expires - Date.now() / 1000) / 86_400 > 399);
  const { stored } = await t.counts();
  const counts = await t.hitOf(() => browser.goto(pages[2]));
  assert.equal(counts.stored, stored);
  assert.ok(counts.opt_out >= 1);
  const kept = (await browser.context.cookies()).map(({ name }) => name);
  assert.deepEqual(kept, ["mf_optout"]);
  await page.goto(`${door}/optout`);
  await press(page, "in");
  assert.ok(!(await browser.cookies(t.from)).mf_optout);
  await browser.goto(pages[3]);
  const visitor = await browser.visitor();
  const [hit] = await t.program.hits(visitor, 1);
  assert.equal(hit.url, pages[3]);
  assert.deepEqual(browser.complaints, []);
}

for (const [placement, cookies] of [
  ["first_party", "blocked"],
  ["third_party", "allowed"],
]) {
  const where = { placement };
  trial(`/privacy shows what is held and erases it, cookies ${cookies}`, where, (t) =>
    seesAndErases(t, { cookies }));
  trial(`/optout ends it and begins it again, cookies ${cookies}`, where, (t) =>
    optsOutAndIn(t, { cookies }));
}

/** Where the browser keeps what we give it apart for each site, the way leads through the page. */
for (const [placement, cookies] of [["third_party", "blocked"], ["chips", "blocked"]]) {
  const where = { placement, stores: EMBEDDED_AND_REDIS };
  trial(`the page's link to /privacy shows and erases, cookies ${cookies}`, where, (t) =>
    seesAndErases(t, { cookies, isLinked: true }));
  trial(`the page's link opts out, and mayfly.optIn in, cookies ${cookies}`, where, (t) =>
    optsOutByLink(t, { cookies }));
}

async function optsOutByLink(t, options) {
  const { browser, visitor, pages, door } = await known(t, options);
  const first = browser.page;
  await toPrivacy(t, browser, true);
  for (const language of ["nl", "en"]) {
    const click = browser.page.click(`nav a[hreflang=${language}]`);
    await Promise.all([browser.page.waitForNavigation(), click]);
  }
  const link = new URL(browser.page.url()).searchParams;
  assert.match(await press(browser.page, "out"), /opted out of the website/);
  assert.equal(await browser.page.locator("form").count(), 0, "nothing is left to say");
  for (const [query, expected] of [
    [`?${link}`, /opted out of the website/],
    ["?s=news&as=AbC", /no longer good/],
    ["", /privacy link on that website/],
  ]) {
    assert.ok((await browser.page.goto(`${door}/privacy${query}`)).ok());
    assert.match(await browser.page.textContent("main"), expected, query);
  }
  browser.page = first;
  assert.deepEqual((await t.program.held(visitor)).hits, []);
  const { stored } = await t.counts();
  const counts = await t.hitOf(() => browser.goto(pages[1]));
  assert.equal(counts.opt_out, 1);
  await until(async () => (await ownCookies(browser)).includes("mf_optout"), "the no");
  assert.deepEqual(await ownCookies(browser), ["mf_optout"]);
  await browser.goto(pages[2]);
  await sleep(800);
  assert.deepEqual([(await t.counts()).stored, await t.newVisitors()], [stored, []]);

  const isDone = await browser.run(() => new Promise((done) => mayfly.optIn(done)));
  assert.equal(isDone, true);
  await browser.goto(pages[3]);
  await until(async () => (await t.newVisitors()).length, "a visitor");
  const [next] = await t.newVisitors();
  assert.equal((await t.program.hits(next, 1))[0].url, pages[3]);
  assert.deepEqual(browser.complaints, []);
}

/** What the browser holds, wherever it keeps it. */
async function ownCookies(browser) {
  const names = (await browser.context.cookies()).map(({ name }) => name);
  return [...new Set(names)].sort();
}

for (const placement of ["first_party", "third_party", "chips"]) {
  trial("the visitor's pages load in four languages, as their policy allows", {
    placement,
  }, async (t) => {
    const browser = await t.browser();
    const headings = new Set();
    for (const path of ["privacy", "optout"]) {
      await browser.goto(`https://${t.from}/${path}`);
      for (const language of ["nl", "ro", "da", "en"]) {
        await Promise.all([
          browser.page.waitForNavigation(),
          browser.page.click(`nav a[hreflang=${language}]`),
        ]);
        assert.equal(await browser.page.getAttribute("html", "lang"), language);
        headings.add(await browser.page.textContent("h1"));
        const rules = () => [...document.styleSheets].map((sheet) => sheet.cssRules.length > 0);
        assert.deepEqual(await browser.run(rules), [true]);
      }
    }
    assert.equal(headings.size, 8);
    assert.deepEqual(await browser.cookies(), {});
    assert.deepEqual(browser.complaints, []);
  });
}

for (const [from, site] of [["evil.example", "cross-site"], ["pub.example", "same-site"]]) {
  trial(`a forged form of a page that is ${site} is refused`, {
    placement: site === "same-site" ? "first_party" : "third_party",
  }, async (t) => {
    const { browser, visitor, door } = await known(t);
    const forms = [["privacy", "erase"], ["optout", "in"], ["optout", "out"]];
    for (const [path, action] of forms) {
      const page = t.publish(`${from}/${action}`, {
        body: `<form method="post" action="${door}/${path}">
          <input name="action" value="${action}"><button></button></form>`,
      });
      await browser.goto(page);
      await Promise.all([browser.page.waitForNavigation(), browser.page.click("button")]);
      const { said, status, headers } = t.hosts.answers.findLast((a) => a.path === `/${path}`);
      assert.equal(said["sec-fetch-site"], site);
      assert.ok(site === "same-site" || said.cookie.includes("mf_id"), "it was worth trying");
      assert.equal(status, 403);
      assert.equal(headers["set-cookie"], undefined);
    }
    assert.ok((await t.program.held(visitor)).hits.length >= 1);
    assert.ok((await browser.cookies(t.from)).mf_id);
  });
}

trial("the visitor's pages ask for nothing that is not there", {}, async (t) => {
  // A private one asks for an icon once in its life.
  const browser = await t.browser({ cookies: "allowed" });
  await browser.goto(`https://${t.from}/privacy`);
  await sleep(500);
  assert.deepEqual(browser.missing, []);
});

trial("the forms work in browsers that do not send Sec-Fetch-Site", {}, async (t) => {
  const { browser, visitor, door } = await known(t);
  t.hosts.unknown = ["sec-fetch-site"];
  await browser.goto(`${door}/privacy`);
  await Promise.all([browser.page.waitForNavigation(), browser.page.click(button("erase"))]);
  const { status, said } = t.hosts.answers.findLast(({ method }) => method === "POST");
  assert.equal(status, 200, `with origin ${said.origin}`);
  assert.deepEqual((await t.program.held(visitor)).hits, []);
});

for (const [placement, cookies] of [
  ["first_party", "blocked"],
  ["third_party", "allowed"],
  ["third_party", "blocked"],
  ["chips", "blocked"],
]) {
  trial(`mayfly.segments: those marked for the page, cookies ${cookies}`, {
    placement,
  }, async (t) => {
    const page = t.publish("pub.example/sport/derby", { site: "news" });
    const other = t.publish("shop.example/sport/boots", { site: "shop" });
    const ask = () => new Promise((done) => window.mayfly.segments(done));
    const browser = await t.browser({ cookies });
    await browser.goto(page);
    await t.counted("stored");
    await until(async () => (await browser.run(ask))[0] === "sports-fans", "the segment");
    assert.deepEqual(await browser.run(ask), ["sports-fans"]);
    // A site that it is not marked for hears nothing.
    await browser.goto(other);
    // The program has folded all hits once it can name who has some.
    await t.counted("stored", 2);
    await t.newVisitors();
    assert.deepEqual(await browser.run(ask), []);
    assert.deepEqual(browser.complaints, []);
  });

  trial(`mayfly.optOut: nothing more is stored, cookies ${cookies}`, { placement }, async (t) => {
    const page = t.publish("pub.example/sport/derby", { site: "news" });
    const next = t.publish("pub.example/sport/next", { site: "news" });
    const browser = await t.browser({ cookies });
    await browser.goto(page);
    await t.counted("stored");
    await until(async () => Object.keys(await browser.cookies()).length, "its cookies");
    assert.equal(await browser.run(() => new Promise((done) => mayfly.optOut(done))), true);
    const { stored: before } = await t.counts();
    const kept = (await browser.context.cookies()).map(({ name, domain }) => `${name} ${domain}`);
    const isKept = cookies === "allowed" || placement !== "third_party";
    const own = isKept ? [`mf_optout ${t.from}`] : [];
    assert.deepEqual(kept.sort(), ["mf_optout pub.example", ...own].sort());
    await browser.run(() => mayfly.event("signup"));
    await browser.goto(next);
    await sleep(800);
    await browser.goto("about:blank");
    const { stored, opted_out: out = 0 } = await t.counts();
    assert.deepEqual([stored, out], [before, 0]);
    if (placement === "third_party" && cookies === "allowed") {
      // One no for all sites.
      await browser.goto(t.publish("shop.example/boots", { site: "shop" }));
      await t.counted("opt_out");
      assert.equal((await t.counts()).stored, before);
    }
    // Where one cookie is for all sites, its no is not the page's to take back.
    await browser.goto(next);
    const isBack = await browser.run(() => new Promise((done) => mayfly.optIn(done)));
    assert.equal(isBack, !(placement === "third_party" && cookies === "allowed"));
    assert.deepEqual(browser.complaints, []);
  });
}
