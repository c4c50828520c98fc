/** Numbers, lengths and times as they are read. */

const NOT_KNOWN = "–";
const THIN = "\u202f"; // a narrow space that does not break

/** A number with so many decimals and groups of three digits. */
export function number(value, decimals = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return NOT_KNOWN;
  const [whole, rest] = Math.abs(value).toFixed(decimals).split(".");
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, THIN) : whole;
  const sign = value < 0 && Number(Math.abs(value).toFixed(decimals)) !== 0 ? "−" : "";
  return sign + grouped + (rest ? `.${rest}` : "");
}

/** A number with its unit, or the sign for what is not known. */
export function unit(value, name, decimals = 0) {
  const text = number(value, decimals);
  return text === NOT_KNOWN ? text : `${text} ${name}`;
}

/** Metres, finer where they are few. */
export function metres(value) {
  const size = Math.abs(value ?? 0);
  return unit(value, "m", size < 10 ? 2 : size < 1000 ? 1 : 0);
}

/** A place along the strip, to the centimetre. */
export function place(value) {
  return unit(value, "m", 2);
}

export function millimetres(value) {
  return unit(value, "mm", Math.abs(value ?? 0) < 100 ? 1 : 0);
}

/** Milliseconds, or seconds where they are many. */
export function milliseconds(value, decimals = 0) {
  return (value ?? 0) < 10_000 ? unit(value, "ms", decimals) : unit(value / 1000, "s", 1);
}

export function area(mm2) {
  if (mm2 === null || mm2 === undefined) return NOT_KNOWN;
  return mm2 < 10_000 ? unit(mm2, "mm²") : unit(mm2 / 100, "cm²");
}

export function bytes(value) {
  if (value === null || value === undefined) return NOT_KNOWN;
  const sizes = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  let size = value;
  while (size >= 1000 && place < sizes.length - 1) {
    size /= 1000;
    place += 1;
  }
  return unit(size, sizes[place], size < 10 && place > 0 ? 1 : 0);
}

const two = (value) => String(value).padStart(2, "0");

/** 14:03:22, of the plant's clock. */
export function clock(ns) {
  if (ns === null || ns === undefined) return NOT_KNOWN;
  const date = new Date(ns / 1e6);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** 2026-11-28 14:03:22. */
export function dateTime(ns) {
  if (ns === null || ns === undefined) return NOT_KNOWN;
  const date = new Date(ns / 1e6);
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${clock(ns)}`;
}

/** 4 s, 12 min 4 s, 3 h 12 min, 2 d 4 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOT_KNOWN;
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export function percent(share, decimals = 0) {
  return unit(share === null || share === undefined ? share : share * 100, "%", decimals);
}

/** engine_error -> engine error. */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** A camera by its name, and by its side where the name does not say it. */
export const camera = ({ name, side }) => (name === side ? name : `${name} (${side})`);

/** Whether a strip runs without a coil id: the server gives it a name that no coil id can be. */
export const isUnnamed = (strip) => Boolean(strip?.includes(" · "));

/** A strip's name for people; what tells one without a coil id from another is left out. */
export const coil = (strip) => (isUnnamed(strip) ? strip.split(" · ").slice(0, 2).join(" · ")
  : strip);

/** The heading of a strip. */
export const stripTitle = (strip) => (isUnnamed(strip) ? coil(strip) : `Strip ${strip}`);

export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}
