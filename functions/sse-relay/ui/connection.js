/**
 * One connection to the relay. EventSource reconnects by itself, with the id of the last event. Where the server refuses a
 * connection it gives up instead; then this asks why, and opens a new one that goes on where the last one stood.
 *
 * @typedef {object} Listener
 * @property {(text: string) => void} event an event's JSON text
 * @property {(text: string) => void} note what is to be said between the events
 * @property {(status: Status, detail: string) => void} status
 *
 * @typedef {'connecting' | 'open' | 'reconnecting' | 'refused' | 'ended'} Status `refused` and `ended` are the last
 */

/** Longest time between tries, in milliseconds. */
const LONGEST_WAIT = 30_000;

/** Longest address with an id in it: Cloudflare takes 16 KB, and 8 KB are what the usual proxies take. */
const LONGEST_URL = 8000;

export class Connection {
  #url;
  #listener;
  /** @type {EventSource | undefined} */
  #source;
  #timer = 0;
  #failures = 0;
  #places = new Places();

  /** @param {string} url @param {Listener} listener @param {string} [id] where an earlier connection stood */
  constructor(url, listener, id = '') {
    this.#url = url;
    this.#listener = listener;
    this.#places.take(id);
    this.#open();
  }

  /** The id of the last event; empty before the first one. */
  get lastId() {
    return this.#places.lastId;
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #open() {
    const source = new EventSource(this.#places.resume(this.#url));
    this.#source = source;
    this.#listener.status('connecting', '');
    source.onopen = () => {
      this.#failures = 0;
      this.#listener.status('open', '');
    };
    source.onmessage = ({ data, lastEventId }) => {
      if (this.#places.take(lastEventId)) this.#listener.event(data);
    };
    source.addEventListener('gap', ({ data }) => this.#listener.note(`Events are missing here: ${gap(data)}`));
    source.addEventListener('end', ({ data }) => {
      this.close();
      this.#listener.status('ended', said(data));
    });
    // Both what the server says and what happens to the connection are called error.
    source.addEventListener('error', (event) => {
      if (event instanceof MessageEvent) {
        this.#listener.note(`The server says: ${said(event.data)}`);
      } else if (source.readyState === EventSource.CLOSED) {
        this.#refused(source);
      } else {
        this.#listener.status('reconnecting', '');
      }
    });
  }

  /** @param {EventSource} source */
  async #refused(source) {
    const { isFinal, detail, wait } = await reason(source.url);
    // It may have been closed while the question was asked.
    if (this.#source !== source) return;
    this.#listener.status(isFinal ? 'refused' : 'reconnecting', detail);
    if (isFinal) return;
    this.#failures++;
    const delay = Math.max(wait, Math.min(1000 * 2 ** this.#failures, LONGEST_WAIT));
    this.#timer = setTimeout(() => this.#open(), delay);
  }
}

/** Why a connection was refused, and whether to try again after `wait` milliseconds. */
async function reason(url) {
  const abort = new AbortController();
  try {
    const answer = await fetch(url, { signal: abort.signal, headers: { accept: 'text/event-stream' } });
    if (answer.ok) return { isFinal: false, detail: '', wait: 0 };
    const detail = said(await answer.text());
    const isFinal = answer.status < 500 && answer.status !== 429;
    return { isFinal, detail, wait: 1000 * Number(answer.headers.get('retry-after') ?? 0) || 0 };
  } catch {
    return { isFinal: false, detail: 'the server does not answer', wait: 0 };
  } finally {
    abort.abort();
  }
}

/** The text for people in what the server says; all of it where it has none. */
function said(text) {
  const { detail, message, reason } = read(text);
  return detail ?? message ?? reason ?? text;
}

/** What is missing: the topic, from where to where, and why. */
function gap(text) {
  const { topic, partition, reason, from, to } = read(text);
  if (!topic) return said(text);
  if (reason === 'gone') return `${topic}, partition ${partition ?? '?'}, is not in the stream any more`;
  return `${topic}, partition ${partition}, from offset ${from?.offset ?? '?'} to ${to?.offset ?? '?'} (${reason})`;
}

/** The object that a text is; an empty one where it is none. */
function read(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** Where a connection stands in each log, by the ids of its events. */
export class Places {
  /** @type {Map<string, {offset: number, timestamp: number}>} */
  #places = new Map();
  /** The id of the last event; empty before the first one. */
  lastId = '';

  /**
   * @param {string} id of an event
   * @returns {boolean} whether it is new: after a start by time, events of that time come again
   */
  take(id) {
    const entries = positions(id);
    if (entries.length) this.lastId = id;
    let isNew = entries.length === 0;
    for (const { topic, partition, offset, timestamp } of entries) {
      const log = `${topic}/${partition}`;
      const known = this.#places.get(log);
      if (known && offset <= known.offset && timestamp <= known.timestamp) continue;
      this.#places.set(log, { offset, timestamp });
      isNew = true;
    }
    return isNew;
  }

  /** The address to go on from: with the last id or, where that is too long, the oldest of its times. @param {string} url */
  resume(url) {
    if (!this.lastId) return url;
    const [path, query] = url.split('?');
    const parameters = new URLSearchParams(query);
    parameters.set('last_event_id', this.lastId);
    const address = `${path}?${parameters}`;
    const times = [...this.#places.values()].map(({ timestamp }) => timestamp).filter(Number.isFinite);
    if (address.length <= LONGEST_URL || !times.length) return address;
    parameters.delete('last_event_id');
    // An id's time is one past that of its event, of which there may be more.
    parameters.set('since', String(Math.min(...times) - 1));
    return `${path}?${parameters}`;
  }
}

function positions(id) {
  const entries = read(id);
  return Array.isArray(entries) ? entries : [];
}
