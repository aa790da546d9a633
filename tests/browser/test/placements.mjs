// Where the cookie stands, and whose hits become one visitor's.

import assert from "node:assert/strict";
import { EMBEDDED_AND_REDIS as stores, OWN_TLS, trial, until } from "../lib/world.mjs";

const HEAD = `<meta name="keywords" content="derby, cup">
  <meta property="article:section" content="Football">`;
const DAYS = 86_400;

/** What was counted, but for what was stored: engagement may come or not, as time goes by. */
async function besidesStored(t) {
  const { stored, ...rest } = await t.counts();
  return rest;
}

/** The life of a cookie, in days. */
const life = ({ expires }) => Math.round((expires - Date.now() / 1000) / DAYS);

trial("a page view is stored as the page says, one visitor over two loads", {
  stores: [...stores, OWN_TLS],
}, async (t) => {
  const derby = { site: "news", title: "A derby", head: HEAD };
  const first = t.publish("pub.example/sport/derby", derby);
  const second = t.publish("pub.example/sport/cup", { site: "news", title: "The cup" });
  const browser = await t.browser();
  await browser.goto(`${first}?session=secret#top`);
  const visitor = await browser.visitor();
  const [{ time, ...hit }] = await t.program.hits(visitor, 1, "page_view");
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 20_000, time);
  assert.deepEqual(hit, {
    event: "page_view",
    site: "news",
    url: "https://pub.example/sport/derby",
    title: "A derby",
    keywords: ["derby", "cup"],
    categories: ["Football"],
    falls_in: ["Sports"],
    network: null,
    attributes: {},
    referrer: "",
    campaign: null,
    engaged_s: 0,
    device: "desktop",
    os: "linux",
    browser: "chrome",
    language: "en-us",
    country: null,
    region: null,
    consent: { allowed: { content: true, measure: true, share: true } },
  });
  await browser.goto(second);
  await browser.run(() => mayfly.event("signup", { colour: "red", secret: "x" }));
  const [, next] = await t.program.hits(visitor, 2, "page_view");
  const [event] = await t.program.hits(visitor, 1, "signup");
  assert.deepEqual([next.title, next.url], ["The cup", "https://pub.example/sport/cup"]);
  assert.deepEqual([event.event, event.attributes], ["signup", { colour: "red" }]);
  assert.equal(event.url, "https://pub.example/sport/cup");
  assert.deepEqual(await t.newVisitors(), [visitor]);
  assert.deepEqual(await besidesStored(t), { probes: 1 });

  const { mf_id: cookie, ...others } = await browser.cookies();
  const names = Object.keys(others);
  assert.ok(names.length === 1 && /^mf_probe_[0-9a-f]{2}$/.test(names[0]), names.join());
  assert.equal(cookie.domain, "px.pub.example");
  assert.equal(cookie.path, "/");
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "Lax"]);
  assert.equal(life(cookie), 90);
  assert.deepEqual(browser.complaints, []);
});

trial("third-party cookies allowed: one visitor on two publishers' sites", {
  placement: "third_party",
  stores,
}, async (t) => {
  const pub = t.publish("pub.example/sport/derby", { site: "news" });
  const shop = t.publish("shop.example/boots", { site: "shop" });
  const browser = await t.browser();
  await browser.goto(pub);
  const visitor = await browser.visitor();
  await t.program.hits(visitor, 1);
  const { mf_id: cookie } = await browser.cookies();
  assert.equal(cookie.domain, "dmp.example");
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "None"]);
  assert.equal(cookie.partitionKey, undefined);
  assert.equal(life(cookie), 90);
  await browser.goto(shop);
  const hits = await t.program.hits(visitor, 2, "page_view");
  assert.deepEqual(hits.map((hit) => hit.site), ["news", "shop"]);
  assert.deepEqual(await t.newVisitors(), [visitor]);
  assert.deepEqual(await besidesStored(t), { probes: 1 });
  assert.ok(!(await browser.cookies("pub.example")).mf_fp, "no id of the tag's own is needed");
  assert.deepEqual(browser.complaints, []);
});

trial("third-party cookies allowed: the pixel alone, without scripts", {
  placement: "third_party",
  stores,
}, async (t) => {
  const [pub, shop] = [["pub", "news"], ["shop", "shop"]].map(([host, site]) =>
    t.publish(`${host}.example/sport/derby`, { site }));
  const browser = await t.browser({ javaScriptEnabled: false });
  await browser.goto(pub);
  const visitor = await browser.visitor();
  const [hit] = await t.program.hits(visitor, 1);
  // All that a browser says to another host by itself: the page's origin.
  assert.equal(hit.url, "https://pub.example/");
  await browser.goto(shop);
  await t.program.hits(visitor, 2);
  assert.deepEqual(await t.newVisitors(), [visitor]);
  assert.deepEqual(await besidesStored(t), { probes: 1 });
});

trial("third-party cookies blocked: the tag keeps one id for each site", {
  placement: "third_party",
  stores,
}, async (t) => {
  const pub = ["one", "two", "three"].map((name) =>
    t.publish(`pub.example/${name}`, { site: "news" }));
  const shop = t.publish("shop.example/boots", { site: "shop" });
  const browser = await t.browser({ cookies: "blocked" });
  await browser.goto(pub[0]);
  const reader = await browser.tagVisitor("news", "pub.example");
  await browser.goto(pub[1]);
  await t.program.hits(reader, 2, "page_view");
  await browser.goto(shop);
  const buyer = await browser.tagVisitor("shop", "shop.example");
  await browser.goto(pub[2]);
  await t.program.hits(reader, 3, "page_view");
  const [hit] = await t.program.hits(buyer, 1, "page_view");
  assert.equal(hit.site, "shop");
  assert.notEqual(reader, buyer);
  assert.deepEqual((await t.newVisitors()).sort(), [reader, buyer].sort());
  assert.deepEqual(await besidesStored(t), { probes: 2 });

  const { mf_fp: kept, ...others } = await browser.cookies("pub.example");
  assert.deepEqual(others, {});
  assert.deepEqual([kept.domain, kept.path], ["pub.example", "/"]);
  assert.deepEqual([kept.httpOnly, kept.secure, kept.sameSite], [false, true, "Lax"]);
  assert.equal(life(kept), 90);
  assert.deepEqual(await browser.cookies("dmp.example"), {});
  assert.deepEqual(browser.complaints, []);
});

trial("third-party cookies blocked: the pixel alone is cookieless, nothing is stored", {
  placement: "third_party",
  stores,
}, async (t) => {
  const bare = t.publish("pub.example/bare", {
    body: '<img src="https://dmp.example/p.gif?s=news" alt="">',
  });
  const scriptless = t.publish("pub.example/scriptless", { site: "news" });
  const browser = await t.browser({ cookies: "blocked" });
  await browser.goto(bare);
  await t.counted("cookieless");
  const quiet = await t.browser({ cookies: "blocked", javaScriptEnabled: false });
  await quiet.goto(scriptless);
  await quiet.goto(scriptless);
  await t.counted("cookieless", 3);
  assert.deepEqual(await t.counts(), { cookieless: 3, no_cookie: 3, probes: 3 });
  assert.deepEqual(await t.newVisitors(), []);
  assert.deepEqual([await browser.cookies(), await quiet.cookies()], [{}, {}]);
});

trial("third-party cookies blocked: partitioned ones come back, one visitor for each site", {
  placement: "chips",
}, async (t) => {
  const pages = (host, site) =>
    ["one", "two"].map((name) => t.publish(`${host}.example/${name}`, { site }));
  const [pub, shop] = [pages("pub", "news"), pages("shop", "shop")];
  const browser = await t.browser({ cookies: "blocked" });
  await browser.goto(pub[0]);
  const reader = await browser.visitor();
  await browser.goto(pub[1]);
  await t.program.hits(reader, 2, "page_view");
  const [cookie] = (await browser.context.cookies()).filter(({ name }) => name === "mf_id");
  assert.equal(cookie.domain, "dmp.example");
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "None"]);
  assert.equal(cookie.partitionKey, "https://pub.example");
  await browser.goto(shop[0]);
  const others = async () => (await t.newVisitors()).filter((visitor) => visitor !== reader);
  await until(async () => (await others()).length, "another visitor");
  await browser.goto(shop[1]);
  const [buyer, ...more] = await others();
  assert.deepEqual(more, []);
  const hits = await t.program.hits(buyer, 2, "page_view");
  assert.deepEqual(hits.map((hit) => hit.site), ["shop", "shop"]);
  assert.equal((await t.program.hits(reader, 2, "page_view")).length, 2);
  assert.deepEqual(await besidesStored(t), { probes: 2 });
  const kept = (await browser.context.cookies()).map((c) => [c.name, c.domain]);
  assert.ok(!kept.some(([name]) => name === "mf_fp"), `${kept}`);
  assert.deepEqual(browser.complaints, []);
});

trial("a browser that says that it has no window is refused", {}, async (t) => {
  const page = t.publish("pub.example/sport/derby", { site: "news" });
  const browser = await t.browser({ agent: "" });
  await browser.goto(page);
  await t.counted("bot");
  const { bot, listed, ...rest } = await t.counts();
  assert.deepEqual([listed, rest], [bot, {}]);
  assert.deepEqual(await browser.cookies(), {});
  assert.deepEqual(await t.newVisitors(), []);
});
