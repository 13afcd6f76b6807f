/** Named places where the fake stops until the test lets it go on: a test waits for a state instead of for time. */
export class Gates {
  readonly #gates = new Map<string, Gate>();

  /** The fake's side: arrives at a gate and waits until it is open. */
  async pass(name: string, gone: Promise<void>): Promise<void> {
    const gate = this.#get(name);
    gate.arrivals++;
    gate.announce();
    await Promise.race([gate.opened, gone]);
  }

  /** Resolves when `arrivals` exchanges have arrived at the gate. */
  async reached(name: string, arrivals = 1): Promise<void> {
    const gate = this.#get(name);
    while (gate.arrivals < arrivals) await gate.nextArrival();
  }

  /** Opens a gate for good. */
  release(name: string): void {
    this.#get(name).open();
  }

  releaseAll(): void {
    for (const gate of this.#gates.values()) gate.open();
  }

  #get(name: string): Gate {
    let gate = this.#gates.get(name);
    if (!gate) this.#gates.set(name, (gate = new Gate()));
    return gate;
  }
}

class Gate {
  arrivals = 0;
  open!: () => void;
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
  readonly #waiting = new Set<() => void>();

  announce(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  nextArrival(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}
