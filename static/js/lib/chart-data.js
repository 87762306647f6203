// A chart's numbers: what the server answered, and the newest values put behind it as they come.

const GAP_S = 9; // a sample comes every 5 s; one that is missing makes 10 s
const COMMON_S = 10; // lines of several things need common times

export class ChartData {
  #before = new Map(); // line -> the counter's last value and its time
  #count = 1; // newest values in the last point

  constructor({ times, series, step_s: step }) {
    this.times = times;
    this.lines = series;
    this.step = step;
    this.sources = new Set(series.map((line) => line.source).filter(Boolean));
    if (times.length) this.#count = Math.max(1, Math.round((times.at(-1) % this.#width || this.#width) / 5));
  }

  /** The columns as uPlot wants them: times, then each line's value, low, high and p95. */
  get columns() {
    return [this.times, ...this.lines.flatMap((line) => columnsOf(line).map((name) => line[name]))];
  }

  get #width() {
    return this.step > 5 ? this.step : this.sources.size > 1 ? COMMON_S : 0.5;
  }

  /** Puts a sample behind the lines of its source; whether any line took it. */
  append(source, values) {
    const fresh = this.lines.map((line) => (line.source === source ? this.#value(line, values) : null));
    if (fresh.every((value) => value === null)) return false;
    const last = this.times.at(-1) ?? values.at - this.#width;
    if (values.at < last - this.#width) return false;
    const isSame = Math.ceil(values.at / this.#width) === Math.ceil(last / this.#width) && this.times.length > 0;
    if (isSame) this.#mix(values.at, fresh);
    else this.#push(last, values.at, fresh);
    return true;
  }

  /** Forgets what is older than `start`, but for one point, from which a line comes in. */
  trim(start) {
    const old = this.times.findIndex((at) => at >= start) - 1;
    if (old <= 0) return;
    this.times.splice(0, old);
    for (const line of this.lines) for (const name of columnsOf(line)) line[name].splice(0, old);
  }

  #value(line, values) {
    const value = values[line.field];
    if (value == null) return null;
    if (!line.is_counter) return value * line.scale;
    const before = this.#before.get(line);
    this.#before.set(line, { at: values.at, value });
    if (!before || values.at <= before.at || values.at - before.at > GAP_S) return null;
    const grown = value >= before.value ? value - before.value : value; // it began anew
    return (grown / (values.at - before.at)) * line.scale;
  }

  #push(last, at, fresh) {
    if (this.times.length && at - last > Math.max(GAP_S, 2.5 * this.#width)) this.#add((last + at) / 2, () => null);
    this.#add(at, (index) => fresh[index]);
    this.#count = 1;
  }

  #add(at, valueOf) {
    this.times.push(at);
    this.lines.forEach((line, index) => {
      for (const name of columnsOf(line)) line[name].push(valueOf(index));
    });
  }

  /** Into the last point: the mean of what it has and the new value, its lowest and highest. */
  #mix(at, fresh) {
    this.#count += 1;
    this.times[this.times.length - 1] = Math.max(at, this.times.at(-1));
    this.lines.forEach((line, index) => {
      const value = fresh[index];
      if (value === null) return;
      const end = line.values.length - 1;
      line.values[end] = line.values[end] == null ? value : line.values[end] + (value - line.values[end]) / this.#count;
      if (line.low.length) line.low[end] = Math.min(line.low[end] ?? value, value);
      if (line.high.length) line.high[end] = Math.max(line.high[end] ?? value, value);
    });
  }
}

export function columnsOf(line) {
  return ["values", ...["low", "high", "p95"].filter((name) => line[name].length)];
}
