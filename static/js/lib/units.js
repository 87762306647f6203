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
