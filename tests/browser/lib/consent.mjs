// Consent as browsers have it: TC strings of the IAB's Transparency and Consent Framework, version
// 2.3, bit by bit, and a consent platform that runs in the page.

/** Deciseconds since 1970, as the strings count. */
const deciseconds = (date) => Math.floor(date / 100);
/** The letters of a language or country, six bits each. */
const letters = (two) => [...two].map((letter) => [letter.charCodeAt(0) - 65, 6]);
/** A list of numbers from 1 as one bit each. */
const flags = (chosen, count) =>
  Array.from({ length: count }, (_, nth) => [chosen.includes(nth + 1) ? 1 : 0, 1]);
/** Vendors: the highest number, "no ranges", a bit each. */
const vendors = (chosen) => {
  const highest = Math.max(0, ...chosen);
  return [[highest, 16], [0, 1], ...flags(chosen, highest)];
};

/** Fields (value, bits) as base64url. */
function encode(fields) {
  const bits = fields.map(([value, width]) => value.toString(2).padStart(width, "0")).join("");
  const bytes = bits.match(/.{1,8}/g).map((byte) => Number.parseInt(byte.padEnd(8, "0"), 2));
  return Buffer.from(bytes).toString("base64url");
}

/**
 * A TC string of a choice: purposes and vendors that have consent, and vendors that were shown.
 * `at` is when the visitor chose; strings know whole days only.
 */
export function tcString({ purposes = [], vendors: chosen = [], shown = [755, 999], at } = {}) {
  const day = Math.floor((at ?? Date.now()) / 86_400_000) * 86_400_000;
  const core = encode([
    [2, 6], [deciseconds(day), 36], [deciseconds(day), 36],
    [31, 12], [1, 12], [1, 6], ...letters("EN"), [142, 12], [5, 6], [1, 1], [0, 1],
    ...flags([], 12), ...flags(purposes, 24), ...flags([], 24), [0, 1], ...letters("NL"),
    ...vendors(chosen), ...vendors([]), [0, 12],
  ]);
  return `${core}.${encode([[1, 3], ...vendors(shown)])}`;
}

export const ALL = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
/** A yes to vendor 999, and a no. */
export const granted = () => tcString({ purposes: ALL, vendors: [755, 999] });
export const refused = () => tcString({});

/**
 * The page's own script with a consent platform: it remembers the choice on the site as platforms
 * do, and `choose(string)` is the visitor's click. `asks: false` is the stub alone, with nothing
 * behind it yet: `load()` brings the platform.
 */
export function platform({ loads = true } = {}) {
  const inPage = (loads) => {
    const queue = [];
    const listeners = [];
    let chosen = localStorage.getItem("choice") ?? "";
    let isShown = !chosen;
    const data = () => ({
      tcString: chosen,
      gdprApplies: true,
      cmpStatus: "loaded",
      eventStatus: isShown ? "cmpuishown" : "tcloaded",
    });
    const serve = (command, version, callback) => {
      if (command !== "addEventListener") return callback(null, false);
      listeners.push(callback);
      callback({ ...data(), listenerId: listeners.length }, true);
    };
    window.__tcfapi = (...args) => void queue.push(args);
    window.load = () => {
      window.__tcfapi = serve;
      for (const args of queue.splice(0)) serve(...args);
    };
    window.choose = (string) => {
      chosen = string;
      isShown = false;
      localStorage.setItem("choice", string);
      const event = { ...data(), eventStatus: "useractioncomplete" };
      listeners.forEach((callback, nth) => callback({ ...event, listenerId: nth + 1 }, true));
    };
    if (loads) window.load();
  };
  return `<script>(${inPage})(${loads})</script>`;
}
