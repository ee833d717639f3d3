/**
 * Choosing streams: a search over a list of boxes, and what is chosen above it.
 *
 * @typedef {{name: string, title: string | null, description: string | null}} Stream
 */

/** Most streams listed at once; a search finds the others. */
const MAX_LISTED = 200;

export class Picker {
  #search;
  #list;
  #chosenList;
  #more;
  #changed;
  /** @type {Stream[]} */
  #streams = [];
  /** @type {Set<string>} */
  #chosen = new Set();

  /**
   * @param {HTMLElement} root
   * @param {() => void} changed called when something is chosen or no longer is
   */
  constructor(root, changed) {
    this.#search = /** @type {HTMLInputElement} */ (root.querySelector('#search'));
    this.#list = root.querySelector('.streams');
    this.#chosenList = root.querySelector('.chosen');
    this.#more = root.querySelector('.more');
    this.#changed = changed;
    this.#search.addEventListener('input', () => this.#draw());
    this.#search.addEventListener('keydown', (event) => this.#searchKey(event));
    this.#list.addEventListener('keydown', (event) => this.#listKey(event));
    this.#list.addEventListener('change', ({ target }) => this.#set(target.value, target.checked));
    this.#chosenList.addEventListener('click', ({ target }) => this.#remove(target));
  }

  /** Names of streams, in the order they were chosen. @returns {string[]} */
  get chosen() {
    return [...this.#chosen];
  }

  /** @param {string[]} names */
  choose(names) {
    this.#chosen = new Set(names);
    this.#draw();
  }

  /** @param {Stream[]} streams */
  offer(streams) {
    this.#streams = streams;
    this.#draw();
  }

  focus() {
    this.#search.focus();
    this.#search.select();
  }

  #set(name, isChosen) {
    if (isChosen) this.#chosen.add(name);
    else this.#chosen.delete(name);
    this.#drawChosen();
    this.#changed();
  }

  #remove(target) {
    const { name } = target.dataset;
    if (!name) return;
    this.#set(name, false);
    this.#draw();
    this.#search.focus();
  }

  #found() {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return this.#streams.filter(({ name, title, description }) => {
      const text = `${name} ${title ?? ''} ${description ?? ''}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  #draw() {
    const found = this.#found();
    this.#list.replaceChildren(...found.slice(0, MAX_LISTED).map((stream) => this.#box(stream)));
    this.#rove(this.#list.querySelector('input'));
    const name = this.#search.value.trim();
    const left = found.length - MAX_LISTED;
    if (left > 0) this.#more.textContent = `${left} more: search to find them`;
    else if (!found.length && name) this.#more.textContent = `Enter adds “${name}” by its name`;
    else this.#more.textContent = this.#streams.length ? '' : 'No stream is listed: add one by its name';
    this.#drawChosen();
  }

  #drawChosen() {
    const chips = this.chosen.map((name) => {
      const chip = document.createElement('button');
      chip.type = 'button';
      chip.className = 'chip';
      chip.dataset.name = name;
      chip.textContent = name;
      chip.ariaLabel = `${name}: remove`;
      return chip;
    });
    this.#chosenList.replaceChildren(...chips);
  }

  #box({ name, title, description }) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.value = name;
    box.checked = this.#chosen.has(name);
    const shown = document.createElement('span');
    shown.textContent = name;
    const about = document.createElement('small');
    about.textContent = description ?? title ?? '';
    label.title = [description, title && `Schema title: ${title}`].filter(Boolean).join('\n');
    shown.append(about);
    label.append(box, shown);
    return label;
  }

  /** Tab reaches one box of the list, arrows the others. @param {HTMLInputElement | null | undefined} current */
  #rove(current) {
    for (const box of this.#list.querySelectorAll('input')) box.tabIndex = box === current ? 0 : -1;
  }

  #searchKey(event) {
    const first = this.#list.querySelector('input');
    if (event.key === 'ArrowDown' && first) {
      first.focus();
    } else if (event.key === 'Enter') {
      this.#enter();
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Chooses the first stream that was found; where there is none, the name as it is: it may match a regex. */
  #enter() {
    const text = this.#search.value.trim();
    const [first] = this.#found();
    if (!text) return;
    this.#search.value = '';
    this.#set(first?.name ?? text, true);
    this.#draw();
  }

  #listKey(event) {
    const boxes = [...this.#list.querySelectorAll('input')];
    const at = boxes.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: boxes.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0) {
      this.#search.focus();
      return;
    }
    const next = boxes[Math.min(to, boxes.length - 1)];
    this.#rove(next);
    next.focus();
  }
}
