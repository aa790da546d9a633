// GPP strings: made at random with @iabgpp/cmpapi, and what it reads in them.

import * as cmpapi from "@iabgpp/cmpapi";
import { upTo } from "./random.mjs";
import * as tcf from "./tcf.mjs";

const { GppModel, TcfEuV2, TcfCaV1, UspV1 } = cmpapi;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** The sections of the United States: every one that the library knows. */
const STATES = Object.values(cmpapi).filter((one) => one.ID >= 7 && one.NAME?.startsWith("us"));
const NAMES = new Map([TcfEuV2, TcfCaV1, UspV1, ...STATES].map((one) => [one.ID, one.NAME]));
/** Fields of which the library says only whether their part stands in the string. */
const INCLUDED = ["GpcSegmentIncluded", "SensitiveDataConsentSegmentIncluded"];
const LAST_INSTANT_MS = (2 ** 36 - 1) * 100;

export class GppMaker {
  #random;
  #tcf;

  constructor(random, tcfMaker) {
    this.#random = random;
    this.#tcf = tcfMaker;
  }

  make() {
    const random = this.#random;
    const model = new GppModel();
    if (random.chance(30)) this.#europe(model);
    if (random.chance(10)) this.#canada(model);
    if (random.chance(30)) this.#privacy(model);
    const share = random.pick([5, 20, 50, 100]);
    random.some(STATES, share).forEach((state) => this.#state(model, state));
    return this.#changed(model.encode());
  }

  #instant() {
    return new Date(Math.floor((this.#random.bits() / 2 ** 32) * LAST_INSTANT_MS));
  }

  /** Only the instants, which otherwise are the present. */
  #canada(model) {
    for (const field of ["Created", "LastUpdated"]) {
      model.setFieldValue(TcfCaV1.NAME, field, this.#instant());
    }
  }

  #europe(model) {
    const random = this.#random;
    const bits = (n) => upTo(n).map(() => random.chance(50));
    const set = (field, value) => model.setFieldValue(TcfEuV2.NAME, field, value);
    const vendors = () => random.some(upTo(random.pick([10, 900])), random.pick([2, 50, 99]));
    set("CmpId", random.from(2, 4095));
    set("CmpVersion", random.below(4096));
    set("VendorListVersion", random.below(4096));
    set("SpecialFeatureOptins", bits(12));
    set("PurposeConsents", bits(24));
    set("PurposeLegitimateInterests", bits(24));
    set("VendorConsents", vendors());
    set("VendorLegitimateInterests", vendors());
    set("VendorsDisclosed", vendors());
    set("PublisherConsents", bits(24));
    const own = random.below(64);
    set("NumCustomPurposes", own);
    set("PublisherCustomConsents", bits(own));
    const restriction = () => new cmpapi.RangeEntry(random.from(1, 11), random.below(3), vendors());
    // One restriction: the library takes two of the same purpose and type, and then differs from
    // the framework's own library, which takes them for one.
    set("PublisherRestrictions", random.chance(50) ? [restriction()] : []);
    // Last: every other change sets it to the present, and no run would be like the one before.
    set("Created", this.#instant());
  }

  #privacy(model) {
    for (const field of ["Notice", "OptOutSale", "LspaCovered"]) {
      model.setFieldValue(UspV1.NAME, field, this.#random.pick(["Y", "N", "-"]));
    }
  }

  #state(model, state) {
    const random = this.#random;
    for (const [field, usual] of Object.entries(new state().toObj())) {
      const value = this.#value(field, usual);
      if (value !== undefined) model.setFieldValue(state.NAME, field, value);
    }
    const included = INCLUDED.find((field) => model.hasField(state.NAME, field));
    if (included !== undefined) {
      model.setFieldValue(state.NAME, included, random.chance(60));
    }
  }

  /** A value that the field can have; `undefined` where the usual one is to stay. */
  #value(field, usual) {
    const random = this.#random;
    if (Array.isArray(usual)) return usual.map(() => random.below(3));
    if (typeof usual === "boolean") return random.chance(50);
    if (field === "GpcSegmentType") return undefined;
    if (field === "Version" || field === "MspaVersion") {
      return random.chance(50) ? 1 : random.chance(80) ? undefined : random.below(64);
    }
    return field === "MspaCoveredTransaction" ? random.from(1, 2) : random.below(3);
  }

  /** The string with sections that the library's encoder would not write, and its decoder reads. */
  #changed(string) {
    const random = this.#random;
    const [header, ...sections] = string.split("~");
    const ids = new GppModel(string).getSectionIds();
    const changed = sections.map((section, at) => {
      if (ids[at] === TcfEuV2.ID) return random.chance(50) ? this.#tcf.make() : section;
      return ids[at] > UspV1.ID ? this.#changedState(section) : section;
    });
    return [header, ...changed].join("~");
  }

  /** Any bits at all, or the padding of other encoders. */
  #changedState(section) {
    const random = this.#random;
    let [core, ...behind] = section.split(".");
    if (random.chance(20)) core = [...core].map(() => random.pick([...ALPHABET])).join("");
    if (random.chance(20)) core += "A".repeat((4 - (core.length % 4)) % 4);
    if (random.chance(20)) behind = behind.map((part) => part.padEnd(4, "A"));
    return [core, ...behind].join(".");
  }
}

/** All sections as the library gives them: it decodes each when it is asked for. */
export function decodeAll(string) {
  const model = new GppModel(string);
  return model.getSectionIds().map((id) => [id, model.getSection(NAMES.get(id)), model]);
}

/** What the library reads, under the names of the test vectors. */
export function read(string) {
  const all = decodeAll(string);
  const texts = string.split("~").slice(1);
  const sections = {};
  all.forEach(([id, fields, model], at) => {
    const name = NAMES.get(id);
    if (id === TcfEuV2.ID) sections[name] = bothRead(texts[at], fields);
    else if (id === TcfCaV1.ID) sections[name] = { raw: texts[at] };
    else sections[name] = fields;
    const included = INCLUDED.find((field) => model.hasField(name, field));
    if (included !== undefined) fields[included] = model.getFieldValue(name, included);
  });
  return { section_ids: all.map(([id]) => id), sections };
}

/** What both libraries read in a TC string; they must agree, or there is nothing to compare to. */
function bothRead(string, fields) {
  const own = tcf.read(string);
  const flags = (list) => list.flatMap((is, at) => (is ? [at + 1] : []));
  const other = {
    created_ds: fields.Created.getTime() / 100,
    cmp_id: fields.CmpId,
    consent_language: fields.ConsentLanguage,
    tcf_policy_version: fields.PolicyVersion,
    purposes_consent: flags(fields.PurposeConsents),
    purposes_li: flags(fields.PurposeLegitimateInterests),
    vendor_consents: tcf.ranges(fields.VendorConsents),
    vendor_li: tcf.ranges(fields.VendorLegitimateInterests),
  };
  if (own.disclosed_vendors !== null) {
    other.disclosed_vendors = tcf.ranges(fields.VendorsDisclosed);
  }
  for (const [field, value] of Object.entries(other)) {
    if (JSON.stringify(value) !== JSON.stringify(own[field])) {
      throw new Error(`the reference libraries differ in ${field} of ${string}`);
    }
  }
  return own;
}
