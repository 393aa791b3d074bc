/** What a network controller tells of its decisions, added up: the one side of accounts whose other side is counted. */
import { strict as assert } from 'node:assert'
import type { NicEvent, NicModel } from '../../src/devices/index.ts'
import type { PluggedPort } from '../../src/platform/index.ts'

/** What a copy for a pool is dropped for. All other causes are of the transmitter, the MAC or the filters. */
const OF_COPIES = new Set([
  'poolLengthLimit',
  'queueDisabled',
  'busMasterDisabled',
  'noDescriptor',
  'packetBufferFull',
  'dmaFault',
  'queueStopped',
])

/** What a controller has told of its decisions. */
export class ControllerBook {
  readonly port: PluggedPort
  fromWire = 0
  toWire = 0
  /** Frames that a filter refused before any pool was chosen for them. */
  refused = 0
  /** Copies, one for each pool that was chosen, and what became of them. */
  copies = 0
  stored = 0
  lost = 0
  /** Drops that were told, by cause. */
  readonly drops: Record<string, number> = {}
  #chosen = 0
  readonly #dropsBefore: Readonly<Record<string, number | undefined>>

  constructor(port: PluggedPort) {
    this.port = port
    this.#dropsBefore = this.model.inspect().drops
    this.model.observer = { note: event => this.#note(event) }
  }

  get model(): NicModel {
    return this.port.function.model as NicModel
  }

  #note(event: NicEvent): void {
    switch (event.step) {
      case 'fromWire':
        this.#chosen = 0
        this.fromWire++
        break
      case 'toWire':
        this.toWire += event.sent ? 1 : 0
        break
      case 'classified':
        // Without pools there is one receiver.
        this.#chosen = Math.max(1, event.pools.length)
        this.copies += this.#chosen
        break
      case 'stored':
        this.stored++
        break
      case 'dropped':
        this.drops[event.cause] = (this.drops[event.cause] ?? 0) + 1
        if (OF_COPIES.has(event.cause)) this.lost++
        else if (event.pool < 0) this.#refusedBefore()
        break
      default:
    }
  }

  /** It was told of a choice, but nobody was chosen. */
  #refusedBefore(): void {
    this.refused++
    this.copies -= this.#chosen
    this.#chosen = 0
  }

  /** Every frame and copy has one end, and every drop that was told has been counted under its name. */
  check(): void {
    const { drops, waiting, name } = this.model.inspect()
    const { copies, stored, lost } = this
    assert.equal(
      copies,
      stored + lost + waiting,
      `${name}: every copy has one end: ${copies} of ${stored}, ${lost}, ${waiting}`,
    )
    for (const cause of new Set([...Object.keys(drops), ...Object.keys(this.drops)])) {
      const counted = (drops[cause as keyof typeof drops] ?? 0) - (this.#dropsBefore[cause] ?? 0)
      assert.equal(counted, this.drops[cause] ?? 0, `${name}: ${cause} is counted as often as it happened`)
    }
  }
}
