// Sites that ask for consent: what is stored before, after and against a choice.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ALL, granted, platform, refused, tcString } from "../lib/consent.mjs";
import { EMBEDDED_AND_REDIS as stores, trial } from "../lib/world.mjs";

/** Longer than the tag looks for a platform, and for its hits to arrive. */
const WAIT_MS = 1_000;

/** Pages of the site that asks, with a platform on each. */
function pagesOf(t, head) {
  return ["one", "two", "three"].map((name) =>
    t.publish(`pub.example/sport/${name}`, { site: "asks", head }));
}

for (const placement of ["first_party", "third_party"]) {
  const both = { placement, stores };

  trial("consent: without a platform nothing is stored and no cookie set", both, async (t) => {
    const [page] = pagesOf(t, "");
    const browser = await t.browser();
    await browser.goto(page);
    await t.counted("absent");
    await t.isUntouched(browser, "absent");
    const scriptless = await t.browser({ javaScriptEnabled: false });
    await scriptless.goto(page);
    await t.counted("absent", 2);
    await t.isUntouched(scriptless, "absent");
    assert.deepEqual(browser.complaints, []);
  });

  trial("consent: hits wait for a choice, and are stored once it is given", both, async (t) => {
    const [page, next] = pagesOf(t, platform());
    const browser = await t.browser();
    await browser.goto(page);
    await sleep(WAIT_MS);
    await t.isUntouched(browser);
    const string = granted();
    await browser.run((string) => window.choose(string), string);
    const visitor = await browser.visitor();
    const [hit] = await t.program.hits(visitor, 1);
    assert.deepEqual([hit.event, hit.url], ["page_view", page]);
    assert.deepEqual([hit.consent.gdpr, hit.consent.tcf], [true, string]);
    await browser.goto(next);
    await t.program.hits(visitor, 2, "page_view");
    assert.deepEqual(await t.newVisitors(), [visitor]);
    assert.deepEqual(browser.complaints, []);
  });

  trial("consent: a visitor who says no leaves no trace", both, async (t) => {
    const [page, next] = pagesOf(t, platform());
    const browser = await t.browser();
    await browser.goto(page);
    await browser.run((string) => window.choose(string), refused());
    await t.counted("refused");
    await browser.goto(next);
    await t.counted("refused", 2);
    await t.isUntouched(browser, "refused");
  });

  trial("consent: withdrawn, later hits are refused", both, async (t) => {
    const [page, next, last] = pagesOf(t, platform());
    const browser = await t.browser();
    await browser.goto(page);
    await browser.run((string) => window.choose(string), granted());
    const visitor = await browser.visitor();
    await t.program.hits(visitor, 1);
    await browser.run((string) => window.choose(string), refused());
    // The server hears of it at once, not with the next page.
    await t.counted("refused");
    const { stored } = await t.counts();
    await browser.goto(next);
    await t.counted("refused", 2);
    await browser.goto(last);
    await t.counted("refused", 3);
    assert.equal((await t.counts()).stored, stored);
  });
}

trial("consent: with third-party cookies blocked, a no deletes the tag's own id", {
  placement: "third_party",
}, async (t) => {
  const [page, next] = pagesOf(t, platform());
  const bare = t.publish("pub.example/bare", { site: "asks" });
  const browser = await t.browser({ cookies: "blocked" });
  await browser.goto(page);
  await browser.run((string) => window.choose(string), granted());
  const visitor = await browser.tagVisitor("asks", "pub.example");
  await t.program.hits(visitor, 1);
  // Silence is no withdrawal: the id stays.
  await browser.goto(bare);
  await t.counted("absent");
  assert.equal(await browser.tagVisitor("asks", "pub.example"), visitor);
  await browser.goto(next);
  await t.program.hits(visitor, 2, "page_view");
  await browser.run((string) => window.choose(string), refused());
  await t.counted("refused");
  await sleep(200);
  assert.deepEqual(await browser.cookies("pub.example"), {});
});

trial("consent: a yes that does not name us is none", {}, async (t) => {
  const strings = {
    refused: tcString({ purposes: ALL, vendors: [755], shown: [755, 999] }),
    not_disclosed: tcString({ purposes: ALL, vendors: [755, 999], shown: [755] }),
    invalid: "C!",
  };
  const [page] = pagesOf(t, platform());
  for (const [reason, string] of Object.entries(strings)) {
    await t.begin();
    const browser = await t.browser();
    await browser.goto(page);
    await browser.run((string) => window.choose(string), string);
    await t.counted(reason);
    await t.isUntouched(browser, reason);
    await t.end();
  }
});

trial("consent: a page left before the choice is told as such", {}, async (t) => {
  const [page] = pagesOf(t, platform());
  const head = platform({ loads: false });
  const stub = t.publish("pub.example/stub", { site: "asks", head });
  const browser = await t.browser();
  for (const address of [page, stub]) {
    await browser.goto(address);
    await sleep(WAIT_MS);
    await browser.goto("about:blank");
  }
  await t.counted("pre_choice", 2);
  await t.isUntouched(browser, "pre_choice");
});

trial("Global Privacy Control in the header: nothing is stored", {}, async (t) => {
  const page = t.publish("pub.example/sport/derby", { site: "news" });
  const browser = await t.browser({ extraHTTPHeaders: { "Sec-GPC": "1" } });
  await browser.goto(page);
  await t.counted("gpc");
  await t.isUntouched(browser, "gpc");
});

trial("Global Privacy Control as the page sees it: nothing is stored", {
  placement: "third_party",
}, async (t) => {
  const page = t.publish("pub.example/sport/derby", { site: "news" });
  const before = () => {
    Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true });
  };
  const browser = await t.browser({ before, cookies: "blocked" });
  await browser.goto(page);
  await t.counted("gpc");
  await t.isUntouched(browser, "gpc");
});
