// Page views, single-page navigation, events and engaged time.

import assert from "node:assert/strict";
import { trial, until, world } from "./world.mjs";

const PAGE = `
  <meta name="keywords" content="football, derby ,">
  <meta name="mayfly:categories" content="533, Sports">
  <meta property="article:section" content="Sports">
  <meta property="article:section" content="Local">
  <script type="application/ld+json">{"@graph": [
    {"@type": "NewsArticle", "articleSection": ["Football", "Sports"], "genre": "report",
     "about": [{"@type": "Thing", "name": "Derby day"}], "category": {"name": "Ball games"}},
    [null, 7, {"genre": {"name": {"name": "deep"}}}]]}</script>
  <script type="application/ld+json">{"broken": </script>`;

trial("a page view tells what the page says of itself", async (open) => {
  const visit = await open({ head: PAGE, title: " A derby ", query: "?a=1#top" });
  const { request, ...hit } = await visit.hit();
  assert.deepEqual(hit, {
    s: visit.site,
    e: "page_view",
    u: `${world.origin}/${visit.site}?a=1#top`,
    t: "A derby",
    k: "football,derby",
    c: "533,Sports,Local,Football,report,Derby day,Ball games,deep",
    j: "1",
    fp: "",
  });
  assert.equal(request.method, "POST");
  assert.equal(request.path, "/mayfly/p.gif");
  assert.equal(request.headers["content-type"], "text/plain;charset=UTF-8");
  assert.equal((await visit.quiet()).length, 1);
  assert.deepEqual(visit.complaints, []);
});

trial("the referrer is the page that was left", async (open) => {
  const visit = await open({ tags: () => "", body: '<a href="/next">next</a>' });
  world.publish("/next", visit.site);
  await visit.page.click("a");
  assert.equal((await visit.hit()).r, `${world.origin}/${visit.site}`);
});

trial("coppa and the visitor's global privacy control are told", async (open) => {
  const before = () => Object.defineProperty(navigator, "globalPrivacyControl", { value: true });
  const visit = await open({ data: 'data-coppa="1"', before });
  const hit = await visit.hit();
  assert.equal(hit.coppa, "1");
  assert.equal(hit.gpc, "1");
});

trial("calls from before the tag came are replayed in order", async (open) => {
  const head = `<script>
    window.mayfly = window.mayfly || function(){(mayfly.q = mayfly.q || []).push(arguments)};
    window.early = window.mayfly;
    mayfly("event", "first", {n: 1});
    mayfly("event", "second");
  </script>`;
  const visit = await open({ head });
  await visit.hit(3);
  await visit.run(() => window.early("event", "third"));
  await visit.hit(4);
  assert.deepEqual(visit.hits().map((h) => h.e), ["page_view", "first", "second", "third"]);
  assert.equal(visit.hits()[1]["a.n"], "1");
});

trial("an event carries its page and its attributes, within limits", async (open) => {
  const visit = await open({ head: PAGE });
  await visit.run(() => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => ["x" + i, i]));
    mayfly.event("buy", { sum: 12.5, gift: true, list: [1], none: null, ...many });
    mayfly("event", "Not a name!");
    mayfly.event("long", { ["n".repeat(80)]: "ö".repeat(300), broken: "a\ud800b" });
  });
  const long = await visit.hit(3);
  const [view, buy] = visit.hits();
  for (const name of ["u", "t", "k", "c"]) assert.equal(buy[name], view[name]);
  assert.equal(buy["a.sum"], "12.5");
  assert.equal(buy["a.gift"], "true");
  assert.equal(Object.keys(buy).filter((name) => name.startsWith("a.")).length, 32);
  assert.equal(buy["a.list"], undefined);
  assert.equal(long["a." + "n".repeat(64)], "ö".repeat(128));
  assert.equal(long["a.broken"], "a\ufffdb");
  assert.equal((await visit.quiet()).length, 3);
});

trial("a body stays under 16 KB, and what matters most is in it", async (open) => {
  const visit = await open({
    title: "ö".repeat(2000),
    query: "?q=" + "%D0%B0".repeat(600),
    head: `<meta name="keywords" content="${"wörter,".repeat(4000)}">`,
  });
  await visit.hit();
  await visit.run(() => {
    const all = Array.from({ length: 32 }, (_, i) => ["ö".repeat(30) + i, "ö".repeat(200)]);
    mayfly.event("big", Object.fromEntries(all));
  });
  const { u, t, request } = await visit.hit(1, "big");
  assert.equal(t, "ö".repeat(256));
  assert.equal(u.length, 2048);
  assert.ok(request.size > 14_000 && request.size < 16_384, `${request.size}`);
});

trial("a single-page site's navigations are page views", async (open) => {
  const visit = await open();
  const first = await visit.hit();
  const returned = await visit.run(() => {
    const returned = history.pushState({ deep: [1] }, "", "?page=2");
    setTimeout(() => (document.title = "Page two"), 50);
    return [returned, history.state];
  });
  assert.deepEqual(returned, [undefined, { deep: [1] }]);
  const second = await visit.hit(2, "page_view");
  assert.equal(second.u, `${first.u}?page=2`);
  assert.equal(second.r, first.u);
  assert.equal(second.t, "Page two");
  await visit.run(() => {
    history.replaceState({ only: "state" }, "");
    location.hash = "part";
  });
  await visit.run(() => history.replaceState(null, "", "/other"));
  assert.equal((await visit.hit(3, "page_view")).u, `${world.origin}/other`);
  await visit.run(() => history.go(-2));
  const back = await visit.hit(4, "page_view");
  assert.equal(back.u, first.u);
  assert.equal(back.r, `${world.origin}/other`);
  await visit.quiet();
  assert.equal(visit.hits("page_view").length, 4);
  await assert.rejects(
    visit.run(() => history.pushState(null, "", "https://foreign.example/")),
    /SecurityError/,
  );
});

trial("a router that redirects makes one page view, and events belong to it", async (open) => {
  const visit = await open();
  await visit.hit();
  await visit.run(() => {
    // As routers do: they keep the function, and call it through their own.
    const push = history.pushState.bind(history);
    history.pushState = (...args) => push(...args);
    history.pushState(null, "", "/old");
    mayfly.event("routed");
    history.replaceState(null, "", "/new");
  });
  await visit.hit(1, "routed");
  const hits = visit.hits().filter((h) => h.e !== "engagement");
  const said = hits.map((h) => [h.e, new URL(h.u).pathname]);
  assert.deepEqual(said.slice(1), [["page_view", "/new"], ["routed", "/new"]]);
  assert.deepEqual(visit.complaints, []);
});

trial("a router that kept the browser's own function is heard as well", async (open) => {
  const before = () => (window.kept = history.pushState.bind(history));
  const visit = await open({ before });
  await visit.hit();
  await visit.run(() => window.kept(null, "", "/kept"));
  assert.equal((await visit.hit(2, "page_view")).u, `${world.origin}/kept`);
});

trial("with data-auto=off only the site itself tells of pages", async (open) => {
  const visit = await open({ data: 'data-auto="off"', title: "mine" });
  await visit.run(() => history.pushState(null, "", "/silent"));
  assert.equal((await visit.quiet()).length, 0);
  await visit.run(() => {
    const given = { title: "Given", url: "/given?x=1", keywords: ["a", "b"], categories: "c, d" };
    mayfly.page({ ...given, attributes: { kind: "list" } });
    mayfly.page();
  });
  const [given, plain] = [await visit.hit(1), await visit.hit(2, "page_view")];
  assert.equal(given.e, "page_view");
  assert.equal(given.t, "Given");
  assert.equal(given.u, `${world.origin}/given?x=1`);
  assert.equal(given.k, "a,b");
  assert.equal(given.c, "c,d");
  assert.equal(given["a.kind"], "list");
  assert.equal(plain.r, given.u);
  assert.equal(plain.t, "mine");
});

trial("engaged time leaves when the page does, once", async (open) => {
  const visit = await open();
  const view = await visit.hit();
  await new Promise((done) => setTimeout(done, 1300));
  await visit.page.goto(`${world.origin}/away`);
  const engaged = await visit.hit(2);
  assert.equal(engaged.e, "engagement");
  assert.ok(engaged.d >= 1000 && engaged.d < 20_000, engaged.d);
  assert.equal(engaged.u, view.u);
  assert.equal(engaged.j, undefined);
  assert.equal(engaged.request.headers["sec-fetch-mode"], "no-cors");
  assert.equal(engaged.request.headers["content-type"], "text/plain;charset=UTF-8");
  assert.equal((await visit.quiet()).length, 2);
});

trial("less than a second of it is kept for the next message", async (open) => {
  const visit = await open({ clock: true });
  await visit.page.clock.runFor(600);
  await visit.hit();
  await visit.page.clock.runFor(350);
  await visit.becomes("hidden");
  await visit.page.clock.runFor(100_000);
  await visit.becomes("visible");
  await visit.run(() => dispatchEvent(new Event("keydown")));
  await visit.page.clock.runFor(500);
  await visit.becomes("hidden");
  const { d } = await visit.hit(1, "engagement");
  assert.equal(d, "1450");
});

trial("time without a sign of the visitor does not count", async (open) => {
  const visit = await open({ clock: true });
  await visit.page.clock.runFor(50_000);
  await visit.hit();
  await visit.run(() => dispatchEvent(new Event("scroll")));
  await visit.page.clock.runFor(10_000);
  await visit.becomes("hidden");
  const { d } = await visit.hit(1, "engagement");
  assert.equal(d, "40000");
});

trial("engaged time goes with the page it was spent on", async (open) => {
  const visit = await open({ clock: true });
  await visit.page.clock.runFor(3000);
  const first = await visit.hit();
  await visit.run(() => history.pushState(null, "", "/second"));
  await visit.page.clock.runFor(5000);
  await visit.hit(2, "page_view");
  await visit.becomes("hidden");
  const [one, two] = [await visit.hit(1, "engagement"), await visit.hit(2, "engagement")];
  assert.equal(one.u, first.u);
  assert.equal(one.d, "3000");
  assert.equal(two.u, `${world.origin}/second`);
  assert.equal(two.d, "5000");
});

trial("no message tells more than an hour", async (open) => {
  const visit = await open({ clock: true });
  await visit.page.clock.runFor(1000);
  await visit.hit();
  for (let i = 0; i < 130; i++) {
    await visit.page.clock.fastForward(29_000);
    await visit.run(() => dispatchEvent(new Event("pointermove")));
  }
  await visit.becomes("hidden");
  assert.equal((await visit.hit(1, "engagement")).d, "3600000");
});

trial("a page that comes back whole is a new page view", async (open) => {
  const visit = await open();
  await visit.hit();
  await visit.run(() => {
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: false }));
    dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  });
  await visit.hit(2, "page_view");
  await visit.quiet();
  assert.equal(visit.hits("page_view").length, 2);
});

trial("without sendBeacon, or when it refuses, fetch takes its place", async (open) => {
  for (const none of ["undefined", "() => false"]) {
    const before = `Object.defineProperty(navigator, "sendBeacon", { value: ${none} })`;
    const visit = await open({ before, clock: true });
    await visit.page.clock.runFor(2000);
    await visit.hit();
    await visit.becomes("hidden");
    const engaged = await visit.hit(1, "engagement");
    assert.equal(engaged.request.headers["sec-fetch-mode"], "cors");
  }
});

trial("a page rendered ahead is counted when it is looked at", async (open) => {
  const before = () => {
    let ahead = true;
    Object.defineProperty(document, "prerendering", { get: () => ahead });
    window.look = () => {
      ahead = false;
      document.dispatchEvent(new Event("prerenderingchange"));
    };
  };
  const visit = await open({ before });
  assert.equal((await visit.quiet(800)).length, 0);
  await visit.run(() => window.look());
  await until(() => visit.hits().length === 1, "the view");
});
