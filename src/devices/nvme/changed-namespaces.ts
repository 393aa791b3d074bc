/** "Changed Namespace List": namespaces whose identity has changed since a controller's log was read: §5.14.1.4. */
import { LOG_SIZE } from '../formats/nvme/index.ts'
import { put } from './logs.ts'
import { MOST_NAMESPACES } from './settings.ts'

export class ChangedNamespaces {
  /** By identifier less 1. */
  readonly #changed = new Uint8Array(MOST_NAMESPACES)

  add(nsid: number): void {
    this.#changed[nsid - 1] = 1
  }

  clear(): void {
    this.#changed.fill(0)
  }

  /** Identifiers, ascending. */
  compose(target: Uint8Array): void {
    target.fill(0, 0, LOG_SIZE.changedNamespaces)
    let at = 0
    for (const [i, changed] of this.#changed.entries()) {
      if (changed === 0) continue
      put(target, at, i + 1, 4)
      at += 4
    }
  }

  save(): Uint8Array {
    return this.#changed.slice()
  }

  load(saved: Uint8Array): void {
    this.#changed.set(saved)
  }
}
