/** The page: what is chosen, one connection, the events that came, and what is seen of them. */

import { Connection } from './connection.js';
import { Detail } from './detail.js';
import { Events } from './events.js';
import { Graph } from './graph.js';
import { List } from './list.js';
import { Picker } from './picker.js';
import { idOf, placeOf, readState, streamUrl, writeState } from './state.js';

const byId = (id) => document.getElementById(id);
const [start, pause, clear, download, share] = ['start', 'pause', 'clear', 'download', 'share'].map(byId);
const inputs = { since: byId('since'), filter: byId('filter'), find: byId('find') };
const shortcuts = /** @type {HTMLDialogElement} */ (byId('shortcuts'));

const events = new Events();
const graph = new Graph(byId('bars'), byId('rate'));
const picker = new Picker(byId('picker'), changed);
const detail = new Detail(byId('detail'), { say, closed: () => list.focus() });
const list = new List(byId('list'), (item) => detail.open(item.text));

/** What the place is kept under. */
const PLACE = 'eventstar.place';

/** @type {Connection | undefined} */
let connection;
let isDrawn = true;

/** @returns {import('./state.js').State} */
function state() {
  const text = (name) => inputs[name].value.trim();
  return { streams: picker.chosen, since: text('since'), filter: text('filter'), find: text('find') };
}

/** Tells people what has happened, and those who do not see the page too. */
function say(text) {
  byId('status').textContent = text;
}

/** Shows what came, at most once a frame. */
function draw() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(() => {
    isDrawn = true;
    list.render(events.shown);
    byId('counts').textContent = counts();
    byId('empty').hidden = events.shown.length > 0;
    pause.textContent = events.paused ? `Resume (${events.waiting})` : 'Pause';
    pause.ariaPressed = String(events.paused);
  });
}

function counts() {
  const shown = events.shown.filter(({ kind }) => kind === 'event').length;
  const parts = [`${events.received} received`];
  if (shown !== events.received) parts.push(`${shown} shown`);
  if (events.forgotten) parts.push(`${events.forgotten} oldest let go`);
  if (events.paused) parts.push(`${events.waiting} waiting`);
  if (events.dropped) parts.push(`${events.dropped} dropped while paused`);
  return parts.join(' · ');
}

/** Keeps the address: it can be shared, and a reload goes on with it. */
function remember() {
  history.replaceState(null, '', writeState(state()));
}

/** Keeps where the connection stands, for a reload: with the tab, so that no link has it. */
function rememberPlace() {
  const place = connection && placeOf(state(), connection.lastId);
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(place ?? null));
  } catch {
    // A page that may keep nothing begins with what comes next.
  }
}

/** Where the page stood, if it is one that is loaded again. @returns {import('./state.js').Place | null} */
function placeBefore() {
  const [navigation] = performance.getEntriesByType('navigation');
  if (!['reload', 'back_forward'].includes(navigation?.type)) return null;
  try {
    return JSON.parse(sessionStorage.getItem(PLACE));
  } catch {
    return null;
  }
}

/** Something was chosen or typed that the connection depends on. */
function changed() {
  remember();
  start.disabled = !picker.chosen.length && !connection;
  if (!connection) return;
  if (picker.chosen.length) watch();
  else stop();
}

/** @param {string} [id] where to go on */
function watch(id = '') {
  connection?.close();
  start.textContent = 'Stop';
  start.disabled = false;
  byId('state').className = 'connecting';
  const listener = {
    event(text) {
      events.add(text);
      graph.count();
      draw();
    },
    note(text) {
      events.note(text);
      draw();
    },
    status: showStatus,
  };
  connection = new Connection(streamUrl(state()), listener, id);
}

/** @param {import('./connection.js').Status} status @param {string} text */
function showStatus(status, text) {
  byId('state').className = status;
  const names = picker.chosen.join(', ');
  const said = {
    connecting: `Connecting to ${names}`,
    open: `Watching ${names}`,
    reconnecting: 'The connection ended: connecting again',
    refused: 'The server refuses this',
    ended: 'The stream is at its end',
  }[status];
  say(text ? `${said}: ${text}` : said);
  if (status === 'refused' || status === 'ended') stop(false);
}

function stop(tells = true) {
  connection?.close();
  connection = undefined;
  start.textContent = 'Watch';
  start.disabled = !picker.chosen.length;
  if (!tells) return;
  byId('state').className = 'stopped';
  say('Stopped');
}

function toggle() {
  if (connection) stop();
  else if (picker.chosen.length) watch();
}

function togglePause() {
  if (events.paused) events.resume();
  else events.pause();
  say(events.paused ? 'Paused: events that come are kept' : 'Resumed');
  draw();
}

function clearAll() {
  events.clear();
  graph.clear();
  detail.close();
  draw();
}

function save() {
  const file = URL.createObjectURL(new Blob([events.toNdjson()], { type: 'application/x-ndjson' }));
  const link = document.createElement('a');
  link.href = file;
  link.download = `events-${new Date().toISOString().replaceAll(':', '-')}.ndjson`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(file), 1000);
}

async function copyLink() {
  remember();
  try {
    await navigator.clipboard.writeText(location.href);
    say('The link is copied');
  } catch {
    say('The link is in the address bar');
  }
}

/** Puts what the address says into the page, and watches it. @param {import('./state.js').Place | null} place to go on from */
function restore(place) {
  const { streams, ...texts } = readState(location.hash);
  picker.choose(streams);
  for (const [name, text] of Object.entries(texts)) inputs[name].value = text;
  events.find(texts.find);
  changed();
  if (streams.length && !connection) watch(idOf(place, state()));
  draw();
}

function escape() {
  if (!detail.isOpen) return;
  detail.close();
  list.focus();
}

const KEYS = {
  '/': () => picker.focus(),
  f: () => inputs.find.focus(),
  l: () => list.focus(),
  w: toggle,
  p: togglePause,
  c: clearAll,
  d: save,
  '?': () => shortcuts.showModal(),
};

document.addEventListener('keydown', (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || shortcuts.open) return;
  if (event.key === 'Escape') {
    escape();
    return;
  }
  const isTyping = event.target.matches('input:not([type=checkbox])');
  const act = isTyping ? undefined : KEYS[event.key];
  if (!act) return;
  act();
  event.preventDefault();
});

start.addEventListener('click', toggle);
pause.addEventListener('click', togglePause);
clear.addEventListener('click', clearAll);
download.addEventListener('click', save);
share.addEventListener('click', copyLink);
byId('help').addEventListener('click', () => shortcuts.showModal());
inputs.since.addEventListener('change', changed);
inputs.filter.addEventListener('change', changed);
inputs.find.addEventListener('input', () => {
  events.find(inputs.find.value.trim());
  list.toTop();
  remember();
  draw();
});
addEventListener('hashchange', () => restore(null));
addEventListener('pagehide', rememberPlace);
// The last that a page hears which is ended in the background.
document.addEventListener('visibilitychange', rememberPlace);
setInterval(() => graph.tick(), 1000);

restore(placeBefore());
try {
  const answer = await fetch('streams.json');
  if (!answer.ok) throw new Error(`${answer.status}`);
  picker.offer(await answer.json());
} catch {
  byId('picker').querySelector('.more').textContent = 'The list of streams cannot be read now: add streams by name';
}
