// A list of any length of which only what can be seen is in the page.

const SPARE_PX = 300;

/**
 * `list` is the element that holds the lines. `kindOf(item)` names the sort of line, `height(kind)` its
 * height, `make(kind)` builds a view `{ element, title }` of it, and `fill(view, item, at)` shows an item
 * in a view. Items have a `key`. Views are used again, but never while they hold the focus; what takes the
 * place of a view that holds it gets it, on its title.
 */
export class Scroller {
  #list;
  #given;
  #items = [];
  #tops = [];
  #places = new Map();
  #views = new Map();
  #pools = new Map();
  #frame = 0;

  constructor(list, given) {
    this.#list = list;
    this.#given = given;
    addEventListener("scroll", this.#scrolled, { passive: true });
    addEventListener("resize", this.#scrolled);
  }

  close() {
    removeEventListener("scroll", this.#scrolled);
    removeEventListener("resize", this.#scrolled);
  }

  get items() {
    return this.#items;
  }

  /** Shows other items; what is at the top of the window stays where it is. */
  setItems(items) {
    const anchor = this.#anchor();
    this.#items = items;
    this.#measure();
    if (anchor !== null && this.#places.has(anchor.key)) {
      scrollBy(0, this.#tops[this.#places.get(anchor.key)] - anchor.top);
    }
    this.paint();
  }

  /** The heights of lines are others now. */
  remeasure() {
    this.#measure();
    this.paint();
  }

  /** Fills those lines again that are in the page; all of them without `keys`. */
  refresh(keys = null) {
    for (const [key, { view }] of this.#views) {
      if (keys === null || keys.has(key)) this.#given.fill(view, this.#items[this.#places.get(key)], this.#places.get(key));
    }
  }

  /** Calls `act(view)` for every line that is in the page. */
  each(act) {
    for (const { view } of this.#views.values()) act(view);
  }

  /** Scrolls until a line is in the window; returns its view. */
  reveal(key) {
    const at = this.#places.get(key);
    if (at === undefined) return null;
    const top = this.#offset() + this.#tops[at];
    const bottom = this.#offset() + this.#tops[at + 1];
    if (top < scrollY + 60) scrollTo(0, Math.max(0, top - 100));
    else if (bottom > scrollY + innerHeight - 60) scrollTo(0, bottom - innerHeight + 100);
    this.paint();
    return this.#views.get(key)?.view ?? null;
  }

  paint() {
    const holder = this.#holder();
    const from = scrollY - this.#offset() - SPARE_PX;
    const first = this.#at(from);
    const last = Math.min(this.#items.length - 1, this.#at(from + innerHeight + 2 * SPARE_PX));
    const wanted = new Set();
    for (let at = first; at <= last; at += 1) wanted.add(this.#items[at].key);
    for (const [key, shown] of this.#views) {
      if (wanted.has(key) && shown.kind === this.#given.kindOf(this.#items[this.#places.get(key)])) continue;
      this.#retire(key, shown);
    }
    let before = this.#list.firstElementChild;
    for (let at = first; at <= last; at += 1) before = this.#place(at, before);
    if (holder) this.#giveBack(holder);
  }

  /** The line and the element in it that hold the focus, which moving a line in the page takes from it. */
  #holder() {
    const focused = document.activeElement;
    if (!this.#list.contains(focused)) return null;
    const [key] = [...this.#views].find(([, { view }]) => view.element.contains(focused)) ?? [];
    return { key, focused };
  }

  #giveBack({ key, focused }) {
    if (document.activeElement === focused) return;
    const heir = focused.isConnected ? focused : this.#views.get(key)?.view.title;
    heir?.focus({ preventScroll: true });
  }

  /** Puts a line where it belongs, in the list's order too; returns the element that follows it. */
  #place(at, before) {
    const item = this.#items[at];
    let shown = this.#views.get(item.key);
    if (!shown) {
      const kind = this.#given.kindOf(item);
      shown = { kind, top: -1, view: this.#pools.get(kind)?.pop() ?? this.#given.make(kind) };
      this.#views.set(item.key, shown);
    }
    const { element } = shown.view;
    this.#given.fill(shown.view, item, at);
    if (shown.top !== this.#tops[at]) {
      shown.top = this.#tops[at];
      element.style.transform = `translateY(${shown.top}px)`;
    }
    if (element === before) return before.nextElementSibling;
    this.#list.insertBefore(element, before);
    return before;
  }

  #retire(key, { kind, view }) {
    this.#views.delete(key);
    const focused = view.element.contains(document.activeElement);
    view.element.remove();
    if (focused) return;
    if (!this.#pools.has(kind)) this.#pools.set(kind, []);
    this.#pools.get(kind).push(view);
  }

  #measure() {
    this.#tops = new Array(this.#items.length + 1);
    this.#places.clear();
    let top = 0;
    this.#items.forEach((item, at) => {
      this.#tops[at] = top;
      this.#places.set(item.key, at);
      top += this.#given.height(this.#given.kindOf(item));
    });
    this.#tops[this.#items.length] = top;
    this.#list.style.height = `${top}px`;
  }

  /** The first line that reaches below this height. */
  #at(height) {
    let [low, high] = [0, this.#items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= height) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #anchor() {
    const above = scrollY - this.#offset();
    if (above <= 0 || !this.#items.length) return null;
    const at = this.#at(above);
    return at < this.#items.length ? { key: this.#items[at].key, top: this.#tops[at] } : null;
  }

  #offset() {
    return this.#list.getBoundingClientRect().top + scrollY;
  }

  #scrolled = () => {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.paint();
    });
  };
}
