/** The page: its header and banner stay, the view changes with the address. */

import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { Banner } from "./parts/banner.js";
import { Header } from "./parts/header.js";
import { listenForHelp } from "./parts/help.js";
import { find, parse } from "./routes.js";
import { Store } from "./store.js";

const RETRY_MS = 2000;
const main = document.getElementById("main");

async function start() {
  let answers;
  try {
    answers = await Promise.all([api.me(), api.state()]);
  } catch (error) {
    fill(main, h("p", { class: "note bad", role: "alert" }, `${error.message} Trying again …`));
    setTimeout(start, RETRY_MS);
    return;
  }
  const store = new Store(...answers);
  const header = new Header(store, document.getElementById("header"));
  new Banner(store, document.getElementById("banner"));
  listenForHelp();
  store.listen((name, isConnected) => {
    if (name === "connection") main.classList.toggle("stale", !isConnected);
  });
  const show = viewSwitch(store, header);
  addEventListener("hashchange", show);
  await show();
}

/** Shows the view of the present address; what it started ends with it. */
function viewSwitch(store, header) {
  let view = null;
  let turn = 0;
  return async () => {
    const mine = (turn += 1);
    const { path, query } = parse(location.hash);
    const found = find(path);
    const module = found && await found.load().catch(() => null);
    if (mine !== turn) return; // another address came meanwhile
    view?.close();
    view = null;
    header.mark(path);
    scrollTo(0, 0);
    if (!module) {
      const text = found ? "This view cannot be loaded: the page's server does not answer."
        : "There is no such view.";
      fill(main, h("div", { class: "empty" }, h("h1", {}, "Nothing here"),
        h("p", {}, text, " ", h("a", { href: "#/" }, "Live view"))));
      return;
    }
    view = module.open(store, { parameters: found.parameters, query });
    document.title = `${view.title} - stripwatch`;
    fill(main, view.element);
  };
}

start();
