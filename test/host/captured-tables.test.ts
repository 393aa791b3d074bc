import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { importCapture } from '../../src/interop/index.ts'
import { CAPTURES, captureNames } from './capture-functions.ts'
import { type Booted, boot } from './machine.ts'

interface Recorded {
  readonly mode: 'legacy' | 'scalable'
  readonly contexts: readonly {
    readonly rid: string
    readonly bdf: string
    readonly present: boolean
    readonly is_function: boolean
    readonly raw: readonly string[]
    readonly pasids?: readonly { readonly pasid: number; readonly raw: readonly string[] }[]
  }[]
}

const path = (name: string): string => join(CAPTURES, name, 'vtd-expect.json.gz')
const recorded = (name: string): Recorded =>
  JSON.parse(gunzipSync(readFileSync(path(name))).toString()) as Recorded
const names = captureNames().filter(name => existsSync(path(name)))

const qword = ({ platform: { port } }: Booted, address: number): bigint =>
  (BigInt(port.readDword(address + 4) >>> 0) << 32n) | BigInt(port.readDword(address) >>> 0)
const pointer = (entry: bigint): number => Number(entry & 0xf_ffff_ffff_f000n)

/** Legacy context entry: P, FPD, TT (3:0) and AW (66:64). */
function legacy(booted: Booted, root: number, rid: number) {
  const at = pointer(qword(booted, root + (rid >>> 8) * 16)) + (rid & 0xff) * 16
  return { low: qword(booted, at) & 0xfn, width: qword(booted, at + 8) & 7n }
}

/** Scalable context entry without its pointer, and PGTT and SSADE of PASID 0. */
function scalable(booted: Booted, root: number, rid: number) {
  const half = qword(booted, root + (rid >>> 8) * 16 + (rid & 0x80 ? 8 : 0))
  const context = qword(booted, pointer(half) + (rid & 0x7f) * 32)
  const pasid = qword(booted, pointer(qword(booted, pointer(context))))
  return { low: context & 0xfffn, type: (pasid >> 6n) & 0xfn }
}

describe('what this kernel writes for a requester is what Linux wrote on the same machine', () => {
  it.each(names)('%s', name => {
    const { mode, contexts } = recorded(name)
    const booted = boot(importCapture(join(CAPTURES, name)).topology)
    const rtaddr = qword(booted, 0xfed9_0020)
    expect((rtaddr >> 10n) & 3n).toBe(mode === 'scalable' ? 1n : 0n)
    let compared = 0
    for (const { rid: text, bdf, present, is_function, raw, pasids } of contexts) {
      const driver = booted.host.functions().find(({ address }) => address === `0000:${bdf}`)?.driver
      if (!present || !is_function || driver === undefined) continue
      const rid = Number(text)
      if (mode === 'legacy') {
        const expected = { low: BigInt(raw[0]!) & 0xfn, width: BigInt(raw[1]!) & 7n }
        expect(legacy(booted, pointer(rtaddr), rid), bdf).toEqual(expected)
      } else {
        const [first] = pasids!
        const expected = { low: BigInt(raw[0]!) & 0xfffn, type: (BigInt(first!.raw[0]!) >> 6n) & 0xfn }
        expect(scalable(booted, pointer(rtaddr), rid), bdf).toEqual(expected)
      }
      compared++
    }
    expect(compared).toBeGreaterThan(3)
  })
})
