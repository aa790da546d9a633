// One line a test; why one failed stands under it. A `todo` is a known defect of the program.

const seconds = (data) => `${(data.details.duration_ms / 1000).toFixed(1)} s`;

export default async function* report(events) {
  const sums = { passed: 0, failed: 0, "known defects": 0 };
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { todo, name } = data;
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
    }
  }
  const all = Object.entries(sums).map(([name, n]) => `${n} ${name}`);
  yield `${all.join(", ")}\n`;
}
