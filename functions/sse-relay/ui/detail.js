/** One event, as JSON and as YAML. */

import { parse, toJson } from './json.js';
import { toYaml } from './yaml.js';

const WRITERS = { json: toJson, yaml: toYaml };

export class Detail {
  #panel;
  #text;
  #tabs;
  #say;
  #form = 'json';
  /** @type {import('./json.js').Node | undefined} */
  #node;

  /**
   * @param {HTMLElement} panel
   * @param {{say: (text: string) => void, closed: () => void}} listener
   */
  constructor(panel, { say, closed }) {
    this.#panel = panel;
    this.#say = say;
    this.#text = panel.querySelector('pre');
    this.#tabs = [...panel.querySelectorAll('[role=tab]')];
    for (const tab of this.#tabs) tab.addEventListener('click', () => this.#choose(tab));
    panel.querySelector('[role=tablist]').addEventListener('keydown', (event) => this.#key(event));
    panel.querySelector('.copy').addEventListener('click', () => this.#copy());
    panel.querySelector('.close').addEventListener('click', () => {
      this.close();
      closed();
    });
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** @param {string} text an event's JSON text */
  open(text) {
    this.#node = parse(text);
    this.#panel.hidden = false;
    this.#text.scrollTop = 0;
    this.#draw();
  }

  close() {
    this.#panel.hidden = true;
    this.#node = undefined;
    this.#text.textContent = '';
  }

  #draw() {
    this.#text.textContent = this.#node ? WRITERS[this.#form](this.#node) : '';
    for (const tab of this.#tabs) {
      const isChosen = tab.dataset.form === this.#form;
      tab.ariaSelected = String(isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
  }

  #choose(tab) {
    this.#form = tab.dataset.form;
    this.#draw();
  }

  #key(event) {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    const other = this.#tabs.find((tab) => tab.dataset.form !== this.#form);
    this.#choose(other);
    other.focus();
    event.preventDefault();
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#text.textContent);
      this.#say('Copied');
    } catch {
      // Without a secure origin, or the permission, there is no clipboard for scripts.
      getSelection().selectAllChildren(this.#text);
      this.#say('Selected: copy it with Ctrl+C');
    }
  }
}
