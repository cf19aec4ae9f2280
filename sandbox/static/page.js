// Shows what /_sandbox/messages and /_sandbox/events say. Everything that came from a message
// is set as text, never as markup; an e-mail's HTML lives in an iframe without any permission.
"use strict";

const KEPT = 200;   // of each channel
const DRAWN = 60;   // of each list: nobody reads further, and a busy page stays light
const channels = { email: [], push: [], sms: [] };
const history = {};
let fresh = new Set();
let selectedMail = 0, selectedThread = "", view = "html", filter = "", pending = false;

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const precise = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const NAMES = { sendgrid: "SendGrid · e-mail", twilio: "Twilio · SMS", fcm: "FCM · push", "google-oauth": "Google · access tokens" };
const ORDER = Object.keys(NAMES);

function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function hue(text) {
  let sum = 0;
  for (const character of text) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}

function avatar(text, label) {
  const node = el("span", { className: "avatar", textContent: label, ariaHidden: "true" });
  node.style.setProperty("--hue", hue(text));
  return node;
}

const person = (message) => message.to_name || message.user || message.to;
const matches = (m) => !filter || m.user === filter || m.to.includes(filter) || m.to_name.toLowerCase().includes(filter.toLowerCase());
const shown = (channel) => channels[channel].filter(matches);

function receive(messages) {
  for (const message of [...messages].sort((a, b) => a.id - b.id)) {
    const list = channels[message.channel];
    if (!list || list.some((known) => known.id === message.id)) continue;
    list.unshift(message);
    list.length = Math.min(list.length, KEPT);
    fresh.add(message.id);
  }
  if (messages.length) redraw();
}

function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    drawMails(); drawPushes(); drawTexts();
    fresh = new Set();
  });
}

function replace(list, nodes) {
  const top = list.scrollTop;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  list.replaceChildren(...nodes);
  list.scrollTop = top;
  if (focused !== undefined) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

const count = (id, shownMessages) => { $(id).textContent = shownMessages.length ? `latest ${number.format(shownMessages.length)}` : ""; };
const freshness = (message) => (fresh.size <= 6 && fresh.has(message.id) ? "fresh" : "");  // a flood must not flicker

function drawMails() {
  const mails = shown("email");
  count("mail-count", mails);
  if (!mails.some((m) => m.id === selectedMail)) selectedMail = mails.length ? mails[0].id : 0;
  replace($("mails"), mails.slice(0, DRAWN).map((m) => {
    const button = el("button", { type: "button", className: freshness(m) },
      avatar(m.to, person(m).slice(0, 1).toUpperCase()),
      el("span", { className: "who", textContent: person(m) }),
      el("time", { className: "when", textContent: clock.format(m.at_ms) }),
      el("span", { className: "what", textContent: m.title || m.text }));
    button.dataset.key = m.id;
    button.setAttribute("aria-current", String(m.id === selectedMail));
    button.onclick = () => { selectedMail = m.id; redraw(); };
    return el("li", {}, button);
  }));
  drawMail(mails.find((m) => m.id === selectedMail));
}

function drawMail(mail) {
  const article = $("mail");
  const key = mail ? `${mail.id}:${view}` : "";
  if (article.dataset.key === key) return;  // do not reload what is being read
  article.dataset.key = key;
  if (!mail) {
    const text = filter ? "No e-mail for this recipient." : "E-mails appear here as SendGrid accepts them.";
    article.replaceChildren(el("p", { className: "empty", textContent: text }));
    return;
  }
  const rows = [["From", mail.sender], ["To", mail.to_name ? `${mail.to_name} <${mail.to}>` : mail.to], ["At", precise.format(mail.at_ms)]];
  const list = el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", { textContent: name }), el("dd", { textContent: value })]));
  if (mail.delivery_id) list.append(el("dt", { textContent: "Delivery" }), el("dd", {}, el("code", { textContent: mail.delivery_id })));
  const head = el("div", { className: "mail-head" }, el("h3", { textContent: mail.title || "(no subject)" }), list);
  if (mail.batch > 1) head.append(el("span", { className: "badge", textContent: `one of ${number.format(mail.batch)} in its request` }));
  if (!mail.is_answered) head.append(el("span", { className: "badge warn", textContent: "accepted, reply withheld" }));
  const isHtml = mail.html && (view === "html" || !mail.text);
  const tabs = el("div", { className: "tabs" });
  for (const [name, label, has] of [["html", "HTML", mail.html], ["text", "Plain text", mail.text]]) {
    if (!has) continue;
    const tab = el("button", { type: "button", textContent: label });
    tab.setAttribute("aria-pressed", String(isHtml === (name === "html") || (!mail.html && name === "text")));
    tab.onclick = () => { view = name; redraw(); };
    tabs.append(tab);
  }
  let body;
  if (isHtml) {
    body = el("iframe", { title: `Preview of ${mail.title}` });
    body.setAttribute("sandbox", "");
    body.srcdoc = mail.html;
  } else {
    body = el("pre", { textContent: mail.text });
  }
  article.replaceChildren(head, tabs, body);
}

function withheld(message) {
  return message.is_answered ? [] : [el("span", { className: "withheld", textContent: "reply withheld" })];
}

function drawPushes() {
  const pushes = shown("push");
  count("push-count", pushes);
  const cards = pushes.slice(0, DRAWN).map((m) => el("li", { className: freshness(m), title: m.to },
    el("div", { className: "app" },
      el("b", { textContent: "P", ariaHidden: "true" }),
      el("span", { textContent: m.user || m.to }),
      el("time", { textContent: clock.format(m.at_ms) })),
    el("strong", { textContent: m.title }),
    el("p", { textContent: m.text }),
    ...withheld(m)));
  replace($("pushes"), cards.length ? cards : [el("li", { className: "empty", textContent: "No notifications" })]);
}

function drawTexts() {
  const texts = shown("sms");
  count("sms-count", texts);
  const threads = new Map();
  for (const m of texts) {
    if (!threads.has(m.to)) threads.set(m.to, []);
    threads.get(m.to).push(m);
  }
  if (!threads.has(selectedThread)) selectedThread = threads.keys().next().value || "";
  const isPinned = document.activeElement?.closest?.("#threads, #bubbles");
  if (!isPinned && texts.length && fresh.has(texts[0].id)) selectedThread = texts[0].to;
  replace($("threads"), [...threads.keys()].slice(0, 20).map((to) => {
    const label = threads.get(to)[0].user || to;
    const button = el("button", { type: "button", title: label }, avatar(to, to.slice(-2)), el("span", { textContent: "…" + to.slice(-4) }));
    button.dataset.key = to;
    button.setAttribute("aria-pressed", String(to === selectedThread));
    button.setAttribute("aria-label", `Conversation with ${label}`);
    button.onclick = () => { selectedThread = to; button.focus(); redraw(); };
    return button;
  }));
  const thread = [...(threads.get(selectedThread) || [])].slice(0, DRAWN).reverse();
  $("peer").textContent = thread.length ? `${thread[0].sender} → ${selectedThread}` : "";
  const bubbles = thread.map((m) => el("li", { className: freshness(m) },
    el("span", { className: "text", textContent: m.text }),
    el("time", {}, precise.format(m.at_ms) + " ", ...withheld(m))));
  $("bubbles").replaceChildren(...(bubbles.length ? bubbles : [el("li", { className: "empty", textContent: "No messages" })]));
  $("bubbles").scrollTop = $("bubbles").scrollHeight;
}

function sparkline(values) {
  const top = Math.max(...values, 1);
  const points = values.map((value, i) => `${(i / (values.length - 1)) * 100},${(40 - (value / top) * 34).toFixed(1)}`).join(" ");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const [tag, path] of [["polygon", `0,40 ${points} 100,40`], ["polyline", points]]) {
    const shape = document.createElementNS(svg.namespaceURI, tag);
    shape.setAttribute("points", path);
    svg.append(shape);
  }
  return svg;
}

function drawProviders(providers) {
  const names = [...new Set([...ORDER, ...Object.keys(providers)])];
  $("providers").replaceChildren(...names.map((name) => {
    const p = providers[name] || { requests: 0, accepted: 0, rate: 0, unanswered: 0, refused: {}, faults: {} };
    const past = (history[name] ||= Array(60).fill(0));
    past.push(p.rate);
    past.shift();
    const isMessages = name !== "google-oauth";
    const facts = el("p", { className: "facts" }, el("span", { textContent: `${number.format(p.requests)} ${p.requests === 1 ? "request" : "requests"}` }));
    for (const [status, n] of Object.entries(p.refused)) facts.append(el("span", { className: "bad", textContent: `${number.format(n)} × ${status}` }));
    for (const [effect, n] of Object.entries(p.faults)) if (effect !== "answer") facts.append(el("span", { className: "warn", textContent: `${number.format(n)} ${effect}` }));
    const big = isMessages
      ? el("p", { className: "big" }, number.format(p.accepted), " ", el("small", { textContent: `accepted · ${number.format(Math.round(p.rate))}/s` }))
      : el("p", { className: "big" }, number.format(p.requests), " ", el("small", { textContent: "asked for" }));
    const card = el("div", { className: "provider" }, el("h3", { textContent: NAMES[name] || name }), big, facts);
    if (isMessages) card.append(sparkline(past));
    return card;
  }));
}

function tick() {
  const now = new Date();
  $("time").textContent = clock.format(now);
  $("date").textContent = day.format(now);
}

function status(isOn, text) {
  $("live").className = isOn ? "on" : "";
  $("live").lastElementChild.textContent = text;
}

async function load() {
  const query = filter ? `&user=${encodeURIComponent(filter)}` : "";
  const answers = await Promise.all(Object.keys(channels).map(async (channel) =>
    (await fetch(`/_sandbox/messages?channel=${channel}&limit=${KEPT}${query}`)).json()));
  for (const answer of answers) receive(answer.messages);
  fresh = new Set();
  redraw();
}

function follow() {
  const events = new EventSource("/_sandbox/events");
  events.onopen = () => { status(true, "live"); load(); };
  events.onmessage = (event) => {
    const { messages, providers } = JSON.parse(event.data);
    receive(messages);
    drawProviders(providers);
  };
  events.onerror = () => status(false, "reconnecting");
}

$("filter").onsubmit = (event) => event.preventDefault();
$("user").oninput = () => { filter = $("user").value.trim(); redraw(); load(); };
tick();
setInterval(tick, 1000);
drawProviders({});
redraw();
follow();
