/**
 * Drives a headless Chromium for tests in another language: a JSON object a line comes in, one goes
 * out. The first argument is the folder of node_modules.
 *
 *   {"do": "goto", "url": ...}  ->  {"ok": ...} or {"error": "..."}
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: process.argv[3],
  // Chromium's sandbox does not work for root, as in a container.
  args: ["--no-sandbox", "--force-color-profile=srgb", "--hide-scrollbars"],
});
const TIMEOUT_MS = 30_000; // of a machine that has much else to do
let page = null;
let errors = [];
let traffic = [];

async function open({ scheme = "dark", width = 1600, height = 1000 }) {
  await page?.context().close();
  const context = await browser.newContext({
    colorScheme: scheme, viewport: { width, height }, reducedMotion: "reduce",
    acceptDownloads: false,
  });
  page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  [errors, traffic] = [[], []];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("requestfinished", async (request) => {
    const sizes = await request.sizes().catch(() => null);
    const { pathname } = new URL(request.url());
    traffic.push({ path: pathname, bytes: sizes?.responseBodySize ?? 0 });
  });
}

/** Playwright's own way to wait evaluates text in the page, which the page's policy forbids. */
async function wait({ code, timeout_ms: timeoutMs = TIMEOUT_MS }) {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const value = await page.evaluate(code).catch((error) => {
      if (String(error).includes("context was destroyed")) return null; // the next page comes
      throw error;
    });
    if (value) return value;
    if (Date.now() > until) {
      const text = await page.evaluate("document.body.innerText.slice(0, 1500)");
      throw new Error(`not in time; console: ${errors.join("; ")}; page: ${text}`);
    }
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

let held = null; // requests that wait; null: none does

const ACTIONS = {
  open,
  hold: ({ path }) => {
    held = [];
    return page.route((url) => url.pathname === path, (route) => {
      if (held) held.push(route);
      else return route.continue(); // it was on its way here when the others were released
    });
  },
  release: () => {
    const waiting = held;
    held = null;
    return Promise.all(waiting.map((route) => route.continue())).then(() => null);
  },
  goto: ({ url }) => page.goto(url, { waitUntil: "load" }).then(() => null),
  resize: ({ width, height }) => page.setViewportSize({ width, height }).then(() => null),
  reload: () => page.reload({ waitUntil: "load" }).then(() => null),
  run: ({ code }) => page.evaluate(code),
  wait,
  click: ({ selector }) => page.locator(selector).first().click(),
  click_at: ({ selector, x, y }) => page.locator(selector).first().click({ position: { x, y } }),
  fill: ({ selector, text }) => page.locator(selector).first().fill(text),
  choose: ({ selector, value }) => page.locator(selector).first().selectOption(value),
  press: ({ key }) => page.keyboard.press(key),
  screenshot: ({ path }) => page.screenshot({ path }).then(() => null),
  errors: () => errors.splice(0),
  traffic: () => traffic,
  axe: async ({ rules }) => {
    // Through the protocol, which the page's policy for scripts does not bind. Once in a page.
    if (!await page.evaluate("Boolean(globalThis.axe)")) {
      await page.evaluate(require("axe-core").source);
    }
    const options = rules ? { runOnly: { type: "rule", values: rules } } : {};
    const { violations, passes } = await page.evaluate((given) => axe.run(given), options);
    return { passes: passes.length, violations: violations.map(({ id, help, nodes }) => (
      { id, help, nodes: nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)) })) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await ACTIONS[name](given)) ?? null };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
