// What the tag costs a page: bytes, long tasks, and its share of the main thread. Prints; does not
// judge, because the machine counts. `npm run cost`.

import { brotliCompressSync, gzipSync } from "node:zlib";
import { world } from "./world.mjs";

const ROUNDS = 5;
const words = "word ".repeat(2000);
const body = `<script type="application/ld+json">{"articleSection": ["a", "b"], "x": "${words}"}
  </script>${"<p>text <a href='/x'>link</a></p>".repeat(3000)}`;

const observe = () => {
  window.longTasks = [];
  const observer = new PerformanceObserver((list) => window.longTasks.push(...list.getEntries()));
  observer.observe({ type: "longtask", buffered: true });
};

/** The milliseconds that the tag's own file ran, by the browser's sampling profiler. */
async function profiled(visit, work) {
  const session = await visit.context.newCDPSession(visit.page);
  await session.send("Profiler.enable");
  await session.send("Profiler.setSamplingInterval", { interval: 100 });
  await session.send("Profiler.start");
  await work();
  const { profile } = await session.send("Profiler.stop");
  const ours = new Set(profile.nodes
    .filter((node) => node.callFrame.url.endsWith("tag.js"))
    .map((node) => node.id));
  const spent = profile.samples.map((id, i) => (ours.has(id) ? profile.timeDeltas[i] : 0));
  return spent.reduce((sum, microseconds) => sum + microseconds, 0) / 1000;
}

async function round(tags) {
  const visit = await world.visit({ body, before: observe, ...tags });
  const milliseconds = await profiled(visit, async () => {
    await visit.page.reload();
    await visit.quiet(1500);
  });
  const found = await visit.run(() => ({
    longTasks: window.longTasks.map(({ duration }) => Math.round(duration)),
    sent: performance.getEntriesByType("resource").map((entry) => entry.name.split("/").pop()),
  }));
  await world.leave(visit);
  return { ...found, milliseconds: Math.round(milliseconds * 10) / 10 };
}

const text = Buffer.from(world.host.tag);
console.log("bytes:", {
  plain: text.length,
  gzip: gzipSync(text, { level: 9 }).length,
  brotli: brotliCompressSync(text).length,
});
for (let i = 0; i < ROUNDS; i++) {
  console.log("with:", await round({}), "without:", await round({ tags: () => "" }));
}
const [hit] = world.host.requests.filter(({ parameters }) => parameters.j);
console.log("body of a page view:", hit.size, "bytes");
await world.close();
