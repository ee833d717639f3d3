/**
 * The events, newest first. Only the rows in sight are elements, so any number of events costs the same. The list itself has
 * the focus and names its active row (`aria-activedescendant`), which may be out of sight.
 *
 * @typedef {import('./events.js').Item} Item
 */

/** Height of a row in pixels; the style has it too. */
const ROW = 32;

/** Rows kept beyond the edges, so that scrolling does not show blanks. */
const BEYOND = 6;

/** Most characters of an event that a row shows. */
const GIST = 240;

export class List {
  #box;
  #space;
  #open;
  /** @type {readonly Item[]} */
  #items = [];
  /** @type {Item | undefined} */
  #active;
  /** @type {HTMLElement[]} */
  #rows = [];

  /**
   * @param {HTMLElement} box the element that scrolls
   * @param {(item: Item) => void} open called for the event that somebody wants to see
   */
  constructor(box, open) {
    this.#box = box;
    this.#space = /** @type {HTMLElement} */ (box.firstElementChild);
    this.#open = open;
    box.addEventListener('scroll', () => this.#draw());
    box.addEventListener('keydown', (event) => this.#key(event));
    box.addEventListener('click', (event) => this.#click(event));
    new ResizeObserver(() => this.#draw()).observe(box);
  }

  /** @param {readonly Item[]} items oldest first */
  render(items) {
    const top = this.#items.at(-1);
    const added = top ? items.length - 1 - items.lastIndexOf(top) : 0;
    this.#items = [...items];
    this.#space.style.height = `${items.length * ROW}px`;
    // Who looks at older events keeps them in sight.
    if (this.#box.scrollTop > 0 && added > 0) this.#box.scrollTop += added * ROW;
    this.#draw();
  }

  focus() {
    this.#box.focus();
  }

  /** Shows the newest. */
  toTop() {
    this.#box.scrollTop = 0;
  }

  #at(index) {
    return this.#items[this.#items.length - 1 - index];
  }

  #indexOf(item) {
    return this.#items.length - 1 - this.#items.lastIndexOf(item);
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.#box.scrollTop / ROW) - BEYOND);
    const inSight = Math.ceil(this.#box.clientHeight / ROW) + 2 * BEYOND;
    const count = Math.max(0, Math.min(inSight, this.#items.length - first));
    while (this.#rows.length > count) this.#rows.pop().remove();
    while (this.#rows.length < count) this.#rows.push(this.#space.appendChild(newRow()));
    this.#rows.forEach((row, nth) => this.#fill(row, first + nth));
    const active = this.#rows.find((row) => row.ariaSelected === 'true');
    if (active) this.#box.setAttribute('aria-activedescendant', active.id);
    else this.#box.removeAttribute('aria-activedescendant');
  }

  #fill(row, index) {
    const item = this.#at(index);
    const { at, stream, gist } = lineOf(item);
    row.id = `row-${index}`;
    row.style.transform = `translateY(${index * ROW}px)`;
    row.className = `row ${item.kind}${item.seen ? ' seen' : ''}`;
    row.dataset.index = String(index);
    row.ariaSelected = String(item === this.#active);
    row.ariaPosInSet = String(index + 1);
    row.ariaSetSize = String(this.#items.length);
    const texts = [at, stream, gist];
    [...row.children].forEach((cell, nth) => {
      if (cell.textContent !== texts[nth]) cell.textContent = texts[nth];
    });
  }

  /** @param {number} index */
  #activate(index) {
    if (!this.#items.length) return;
    const at = Math.max(0, Math.min(index, this.#items.length - 1));
    this.#active = this.#at(at);
    const { scrollTop, clientHeight } = this.#box;
    if (at * ROW < scrollTop) this.#box.scrollTop = at * ROW;
    else if ((at + 1) * ROW > scrollTop + clientHeight) this.#box.scrollTop = (at + 1) * ROW - clientHeight;
    this.#draw();
  }

  #choose(index) {
    this.#activate(index);
    if (this.#active?.kind !== 'event') return;
    this.#active.seen = true;
    this.#draw();
    this.#open(this.#active);
  }

  #click(event) {
    const row = event.target.closest('.row');
    if (row) this.#choose(Number(row.dataset.index));
  }

  #key(event) {
    const isKnown = this.#items.includes(this.#active);
    const at = isKnown ? this.#indexOf(this.#active) : -1;
    const page = Math.max(1, Math.floor(this.#box.clientHeight / ROW) - 1);
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#items.length - 1,
    }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (to !== undefined) this.#activate(to);
    else if ((event.key === 'Enter' || event.key === ' ') && at >= 0) this.#choose(at);
    else return;
    event.preventDefault();
  }
}

function newRow() {
  const row = document.createElement('div');
  row.role = 'option';
  row.append(...['at', 'stream', 'gist'].map(newCell));
  return row;
}

function newCell(name) {
  const cell = document.createElement('span');
  cell.className = name;
  return cell;
}

/** What a row shows, made when it is seen first. @param {Item} item */
function lineOf(item) {
  item.line ??= item.kind === 'note' ? noteLine(item) : eventLine(item);
  return item.line;
}

function noteLine({ text, at }) {
  return { at: timeOf(new Date(at)), stream: '', gist: text };
}

function eventLine({ text, at }) {
  try {
    const { $schema, meta, dt, ...rest } = JSON.parse(text);
    const sent = new Date(meta?.dt ?? at);
    const gist = Object.entries(rest).map(([name, value]) => `${name}: ${short(value)}`);
    return { at: timeOf(sent), stream: meta?.stream ?? '', gist: gist.join('  ').slice(0, GIST) };
  } catch {
    return { at: timeOf(new Date(at)), stream: '', gist: text.slice(0, GIST) };
  }
}

function short(value) {
  return typeof value === 'string' ? value.slice(0, GIST) : JSON.stringify(value).slice(0, GIST);
}

/** @param {Date} date */
function timeOf(date) {
  return Number.isNaN(date.valueOf()) ? '' : date.toISOString().slice(11, 23);
}
