// Numbers as people read them; mirrors hosts/templatetags/stowage.py.

export function percent(part, whole) {
  if (!(whole > 0) || part == null) return null;
  return Math.max(0, Math.min(100, (part / whole) * 100));
}

export function mib(value) {
  if (value == null) return "–";
  return value >= 1024 ? `${(value / 1024).toFixed(1)} GiB` : `${Math.round(value)} MiB`;
}

export function cores(value) {
  return value == null ? "–" : `${value.toFixed(2)} cores`;
}

export function bytesPerSecond(value) {
  if (value == null) return "–";
  const units = ["B/s", "KiB/s", "MiB/s", "GiB/s"];
  let step = 0;
  while (value >= 1024 && step < units.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${value.toFixed(step ? 1 : 0)} ${units[step]}`;
}

export const FORMATS = { mib, cores, bytesPerSecond };

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Whether amounts of the unit are counted by powers of two. */
export function isBinary(unit) {
  return unit.startsWith("bytes");
}

/** A value in a metric's unit, as a chart says it. */
export function inUnit(value, unit) {
  if (value == null) return "–";
  if (unit === "ratio") return `${short(value * 100)} %`;
  if (isBinary(unit)) {
    const step = value > 0 ? Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log2(value) / 10))) : 0;
    return `${short(value / 1024 ** step)} ${SIZES[step]}${unit.slice(5)}`;
  }
  const said = { celsius: "°C", watts: "W", processes: "", hosts: "" }[unit] ?? unit;
  return said ? `${short(value)} ${said}` : short(value);
}

/** Three digits that count, without zeros behind. */
function short(value) {
  const size = Math.abs(value);
  return String(Number(value.toFixed(size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3)));
}
