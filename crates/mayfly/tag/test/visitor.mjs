// The visitor's id, segments and opt-out.

import assert from "node:assert/strict";
import { gppChosen, tcfChosen, tcfElsewhere, tcfStub } from "./platforms.mjs";
import { trial, until, world } from "./world.mjs";

/** A server whose own cookie does not come back: it probes, and gives an id when that is kept. */
function probing({ fp, j }) {
  if (fp === undefined || !j) return { outcome: "stored", reason: null };
  if (fp === "") return { outcome: null, reason: null, probe: "nonce-1" };
  return { outcome: "stored", reason: null, ...(fp === "nonce-1" && { id: "id=1/ä" }) };
}

trial("probe, id, and the id from then on", async (open) => {
  const visit = await open({ answer: probing });
  const [asked, given] = [await visit.hit(1), await visit.hit(2)];
  assert.deepEqual([asked.fp, given.fp], ["", "nonce-1"]);
  const { request: a, fp: b, ...first } = asked;
  const { request: c, fp: d, ...second } = given;
  assert.deepEqual(first, second);
  await until(async () => (await visit.cookies()).mf_fp, "the cookie");
  const [cookie] = await visit.context.cookies(world.origin);
  assert.equal(decodeURIComponent(cookie.value), "id=1/ä");
  assert.equal(cookie.domain, "news.localhost");
  assert.equal(cookie.path, "/");
  assert.equal(cookie.sameSite, "Lax");
  const days = (cookie.expires - Date.now() / 1000) / 86400;
  assert.ok(days > 89.9 && days <= 90, `${days}`);
  await visit.run(() => mayfly.event("known"));
  assert.equal((await visit.hit(3)).fp, "id=1/ä");
  await visit.page.goto(`${world.origin}/${visit.site}`);
  assert.equal((await visit.hit(4)).fp, "id=1/ä");
  assert.deepEqual(visit.complaints, []);
});

trial("two first hits at once make one visitor", async (open) => {
  const body = '<script>mayfly = { q: [["event", "b"]] }</script>';
  const visit = await open({ answer: probing, body });
  await visit.hit(3);
  assert.deepEqual((await visit.quiet()).map((h) => h.fp), ["", "nonce-1", "id=1/ä"]);
});

trial("a server that only probes is asked twice, not for ever", async (open) => {
  const visit = await open({ answer: () => ({ outcome: null, probe: "n" }) });
  await visit.hit(2);
  assert.equal((await visit.quiet()).length, 2);
});

trial("nothing is kept before the server gave an id", async (open) => {
  const visit = await open();
  await visit.hit();
  await visit.quiet(200);
  assert.deepEqual(await visit.cookies(), {});
  assert.deepEqual(await visit.run(() => [localStorage.length, sessionStorage.length]), [0, 0]);
});

trial("the id goes with the beacon", async (open) => {
  const cookies = [{ name: "mf_fp", value: "mine" }];
  const visit = await open({ cookies, clock: true });
  await visit.page.clock.runFor(2000);
  assert.equal((await visit.hit()).fp, "mine");
  await visit.becomes("hidden");
  const { fp, j } = await visit.hit(1, "engagement");
  assert.deepEqual({ fp, j }, { fp: "mine", j: undefined });
});

trial("the id is deleted when the visitor said no", async (open) => {
  const said = [
    { outcome: "opted_out", reason: "gpc" },
    { outcome: "no_consent", reason: "refused", before: tcfChosen },
    { outcome: "no_consent", reason: "not_disclosed", before: gppChosen },
  ];
  for (const { before, ...answer } of said) {
    const cookies = [{ name: "mf_fp", value: "mine" }];
    const visit = await open({ before, cookies, answer: () => answer });
    await visit.hit();
    await until(async () => !(await visit.cookies()).mf_fp, "its end");
  }
});

trial("the id stays where nobody chose, or the choice cannot be read", async (open) => {
  const said = [
    { reason: "absent" },
    { reason: "pre_choice", before: tcfStub, data: 'data-wait="0"' },
    { reason: "absent", before: tcfElsewhere },
    { reason: "invalid", before: tcfChosen },
  ];
  for (const { reason, ...page } of said) {
    const cookies = [{ name: "mf_fp", value: "mine" }];
    const answer = () => ({ outcome: "no_consent", reason });
    const visit = await open({ ...page, cookies, answer });
    await visit.hit();
    await visit.quiet(200);
    assert.deepEqual(await visit.cookies(), { mf_fp: "mine" }, reason);
    await visit.run(() => mayfly.event("next"));
    assert.equal((await visit.hit(2)).fp, "mine", reason);
  }
});

trial("a browser that keeps no cookies is not asked to", async (open) => {
  const jar = (get, set) => `{
    const jar = { get() { ${get} }, set() { ${set} } };
    Object.defineProperty(document, "cookie", jar);
  }`;
  const refuse = 'throw new Error("no")';
  const none = 'Object.defineProperty(navigator, "cookieEnabled", { value: false });';
  const visit = await open({ before: none + jar(refuse, refuse) });
  assert.equal((await visit.hit()).fp, undefined);

  const forgets = await open({ before: jar('return ""', ""), answer: probing });
  await forgets.hit(2);
  await forgets.quiet(200);
  await forgets.run(() => mayfly.event("next"));
  assert.equal((await forgets.hit(3)).fp, undefined);
});

trial("segments", async (open) => {
  const cookies = [{ name: "mf_fp", value: "a b" }];
  const visit = await open({ cookies });
  await visit.hit();
  const ask = () => visit.run(() => new Promise((done) => mayfly("segments", done)));
  assert.deepEqual(await ask(), ["football-fans", "new"]);
  const query = `?s=${visit.site}&fp=a%20b`;
  assert.equal(visit.asked.pop().url(), `${world.base}api/v1/me/segments${query}`);
  await visit.run(() => {
    window.__uspapi = (command, version, hear) => hear({ uspString: "1YYN" }, true);
  });
  await ask();
  assert.match(visit.asked.pop().url(), /segments\?s=[^&]+&us_privacy=1YYN&fp=/);
  for (const broken of [null, { segments: "none" }, undefined]) {
    world.host.segments.set(visit.site, broken);
    assert.deepEqual(await ask(), []);
  }
  await visit.run(() => mayfly.segments("no function"));
  await visit.page.route("**/segments*", (route) => route.abort());
  assert.deepEqual(await ask(), []);
});

trial("an opt-out ends everything, now and on every later page", async (open) => {
  const cookies = [{ name: "mf_fp", value: "mine" }];
  const visit = await open({ cookies, clock: true });
  await visit.page.clock.runFor(2000);
  await visit.hit();
  const done = await visit.run(() => new Promise((done) => mayfly.optOut(done)));
  assert.equal(done, true);
  const request = visit.asked.pop();
  assert.equal(request.url(), `${world.base}optout`);
  assert.equal(request.method(), "POST");
  assert.equal(request.headers()["content-type"], "text/plain;charset=UTF-8");
  assert.equal(request.postData(), "json=1&action=out");
  assert.deepEqual(await visit.cookies(), { mf_optout: "1" });
  const [{ expires }] = await visit.context.cookies(world.origin);
  assert.ok(expires - Date.now() / 1000 > 398 * 86400);

  visit.asked.length = 0;
  const hits = visit.hits().length;
  await visit.run(() => mayfly.event("after"));
  assert.deepEqual(await visit.run(() => new Promise((done) => mayfly.segments(done))), []);
  await visit.becomes("hidden");
  await visit.page.goto(`${world.origin}/${visit.site}`);
  await visit.page.clock.runFor(2000);
  await visit.run(() => mayfly.page());
  assert.deepEqual(await visit.run(() => new Promise((done) => mayfly.segments(done))), []);
  assert.equal((await visit.quiet()).length, hits);
  assert.deepEqual(visit.asked.map((r) => r.url()), [`${world.base}tag.js`]);
});

trial("an opt-out stops hits that wait, also those of another tab", async (open) => {
  const visit = await open({ before: tcfStub });
  const other = await visit.context.newPage();
  await other.goto(`${world.origin}/${visit.site}`);
  await visit.run(() => mayfly.optOut());
  await until(async () => (await visit.cookies()).mf_optout, "the cookie");
  for (const page of [visit.page, other]) {
    await page.evaluate(() => window.tcf.load({ gdprApplies: false }));
    await page.goto("about:blank");
  }
  assert.deepEqual(await visit.quiet(), []);
});

trial("an id that comes after the opt-out is not kept", async (open) => {
  let answer;
  const asked = new Promise((done) => (answer = done));
  const visit = await open({ answer: () => asked });
  await visit.hit();
  await visit.run(() => new Promise((done) => mayfly.optOut(done)));
  answer({ outcome: "stored", id: "late" });
  await visit.quiet(200);
  assert.deepEqual(await visit.cookies(), { mf_optout: "1" });
});

trial("an opt-out that the server was told elsewhere is remembered here", async (open) => {
  const cookies = [{ name: "mf_fp", value: "mine" }];
  const answer = () => ({ outcome: "opted_out", reason: "opt_out", out: true });
  const visit = await open({ cookies, answer });
  await visit.hit();
  await until(async () => (await visit.cookies()).mf_optout === "1", "the no");
  assert.equal((await visit.cookies()).mf_fp, undefined);
});

trial("opting in ends the no, from the next page on", async (open) => {
  const visit = await open({ cookies: [{ name: "mf_optout", value: "1" }] });
  assert.equal(await visit.run(() => new Promise((done) => mayfly.optIn(done))), true);
  assert.deepEqual(await visit.cookies(), {});
  await visit.page.goto(`${world.origin}/${visit.site}`);
  await visit.hit();
});

trial("privacy opens the server's page, by a link for this visitor", async (open) => {
  const visit = await open({ cookies: [{ name: "mf_fp", value: "a b" }] });
  await visit.hit();
  for (const [link, query] of [["AbC-_", `?s=${visit.site}&as=AbC-_`], [null, ""]]) {
    world.host.links.set(visit.site, link);
    const opened = await visit.run(() => new Promise((done) => {
      window.open = (url) => done(url) || window;
      mayfly.privacy();
    }));
    assert.equal(opened, `${world.base}privacy${query}`);
  }
  assert.equal(visit.asked.pop().url(), `${world.base}api/v1/me/link?s=${visit.site}&fp=a%20b`);
  await visit.run(() => {
    window.open = () => null;
    mayfly.privacy();
  });
  await visit.page.waitForURL(`${world.base}privacy`);
});
