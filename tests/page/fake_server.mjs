/**
 * The page without a daemon: its real files, and made-up answers about a strip of any length.
 * For measurements and for looking at the page; the tests drive the real server.
 */

import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";

import { someDefects } from "./unit/strips.mjs";

const STATIC = new URL("../../daemon/stripwatch/page/static/", import.meta.url).pathname;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css",
  ".svg": "image/svg+xml" };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
  + "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'";
export const CLASSES = ["pits", "cracks", "scratches", "patches"];
const SIDES = ["top", "bottom"];
const STREAM = "9f00";

/** The table of a strip, as the server sends it. */
export function tableOf(strip, count, stripM, seed) {
  const rows = someDefects(count, stripM * 1000, 1000, seed, CLASSES.length)
    .sort((a, b) => a.alongMm - b.alongMm);
  const columns = [
    ["seq", "f64", (row) => row.seq], ["downweb_m", "f32", (row) => row.alongMm / 1000],
    ["crossweb_mm", "f32", (row) => row.acrossMm], ["length_mm", "f32", (row) => row.lengthMm],
    ["width_mm", "f32", (row) => row.widthMm], ["area_mm2", "f32", (row) => row.areaMm2],
    ["score", "f32", (row) => row.score], ["peak", "f32", (row) => row.score],
    ["edge_mm", "f32", (row) => row.acrossMm], ["class_index", "u8", (row) => row.classId - 1],
    ["side", "u8", (row) => row.seq % 2], ["flags", "u8", () => 1], ["review", "u8", () => 0],
  ];
  const kinds = { f64: Float64Array, f32: Float32Array, u8: Uint8Array };
  const parts = [];
  let offset = 4096;
  const named = columns.map(([name, type, value]) => {
    const data = kinds[type].from(rows, value);
    const at = offset;
    parts.push([at, new Uint8Array(data.buffer)]);
    offset += Math.ceil(data.byteLength / 8) * 8;
    return { name, type, offset: at };
  });
  const head = JSON.stringify({ strip, stream: STREAM, first_seq: 1, last_seq: count, count,
    superseded: [], columns: named });
  const body = Buffer.alloc(offset, " ");
  body.writeUInt32LE(4092, 0);
  body.write(head, 4);
  for (const [at, data] of parts) body.set(data, at);
  return body;
}

function stateOf({ count, stripM }) {
  const cameras = SIDES.map((side) => ({ name: side, side, field_mm: [0, 1000], mirrored: false }));
  const now = Date.now() * 1e6;
  return {
    stream: STREAM, last_seq: count, first_seq: 1, status_age_s: 0.3, speed_m_per_min: 480,
    status: { t_ns: now, state: "OK", reasons: [], uptime_s: 4000, model: "ab12", frames_per_s: 125,
      frames_inspected: 9, latency_ms: { total: { p50: 12, p99: 20, max: 25 } }, drops: {},
      cameras: {}, silent_cameras: [], subscribers: 1, last_event_seq: count },
    blind: [],
    config: { cameras, sides: SIDES, width_mm: 1000, frame_length_m: 0.128, frame_px: [256, 1600],
      mm_per_px: [0.5, 0.625], rolls: [], grading: { grades: ["prime", "second"], rules: [] },
      classes: CLASSES.map((name, i) => ({ id: i + 1, name, threshold: 0.5, min_area_px: 60,
        configured_threshold: 0.5, configured_min_area_px: 60 })) },
    strips: [{ camera: "top", strip: "coil-1", length_m: stripM }],
    engine: { target: "openvino", precision: "float32", hash: "ab12" },
    journal: { used_bytes: 2e8, disk_free_bytes: 8e10, limit_bytes: 2e10, events: count,
      error: "" },
    readers: [], lookers: 1,
  };
}

function detailOf({ stripM, isEnded }) {
  return { strip: "coil-1", stream: STREAM, first_seq: 1, last_seq: 9, start_ns: Date.now() * 1e6,
    end_ns: null, has_ended: isEnded, length_m: stripM, coverage: [], counts: {}, verdict: null,
    gaps: SIDES.map((side) => ({ camera: side, side, cause: "overload", from_m: stripM * 0.4,
      to_m: stripM * 0.41, length_m: stripM * 0.01, across_mm: [0, 1000], seq: 1 })),
    marks: [{ mark: "m", side: "top", lane_mm: 400, period_mm: 1885, rolls: ["work roll"],
      first_m: stripM * 0.2, last_m: stripM * 0.6, teeth: 9, missed_teeth: 1, p_value: 1e-9,
      is_open: false }],
    zones: [], edges_mm: {}, reviews: 0, models: [] };
}

/** Lets a page of Playwright be answered from here. */
export async function fakeServer(page, { count, stripM, isEnded = true, seed = 1 }) {
  const table = tableOf("coil-1", count, stripM, seed);
  const options = { count, stripM, isEnded };
  const answers = {
    "/api/me": () => ({ user: "local", role: "change", can_log_out: false, version: "0" }),
    "/api/state": () => stateOf(options),
    "/api/strips/coil-1": () => detailOf(options),
  };
  await page.route("**/*", async (route) => {
    const { pathname } = new URL(route.request().url());
    const headers = { "Content-Security-Policy": POLICY };
    if (pathname === "/api/events") {
      const body = `retry: 1000\nevent: status\ndata: ${JSON.stringify(stateOf(options))}\n\n`;
      return route.fulfill({ body, contentType: "text/event-stream" });
    }
    if (pathname.endsWith("/defects")) return route.fulfill({ body: table });
    if (answers[pathname]) return route.fulfill({ json: answers[pathname]() });
    const name = pathname === "/" ? "index.html" : pathname.replace("/static/", "");
    const body = await readFile(join(STATIC, name)).catch(() => null);
    if (!body) return route.fulfill({ status: 404, json: { error: "not_found", message: "no" } });
    return route.fulfill({ body, headers, contentType: TYPES[extname(name)] });
  });
}
