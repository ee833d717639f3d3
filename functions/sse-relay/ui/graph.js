/** Events a second over the last minute, as bars. */

const SECONDS = 60;
const HEIGHT = 32;

export class Graph {
  #counts = Array(SECONDS).fill(0);
  #path;
  #label;

  /** @param {SVGPathElement} path @param {HTMLElement} label */
  constructor(path, label) {
    this.#path = path;
    this.#label = label;
  }

  /** Counts an event. */
  count() {
    this.#counts[SECONDS - 1]++;
  }

  clear() {
    this.#counts.fill(0);
    this.#draw(0);
  }

  /** Goes on to the next second. */
  tick() {
    const last = this.#counts[SECONDS - 1];
    this.#counts.shift();
    this.#counts.push(0);
    this.#draw(last);
  }

  /** @param {number} last events of the last second */
  #draw(last) {
    const most = Math.max(...this.#counts, 1);
    const bars = this.#counts.map((count, second) => {
      const height = count ? Math.max(1, (count / most) * HEIGHT) : 0;
      return `M${second + 0.1} ${HEIGHT}v-${height.toFixed(1)}h.8V${HEIGHT}z`;
    });
    this.#path.setAttribute('d', bars.join(''));
    this.#label.textContent = `${last} events/s`;
    this.#label.title = `at most ${most} in a second of the last minute`;
  }
}
