/**
 * The events that the page holds, oldest first, and those of them that are shown. Both are bounded: the oldest go.
 *
 * @typedef {object} Item
 * @property {'event' | 'note'} kind an event, or what is to be said between events
 * @property {string} text an event's JSON text, or what is said
 * @property {number} at when it came, milliseconds since the epoch
 * @property {boolean} [seen] whether its detail was opened
 * @property {{stream: string, at: string, gist: string}} [line] what the list shows of it
 */

/** Most events held. */
export const MAX_EVENTS = 10_000;

/** Most characters held: large events take their share. */
export const MAX_CHARACTERS = 32 * 1024 * 1024;

/** Most events that wait while the page is paused. */
export const MAX_WAITING = 5000;

/** Most characters that wait. */
export const MAX_WAITING_CHARACTERS = 16 * 1024 * 1024;

export class Events {
  /** @type {Item[]} */
  #all = [];
  /** @type {Item[]} */
  #shown = [];
  /** @type {Item[]} */
  #waiting = [];
  #characters = 0;
  #waitingCharacters = 0;
  #find = '';
  /** How many events came. */
  received = 0;
  /** How many events were let go of because newer ones came. */
  forgotten = 0;
  /** How many events came while paused that there was no room for. */
  dropped = 0;
  paused = false;

  /** Those that have the text of the search, and all notes; oldest first. @returns {readonly Item[]} */
  get shown() {
    return this.#shown;
  }

  /** How many events wait for the page to be resumed. */
  get waiting() {
    return this.#waiting.length;
  }

  /** @param {string} text an event's JSON text */
  add(text) {
    this.received++;
    this.#put({ kind: 'event', text, at: Date.now() });
  }

  /** @param {string} text what is to be said between the events */
  note(text) {
    this.#put({ kind: 'note', text, at: Date.now() });
  }

  pause() {
    this.paused = true;
  }

  /** Shows what came in between; says how much of it is missing. */
  resume() {
    this.paused = false;
    const waited = this.#waiting;
    this.#waiting = [];
    this.#waitingCharacters = 0;
    waited.forEach((item) => this.#append(item));
    if (this.dropped) {
      this.note(`${this.dropped} events are missing here: they came while paused, and there was no more room`);
      this.dropped = 0;
    }
  }

  /** @param {string} text shows only the events that have it, in whatever case */
  find(text) {
    this.#find = text.toLowerCase();
    this.#shown = this.#all.filter((item) => this.#fits(item));
  }

  clear() {
    this.#all = [];
    this.#shown = [];
    this.#waiting = [];
    this.#characters = 0;
    this.#waitingCharacters = 0;
    this.received = 0;
    this.forgotten = 0;
    this.dropped = 0;
  }

  /** The events that are shown, as NDJSON. */
  toNdjson() {
    const lines = this.#shown.filter((item) => item.kind === 'event').map((item) => `${item.text}\n`);
    return lines.join('');
  }

  /** @param {Item} item */
  #put(item) {
    if (!this.paused) {
      this.#append(item);
    } else if (
      this.#waiting.length < MAX_WAITING &&
      this.#waitingCharacters + item.text.length <= MAX_WAITING_CHARACTERS
    ) {
      this.#waiting.push(item);
      this.#waitingCharacters += item.text.length;
    } else {
      this.dropped++;
    }
  }

  /** @param {Item} item */
  #append(item) {
    this.#all.push(item);
    this.#characters += item.text.length;
    if (this.#fits(item)) this.#shown.push(item);
    while (this.#all.length > MAX_EVENTS || (this.#characters > MAX_CHARACTERS && this.#all.length > 1)) {
      const oldest = this.#all.shift();
      this.#characters -= oldest.text.length;
      if (oldest.kind === 'event') this.forgotten++;
      if (this.#shown[0] === oldest) this.#shown.shift();
    }
  }

  /** @param {Item} item */
  #fits(item) {
    return item.kind === 'note' || !this.#find || item.text.toLowerCase().includes(this.#find);
  }
}
