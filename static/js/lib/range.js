// The range of time that charts show: its length in seconds and its end, null while it ends now and moves on.
// A page's charts share one, which is kept in the address; a chart that stands alone has its own.
// Event "change" when another range is to be read.

const SHORTEST_S = 60;
const LONGEST_S = 366 * 86400;

export class Range extends EventTarget {
  #back = [];

  constructor(span = 3600, end = null) {
    super();
    this.span = span;
    this.end = end;
  }

  get isLive() {
    return this.end === null;
  }

  get bounds() {
    const end = this.end ?? Date.now() / 1000;
    return [end - this.span, end];
  }

  /** The last so many seconds, up to now. */
  last(span) {
    this.#go(span, null);
  }

  between(start, end) {
    const span = Math.min(LONGEST_S, Math.max(SHORTEST_S, end - start));
    const middle = (start + end) / 2;
    this.#go(span, middle + span / 2);
  }

  /** Earlier (negative) or later by a share of the range. */
  pan(share) {
    const [start, end] = this.bounds;
    this.between(start + share * this.span, end + share * this.span);
  }

  /** Shorter (below 1) or longer by a factor; a range that ends now goes on ending now. */
  zoom(factor) {
    const span = Math.min(LONGEST_S, Math.max(SHORTEST_S, this.span * factor));
    this.#go(span, this.end === null ? null : this.end + (span - this.span) / 2);
  }

  back() {
    const before = this.#back.pop();
    if (before) this.#set(...before);
  }

  #go(span, end) {
    const isNow = end === null || end >= Date.now() / 1000;
    if (span === this.span && (isNow ? null : end) === this.end) return;
    this.#back.push([this.span, this.end]);
    this.#set(span, isNow ? null : end);
  }

  #set(span, end) {
    this.span = span;
    this.end = end;
    this.dispatchEvent(new Event("change"));
  }
}

/** The range that the page's address names; the last hour where it names none. */
function fromAddress() {
  const asked = new URLSearchParams(location.search);
  const [start, end] = [Number(asked.get("start")), Number(asked.get("end"))];
  if (start > 0 && end > start) return new Range(end - start, end);
  const last = Number(asked.get("last"));
  return new Range(last >= SHORTEST_S && last <= LONGEST_S ? last : 3600);
}

/** The address with the range in it. */
export function addressWith(range, address) {
  for (const name of ["start", "end", "last"]) address.searchParams.delete(name);
  if (range.isLive) address.searchParams.set("last", String(Math.round(range.span)));
  else range.bounds.forEach((at, index) => address.searchParams.set(index ? "end" : "start", at.toFixed(1)));
  return address;
}

export const pageRange = fromAddress();
pageRange.addEventListener("change", () => {
  history.replaceState(history.state, "", addressWith(pageRange, new URL(location.href)));
});
