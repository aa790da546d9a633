// One line a test; why one failed stands under it. A `todo` is a known defect of the program. Node's
// runner may lose the end of a file and still be content: a test that was not told of has failed.

const seconds = (data) => `${(data.details.duration_ms / 1000).toFixed(1)} s`;

export default async function* report(events) {
  const sums = { passed: 0, failed: 0, "known defects": 0 };
  const awaited = [];
  const heard = new Map();
  for await (const { type, data } of events) {
    if (type === "test:enqueue" && data.name !== data.file) awaited.push(data.name);
    if (type === "test:stderr") {
      heard.set(data.file, ((heard.get(data.file) ?? "") + data.message).slice(-4000));
    }
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { todo, name } = data;
    if (awaited.includes(name)) awaited.splice(awaited.indexOf(name), 1);
    if (todo !== undefined) {
      sums["known defects"] += 1;
      const now = type === "test:pass" ? "passes this time" : "fails";
      yield `todo  ${name}, ${seconds(data)}: ${todo} (${now})\n`;
    } else if (type === "test:pass") {
      sums.passed += 1;
      yield `ok    ${name}, ${seconds(data)}\n`;
    } else {
      sums.failed += 1;
      const { error } = data.details;
      yield `FAIL  ${name}, ${seconds(data)}\n${error.cause?.stack ?? error.stack ?? error}\n`;
      // The file itself ended: what it said last.
      if (name === data.file) yield `${error.exitCode ?? ""} ${heard.get(data.file) ?? ""}\n`;
    }
  }
  for (const lost of awaited) {
    sums.failed += 1;
    process.exitCode = 1;
    yield `FAIL  ${lost}: nothing was heard of it\n`;
  }
  const all = Object.entries(sums).map(([name, n]) => `${n} ${name}`);
  yield `${all.join(", ")}\n`;
}
