/**
 * Matchers and a fixture for vitest. Nothing but types of vitest is imported: give `matchers` to `expect.extend`, and
 * `platformFixture` to `test.extend`.
 */
import type {} from 'vitest'
import {
  createPlatform,
  NorthbridgeError,
  type NorthbridgePlatform,
  type TopologyDocument,
} from '../index.ts'

/** A virtual machine of a platform. */
export interface VmSubject {
  readonly platform: NorthbridgePlatform
  readonly vm: string
}

/** A function of a platform. */
export interface FunctionSubject {
  readonly platform: NorthbridgePlatform
  readonly function: string
}

export const vmOf = (platform: NorthbridgePlatform, vm: string): VmSubject => ({ platform, vm })
export const functionOf = (platform: NorthbridgePlatform, address: string): FunctionSubject => ({
  platform,
  function: address,
})

export interface AccessOptions {
  /** Default `read`. */
  readonly access?: 'read' | 'write'
}

interface MatcherResult {
  readonly pass: boolean
  readonly message: () => string
}

const result = (pass: boolean, sentence: string): MatcherResult => ({ pass, message: () => sentence })

export const matchers = {
  /** Whether nothing of a virtual machine reaches memory, registers or interrupts of another one, or the other way round. */
  toBeIsolatedFrom({ platform, vm }: VmSubject, other: string): MatcherResult {
    const pair = platform
      .isolationReport()
      .pairs.find(({ vms }) => vm !== other && vms.includes(vm) && vms.includes(other))
    if (pair === undefined) {
      throw new NorthbridgeError('notFound', `there are no two virtual machines "${vm}" and "${other}"`)
    }
    if (pair.isolated) return result(true, `${vm} is isolated from ${other}, and was expected not to be`)
    const reasons = pair.breaches.flatMap(({ text, repair }) => [text, `  repair: ${repair.text}`])
    return result(false, [`${vm} is not isolated from ${other}:`, ...reasons, ...pair.conditions].join('\n'))
  },

  /** Whether a request of a function to an address would arrive at memory or at a peer. Nothing is sent. */
  toReach(
    { platform, function: address }: FunctionSubject,
    target: string,
    { access = 'read' }: AccessOptions = {},
  ): MatcherResult {
    const {
      target: reached,
      steps,
      translation,
    } = platform.route({ function: address, address: target, access })
    const pass = reached === 'memory' || reached === 'peer'
    const end = translation ?? steps.at(-1)?.text ?? 'nothing'
    return result(
      pass,
      `a ${access} of ${address} at ${target} reaches ${pass ? reached : `nobody (${end})`}`,
    )
  },

  /**
   * Whether DMA of a function ends in a fault: of this reason code (`0x06`) or name, if one is given. The request is sent:
   * a write that is not blocked writes a byte of zero.
   */
  toFaultWith(
    { platform, function: address }: FunctionSubject,
    target: string,
    reason?: string,
    { access = 'read' }: AccessOptions = {},
  ): MatcherResult {
    const { outcome, fault } = platform.dma(
      access === 'read'
        ? { function: address, direction: access, address: target, length: 1 }
        : { function: address, direction: access, address: target, data: '00' },
    )
    const pass = fault !== undefined && (reason === undefined || [fault.reason, fault.name].includes(reason))
    const end = fault === undefined ? outcome : `fault ${fault.reason}, ${fault.name}`
    return result(pass, `a ${access} of ${address} at ${target} ends in: ${end}`)
  },

  /** Whether a function can be given to a virtual machine. It is taken back at once. */
  toAssign(platform: NorthbridgePlatform, address: string, vm: string): MatcherResult {
    try {
      platform.attach({ vm, function: address })
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      return result(false, `${address} is not given to ${vm}: ${error.code}, ${error.message}`)
    }
    platform.detach({ vm, function: address })
    return result(true, `${address} can be given to ${vm}`)
  },
}

/** A fixture for `test.extend`: a fresh platform for every test. */
export const platformFixture =
  (topology: string | TopologyDocument) =>
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of other fixtures from this pattern
  async ({}: object, use: (platform: NorthbridgePlatform) => Promise<void>): Promise<void> => {
    await use(createPlatform(topology))
  }

/** What `expect` offers once the matchers are in. */
export interface NorthbridgeMatchers<Result> {
  toBeIsolatedFrom(other: string): Result
  toReach(address: string, options?: AccessOptions): Result
  toFaultWith(address: string, reason?: string, options?: AccessOptions): Result
  toAssign(address: string, vm: string): Result
}

declare module 'vitest' {
  // The type parameters must be vitest's own.
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown>
    extends NorthbridgeMatchers<R> {}
}
