// The page comes first: it is never broken, blocked or surprised.

import assert from "node:assert/strict";
import { trial, world } from "./world.mjs";

trial("a strict content security policy is kept", async (open) => {
  const host = new URL(world.base).origin;
  const visit = await open({
    csp: `default-src 'none'; script-src ${host}; connect-src ${host}; img-src ${host};
      require-trusted-types-for 'script'`.replace(/\s+/g, " "),
    answer: ({ fp }) => (fp ? { outcome: "stored", id: "1" } : { outcome: null, probe: "n" }),
  });
  await visit.hit(2);
  await visit.run(() => {
    mayfly.event("one");
    history.pushState(null, "", "/two");
    return new Promise((done) => mayfly.segments(done));
  });
  await visit.hit(4);
  await visit.becomes("hidden");
  await visit.run(() => new Promise((done) => mayfly.optOut(done)));
  assert.deepEqual(visit.complaints, []);
  assert.deepEqual(await visit.cookies(), { mf_optout: "1" });
});

trial("a tag that is there twice starts once", async (open) => {
  const one = (site) => `<script async src="${world.base}tag.js" data-site="${site}"></script>`;
  const visit = await open({ tags: (site) => one(site) + one(site) });
  await visit.hit();
  await visit.run(() => history.pushState(null, "", "/twice"));
  await visit.hit(2, "page_view");
  await visit.run(() => mayfly.event("single"));
  await visit.hit(1, "single");
  await visit.quiet();
  assert.equal(visit.hits("page_view").length, 2);
  assert.equal(visit.hits("single").length, 1);
});

trial("two sites on one page: both hear of events, one answers questions", async (open) => {
  const tag = (site) => `<script src="${world.base}tag.js" data-site="${site}"></script>`;
  const tags = (site) =>
    `<script>mayfly = { q: [["event", "early"]] }</script>${tag(site)}${tag(site + "-b")}`;
  const visit = await open({ tags });
  await visit.hit(2);
  const answers = await visit.run(() => {
    let count = 0;
    mayfly.event("late");
    return new Promise((done) => {
      mayfly.segments(() => count++);
      setTimeout(() => done(count), 500);
    });
  });
  assert.equal(answers, 1);
  await visit.hit(3);
  const second = world.host.requests.filter((r) => r.parameters.s === visit.site + "-b");
  const said = second.filter((r) => r.path.endsWith("p.gif")).map((r) => r.parameters.e);
  assert.deepEqual(said, ["page_view", "early", "late"]);
});

trial("the operator may rename the file and move it", async (open) => {
  const { origin } = new URL(world.base);
  const visit = await open({
    tags: (site) => `<script async src="${origin}/a/b/x.js?v=2" data-site="${site}"></script>`,
  });
  assert.equal((await visit.hit()).request.path, "/a/b/p.gif");
});

trial("what a callback throws stays away from the page", async (open) => {
  const visit = await open();
  await visit.hit();
  const reached = await visit.run(async () => {
    const bad = () => {
      throw new Error("mine");
    };
    mayfly("segments", bad);
    mayfly.optOut(bad);
    mayfly("no such command");
    mayfly();
    mayfly.page({ url: "https://[" });
    mayfly.page(7);
    mayfly.event();
    mayfly.event("e", "text");
    await new Promise((done) => setTimeout(done, 300));
    return true;
  });
  assert.ok(reached);
  assert.deepEqual(visit.complaints, []);
});

trial("pages in odd states stay whole", async (open) => {
  const odd = {
    "a frozen history": () => Object.freeze(history),
    "no fetch": () => delete window.fetch,
    "an element of our name": () => {},
    "a mayfly of another kind": () => (window.mayfly = 7),
  };
  for (const [what, before] of Object.entries(odd)) {
    const visit = await open({ before, body: '<div id="mayfly"></div>' });
    if (what !== "no fetch") await visit.hit();
    await visit.quiet(800);
    assert.deepEqual(visit.complaints, [], what);
  }
});

trial("a tag without a site says so and does nothing", async (open) => {
  const visit = await open({ tags: () => `<script src="${world.base}tag.js"></script>` });
  assert.equal(await visit.run(() => typeof mayfly), "undefined");
  assert.deepEqual(visit.complaints, []);
});

trial("a server that fails, or is not there, is no matter", async (open) => {
  for (const answer of [() => { throw new Error("down"); }, () => null, () => 7]) {
    const visit = await open({ answer });
    await visit.hit();
    await visit.run(() => mayfly.event("next"));
    await visit.hit(2);
    const ours = visit.complaints.filter((text) => !text.includes("status of 500"));
    assert.deepEqual(ours, []);
  }
});

trial("huge or hostile JSON-LD costs little and breaks nothing", async (open) => {
  const data = (json) => `<script type="application/ld+json">${json}</script>`;
  const deep = "[".repeat(20_000) + "]".repeat(20_000);
  const named = '{"name":'.repeat(5_000) + '"x"' + "}".repeat(5_000);
  const visit = await open({
    head: [
      data('{"genre": "small"}'),
      data(deep),
      data(`{"about": ${named}}`),
      data(`{"genre": "${"x".repeat(200_000)}"}`),
    ].join(""),
  });
  assert.match((await visit.hit()).c, /^small/);
});

trial("going back to a page that was kept whole is a new page view", async (open) => {
  const visit = await open();
  await visit.hit();
  await visit.quiet(1200);
  await visit.page.goto(`${world.origin}/away`);
  await visit.hit(1, "engagement");
  await visit.page.goBack({ waitUntil: "commit" });
  await visit.hit(2, "page_view");
  const { type } = await visit.run(() => performance.getEntriesByType("navigation")[0].toJSON());
  assert.equal(type, "navigate", "loaded again, not kept");
  await visit.quiet();
  assert.equal(visit.hits("page_view").length, 2);
});
