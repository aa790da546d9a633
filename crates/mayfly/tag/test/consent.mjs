// Consent: hits wait for a choice, carry it, and the server hears when it changes.

import assert from "node:assert/strict";
import { gppStub, tcfChosen, tcfStub } from "./platforms.mjs";
import { trial, world } from "./world.mjs";

const asking = { eventStatus: "cmpuishown", gdprApplies: true, tcString: "CPdefault" };
const chosen = { eventStatus: "useractioncomplete", gdprApplies: true, tcString: "CPyes" };
const refusal = { ...chosen, tcString: "CPno" };
const tell = (data) => window.tcf.tell(data);
const load = (data) => window.tcf.load(data);

/** A server of a site that asks for consent. */
function strict({ gdpr_consent, pc }) {
  if (gdpr_consent === "CPyes") return { outcome: "stored", reason: null };
  return { outcome: "no_consent", reason: pc ? "pre_choice" : "refused" };
}

trial("without any platform hits go after half a second, without a choice", async (open) => {
  const visit = await open();
  const { request, ...hit } = await visit.hit();
  const loaded = await visit.run(() => performance.getEntriesByType("resource")
    .find((entry) => entry.name.endsWith("tag.js")).responseEnd + performance.timeOrigin);
  assert.ok(request.at - loaded >= 490, `${request.at - loaded} ms`);
  for (const name of ["gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy", "gpc", "pc"]) {
    assert.equal(hit[name], undefined);
  }
});

trial("a choice of an earlier visit goes with the first hit", async (open) => {
  const visit = await open({ before: tcfChosen });
  const hit = await visit.hit();
  assert.equal(hit.gdpr, "1");
  assert.equal(hit.gdpr_consent, "CPchosen");
  assert.equal(hit.addtl_consent, "1~7.12");
  assert.equal(hit.pc, undefined);
  assert.equal((await visit.quiet()).length, 1);
});

trial("hits wait for the choice, and then carry it", async (open) => {
  const visit = await open({ before: tcfStub });
  await visit.run(load, asking);
  await visit.run(() => mayfly.event("early"));
  assert.equal((await visit.quiet(800)).length, 0);
  await visit.run(tell, chosen);
  await visit.hit(2);
  for (const hit of await visit.quiet()) {
    assert.equal(hit.gdpr_consent, "CPyes");
    assert.equal(hit.pc, undefined);
  }
  assert.deepEqual(visit.hits().map((h) => h.e), ["page_view", "early"]);
});

trial("where GDPR does not apply nobody waits", async (open) => {
  const visit = await open({ before: tcfStub });
  await visit.run(load, { gdprApplies: false, eventStatus: "cmpuishown" });
  assert.equal((await visit.hit()).gdpr, "0");
});

trial("after the wait hits go undecided, and once chosen again if refused", async (open) => {
  const visit = await open({ before: tcfStub, data: 'data-wait="300"', answer: strict });
  await visit.run(load, asking);
  const early = await visit.hit();
  assert.equal(early.pc, "1");
  assert.equal(early.gdpr_consent, undefined);
  await visit.run(() => mayfly.event("second"));
  assert.equal((await visit.hit(2)).pc, "1");
  await visit.quiet(200);
  await visit.run(tell, chosen);
  await visit.hit(4);
  const again = (await visit.quiet()).slice(2);
  assert.deepEqual(again.map((h) => [h.e, h.gdpr_consent, h.pc]), [
    ["page_view", "CPyes", undefined],
    ["second", "CPyes", undefined],
  ]);
});

trial("a refusal is told once, not over and over", async (open) => {
  const visit = await open({ before: tcfStub, data: 'data-wait="0"', answer: strict });
  await visit.run(load, asking);
  await visit.hit();
  await visit.quiet(200);
  await visit.run(tell, refusal);
  assert.equal((await visit.hit(2)).gdpr_consent, "CPno");
  assert.equal((await visit.quiet()).length, 2);
});

trial("what the server took undecided is not sent again, the choice is told", async (open) => {
  const visit = await open({ before: tcfStub, data: 'data-wait="0"' });
  await visit.run(load, asking);
  await visit.hit();
  await visit.quiet(200);
  await visit.run(tell, refusal);
  const { e, d, gdpr_consent } = await visit.hit(2);
  assert.deepEqual({ e, d, gdpr_consent }, { e: "engagement", d: "0", gdpr_consent: "CPno" });
  assert.equal((await visit.quiet()).length, 2);
});

trial("a changed choice is told at once, an unchanged one is not", async (open) => {
  const visit = await open({ before: tcfStub });
  await visit.run(load, chosen);
  const first = await visit.hit();
  await visit.run(tell, { ...asking, tcString: "CPyes" });
  await visit.run(tell, chosen);
  assert.equal((await visit.quiet()).length, 1);
  await visit.run(tell, refusal);
  const { e, d, u, gdpr_consent } = await visit.hit(2);
  assert.deepEqual({ e, d, u, gdpr_consent }, {
    e: "engagement",
    d: "0",
    u: first.u,
    gdpr_consent: "CPno",
  });
  await visit.run(() => mayfly.event("after"));
  assert.equal((await visit.hit(3)).gdpr_consent, "CPno");
  assert.equal((await visit.quiet()).length, 3);
});

trial("hits that wait when the page goes leave undecided", async (open) => {
  const visit = await open({ before: tcfStub });
  await visit.run(load, asking);
  await visit.run(() => mayfly.event("early"));
  await visit.page.goto(`${world.origin}/away`);
  await visit.hit(2);
  const hits = await visit.quiet();
  assert.deepEqual(hits.slice(0, 2).map((h) => h.e), ["page_view", "early"]);
  for (const hit of hits) {
    assert.equal(hit.pc, "1");
    assert.equal(hit.j, undefined);
    assert.equal(hit.fp, undefined);
  }
});

trial("GPP: stub first, then the sections that apply", async (open) => {
  const visit = await open({ before: gppStub });
  assert.equal((await visit.quiet(800)).length, 0);
  await visit.run(() => window.gpp.tell("cmpDisplayStatus", { cmpDisplayStatus: "visible" }));
  const ready = { signalStatus: "ready", gppString: "DBABLA~BVQqAAAAAgA.QA" };
  await visit.run((change) => {
    window.gpp.tell("signalStatus", { ...change, applicableSections: [7, 8] });
  }, ready);
  const hit = await visit.hit();
  assert.equal(hit.gpp, ready.gppString);
  assert.equal(hit.gpp_sid, "7,8");
  assert.equal(hit.pc, undefined);
});

trial("with two APIs hits wait for both, not for ever for a mere stub", async (open) => {
  const both = `(${tcfStub})(); (${gppStub})();`;
  const ready = () => window.gpp.tell("signalStatus", { signalStatus: "ready", gppString: "DBAA" });
  const visit = await open({ before: both, data: 'data-wait="6000"' });
  await visit.run(ready);
  assert.equal((await visit.quiet(600)).length, 0);
  await visit.run(load, chosen);
  const { gpp, gdpr_consent } = await visit.hit();
  assert.deepEqual({ gpp, gdpr_consent }, { gpp: "DBAA", gdpr_consent: "CPyes" });

  const empty = await open({ before: `${both} (${ready})();`, data: 'data-wait="700"' });
  const hit = await empty.hit();
  assert.equal(hit.gpp, "DBAA");
  assert.equal(hit.pc, undefined);
});

trial("US Privacy is read anew with each hit", async (open) => {
  const before = () => {
    window.usp = "1YNN";
    window.__uspapi = (command, version, callback) => callback({ uspString: window.usp }, true);
  };
  const visit = await open({ before });
  assert.equal((await visit.hit()).us_privacy, "1YNN");
  await visit.run(() => {
    window.usp = "1YYN";
    mayfly.event("sold");
  });
  assert.equal((await visit.hit(2)).us_privacy, "1YYN");
});

trial("a broken platform is as good as none", async (open) => {
  const broken = {
    throws: () => {
      window.__tcfapi = window.__gpp = window.__uspapi = () => {
        throw new Error("broken");
      };
    },
    "says no": () => {
      window.__tcfapi = (command, version, callback) => callback(null, false);
      window.__gpp = (command, callback) => callback(null, false);
      window.__uspapi = (command, version, callback) => callback(null, false);
    },
    "says no late": () => {
      window.__tcfapi = (command, version, callback) => {
        setTimeout(callback, 700, undefined, false);
      };
    },
    "is no function": () => {
      window.__tcfapi = { call: "me" };
    },
  };
  for (const [how, before] of Object.entries(broken)) {
    const visit = await open({ before });
    const hit = await visit.hit();
    assert.equal(hit.pc, undefined, how);
    assert.equal(hit.gdpr, undefined, how);
    assert.deepEqual(visit.complaints, [], how);
  }
});

trial("a platform that comes late is found, and what was refused goes again", async (open) => {
  const visit = await open({ answer: strict });
  assert.equal((await visit.hit()).gdpr_consent, undefined);
  await visit.run(tcfStub);
  await visit.run(load, chosen);
  const again = await visit.hit(2);
  assert.equal(again.e, "page_view");
  assert.equal(again.gdpr_consent, "CPyes");
  assert.equal((await visit.quiet()).length, 2);
});
