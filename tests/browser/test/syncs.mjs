// Id sync in a browser: the tag's image is led from one partner to the next, each of which knows the
// browser by a cookie of its own and leads back with the id in it.

import assert from "node:assert/strict";
import { EMBEDDED_AND_REDIS as stores, trial, until } from "../lib/world.mjs";

/** A partner as it is on the web: an id in a cookie, and a redirect with the macro replaced. */
function partner(t, host, parameter, macro) {
  const seen = [];
  t.hosts.partners.set(host, (url, cookie, answer) => {
    const uid = /uid=(\w+)/.exec(cookie ?? "")?.[1] ?? `${host.split(".")[0]}-${seen.length + 1}`;
    seen.push({ query: Object.fromEntries(url.searchParams), uid });
    answer.setHeader("Set-Cookie", `uid=${uid}; Path=/; Max-Age=9999; SameSite=None; Secure`);
    answer.writeHead(302, { Location: url.searchParams.get(parameter).replace(macro, uid) });
  });
  return seen;
}

/** The id that a partner has of a visitor, as far as the program knows. */
async function uid(t, visitor, key) {
  const { partners } = await t.program.held(visitor);
  return partners.find((own) => own.partner === key)?.uid;
}

for (const placement of ["third_party", "first_party"]) {
  trial("the tag leads a browser to the site's partners, once a day", {
    placement,
    stores: placement === "third_party" ? stores : ["embedded"],
  }, async (t) => {
    const acme = partner(t, "acme.example", "to", "$UID");
    const beta = partner(t, "beta.example", "r", "[UID]");
    const pages = ["one", "two"].map((name) => t.publish(`pub.example/${name}`, { site: "synced" }));
    const browser = await t.browser({ cookies: "allowed" });
    await browser.goto(pages[0]);
    const visitor = (await until(async () => (await t.newVisitors())[0], "a visitor"));
    const ids = () => Promise.all(["acme", "beta"].map((key) => uid(t, visitor, key)));
    await until(async () => (await ids()).every(Boolean), "both ids");
    assert.deepEqual(await ids(), [acme[0].uid, beta[0].uid]);
    assert.equal(acme[0].query.gdpr, "", "nothing was said");
    assert.match(acme[0].query.to, new RegExp(`^https://${t.from}/setuid\\?bidder=acme&`));
    // What we call the visitor is another name for each partner, and never the cookie's.
    const names = [acme[0].query.us, beta[0].query.us];
    assert.ok(names.every((name) => /^[\w-]{22}$/.test(name)) && names[0] !== names[1], `${names}`);
    // The cookie is of today: nobody is asked on the next page.
    await browser.goto(pages[1]);
    await t.program.hits(visitor, 2, "page_view");
    await t.hosts.quiet();
    assert.deepEqual([acme.length, beta.length], [1, 1]);
  });
}

trial("a browser that says no is led to nobody", { placement: "third_party" }, async (t) => {
  const acme = partner(t, "acme.example", "to", "$UID");
  const page = t.publish("pub.example/one", { site: "synced" });
  const browser = await t.browser({ extraHTTPHeaders: { "Sec-GPC": "1" } });
  await browser.goto(page);
  await t.counted("opted_out");
  await t.hosts.quiet();
  assert.deepEqual([acme.length, await t.newVisitors()], [0, []]);
});
