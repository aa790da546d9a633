// TC strings: made at random with @iabtcf/core, and what it reads in them.

import {
  Base64Url, GVL, PurposeRestriction, Segment, SegmentEncoder, TCModel, TCString,
} from "@iabtcf/core";
import { upTo } from "./random.mjs";

/** The longest string that Mayfly reads; a platform's own are far shorter. */
const LONGEST = 8 * 1024;
/** The highest vendor that a string can name. */
const LAST_VENDOR = 65_535;
/** Deciseconds that a string has room for. */
const LAST_INSTANT_DS = 2 ** 36 - 1;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const EXTRA = [Segment.VENDORS_DISCLOSED, Segment.VENDORS_ALLOWED, Segment.PUBLISHER_TC];

/** Sets of vendors as platforms write them: each shape makes the encoder choose another form. */
const SHAPES = {
  none: () => [],
  few: (random, ids) => upTo(random.from(1, 8)).map(() => random.pick(ids)),
  some: (random, ids) => random.some(ids, random.from(2, 60)),
  most: (random, ids) => random.some(ids, random.from(90, 99)),
  all: (_, ids) => ids,
  runs: (random, ids) => {
    const all = [];
    for (let at = random.below(9); at < ids.length; at += random.from(2, 90)) {
      const end = at + random.from(1, 60);
      all.push(...ids.slice(at, end));
      at = end;
    }
    return all;
  },
  far: (random) => upTo(random.from(1, 30)).map(() => random.from(1, LAST_VENDOR)),
  farRuns: (random) => upTo(random.from(1, 6)).flatMap(() => {
    const first = random.from(1, LAST_VENDOR - 2000);
    return upTo(random.from(1, 2000)).map((n) => first + n - 1);
  }),
};

/** What decides about a string; the library copies the whole list for each one that it makes. */
const RELEVANT = [
  "id", "name", "purposes", "specialPurposes", "flexiblePurposes", "legIntPurposes", "features",
  "specialFeatures", "deletedDate",
];

function slim(list) {
  const relevant = ([field]) => RELEVANT.includes(field);
  const vendor = (own) => Object.fromEntries(Object.entries(own).filter(relevant));
  const all = Object.entries(list.vendors).map(([id, own]) => [id, vendor(own)]);
  return { ...list, vendors: Object.fromEntries(all), stacks: {}, dataCategories: {} };
}

const vendors = (random, ids) => SHAPES[random.pick(Object.keys(SHAPES))](random, ids);
const letters = (random) => LETTERS[random.below(26)] + LETTERS[random.below(26)];
const fill = (vector, ids) => ids.forEach((id) => vector.set(id));

/** Makes strings after a Global Vendor List in the form of the IAB's file. */
export class TcfMaker {
  #random;
  #list;
  #ids;

  constructor(random, list) {
    this.#random = random;
    this.#list = new GVL(slim(list));
    this.#ids = Object.keys(list.vendors).map(Number);
  }

  /** A string that is not too long. */
  make() {
    for (;;) {
      const string = this.#random.chance(30) ? this.#ofPlatform() : this.#free();
      if (string.length <= LONGEST) return string;
    }
  }

  /** As a platform makes it: the library mends the model after its vendor list. */
  #ofPlatform() {
    const random = this.#random;
    this.#list.vendorListVersion = random.from(1, 4095);
    this.#list.tcfPolicyVersion = random.pick([2, 3, 4, 5, 5]);
    const model = new TCModel(this.#list);
    this.#common(model, this.#ids);
    model.isServiceSpecific = random.chance(80);
    this.#restrict(model, this.#ids);
    // From TCF 2.3 on platforms add the disclosed vendors, which the library leaves out by itself.
    const segments = random.chance(50) ? [Segment.CORE, ...random.some(EXTRA, 60)] : undefined;
    return TCString.encode(model, { segments, isForVendors: random.chance(50) });
  }

  /** Anything that the format can say: no list decides about vendors and grounds. */
  #free() {
    const random = this.#random;
    const model = new TCModel();
    const ids = upTo(random.pick([1, 44, 45, 46, 300, 1200, 5000]));
    this.#common(model, ids);
    model.consentLanguage = letters(random);
    model.vendorListVersion = random.from(0, 4095);
    model.policyVersion = random.from(0, 63);
    model.isServiceSpecific = random.chance(50);
    fill(model.vendorsDisclosed, vendors(random, ids));
    model.publisherRestrictions.gvl = { vendorIds: new Set(random.some(ids, random.from(1, 100))) };
    this.#restrict(model, ids.slice(0, 1200));
    const segments = [Segment.CORE, ...random.shuffled(random.some(EXTRA, 40))];
    return segments.map((segment) => SegmentEncoder.encode(model, segment)).join(".");
  }

  #common(model, ids) {
    const random = this.#random;
    const instant = () => new Date(Math.floor((random.bits() / 2 ** 32) * LAST_INSTANT_DS) * 100);
    model.created = instant();
    model.lastUpdated = random.chance(50) ? model.created : instant();
    model.cmpId = random.from(2, 4095);
    model.cmpVersion = random.from(0, 4095);
    model.consentScreen = random.from(0, 63);
    model.useNonStandardStacks = random.chance(50);
    model.purposeOneTreatment = random.chance(50);
    model.publisherCountryCode = letters(random);
    fill(model.specialFeatureOptins, random.some(upTo(12), 40));
    fill(model.purposeConsents, random.some(upTo(24), random.pick([0, 50, 100])));
    fill(model.purposeLegitimateInterests, random.some(upTo(24), random.pick([0, 50, 100])));
    fill(model.vendorConsents, vendors(random, ids));
    fill(model.vendorLegitimateInterests, vendors(random, ids));
    fill(model.vendorsAllowed, vendors(random, ids));
    this.#ofPublisher(model);
  }

  #ofPublisher(model) {
    const random = this.#random;
    fill(model.publisherConsents, random.some(upTo(24), 50));
    fill(model.publisherLegitimateInterests, random.some(upTo(24), 50));
    const own = random.pick([0, 1, random.from(2, 62), 63]);
    model.numCustomPurposes = own;
    fill(model.publisherCustomConsents, random.some(upTo(own), 50));
    fill(model.publisherCustomLegitimateInterests, random.some(upTo(own), 50));
  }

  #restrict(model, ids) {
    const random = this.#random;
    const near = [SHAPES.few, SHAPES.some, SHAPES.runs];
    for (let left = random.pick([0, 0, 1, 3, 12]); left > 0; left--) {
      const restriction = new PurposeRestriction(random.from(1, 24), random.below(3));
      // The library keeps vendors in a tree that it does not balance: in order it would be a list.
      const restricted = random.shuffled(random.pick(near)(random, ids));
      restricted.forEach((id) => model.publisherRestrictions.add(id, restriction));
    }
  }
}

/** As many of the widest ranges as the longest string holds: what costs a reader the most. */
export function worst() {
  const number = (value, bits) => value.toString(2).padStart(bits, "0");
  const ranges = 1400;
  const fields = number(2, 6) + "0".repeat(72) + number(2, 12) + "0".repeat(123);
  const range = `1${number(1, 16)}${number(LAST_VENDOR, 16)}`;
  const consents = `${number(LAST_VENDOR, 16)}1${number(ranges, 12)}${range.repeat(ranges)}`;
  return Base64Url.encode(fields + consents + "0".repeat(16 + 1 + 12));
}

/** Ascending numbers as first and last of each run. */
export function ranges(ids) {
  const all = [];
  for (const id of [...ids].sort((one, other) => one - other)) {
    const last = all.at(-1);
    if (last !== undefined && last[1] === id - 1) last[1] = id;
    else all.push([id, id]);
  }
  return all;
}

/** What the library reads, under the names of the test vectors; sets of vendors are ranges. */
export function read(string) {
  const model = TCString.decode(string);
  const ids = (vector) => [...vector.values()];
  const segments = string.split(".").slice(1);
  // The library does not say which segments there were: their first three bits do.
  const has = (type) => segments.some((text) => Base64Url.decode(text[0]).startsWith(type));
  const restrictions = model.publisherRestrictions;
  return {
    version: model.version,
    created_ds: model.created.getTime() / 100,
    last_updated_ds: model.lastUpdated.getTime() / 100,
    cmp_id: model.cmpId,
    cmp_version: model.cmpVersion,
    consent_screen: model.consentScreen,
    consent_language: model.consentLanguage,
    vendor_list_version: model.vendorListVersion,
    tcf_policy_version: model.policyVersion,
    is_service_specific: model.isServiceSpecific,
    use_non_standard_texts: model.useNonStandardStacks,
    special_feature_opt_ins: ids(model.specialFeatureOptins),
    purposes_consent: ids(model.purposeConsents),
    purposes_li: ids(model.purposeLegitimateInterests),
    purpose_one_treatment: model.purposeOneTreatment,
    publisher_cc: model.publisherCountryCode,
    vendor_consent_max_id: model.vendorConsents.maxId,
    vendor_consents: ranges(ids(model.vendorConsents)),
    vendor_li_max_id: model.vendorLegitimateInterests.maxId,
    vendor_li: ranges(ids(model.vendorLegitimateInterests)),
    publisher_restrictions: restrictions.getRestrictions().map((own) => ({
      purpose: own.purposeId,
      type: own.restrictionType,
      vendors: ranges(restrictions.getVendors(own)),
    })),
    disclosed_vendors: has("001") ? ranges(ids(model.vendorsDisclosed)) : null,
    allowed_vendors: has("010") ? ranges(ids(model.vendorsAllowed)) : null,
    publisher_tc: has("011") ? {
      purposes_consent: ids(model.publisherConsents),
      purposes_li: ids(model.publisherLegitimateInterests),
      num_custom_purposes: model.numCustomPurposes,
      custom_consent: ids(model.publisherCustomConsents),
      custom_li: ids(model.publisherCustomLegitimateInterests),
    } : null,
  };
}
