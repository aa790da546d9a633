// Random numbers that are the same in every run: a string that fails can be made again.

/** Mulberry32: small, and good enough to choose shapes of strings. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** The next 32 bits. */
  bits() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }

  /** A number below `n`. */
  below(n) {
    return Math.floor((this.bits() / 2 ** 32) * n);
  }

  /** A number from `first` to `last`. */
  from(first, last) {
    return first + this.below(last - first + 1);
  }

  /** True so many times in a hundred. */
  chance(percent) {
    return this.below(100) < percent;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** Those of a list that chance leaves. */
  some(list, percent) {
    return list.filter(() => this.chance(percent));
  }

  /** The list in another order. */
  shuffled(list) {
    const all = [...list];
    for (let last = all.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      [all[last], all[other]] = [all[other], all[last]];
    }
    return all;
  }
}

/** 1 to `n`. */
export const upTo = (n) => Array.from({ length: n }, (_, at) => at + 1);
