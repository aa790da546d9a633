// Consent platforms as pages have them: the standard stubs, which queue calls, and platforms that
// come later, take the queue over, and tell what the test says. All run in the page.

/** IAB TCF: the stub answers `ping` and keeps the rest. */
export function tcfStub() {
  const queue = [];
  window.__tcfapi = (...args) => {
    if (!args.length) return queue;
    if (args[0] === "ping") args[2]({ gdprApplies: undefined, cmpLoaded: false }, true);
    else queue.push(args);
  };
  const listeners = [];
  const serve = (command, version, callback) => {
    if (command !== "addEventListener" || version !== 2) return callback(null, false);
    listeners.push(callback);
    if (window.tcf.data) callback({ ...window.tcf.data, listenerId: listeners.length }, true);
  };
  window.tcf = {
    /** The platform has loaded, and tells this. */
    load(data) {
      window.tcf.data = data;
      const waiting = window.__tcfapi();
      window.__tcfapi = serve;
      waiting.forEach((args) => serve(...args));
    },
    tell(data, ok = true) {
      window.tcf.data = data;
      listeners.forEach((callback) => callback(data, ok));
    },
  };
}

/** A TCF platform that is there from the start, with a choice of an earlier visit. */
export function tcfChosen() {
  window.__tcfapi = (command, version, callback) => {
    callback({
      eventStatus: "tcloaded",
      gdprApplies: true,
      tcString: "CPchosen",
      addtlConsent: "1~7.12",
    }, true);
  };
}

/** A TCF platform that says that GDPR does not apply, and has no string. */
export function tcfElsewhere() {
  window.__tcfapi = (command, version, callback) => {
    callback({ eventStatus: "tcloaded", gdprApplies: false, tcString: "" }, true);
  };
}

/** A GPP platform that is there from the start, with a choice of an earlier visit. */
export function gppChosen() {
  window.__gpp = (command, callback) => {
    const pingData = { signalStatus: "ready", applicableSections: [7], gppString: "DBAA" };
    callback({ eventName: "listenerRegistered", pingData }, true);
  };
}

/** IAB GPP: the stub registers listeners itself and tells each so at once. */
export function gppStub() {
  const listeners = [];
  const ping = {
    cmpStatus: "stub",
    cmpDisplayStatus: "hidden",
    signalStatus: "not ready",
    applicableSections: [],
    gppString: "",
  };
  window.__gpp = (command, callback) => {
    if (command === "ping") return callback(ping, true);
    if (command !== "addEventListener") return callback(null, false);
    listeners.push(callback);
    const told = { eventName: "listenerRegistered", listenerId: listeners.length, data: true };
    callback({ ...told, pingData: ping }, true);
  };
  window.gpp = {
    tell(eventName, change) {
      Object.assign(ping, { cmpStatus: "loaded" }, change);
      listeners.forEach((callback) => callback({ eventName, pingData: { ...ping } }, true));
    },
  };
}
