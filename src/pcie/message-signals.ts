/** A function's message-signalled interrupts: through MSI-X or MSI, whichever software has enabled. */
import type { Saved } from '../core/index.ts'
import type { ConfigLayout } from './config-layout.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import { Msi } from './msi.ts'
import { MsiX } from './msi-x.ts'
import type { MemoryRequest } from './request.ts'

/** How signalling a vector ended. `sent`: the request went out, and its status says what became of it. */
export type SignalOutcome = 'sent' | 'pending' | 'disabled' | 'noSuchVector' | 'noCapability'

/** The payload of a message that is sent at once; a receiver copies what it keeps. */
const messagePayload = new Uint8Array(4)

export class MessageSignals {
  readonly msiX: MsiX | undefined
  readonly msi: Msi | undefined

  /** @param unmasked called when a write to the MSI-X table may have lifted a mask. */
  constructor(layout: ConfigLayout, words: Uint32Array, unmasked: () => void) {
    const msiX = layout.find(CAPABILITY.MSI_X)
    const msi = layout.find(CAPABILITY.MSI)
    this.msiX = msiX > 0 ? new MsiX(words, msiX, unmasked) : undefined
    this.msi = msi > 0 ? new Msi(words, msi) : undefined
  }

  get #enabled(): MsiX | Msi | undefined {
    if (this.msiX?.enabled) return this.msiX
    return this.msi?.enabled ? this.msi : undefined
  }

  /** Composes the message of a vector in `request`, or notes it as pending. */
  signal(vector: number, request: MemoryRequest): SignalOutcome {
    const enabled = this.#enabled
    if (enabled === undefined) return (this.msiX ?? this.msi) ? 'disabled' : 'noCapability'
    if (!Number.isInteger(vector) || vector < 0 || vector >= enabled.vectors) return 'noSuchVector'
    if (enabled.isMasked(vector)) {
      enabled.setPending(vector)
      return 'pending'
    }
    enabled.compose(vector, request, messagePayload)
    return 'sent'
  }

  /** Composes the next message that was pending and is no longer masked; false if there is none. */
  composePending(request: MemoryRequest, payload: Uint8Array): boolean {
    const enabled = this.#enabled
    const vector = enabled?.takePending() ?? -1
    if (vector >= 0) enabled!.compose(vector, request, payload)
    return vector >= 0
  }

  reset(): void {
    this.msiX?.reset()
  }

  /** The MSI-X table; all of MSI lies in configuration space. */
  save(): Saved {
    return this.msiX?.save() ?? null
  }

  load(saved: Saved): void {
    this.msiX?.load(saved)
  }
}
